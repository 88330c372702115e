"""The countries of Sage's enumerations, in their order; ``null`` is one of the values."""

from __future__ import annotations

_CODES = """
us af ax al dz as ad ao ai aq ag ar am aw au at az bs bh bd bb by be bz bj bm bt bo bq ba bw bv br io bn bg
bf bi kh cm ca ic cv ky cf td cl cn cx cc co km cg cd ck cr ci hr cu cw cy cz dk dj dm do ec eg sv gq er ee
sz et fk fo fj fi fr gf pf tf ga gm ge de gh gi gr gl gd gp gu gt gg gn gw gy ht hm hn hk hu is in id ir iq
ie im il it jm jp je jo kz ke ki kr kp xk kw kg la lv lb ls lr ly li lt lu mo mk mg mw my mv ml mt mh mq mr
mu yt mx fm md mc mn me ms ma mz mm na nr np nl an nc nz ni ne ng nu nf mp no om pk pw ps pa pg py pe ph pn
pl pt pr qa re ro ru rw bl sh kn lc mf pm vc ws sm st sa sn rs sc sl sg sx sk si sb so za gs es lk sd ss sr
sj se ch sy tw tj tz th tl tg tk to tt tn tr tm tc tv ug ua ae gb um uy uz vu va ve vn vg vi wf eh ye zm zw
"""
# Names contain no spaces; some contain commas and other characters.
_NAMES = """
unitedStates afghanistan alandIslands albania algeria americanSamoa andorra angola anguilla antarctica
antiguaAndBarbuda argentina armenia aruba australia austria azerbaijan bahamas bahrain bangladesh barbados
belarus belgium belize benin bermuda bhutan bolivia bonaire,SintEustatiusAndSaba bosniaAndHerzegovina
botswana bouvetIsland brazil britishIndianOceanTerritory bruneiDarussalam bulgaria burkinaFaso burundi
cambodia cameroon canada canaryIslands capeVerde caymanIslands centralAfricanRepublic chad chile china
christmasIsland cocos(Keeling)Islands colombia comoros congo congo,DemocraticRepublic cookIslands costaRica
côteD'Ivoire croatia cuba curaçao cyprus czechRepublic denmark djibouti dominica dominicanRepublic ecuador
egypt elSalvador equatorialGuinea eritrea estonia eswatini ethiopia falklandIslands(Malvinas) faroeIslands
fiji finland france frenchGuiana frenchPolynesia frenchSouthernTerritories gabon gambia georgia germany
ghana gibraltar greece greenland grenada guadeloupe guam guatemala guernsey guinea guineaBissau guyana haiti
heardIs.&McdonaldIslands honduras hongKong hungary iceland india indonesia iran,IslamicRepublicOf iraq
ireland isleOfMan israel italy jamaica japan jersey jordan kazakhstan kenya kiribati korea,RepublicOf
korea,Demo.People'sRep. kosovo kuwait kyrgyzstan lao latvia lebanon lesotho liberia libyanArabJamahiriya
liechtenstein lithuania luxembourg macao macedonia madagascar malawi malaysia maldives mali malta
marshallIslands martinique mauritania mauritius mayotte mexico micronesia moldova,RepublicOf monaco mongolia
montenegro montserrat morocco mozambique myanmar namibia nauru nepal netherlands netherlandsAntilles
newCaledonia newZealand nicaragua niger nigeria niue norfolkIsland northernMarianaIslands norway oman
pakistan palau palestine,StateOf panama papuaNewGuinea paraguay peru philippines pitcairn poland portugal
puertoRico qatar reunion romania russianFederation rwanda saintBarthelemy saintHelena saintKittsAndNevis
saintLucia saintMartin saintPierreAndMiquelon saintVincentAndTheGrenadines samoa sanMarino
saoTomeAndPrincipe saudiArabia senegal serbia seychelles sierraLeone singapore sintMaarten slovakia slovenia
solomonIslands somalia southAfrica s.Georgia&S.SandwichIs. spain sriLanka sudan southSudan suriname
svalbardAndJanMayen sweden switzerland syrianArabRepublic taiwan tajikistan tanzania,UnitedRepublicOf
thailand timorLeste togo tokelau tonga trinidadAndTobago tunisia turkey turkmenistan turksAndCaicosIslands
tuvalu uganda ukraine unitedArabEmirates unitedKingdom uSMinorOutlyingIslands uruguay uzbekistan vanuatu
vaticanCityState venezuela vietnam virginIslands,British virginIslands,U.S. wallisAndFutuna westernSahara
yemen zambia zimbabwe
"""

COUNTRY_CODES: tuple[str | None, ...] = (None, *_CODES.split())
COUNTRIES: tuple[str | None, ...] = (None, *_NAMES.split())
