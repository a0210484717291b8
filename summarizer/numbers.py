"""Which numbers a text says, in figures or in words ("a hundred and eighteen over seventy")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

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
NUMBER_WORDS = frozenset(ONES) | frozenset(TENS)
ORDINALS = {
    **{
        word: value
        for value, word in enumerate(
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
            "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth".split(),
            start=1,
        )
    },
    **{f"{word[:-1]}ieth": value for word, value in TENS.items()},
    **{"thirds": 3, "fourths": 4, "quarters": 4, "fifths": 5},
}
DECADES = {f"{word[:-1]}ies": value for word, value in TENS.items()}  # "in her sixties"
# "both", "single" and "half" are said of nearly everything, and no figure is meant.
_TIMES = {"once": 1, "twice": 2, "couple": 2, "pair": 2}
_SPOKEN = {**ONES, **TENS, **DECADES, "oh": 0}
_COUNTS = {**ONES, **TENS, **ORDINALS}  # what "a hundred and" can go on with
_VALUES = {**_SPOKEN, **ORDINALS, **_TIMES}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 1_000_000}
_BETWEEN = frozenset({"and", "a", "-", "point", "to", "or"})
# What is put in other words before it is read.
_COUNTED = "|".join([*ONES, *TENS, "hundred", "thousand", "[0-9]+"])
_WORDINGS = [
    (rf"\b({_COUNTED})[ -]and[ -](?:a|one)[ -]half\b", r"\1 point 5"),
    (rf"\b({_COUNTED})[ -]and[ -](?:a|one)[ -]quarter\b", r"\1 point 25"),
    (rf"\b({_COUNTED})[ -]and[ -]three[ -]quarters\b", r"\1 point 75"),
    (r"\ban?( [^\W\d_]+) and a half\b", r"1.5\1"),  # an hour and a half
    (rf"\b({_COUNTED})[ -](hundred|thousand|million)s\b", r"\1 \2"),
    (r"\bhalf[ -]a[ -]dozen\b", "six"),
    (r"\bcouple of (?=(?:dozen|hundred|thousand|million)\b)", "two "),
    (r"\b(?:few|several|many) (?:dozen|hundred|thousand|million)\b", "several"),
]
_WORDINGS_READ = [(re.compile(pattern), words) for pattern, words in _WORDINGS]
# Figures with their thousands and decimals, or a decimal that begins with its point; words; marks.
_TOKEN = re.compile(
    r"[0-9]+(?:[.,][0-9]+)*|(?<![^\s(/])\.[0-9]+|[^\W\d_]+|[^\w\s]|_",
)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_YEAR = re.compile("(?:19|20)[0-9]{2}")
_MOST = 4  # parts between points: of a date, of a version
_JOINED = 6  # parts said next to each other
_LARGEST = 10**9


def numbers_of(text: str) -> set[str]:
    """The numbers that a text says, as they can be written in figures.

    A decimal is one number: "2.5" is no 2 and no 5, "2.0" also 2, ".5" is 0.5. "1,200" is also
    "1200" and the other way round; what has more points ("03.04.2021"), or commas, is also its
    parts. What is said in words is read as a whole: "a hundred and two" is no 2, "sixty two" no 60,
    "two point five" and "two and a half" are 2.5. Numbers next to each other are each one, and may
    be one together: "one sixty" is 1, 60 and 160.
    """
    text = text.lower()
    for pattern, words in _WORDINGS_READ:
        text = pattern.sub(words, text)
    found: set[str] = set()
    run: list[str] = []
    for token in [*_TOKEN.findall(text), "."]:
        if _is_figure(token) or token in _VALUES or token in _SCALES or token in _BETWEEN:
            run.append(token)
            continue
        found |= _said(run)
        run = []
        if token.lstrip(".")[:1].isdecimal():
            found |= _in_figures(token)
    return found


def _is_figure(token: str) -> bool:
    """Whether it is a number in figures that words may go on with: "5 hundred", "1.5 million"."""
    return token[0].isdecimal() and "," not in token and token.count(".") < 2 and len(token) < 10


def _in_figures(token: str) -> set[str]:
    """The ways to write what stands in figures."""
    if token.startswith("."):
        return _ways(f"0{token}")
    if _THOUSANDS.fullmatch(token):
        return _ways(token.replace(",", ""))
    parts = re.split("([.,])", token)
    if len(parts) == 1 or (len(parts) == 3 and "." in token):
        return _ways(token)
    found = {token}
    for start in range(0, len(parts), 2):
        found |= {parts[start], parts[start].lstrip("0") or "0"}
        ends = range(start + 3, min(start + 2 * _MOST, len(parts) + 1), 2)
        found |= {"".join(parts[start:end]) for end in ends}
    return found


def _ways(number: str) -> set[str]:
    """A number as it stands, without the zeros that say nothing, and with its thousands apart."""
    whole, point, rest = number.partition(".")
    plain = whole.lstrip("0") or "0"
    found = {number} if point else {number, plain}
    if point and not rest.rstrip("0"):
        found |= {plain}
    elif point:
        found.add(f"{whole}.{rest.rstrip('0')}")
    if 3 < len(plain) < 10 and not _YEAR.fullmatch(plain):
        found |= {one.replace(whole, f"{int(plain):,}", 1) for one in found if whole in one}
    return found


def _said(run: Sequence[str]) -> set[str]:
    """What a run of number words and figures says. Every way to read it from its beginning on
    counts: in "thirty second rest" are 30 and 32, in "a hundred and two" is no 2."""
    found: set[str] = set()
    begins = [True] + [False] * len(run)  # whether one way to read it comes by here
    for at, word in enumerate(run):
        if not begins[at]:
            continue
        readings = [*_numbers(run, at), *_joined(run, at)]
        if not readings:
            begins[at + 1] = True
        for number, end in readings:
            decimals = list(_decimals(run, end)) if word not in ORDINALS else []
            for behind, last in decimals:
                more, last = _scaled(f"{number}.{behind}", run, last)
                found |= more
                begins[last] = True
            if not decimals:
                found |= _in_figures(number)
                begins[end] = True
                found |= _range(number, run, end)
        if word == "oh" and at and run[at - 1] in ONES:  # a suture: "three oh"
            found.add("0")
        if word == "point":  # "point four"; but "at this point two of them"
            for behind, last in _decimals(run, at):
                found |= _scaled(f"0.{behind}", run, last)[0]
    return found


def _numbers(run: Sequence[str], at: int, below: int = _LARGEST) -> Iterator[tuple[str, int]]:
    """The numbers below a size that can be read here, scales and all, as (figures, their end)."""
    for number, end in _hundreds(run, at):
        scale = _SCALES.get(run[end], 0) if end < len(run) else 0
        if not scale:
            if "." in number or int(number) < below:
                yield number, end
        elif 1000 <= scale < below and Decimal(number) * scale < _LARGEST:
            yield from _with_rest(Decimal(number) * scale, run, end + 1, scale)


def _hundreds(run: Sequence[str], at: int) -> Iterator[tuple[str, int]]:
    """The same for what is said before "thousand": "two", "two hundred", "two hundred and ten"."""
    for number, end in _heads(run, at):
        scale = _SCALES.get(run[end], 0) if end < len(run) else 0
        if scale == 100:
            yield from _with_rest(Decimal(number) * 100, run, end + 1, 100)
        elif scale == 12:
            yield _plain(Decimal(number) * 12), end + 1
        else:
            yield number, end


def _with_rest(
    value: Decimal, run: Sequence[str], at: int, below: int
) -> Iterator[tuple[str, int]]:
    """What a scale was said of, and what is said behind it: "a hundred and two", "a hundred two".
    With "and" it belongs to it, without it can be another number."""
    start = at + (run[at : at + 1] == ["and"])
    rests: list[tuple[str, int]] = []
    if start < len(run) and (run[start] in _COUNTS or run[start][0].isdecimal()):
        larger = _SCALES if below > 100 else ("dozen", "hundred")  # "a hundred and two hundred"
        rests = [
            (more, end)
            for more, end in (_numbers(run, start, below) if below > 100 else _heads(run, start))
            if more.isdecimal()
            and 0 < int(more) < below
            and (end == len(run) or run[end] not in larger)
        ]
    yield from ((_plain(value + int(more)), end) for more, end in rests)
    if start == at or not rests:
        yield _plain(value), at


def _heads(run: Sequence[str], at: int) -> Iterator[tuple[str, int]]:
    """What can stand before a scale: figures, words below a hundred, "a" or nothing."""
    word, behind = run[at], run[at + 1 : at + 2]
    if word in _SCALES:
        yield "1", at
    elif word == "a" and behind and behind[0] in _SCALES:
        yield "1", at + 1
    elif word[0].isdecimal():
        yield word, at + 1
    elif word in TENS:
        last = at + 1 + (behind == ["-"])
        unit = _VALUES.get(run[last], 0) if last < len(run) and run[last] not in _TIMES else 0
        if 0 < unit < 10:
            yield str(TENS[word] + unit), last + 1
        # "thirty second rest", "June thirty two thousand four"
        if not 0 < unit < 10 or run[last] == "second" or run[last + 1 : last + 2] == ["thousand"]:
            yield str(TENS[word]), at + 1
    elif word in _VALUES and word != "oh":
        yield str(_VALUES[word]), at + 1


def _joined(run: Sequence[str], at: int) -> Iterator[tuple[str, int]]:
    """Numbers that are said part by part: "one sixty", "two oh five", "nineteen eighty four"."""
    grown = [("", at, 0, "")]
    for _ in range(_JOINED):
        grown = [
            (text + more, end, count + 1, last + (more if len(more) == 1 and more != "0" else "-"))
            for text, start, count, last in grown
            for more, end in _parts(run, start + (0 < count and run[start : start + 1] == ["-"]))
        ]
        for text, end, count, kinds in grown:
            # two single figures are two numbers: "two three times"; nobody says "two oh" for 20
            if count < 2 or (count == 2 and "-" not in kinds) or run[end - 1] == "oh":
                continue
            if end == len(run) or run[end] not in _SCALES:
                yield text, end


def _parts(run: Sequence[str], at: int) -> Iterator[tuple[str, int]]:
    """What one part of a number that is said so can be: words below a hundred."""
    if at < len(run) and run[at] in _SPOKEN:
        if run[at] == "oh":
            yield "0", at + 1
        else:
            yield from ((text, end) for text, end in _heads(run, at) if run[end - 1] in _SPOKEN)


def _decimals(run: Sequence[str], at: int) -> Iterator[tuple[str, int]]:
    """What stands behind a "point" that is said here, as (figures, its end)."""
    at += run[at : at + 1] == ["-"]
    if run[at : at + 1] != ["point"]:
        return
    at += 1 + (run[at + 1 : at + 2] == ["-"])
    if at < len(run) and run[at].isdecimal():
        yield run[at], at + 1
    grown = [("", at)]
    for _ in range(_MOST - 1):
        grown = [(text + more, end) for text, start in grown for more, end in _parts(run, start)]
        yield from ((text, end) for text, end in grown if run[end - 1] != "oh")


def _scaled(number: str, run: Sequence[str], end: int) -> tuple[set[str], int]:
    """A decimal and its end, or what "one point five million" comes to."""
    if end < len(run) and run[end] in _SCALES:
        return _ways(_plain(Decimal(number) * _SCALES[run[end]])), end + 1
    return _ways(number), end


def _range(number: str, run: Sequence[str], end: int) -> set[str]:
    """What the first is of "three to four hundred", beside 3."""
    if run[end : end + 1] not in (["to"], ["or"], ["-"]) or "." in number:
        return set()
    for other, last in _heads(run, end + 1) if end + 1 < len(run) else ():
        if "." not in other and int(number) < int(other) and run[last : last + 1]:
            if run[last] in _SCALES and run[end + 1] not in _SCALES:
                return _ways(str(int(number) * _SCALES[run[last]]))
    return set()


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
