"""The impression inside a chat model's answer.

Chat models wrap what was asked for: the prompt again, role markers, a polite opening, headings,
code fences, JSON, a closing note. `extract` takes the wrapping off and returns None where no
impression is left, which is counted, never guessed. tests/eval/test_extract.py has the forms.
"""

from __future__ import annotations

import json
import re
from typing import Any

from eval.style import words


def extract(answer: str, source: str = "") -> str | None:
    """The impression of an answer, None where it holds none.

    source: the findings the model was given, so that an echo of them is not taken for an answer.
    """
    text = _after_role_marker(answer.replace("\r\n", "\n"))
    text = _without_thoughts(text)
    if (value := _from_json(text)) is not None:
        return _final(value, source)
    text = _without_fences(text)
    text = _without_echo(text, source)
    section = _impression_section(text)
    if section is None and _REFUSAL.search(text):
        return None
    return _final(_body(text) if section is None else section, source)


# --- what chat templates add ---------------------------------------------------------------------

_ANSWER_STARTS = re.compile(
    r"<\|assistant\|>|<\|im_start\|>\s*assistant|<\|start_header_id\|>\s*assistant\s*"
    r"<\|end_header_id\|>|<start_of_turn>\s*model|\[/INST\]|"
    r"^\s*#{0,4}\s*(?:response|assistant|answer|output|model)\s*:\s*$|^\s*(?:assistant|output)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER_ENDS = re.compile(
    r"<\|end\|>|<\|eot_id\|>|<\|im_end\|>|<end_of_turn>|</s>|<\|endoftext\|>|"
    r"<\|user\|>|<\|im_start\|>\s*(?:user|system)|<start_of_turn>\s*user|"
    r"^\s*(?:user|human)\s*:|^\s*###\s*(?:instruction|user|human)\b",
    re.IGNORECASE | re.MULTILINE,
)
_MARKER = re.compile(r"<\|[a-z_]+\|>|</?s>", re.IGNORECASE)
_THOUGHTS = re.compile(r"<(think|thinking|reasoning|scratchpad)>.*?(?:</\1>|\Z)", re.DOTALL | re.I)


def _after_role_marker(text: str) -> str:
    """What stands after the last start of an answer that anything follows, up to its end."""
    starts = [0, *(m.end() for m in _ANSWER_STARTS.finditer(text))]
    for start in reversed(starts):
        rest = text[start:].lstrip()
        end = next(
            (m.start() for m in _ANSWER_ENDS.finditer(rest) if rest[: m.start()].strip()), None
        )
        turn = _ANSWER_ENDS.sub("", rest[:end]).strip()
        if turn:
            return turn
    return ""


def _without_thoughts(text: str) -> str:
    return _THOUGHTS.sub("", text).strip()


# --- fences and JSON -----------------------------------------------------------------------------

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$", re.MULTILINE)
_INLINE_FENCE = re.compile(r"```(?:\w+\n)?(.*?)```", re.DOTALL)
_KEYS = ("impression", "impressions", "conclusion", "summary", "answer", "output")


def _from_json(text: str) -> str | None:
    """The impression of an answer that is, or holds in a fence, a JSON object."""
    bodies = [text, *(m[1] for m in _INLINE_FENCE.finditer(text))]
    for body in bodies:
        body = body.strip()
        if not body.startswith(("{", "[")):
            continue
        try:
            value = json.loads(body)
        except ValueError:
            continue
        found = _of_value(value)
        if found is not None:
            return found
    return None


def _of_value(value: Any) -> str | None:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "\n".join(f"{k}. {item}" for k, item in enumerate(value, start=1))
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        lower = {str(key).lower().strip(): item for key, item in value.items()}
        for key in _KEYS:
            if key in lower:
                return _of_value(lower[key])
    return None


def _without_fences(text: str) -> str:
    """The text without fence marks; what stands in fences stays."""
    return re.sub(r"```(?:\w+\n)?|~~~", "", _FENCE.sub("", text)).strip()


# --- headings ------------------------------------------------------------------------------------

_MARKS = r"[ \t>#*_\-\u2022]*"
_NAMES = r"(?:impressions?|conclusions?|opinion)"
_QUALIFIERS = (
    r"(?:(?:the|final|overall|radiology|radiological|clinical|diagnostic|brief|my|generated)\s+)*"
)
_HEADING = re.compile(
    rf"^{_MARKS}(?:\d{{1,2}}[.)]\s+)?{_MARKS}{_QUALIFIERS}(?P<name>{_NAMES})"
    rf"(?:\s+(?:section|statement))?(?:\s*\([^)\n]*\))?[ \t]*[*_]*[ \t]*"
    rf"(?:[:\uff1a]|[\u2013\u2014-](?=\s)|=|is\s*:|$)[ \t]*[*_:]*",
    re.IGNORECASE | re.MULTILINE,
)
# IMPRESSION in capitals needs no colon: "IMPRESSION 1. Small effusion."
_CAPITALS = re.compile(r"^[ \t#*_]*IMPRESSIONS?\b[*_]*[ \t]+(?=\d|[A-Z])", re.MULTILINE)
# ... nor does one inside the opening sentence: "Based on the findings, the impression is: ...".
_IN_SENTENCE = re.compile(
    r"\bimpressions?\b[^.:\n]{0,80}?(?:\bis|\bwould be|\bas follows|\bare)\s*:\s*", re.IGNORECASE
)
_TAG = re.compile(r"<impressions?>\s*(.*?)\s*(?:</impressions?>|\Z)", re.IGNORECASE | re.DOTALL)
_OTHER_HEADING = re.compile(
    rf"^{_MARKS}(?:\d{{1,2}}[.)]\s+)?{_MARKS}(?:findings?|technique|comparison|indication|history|"
    r"clinical (?:history|information|context)|exam(?:ination)?|recommendations?|explanation|"
    r"reasoning|rationale|notes?|disclaimer|key (?:findings|points)|differential(?: diagnosis)?|"
    r"plan|report|background|references?|analysis|summary of findings|next steps|electronically "
    rf"signed(?: by)?)[ \t]*[*_]*[ \t]*(?:[:\uff1a]|$)",
    re.IGNORECASE | re.MULTILINE,
)
_CLOSING = re.compile(
    r"^[ \t>*_(]*(?:-{3,}[ \t]*$|={3,}|please (?:note|let me|consult|correlate with your)|note that this|"
    r"let me know|i hope|this (?:impression|summary|report) (?:is|was|summari[sz]es|captures|"
    r"concisely)|(?:in this impression|the above|as an ai|i am an ai|i'm an ai|if you (?:have|need)|"
    r"feel free|is there anything|would you like|disclaimer|explanation)\b)",
    re.IGNORECASE | re.MULTILINE,
)


def _impression_section(text: str) -> str | None:
    """What stands under the last impression heading that anything stands under."""
    if (tag := _TAG.search(text)) and tag[1].strip():
        return tag[1]
    found = [*_HEADING.finditer(text), *_CAPITALS.finditer(text), *_IN_SENTENCE.finditer(text)]
    found.sort(key=lambda m: m.end())
    # A conclusion counts as the impression only where nothing is called one.
    named = [m for m in found if "conclusion" not in m[0].lower() and "opinion" not in m[0].lower()]
    for match in reversed(named or found):
        section = _up_to_the_end(text[match.end() :])
        if words(section):
            return section
    return None


def _up_to_the_end(text: str) -> str:
    ends = [m.start() for p in (_OTHER_HEADING, _CLOSING, _HEADING) for m in p.finditer(text)]
    ends = [end for end in ends if words(text[:end])]
    return text[: min(ends)] if ends else text


# --- an answer without a heading -----------------------------------------------------------------

_OPENING = re.compile(
    r"^\s*(?:(?:sure|certainly|of course|absolutely|okay|ok|yes|great|thank you|thanks|here(?:'s| is| "
    r"are)|below is|based on|given the|from the|after reviewing|the following is|as requested|"
    r"according to|i (?:have|would|will|can|'ve)|let me|to summari[sz]e|in summary)\b[^\n]*?"
    r"(?::\s*|[!.]\s*\n+|!\s+))",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\b(?:i (?:cannot|can't|can not|am unable|'m unable|am not able|'m not able|do not have|don't "
    r"have)|i'm sorry|i am sorry|i apologi[sz]e|as an ai|please provide|could you (?:please )?provide|"
    r"no findings (?:were|have been) provided|unable to (?:provide|generate))",
    re.IGNORECASE,
)


def _body(text: str) -> str:
    """The answer without its opening sentences and closing notes."""
    for _ in range(3):
        shorter = _OPENING.sub("", text, count=1)
        if shorter == text or not words(shorter):
            break
        text = shorter
    return _up_to_the_end(text)


def _without_echo(text: str, source: str) -> str:
    """The answer without the findings, where it begins with them or holds them whole."""
    flat = " ".join(source.split())
    if len(flat) < 20:
        return text
    pattern = r"\s+".join(re.escape(word) for word in flat.split())
    without = re.sub(
        rf"{_MARKS}(?:findings?\s*:\s*)?[\"']?{pattern}[\"']?", "\n", text, count=1, flags=re.I
    )
    return without.strip()


def _final(text: str, source: str) -> str | None:
    """Emphasis, quotes and outer marks off; None where nothing is left but the source."""
    text = re.sub(r"(\*\*|__)(.+?)\1", r"\2", text, flags=re.DOTALL)
    text = _HEADING.sub("", _MARKER.sub("", text))
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in text.split("\n")]
    text = re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()
    text = text.strip("*_`# \n")
    while len(text) > 1 and text[0] + text[-1] in ('""', "''", "\u201c\u201d"):
        text = text[1:-1].strip()
    if not words(text) or words(text) == words(source):
        return None
    return text
