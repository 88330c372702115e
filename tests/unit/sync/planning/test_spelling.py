"""Ids that a person takes for one another are refused, with their code points and places."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from intacct_provider.sync.desired.sources import Layout, read_desired_records
from intacct_provider.sync.planning.spelling import check_spelling

INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\u034f\u061c\u202e\u2066\ufe0f\u3164\U000e0041"
LOOKALIKES = {
    "A": "\u0410\u0391\uff21\U0001d400\u13aa\U000102a0", "B": "\u0412\u0392", "C": "\u0421\u03f9", "E": "\u0415\u0395",
    "F": "\uff26\u03dc\U00010287", "H": "\u041d\u0397", "I": "\u0406\u0399", "K": "\u041a\u039a\u212a",
    "M": "\u041c\u039c", "N": "\u039d", "O": "\u041e\u039f", "P": "\u0420\u03a1",
    "T": "\u0422\u03a4", "X": "\u0425\u03a7",
    "a": "\u0430\u03b1", "c": "\u0441\u03f2", "e": "\u0435", "o": "\u043e\u03bf", "p": "\u0440", "x": "\u0445",
    "Y": "\u04ae\u13bd", "R": "\u1587\u01a6", "S": "\ua731\u13d5", "W": "\u13d4", "3": "\u01b7\u021c",
    "-": "\u2796\u30fc\u2010\u2011\u2013\u2212\uff0d", "2": "\u01a7\uff12\u00b2\u0662\u06f2\u0968",
}  # fmt: skip


def check(ids, live=()):
    desired = read_desired_records([{"id": one} for one in ids], Layout(match_on="id"), source="x")
    rows = [{"key": str(number), "id": one} for number, one in enumerate(live, start=1)]
    return [str(problem) for problem in check_spelling(desired, rows, "id")]


@st.composite
def twins(draw):
    """Return an ASCII id, and one that looks the same."""
    name = draw(st.text(sorted(LOOKALIKES), min_size=1, max_size=8))
    chars = list(name)
    for place in draw(st.sets(st.integers(0, len(name) - 1))):
        chars[place] = draw(st.sampled_from(LOOKALIKES[chars[place]]))
    for _ in range(draw(st.integers(0 if "".join(chars) != name else 1, 2))):
        chars.insert(draw(st.integers(0, len(chars))), draw(st.sampled_from(INVISIBLE)))
    return name, "".join(chars)


@example(("K", "\u212a"))
@given(twins())
def test_a_look_alike_of_a_live_or_desired_id_is_refused(pair):
    name, twin = pair
    for new, live in ((twin, name), (name, twin)):
        [problem] = check([new], [live])
        assert "record 1" in problem
        assert "key 1" in problem
        assert "U+" in problem
    [problem] = check([name, twin])
    assert problem.startswith("record 2")
    assert "record 1" in problem
    assert "U+" in problem


@given(twins())
def test_ids_that_are_live_exactly_are_what_they_are(pair):
    assert check(pair, pair) == []
    assert check(pair[:1], pair) == []


@given(
    st.lists(
        st.text(string.digits + string.ascii_uppercase + string.punctuation, min_size=1),
        unique=True,
        min_size=1,
        max_size=20,
    )
)
def test_printable_ascii_ids_are_never_look_alikes(ids):
    assert check(ids) == []


@pytest.mark.parametrize(
    ("new", "other"),
    [
        ("O0", "00"),
        ("l1", "I1"),
        ("\u04cf1", "i1"),
        ("\u0432-1", "b-1"),
        ("日本", "日木"),
        ("é1", "e1"),
        ("ñ", "n"),
        ("FIN-2", "FIN-3"),
    ],
)
def test_ids_that_only_resemble_each_other_are_two(new, other):
    assert check([new, other]) == check([new], [other]) == []


@pytest.mark.parametrize(
    ("new", "other"),
    [
        ("c-1", "C-1"),
        ("STRASSE", "straße"),
        ("\u0432\u043e\u0432\u0430", "\u0412\u041e\u0412\u0410"),
        ("\u03bd\u03b1\u03bd", "\u039d\u0391\u039d"),
    ],
)
def test_a_difference_by_case_is_called_that(new, other):
    [problem] = check([new], [other])
    assert "differs from it only by case" in problem
    [problem] = check([other, new])
    assert problem.startswith("record 2")
    assert "(record 1) differs from it only by case" in problem


@pytest.mark.parametrize(
    ("new", "other", "named"),
    [
        ("Zoe\u0308", "Zoë", "U+0308"),
        ("\u212a", "k", "U+212A KELVIN SIGN"),
        ("\ufb01n", "FIN", "U+FB01"),
        ("\u017f1", "S1", "U+017F"),
    ],
)
def test_what_is_more_than_a_difference_by_case_is_named(new, other, named):
    for pair in ((new, other), (other, new)):
        [problem] = check(pair[:1], pair[1:])
        assert named in problem
        assert "only by case" not in problem


def test_the_message_names_code_points_and_places():
    [problem] = check(["FIN-2\u200b"], ["FIN-2"])
    assert problem == (
        "record 1 ('FIN-2\\u200b'): id is 'FIN-2\\u200b' (U+200B ZERO WIDTH SPACE), which looks like 'FIN-2' of the "
        "live record with key 1; a person takes both for one id. Use one spelling"
    )
