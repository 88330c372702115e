# ruff: noqa: RUF001 - the table is of characters that look like others
"""Texts that a person takes for one another: by case, invisible characters, or letters of other scripts."""

from __future__ import annotations

import unicodedata
from itertools import chain

#: Letters and marks of other scripts, and the Latin ones that they look like. What Unicode calls compatible, such as
#: full-width and mathematical letters, is covered by NFKC.
_PAIRS = (
    # Cyrillic
    ("АВЕЅІЈКМНОРСТУХЗЬԚԜԌҺӀѴԁԛԝһӏаеорсухѕіјкѵ", "ABESIJKMHOPCTYX3bQWGhIVdqwhlaeopcyxsijkv"),
    # Greek
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹͿαγικνορυχϲϳ", "ABEZHIKMNOPTYXCJayikvopuxcj"),
    ("ҮүꙆꙇѡ", "YyIiw"),
    # Armenian and Coptic
    ("ՕՏՍԼօոսհցզյ", "OSULonuhgqj"),
    ("ⲀⲈⲎⲒⲔⲘⲚⲞⲢⲤⲦⲨⲬⲌⲟⲣⲥ", "AEHIKMNOPCTYXZopc"),
    ("ⲓⲏⲕⲙⲛⲧⲩⲭⲍ", "iHkMNTYxz"),
    # Cherokee and Lisu
    ("ᎠᎡᎢᎪᎫᎬᎳᎷᎻᏀᏃᏞᏟᏢᏦᏙᏴᎩᏚ", "DRTAJEWMHGZLCPKVBYS"),
    ("ꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ", "BPDTGKJCZFMNLSRVHWXYAEIOU"),
    # Canadian syllabics, Tifinagh, Ethiopic, N'Ko, Hebrew and Runic
    ("ᗅᗷᑕᗞᖴᕼᒍᒪᑭᖇᑌᐯᗯ᙭ⵔⵏዐߊ׀ᛁᛕᚷ", "ABCDFHJLPRUVWXOlOlllKX"),
    # Rarer letters of these scripts, Myanmar, Georgian and others
    ("ϨⳌⳒⳊⳐ𐋵ⲅꙄӠҽᒿᗪᗰᑲᖯᑯᕁᕽꛯꛟᏎᏮᏳᏒᏕᏔᎽᏏꮯᏧᏂꭵᎥꮁꮪꮩꮃꮓⴹⵕⴸⵝϜϺ", "2369LZr23e2DMbbdxx2V46GRSWYbcdhiirsvwzEQVXFM"),
    ("ᴦᛖ〇ଠሀꓒքռգաჿყഠဝ", "rMOOUdfnqwoyoo"),
    # Miao, Warang Citi, Osage, Old Italic, Carian, Lycian, Deseret, Elbasan and Ahom
    ("𖼻𖽀𖼖𖼵𖼺𖼊𖽂𖼈𖽃𖼨𑣊𑢯𑢻𑣕𑣆𑣌𑢬𑣖𑣲𑢦𑢮𑣂𑢢𑢣𑢲𑢵𑢼𑢸𑢠𑣯𑣬𑢤𑢩𑣃𑣈𑣗𑣁𑣘𑣀𑣜𑣄𐓒𐓂𐒴", "3ALRSTUVYl34567999CEEFFLLOTUVWXYZioosuvyz7OR"),
    ("𐓎𐓪𐓶𐌚𐌁𐌂𐌑𐌕𐌢𐌗𐌠𐌉𐊠𐊡𐊢𐊥𐋏𐊰𐊫𐊱𐊴𐊲𐊂𐊆𐊇𐊒𐊕𐊖𐊗𐊐𐊊𐐕𐐛𐐄𐐠𐐽𐐬𐑈𐔜𐔥𐔘𐔦𐔓𐔖", "Uou8BCMTXXllABCFHMOTXYBEFOPSTXlCLOScosCFKLNO"),
    ("𐔝𐔧𑜆𑜊𑜎𑜏", "VXvwww"),
    # Latin letters beyond ASCII, small capitals among them
    ("ꝚƧꞫȜƷꝪƼȣȢꝮꞴꞘꞲƦꞳƄꬲꬵꞙẝᶃƍƖᴑꬽꭇꭈƽꞟꭎꭒʋɯɣᶌỿꭚ", "2233335889BFJRXbefffggloorrsuuuuwyyyy"),
    ("ıɑɡɩȷǀ", "iagijl"),
    ("ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "ABCDEGHIJKLMNOPRSTUVWYZ"),
    # Hyphens and dashes, quotation marks, slashes and colons
    ("‐‑‒–—―−˗⁃﹘ー➖Ⲻ", "-------------"),
    ("‘’‛′ʼʹ＇´ʻʽʾˈˊ‵ꞌ“”″‟", "'''''''''''''''\"\"\"\""),
    ("⁄∕⧸˸꞉∶ːǃ∣⎮∗‚ˍ‧", "///::::!||*,_·"),
)
_LATIN = str.maketrans(dict(chain.from_iterable(zip(odd, plain, strict=True) for odd, plain in _PAIRS)))
#: Invisible, although Unicode does not class them as format characters: joiners, fillers, variation selectors and the
#: empty Braille pattern.
_FILLERS = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810)))
) | frozenset(map(chr, chain(range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))))
_INVISIBLE = frozenset({"Cf", "Cc", "Zl", "Zp"})
#: Characters that a message describes.
_MAX_DESCRIBED = 4


def fold_text(text: str) -> frozenset[str]:
    """Return the forms of a text; two texts that share one are the same to a person.

    ASCII texts share one only if they differ by case. Others do also if they are equal after NFKC and without invisible
    characters, whatever the case, or if in addition letters of other scripts are replaced by the Latin ones that
    they look like.
    """
    if text.isascii() and text.isprintable():
        return frozenset((text.lower(),))
    # Digits of other scripts are the same numbers.
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    visible = _drop_invisible(unicodedata.normalize("NFKC", text))
    # Letters are replaced in the text as it is, since NFKC makes a sigma of some that look like c, and decomposed,
    # since an accent does not make a letter of another script look different.
    parts = unicodedata.normalize("NFKD", _drop_invisible(text).translate(_LATIN))
    latin = unicodedata.normalize("NFKC", _drop_invisible(parts.translate(_LATIN)))
    return frozenset(form.strip().casefold() for form in (visible, latin))


def differ_by_case(one: str, other: str) -> bool:
    """Return whether two texts with a form in common differ only by case, and not by characters that look alike."""
    plain = all(unicodedata.is_normalized("NFKC", text) for text in (one, other))
    return plain and one.casefold() == other.casefold()


def describe_characters(text: str) -> str:
    """Return the unusual characters of a text by code point and name: ``U+200B ZERO WIDTH SPACE``; ``""`` if none."""
    odd = dict.fromkeys(char for char in text if not (char.isascii() and char.isprintable()))
    names = [f"U+{ord(char):04X} {unicodedata.name(char, 'CONTROL CHARACTER')}" for char in odd]
    more = [f"{len(names) - _MAX_DESCRIBED} more"] if len(names) > _MAX_DESCRIBED else []
    return ", ".join([*names[:_MAX_DESCRIBED], *more])


def is_unseen(text: str) -> bool:
    """Return whether a person sees nothing of a text, so that its cell looks empty: spaces and invisible characters."""
    if text.isascii():
        return not text.strip()
    return all(c.isspace() or not _drop_invisible(c) for c in text)


def find_control(text: str, *, allowed: str = "") -> str:
    """Return the code point of the first control character in a text; ``""`` if there is none."""
    if text.isprintable():
        return ""
    found = next((c for c in text if unicodedata.category(c) == "Cc" and c not in allowed), "")
    return f"U+{ord(found):04X}" if found else ""


def _drop_invisible(text: str) -> str:
    return "".join(c for c in text if c not in _FILLERS and unicodedata.category(c) not in _INVISIBLE)
