"""Which sides a text says, in full or in short ("both lungs", "RLL", "Lt. hip").

A side that is told and that the text does not name is made up: of the 6,447 references that the
data sets give the adapters to learn from, 24 name one that stands nowhere in the text. The words
are held in every sense: three more say "right" as "all right" or "right in the fold" where the
text does not. Most conversations say "right" in some sense, so they are hardly held to anything.
"""

from __future__ import annotations

import re

# What is written of a side, and of no other thing.
WORDS = {
    "left": frozenset("left lt lul lll luq llq lue lle".split()),
    "right": frozenset("right rt rul rml rll ruq rlq rue rle".split()),
}
SIDES = frozenset(WORDS)

# Before a word stands no letter; a figure may ("station 4R"), and a mask ("___right").
_BEGIN = r"(?<![^\W\d_])"
_BOTH = re.compile(
    rf"{_BEGIN}(?:(?:both|each|either|bil|bl|b/l|ou)\b|bi-?lat"
    r"|bi-?(?:basilar|basal|apical|hilar|frontal|temporal|parietal|atrial|ventricular))"
)
# With a side that is named, these mean the one that is not.
_OTHER = re.compile(rf"{_BEGIN}(?:other|opposite|contra-?lateral)")
# What is shortened, after the letter of its side: lobes, zones and quadrants, limbs and joints,
# the chambers of the heart, arteries, veins and nodes; "t" as in "Rt", nothing as in "L hip".
_SHORT = (
    "|a|aa|aca|ad|ae|afb|ao|bbb|bka|ca|cc|cca|cfa|cx|eca|fa|gt|hs|ica|if|ih|ij|ijv|ima|ipv|le|ll|lq"
    "|lz|m|ma|mca|ml|mlo|ms|mz|pa|pca|ra|rv|sa|sb|sca|sfa|so|spv|t|tha|thr|tka|tkr|ue|ul|uq|usb|uz"
    "|v|vad|vedd|vedp|vef|vesd|vh|vid|vidd|vids|vot|vsp"
)
_ALSO = {
    "left": r"lft|os\b|lingula|sinist|laevo|levo(?:scol|conv|card|posi|rot)",
    "right": r"rgh?t|rigth|od\b|middle lobe|dextro?(?:scol|conv|card|posi|rot)",
}
_SAID = {
    side: re.compile(rf"{_BEGIN}(?:{side}|{side[0]}(?:{_SHORT})s?\b|{_ALSO[side]})")
    for side in sorted(SIDES)
}


def sides_of(text: str) -> set[str]:
    """Which of `SIDES` a text names, or may mean by an abbreviation or by "the other"."""
    small = text.lower()
    if _BOTH.search(small):
        return set(SIDES)
    found = {side for side, said in _SAID.items() if said.search(small)}
    return set(SIDES) if found and _OTHER.search(small) else found


def unsaid_of(text: str) -> set[str]:
    """The `WORDS` of the sides that a text does not name."""
    return {word for side in SIDES - sides_of(text) for word in WORDS[side]}
