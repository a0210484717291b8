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
NUMBER_WORDS = frozenset(ONES) | frozenset(TENS)
_ORDERS = frozenset(ORDINALS) | {"twentieth", "thirtieth"}
_TENS = frozenset(TENS.values())
_HALF = re.compile(rf"(\b(?:{'|'.join([*ONES, *TENS])}|[0-9]+))[ -]and a half\b")
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_MOST = 4  # parts between points: of a date, of a version
_LONGEST = 24  # words: each million, thousand, hundred and ten of a number, and what lies between
_RUN = re.compile(r"[a-z]+|[0-9]+(?:,[0-9]{3})+(?!\.?[0-9])|[0-9]+(?:\.[0-9]+)*|[^a-z0-9\s]")


def numbers_of(text: str) -> set[str]:
    """The numbers that a text says, as they can be written in figures.

    A decimal is one number: "2.5" is no 2 and no 5, "2.0" also 2. "1,200" is also "1200", what has
    more points ("03.04.2021") also its parts. What is said in words has each of its parts, and all
    that parts next to each other can mean: "one sixty" is 1, 60, 61 and 160. But "two point five"
    and "two and a half" are 2.5, "a hundred and two" is no 2, "two hundred" neither, and "sixty
    two" is 62 alone.
    """
    text = _HALF.sub(r"\1 point five", text.lower())
    text = re.sub("(?<=[0-9]) point (five|[0-9])", _figures_behind, text)
    found: set[str] = set()
    run: list[int | str] = []
    whole: list[int | str] = []  # what was said before "point"
    for token in [*_RUN.findall(text), "."]:
        if token in _VALUES:
            run.append(_VALUES[token])
            if token not in _ORDERS:
                continue  # else the number ends here: "on the thirtieth two of them"
        elif token in _SCALES or (token == "and" and run and run[-1] in _SCALES):
            run.append(token)
            continue
        elif token in ("and", "a", "-") and (run or token == "a"):
            continue  # "twenty-one", "a hundred"
        elif token == "point":
            found |= _with_point(whole, run) if whole else set()
            run, whole = [], run or [0]
            continue
        elif token[0].isdigit():
            found |= _in_figures(token)
        found |= _with_point(whole, run)
        run, whole = [], []
    return found


def _figures_behind(found: re.Match[str]) -> str:
    return "." + found[1].replace("five", "5")


def _in_figures(token: str) -> set[str]:
    """The ways to write what stands in figures."""
    parts = token.split(".")
    if len(parts) == 2:
        rest = parts[1].rstrip("0")
        found = {token, parts[0] if not rest else f"{parts[0]}.{rest}"}
    else:
        found = {token.replace(",", ""), *token.split(",")}
        if len(parts) > 2:
            found |= {
                ".".join(parts[start:end])
                for start in range(len(parts))
                for end in range(start + 1, min(start + _MOST, len(parts)) + 1)
            }
    return found | {one.lstrip("0") for one in found if one.lstrip("0") and "." not in one}


def _with_point(whole: list[int | str], run: list[int | str]) -> set[str]:
    """What number words mean; `whole`: those before a "point", of which one word is no number."""
    before, behind = _said(whole) if whole != [0] else {"0"}, _said(run)
    if not whole or not run:
        return behind | (before if whole != [0] else set())
    found = {f"{one}.{other}" for one in before for other in behind}
    if len(before) > 1:  # "one ten point five"
        found |= before
    if len(behind) > 1 or whole == [0]:  # "at this point two"
        found |= behind
    return found


def _said(run: list[int | str]) -> set[str]:
    """All that a few number words next to each other can mean; "and" may stand among them."""
    found: set[str] = set()
    bounds = [at for at in range(len(run) + 1) if not _inside(run, at)]
    for place, start in enumerate(bounds):
        for last, end in enumerate(bounds[place + 1 : place + 7], place + 1):
            if end - start > _LONGEST:  # no number is said so
                continue
            part = [one for one in run[start:end] if one != "and"]
            if not part:
                continue
            found.add(str(_sum(part)))
            if all(isinstance(one, int) for one in part) and len(part) == end - start:
                cuts = bounds[place + 1 : last]
                if len(cuts) == len(part) - 1:
                    found.add("".join(map(str, part)))  # two oh five, one sixty, twenty twenty
                for cut in cuts:  # nineteen eighty four
                    found.add(f"{_sum(run[start:cut])}{_sum(run[cut:end])}")
    return found


def _inside(run: list[int | str], at: int) -> bool:
    """Whether a number goes on from the word before this place to the one behind it."""
    if not 0 < at < len(run):
        return False
    before, behind = run[at - 1], run[at]
    if behind == "and":  # "a hundred and two", not "one hundred and two hundred"
        return run[at + 2 : at + 3] not in (["hundred"], ["thousand"], ["million"])
    if behind in _SCALES or before == "and":  # "two hundred"
        return True
    if run[at + 1 : at + 2] == ["thousand"]:  # "June thirty two thousand and four"
        return False
    return before in _TENS and isinstance(behind, int) and 0 < behind < 10  # "sixty two"


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
