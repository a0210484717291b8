"""Which numbers a text says, in figures or in words ("a hundred and eighteen over seventy")."""

from __future__ import annotations

import re

ONES = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split()
    )
}
TENS = {
    word: 10 * value
    for value, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2
    )
}
ORDINALS = {
    word: value
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(),
        start=1,
    )
}
# "both", "single" and "half" are said of nearly everything, and no figure is meant.
_VALUES: dict[str, int] = {
    **ONES,
    **TENS,
    **ORDINALS,
    **{"oh": 0, "once": 1, "twice": 2, "couple": 2, "pair": 2, "dozen": 12},
    **{"twentieth": 20, "thirtieth": 30},
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_RUN = re.compile(r"[a-z]+|[0-9]+(?:,[0-9]{3})+|[0-9]+|[^a-z0-9\s]")


def numbers_of(text: str) -> set[str]:
    """The runs of figures with which a text's numbers can be written.

    "2.5" has two, "1,200" also "1200"; what is said in words has each of its parts, and all that
    parts next to each other can mean: "one sixty" is 1, 60, 61 and 160.
    """
    found: set[str] = set()
    run: list[int | str] = []
    for token in [*_RUN.findall(text.lower()), "."]:
        if token[0].isdigit():
            figures = token.replace(",", "")
            found |= {figures, *token.split(",")}
            if figures.lstrip("0"):
                found.add(figures.lstrip("0"))
            found |= _said(run)
            run = []
        elif token in _VALUES:
            run.append(_VALUES[token])
        elif token in _SCALES:
            run.append(token)
        elif token in ("and", "a", "-") and (run or token == "a"):
            continue  # "a hundred and eighteen", "twenty-one"
        else:
            found |= _said(run)
            run = []
    return found


def _said(run: list[int | str]) -> set[str]:
    """All that up to six number words next to each other can mean."""
    found: set[str] = set()
    for start in range(len(run)):
        for end in range(start + 1, min(len(run), start + 6) + 1):
            part = run[start:end]
            found.add(str(_sum(part)))
            values = [value for value in part if isinstance(value, int)]
            if len(values) == len(part) > 1:
                found.add("".join(map(str, values)))  # two oh five, one sixty, twenty twenty
                for cut in range(1, len(values)):
                    found.add(f"{_sum(values[:cut])}{_sum(values[cut:])}")  # nineteen eighty four
    return found


def _sum(run: list[int | str] | list[int]) -> int:
    """A number as it is said: 2 "thousand" 3 "hundred" 40 5 is 2345."""
    whole = part = 0
    for one in run:
        if isinstance(one, int):
            part += one
        elif one == "hundred":
            part = max(part, 1) * 100
        else:
            whole, part = whole + max(part, 1) * _SCALES[one], 0
    return whole + part
