"""Numbers said in words, written in figures ("one forty eight over ninety two" -> "148/92")."""

from __future__ import annotations

import re

from summarizer.numbers import ONES, TENS

_SCALES = {"hundred": 100, "thousand": 1000}
_WORD = "|".join([*ONES, *TENS])
_RUN = re.compile(
    rf"\b(?:(?:a (?=hundred|thousand)|(?:hundred|thousand)\b(?: and (?=(?:{_WORD})\b)|[ -]|$)?|"
    rf"(?:{_WORD}|oh)\b(?:[ -]|$)?)+)",
    re.IGNORECASE,
)
# "the second one ten minutes later": there "one" is no number
_NOT_A_NUMBER = re.compile(
    r"\b(?:second|first|third|this|that|the|last|another|next|other|no|any|every|each|which) $",
    re.IGNORECASE,
)
_DIGIT = "one|two|three|four|five|six|seven|eight|nine"
_BEFORE_UNIT = re.compile(
    rf"\b({_DIGIT})(?= (?:point (?:\d|{_DIGIT})|milligrams?|micrograms?|percent|out of \d))",
    re.IGNORECASE,
)
_AFTER_POINT = re.compile(rf"(?<=\d point )(zero|{_DIGIT})\b", re.IGNORECASE)
_UNITS = [
    (re.compile(pattern, re.IGNORECASE), unit)
    for pattern, unit in [
        (r"(?<=\d) (?:milligrams?|m g)\b", " mg"),
        (r"(?<=\d) micrograms?\b", " mcg"),
        (r"(?<=\d) millilit(?:er|re)s?\b", " mL"),
        (r"(?<=\d) centimet(?:er|re)s?\b", " cm"),
        (r"(?<=\d) millimet(?:er|re)s?\b", " mm"),
        (r"(?<=\d) percent\b", "%"),
        (r"(?<=\d) over (?=\d)", "/"),
        (r"(?<=\d) point (?=\d)", "."),
        (r"(?<=\d) out of (?=\d)", "/"),
    ]
]


def in_figures(text: str) -> str:
    """The text with its numbers in figures where they can mean one thing only, and their units short.

    "Two", "five" and the like stay as they are where no unit follows.
    """
    text = _RUN.sub(_value, text)
    text = _BEFORE_UNIT.sub(lambda found: str(ONES[found[0].lower()]), text)
    text = _AFTER_POINT.sub(lambda found: str(ONES[found[0].lower()]), text)
    for pattern, unit in _UNITS:
        text = pattern.sub(unit, text)
    return text


def _value(found: re.Match[str]) -> str:
    run = found[0]
    if run.lower().startswith("one") and _NOT_A_NUMBER.search(found.string[: found.start()]):
        one, space, more = run.partition(" ")
        return one + space + _RUN.sub(_value, more)
    end = run[len(run.rstrip(" -")) :]
    words = [
        word for word in re.split(r"[ -]+", run.lower().strip(" -")) if word not in ("and", "a")
    ]
    if words == ["oh"] or (len(words) == 1 and ONES.get(words[0], 10) < 10):
        return run
    number = _figures(words)
    return run if number is None else number + end


def _figures(words: list[str]) -> str | None:
    """A run of number words as one number, or None where it could be several."""
    groups: list[int] = []  # what is said in one go: "one" and "forty eight"
    last = 0
    for word in words:
        if word in _SCALES:
            groups = groups or [1]
            groups[-1] = max(groups[-1], 1) * _SCALES[word]
            last = _SCALES[word]
            continue
        value = 0 if word == "oh" else ONES.get(word, TENS.get(word, 0))
        goes_on = (20 <= last < 100 and 0 < value < 10) or (last >= 100 and 0 < value < last)
        if goes_on and word != "oh":
            groups[-1] += value
        else:
            groups.append(value)
        last = value
    if len(groups) == 1:
        return str(groups[0])
    if any(word in _SCALES for word in words):
        return None
    if len(groups) == 3 and groups[1] == 0:  # two oh five
        return "".join(map(str, groups))
    if (
        len(groups) == 2 and 0 < groups[0] < 100 and 10 <= groups[1] < 100
    ):  # one sixty, nineteen ninety
        return f"{groups[0]}{groups[1]}"
    return None
