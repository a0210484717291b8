"""What is wrong with one output, in categories, by rules that can be read here.

The rules look for signs and are no judge of truth: a row may be listed that a reader would pass,
and a fault may be missed. Where `summarizer.checks` is there, its findings on side, negation,
numbers and support replace the rules below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from eval import checks, style
from eval.clinical import focus_words, function_stems, polarity
from eval.rouge import sentence_lines, tokenize
from summarizer.numbers import ONES, ORDINALS, TENS

CATEGORIES: dict[str, str] = {
    "empty": "no word was written",
    "omission": "less than half of the reference's content words are named",
    "unsupported statement": "much of the content is neither in the input nor in the reference",
    "wrong side": "left and right changed against the input",
    "negation": "what the input denies is stated, or the other way round",
    "number": "a number that the input does not have",
    "copying": "the input was copied at length instead of summarised",
    "repetition": "the same words again and again",
    "cut off": "the length limit ended the text",
    "wrong form": "not the form that the task asks for",
}

OMITTED = 50.0  # share of the reference's content words missing, above which it is an omission
UNSUPPORTED = 40.0  # share of the output's content words without support
FEWEST_WORDS = 3  # content words from which a share says anything
REPEATED = 20.0  # share of 3-grams said again
COPIED = 80.0  # share of words in copied runs ...
TOO_LONG = 150.0  # ... in an output this long against its reference


@dataclass(frozen=True)
class Fault:
    """One fault: its category, what was seen, and how bad it is (0 to 100, to sort by)."""

    category: str
    detail: str
    weight: float


def faults(task: str, row: Mapping[str, Any], output: str, *, cut_off: bool = False) -> list[Fault]:
    """The faults of one output, at most one of a category, in the order of CATEGORIES."""
    if not style.words(output):
        return [Fault("empty", "nothing was written", 100.0)]
    source, reference = row["input"], row["target"]
    found = [
        _omission(task, output, reference),
        *_against_source(task, source, output, reference),
        _copying(output, source, reference),
        _repetition(output),
        Fault("cut off", f"ends with “{output[-40:]}”", 50.0) if cut_off else None,
        _form(task, output, reference),
    ]
    order = list(CATEGORIES)
    return sorted((f for f in found if f), key=lambda fault: order.index(fault.category))


def content_words(text: str) -> dict[str, str]:
    """{stem: the word as written} of the words that carry content, in order.

    Masks and the numbers of list points are left out; "5mm" is "5 mm".
    """
    found: dict[str, str] = {}
    for word in re.findall(r"[A-Za-z0-9]+", _apart(unnumbered(text))):
        for stem in tokenize(word):
            if stem not in function_stems() and not stem.startswith("xxxx"):
                found.setdefault(stem, word)
    return found


def new_words(output: str, source: str) -> float:
    """Share x100 of the output's content words whose stems the source lacks; NaN without any.

    Figures are left out: a text may write them in words.
    """
    ours = [stem for stem in content_words(output) if not stem[0].isdigit()]
    known = _stems(source)
    return 100 * sum(stem not in known for stem in ours) / len(ours) if ours else float("nan")


def unnumbered(text: str) -> str:
    """A text without the numbers of its list points."""
    return _LIST_NUMBER.sub(" ", text)


@lru_cache(maxsize=10_000)
def numbers(text: str) -> frozenset[str]:
    """Numbers of a text, digits and words alike ("twenty six" is "26"), list numbers left out."""
    text = unnumbered(text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.lower())
    digits = {_plain(n) for n in re.findall(r"\d+(?:\.\d+)?", text)}
    return frozenset(digits | _spelled(text))


_LIST_NUMBER = re.compile(
    r"(?:^|(?<=\s))\d{1,2}[.)]\s+(?=[A-Z(\d])|^\s*\d{1,2}[.)]\s", re.MULTILINE
)


def _apart(text: str) -> str:
    """A number and its unit as two words."""
    return re.sub(r"(?<=\d)(?=[A-Za-z])", " ", text)


def _stems(text: str) -> set[str]:
    return set(tokenize(_apart(text)))


# --- against the source --------------------------------------------------------------------------

_CHECKED = {"side": "wrong side", "negation": "negation", "number": "number",
            "unsupported": "unsupported statement", "missed": "omission"}  # fmt: skip


def _against_source(task: str, source: str, output: str, reference: str) -> list[Fault | None]:
    if checks.available():
        found: dict[str, Fault] = {}
        for finding in checks.findings(task, source, output):
            category = _CHECKED.get(finding.kind)
            if category:
                detail = str(getattr(finding, "message", "") or finding.kind)
                found.setdefault(category, Fault(category, detail, 80.0))
        return list(found.values())
    return [
        _unsupported(output, source, reference),
        _wrong_side(output, source),
        _negation(output, source) if task == "radiology" else None,
        _number(output, source),
    ]


def _unsupported(output: str, source: str, reference: str) -> Fault | None:
    ours = content_words(output)
    known = _stems(source) | _stems(reference)
    new = [word for stem, word in ours.items() if stem not in known and not stem.isdigit()]
    share = 100 * len(new) / max(len(ours), 1)
    if len(new) < FEWEST_WORDS or share < UNSUPPORTED:
        return None
    return Fault("unsupported statement", f"not in the input: {', '.join(new[:8])}", share)


_SIDE = re.compile(r"\b(left|right|bilateral|both)(?:[- ]sided)?\b((?:\W+\w+){1,4})")
# "a small effusion on the left"
_ON_A_SIDE = re.compile(
    r"((?:\w+\W+){1,3})(?:on|in|at|to)\W+(?:the\W+)?(left|right)(?:\W+side)?\W*$"
)
_OTHER = {"left": "right", "right": "left"}
_NO_THINGS = frozenset(
    tokenize("side sided upper lower middle mid part aspect region area greater")
)


def _wrong_side(output: str, source: str) -> Fault | None:
    """A thing said of one side which the input says of the other side alone."""
    theirs = _sided(source)
    for side, thing in sorted(_sided(output)):
        if side not in _OTHER or (side, thing) in theirs:
            continue
        elsewhere = {s for s, t in theirs if t == thing}
        if elsewhere == {_OTHER[side]}:
            return Fault("wrong side", f"{side} {thing}, {_OTHER[side]} in the input", 90.0)
    return None


@lru_cache(maxsize=10_000)
def _sided(text: str) -> frozenset[tuple[str, str]]:
    clauses = re.split(r"[.;,\n]|\band\b", text.lower())
    found = [(match[1], match[2]) for clause in clauses for match in _SIDE.finditer(clause)]
    found += [(match[2], match[1]) for c in clauses if (match := _ON_A_SIDE.search(c))]
    return frozenset(
        ("both" if side == "bilateral" else side, thing)
        for side, words in found
        for thing in content_words(words)
        if thing not in _NO_THINGS
    )


def _negation(output: str, source: str) -> Fault | None:
    stated, denied = (words & _NAMES for words in polarity(output))
    source_stated, source_denied = (words & _NAMES for words in polarity(source))
    turned = stated & source_denied - source_stated
    if turned:
        return Fault("negation", f"stated, denied in the input: {', '.join(sorted(turned))}", 95.0)
    turned = (denied - stated) & source_stated - source_denied
    if turned:
        return Fault("negation", f"denied, stated in the input: {', '.join(sorted(turned))}", 95.0)
    return None


# Words that name a finding by themselves; only these are compared, for a denial of "acute
# abnormality" says nothing of the single words in it.
_FINDINGS = """
    pneumothorax effusion consolidation pneumonia edema nodule mass fracture atelectasis
    cardiomegaly infiltrate opacity hemorrhage infarct thrombus embolism lesion calculus stone
    hydronephrosis obstruction dislocation tumor metastasis abscess aneurysm dissection stenosis
    hernia emphysema fibrosis granuloma scoliosis tear appendicitis cholecystitis lymphadenopathy
    adenopathy ascites congestion cyst
"""
_NAMES = frozenset(tokenize(_FINDINGS)) | frozenset(tokenize("effusions nodules masses opacities"))


def _number(output: str, source: str) -> Fault | None:
    known = numbers(source) | _converted(source) | _decimals(source)
    new = sorted(numbers(output) - known)
    return Fault("number", f"not in the input: {', '.join(new)}", 85.0) if new else None


def _converted(text: str) -> set[str]:
    """Lengths of a text in the other unit: "5 mm" is "0.5" cm."""
    found = re.findall(r"(\d+(?:\.\d+)?)\s*(mm|cm)\b", text.lower())
    return {_plain(f"{float(n) * (10 if unit == 'cm' else 0.1):.4f}") for n, unit in found}


# --- against the reference and the task ----------------------------------------------------------


def _omission(task: str, output: str, reference: str) -> Fault | None:
    wanted = content_words(reference)
    if task == "question":
        wanted = {stem: wanted.get(stem, stem) for stem in focus_words(reference)}
    named = _stems(output)
    missing = [word for stem, word in wanted.items() if stem not in named]
    least = 1 if task == "question" else FEWEST_WORDS
    share = 100 * len(missing) / max(len(wanted), 1)
    if len(wanted) < least or share <= OMITTED:
        return None
    return Fault("omission", f"not named: {', '.join(missing[:8])}", share)


def _copying(output: str, source: str, reference: str) -> Fault | None:
    share, length = style.copied(output, source), style.length_ratio(output, reference)
    if share < COPIED or not length > TOO_LONG:
        return None
    return Fault("copying", f"{share:.0f}% copied, {length / 100:.1f} times the reference", share)


def _repetition(output: str) -> Fault | None:
    share = style.repetition(output)
    if share < REPEATED:
        return None
    return Fault("repetition", f"{share:.0f}% of 3-grams said again", share)


def _form(task: str, output: str, reference: str) -> Fault | None:
    if task == "question":
        if not output.rstrip().endswith("?"):
            return Fault("wrong form", "no question", 60.0)
        if len(sentence_lines(output)) > 2:
            return Fault("wrong form", f"{len(sentence_lines(output))} sentences", 40.0)
    if task == "dialogue" and re.search(r"(?im)^\s*\[?(?:doctor|patient)\]?\s*:", output):
        return Fault("wrong form", "a conversation, no note", 70.0)
    if task == "radiology":
        points = len(sentence_lines(reference))
        if points > 1 and style.is_numbered(reference) and not style.is_numbered(output):
            return Fault("wrong form", "no numbered points where the reference has them", 20.0)
    return None


# --- numbers in words ----------------------------------------------------------------------------


def _spelled(text: str) -> set[str]:
    """Values of runs of number words, every way of reading them: "nineteen eighty" too is 1980."""
    found: set[str] = set()
    run: list[str] = []
    for word in [*re.findall(r"[a-z]+|\d+", text), ""]:
        known = word in ONES or word in TENS or word in ("hundred", "thousand")
        if known or (word == "and" and run):
            run.append(word)
            continue
        if run:
            found |= _values([w for w in run if w != "and"])
        run = []
        if word in ORDINALS:
            found.add(str(ORDINALS[word]))
    return found


def _values(run: list[str]) -> set[str]:
    total = current = 0
    parts: list[int] = []  # "nineteen eighty" -> 19, 80
    for word in run:
        if word == "thousand":
            total, current = total + (current or 1) * 1000, 0
        elif word == "hundred":
            current = (current or 1) * 100
        else:
            value = ONES.get(word, TENS.get(word, 0))
            joins = (current % 100 >= 20 and current % 10 == 0 and value < 10) or current % 100 == 0
            if not joins:
                parts.append(total + current)
                total = current = 0
            current += value
    parts.append(total + current)
    found = {str(part) for part in parts}
    for left, right in zip(parts, parts[1:], strict=False):
        if 10 <= left <= 99 and 0 <= right <= 99:  # a year
            found.add(f"{left}{right:02d}")
    return found


def _decimals(text: str) -> set[str]:
    """Decimals that a text says in words: "six point eight" is 6.8, "ninety eight point six" 98.6.

    Apart from `numbers`, by which training rows are chosen: those of a released adapter stay.
    """
    words = re.findall(r"[a-z]+|\d+", text.lower())
    found: set[str] = set()
    for at, word in enumerate(words):
        if word != "point":
            continue
        begin, end = at, at + 1
        while begin and (words[begin - 1] in _SAID or words[begin - 1].isdigit()):
            begin -= 1
        figures = ""
        while end < len(words) and (
            words[end].isdigit() or words[end] in ONES or words[end] == "oh"
        ):
            figures += words[end] if words[end].isdigit() else str(ONES.get(words[end], 0))
            end += 1
        if figures:
            said = " ".join(words[begin:at])
            found |= {_plain(f"{whole}.{figures}") for whole in numbers(said) or {"0"}}
    return found


_SAID = {*ONES, *TENS, "hundred", "thousand", "and"}


def _plain(number: str) -> str:
    """ "07" and "7.0" are "7"."""
    number = number.lstrip("0") or "0"
    if "." in number:
        number = number.rstrip("0").rstrip(".")
        number = f"0{number}" if number.startswith(".") or not number else number
    return number
