"""The impression inside a chat model's answer.

Chat models wrap what was asked for: the prompt again, role markers, a polite opening, headings,
code fences, JSON, a closing note. `extract` takes the wrapping off and returns None where no
impression is left, which is counted, never guessed. tests/eval/test_extract.py has the forms.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from eval.style import words


def extract(answer: str, source: str = "") -> str | None:
    """The impression of an answer, None where it holds none.

    source: the findings the model was given, so that an echo of them is not taken for an answer.
    """
    text = _after_role_marker(_plain(answer))
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

_HTML_BREAK = re.compile(r"<br\s*/?>|</?(?:p|div|li|ul|ol|h[1-6])>", re.IGNORECASE)
_HTML_EMPHASIS = re.compile(r"</?(?:b|strong|i|em|u|span|code)>", re.IGNORECASE)


def _plain(answer: str) -> str:
    """One kind of line end, no invisible marks, no HTML that only sets type."""
    text = re.sub(r"\r\n?", "\n", answer)
    text = re.sub("[\ufeff\u200b-\u200f\u2060]", "", text).replace("\u00a0", " ")
    return _HTML_EMPHASIS.sub("", _HTML_BREAK.sub("\n", text))


_ANSWER_STARTS = re.compile(
    r"<\|assistant\|>|<\|im_start\|>\s*assistant|<\|start_header_id\|>\s*assistant\s*"
    r"<\|end_header_id\|>|<start_of_turn>\s*model|\[/INST\]|<\uff5cassistant\uff5c>|"
    r"<\|channel\|>\s*final\s*<\|message\|>|"
    r"^[ \t]*#{0,4}[ \t]*(?:response|assistant|answer|output|model)[ \t]*:[ \t]*$|"
    r"^[ \t]*(?:assistant|output)[ \t]*:|^[ \t]*(?:assistant|model)[ \t]*$|^#{1,4}\s*response[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER_ENDS = re.compile(
    r"<\|end\|>|<\|eot_id\|>|<\|im_end\|>|<end_of_turn>|</s>|<\|endoftext\|>|<\|return\|>|"
    r"<\uff5cend\u2581of\u2581sentence\uff5c>|"
    r"<\|user\|>|<\|im_start\|>\s*(?:user|system)|<start_of_turn>\s*user|"
    r"^[ \t]*(?:user|human)[ \t]*:|^[ \t]*(?:user|human|system)[ \t]*$|"
    r"^[ \t]*###[ \t]*(?:instruction|user|human)\b",
    re.IGNORECASE | re.MULTILINE,
)
_MARKER = re.compile(r"<\|[a-z_]+\|>|</?s>", re.IGNORECASE)
_THOUGHTS = re.compile(r"<(think|thinking|reasoning|scratchpad)>.*?(?:</\1>|\Z)", re.DOTALL | re.I)
# A template may open the thoughts before the model's text begins: only their end is seen.
_END_OF_THOUGHTS = re.compile(r"\A.*</(?:think|thinking|reasoning|scratchpad)>", re.DOTALL | re.I)


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
    return _END_OF_THOUGHTS.sub("", _THOUGHTS.sub("", text)).strip()


# --- fences and JSON -----------------------------------------------------------------------------

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$", re.MULTILINE)
_INLINE_FENCE = re.compile(r"```(?:\w+\n)?(.*?)```", re.DOTALL)
_KEYS = ("impression", "impressions", "conclusion", "summary", "answer", "output")


_VALUE = re.compile(
    r"""["']impressions?["']\s*:\s*(["'])((?:\\.|(?!\1)[^\\])*)""", re.I | re.DOTALL
)


def _from_json(text: str) -> str | None:
    """The impression of an answer that is, or holds, a JSON object, whole or cut off."""
    bodies = [text, *(m[1] for m in _INLINE_FENCE.finditer(text))]
    for body in bodies:
        body = body.strip()
        if body.startswith(("{", "[")) and (found := _of_value(_read(body))) is not None:
            return found
    # Single quotes, words around it, an end that the length limit took.
    if "{" in text and (match := _VALUE.search(text)):
        return match[2].replace("\\n", "\n").replace("\\", "")
    return None


def _read(body: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(body)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def _of_value(value: Any) -> str | None:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "\n".join(f"{k}. {item}" for k, item in enumerate(value, start=1))
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        lower = {str(key).lower().strip(): item for key, item in value.items()}
        for key in _KEYS:
            if isinstance(lower.get(key), dict):  # {"impression": {"1": ..., "2": ...}}
                return _of_value(list(lower[key].values()))
            if key in lower:
                return _of_value(lower[key])
    return None


def _without_fences(text: str) -> str:
    """The text without fence marks; what stands in fences stays."""
    return re.sub(r"```(?:\w+\n)?|~~~", "", _FENCE.sub("", text)).strip()


# --- headings ------------------------------------------------------------------------------------

# Bounded, so that a model that writes one mark for ever does not take for ever to read.
_MARKS = r"[ \t>#*_`(\[\-\u2022]{0,12}"
_NAMES = r"(?:impressions?|conclusions?|opinion)"
_QUALIFIERS = (
    r"(?:(?:the|a|an|my|your|final|overall|radiology|radiological|radiologist(?:['\u2019]s)?|clinical|"
    r"diagnostic|medical|brief|concise|short|main|preliminary|possible|proposed|suggested|generated|"
    r"report|summary(?:\s+of)?|summari[sz]ed|chest|ct|mri?|x-?ray|ultrasound)\s+){0,8}"
)
_HEADING = re.compile(
    rf"^{_MARKS}(?:\d{{1,2}}[.)]\s+)?{_MARKS}{_QUALIFIERS}(?:"
    rf"{_NAMES}(?:\s+(?:section|statement))?(?:\s*\([^)\n]*\))?[ \t]*[*_`\])]*[ \t]*"
    rf"(?:[:\uff1a\u2013\u2014\u2192]|-(?=\s)|[-=]>|=|is\s*:|(?<=[\])])(?=\s)|$)|"
    # "Impression of the report:", "Impression and plan:"; not "impression on the cord: ..."
    rf"impressions?\b(?!\s+(?:on|upon)\b)[^.:\n]{{0,60}}[:\uff1a](?=[\s*_]|$)"
    rf")[ \t]*[*_:`]*",
    re.IGNORECASE | re.MULTILINE,
)
# IMPRESSION in capitals needs no colon: "IMPRESSION 1. Small effusion."
_CAPITALS = re.compile(r"^[ \t#*_]*IMPRESSIONS?\b[*_]*[ \t]+(?=\d|[A-Z])", re.MULTILINE)
# ... nor does one inside the opening sentence: "Based on the findings, the impression is: ...".
_IN_SENTENCE = re.compile(
    r"\bimpressions?\b[^.:\n]{0,80}?(?:\bis|\bwould be|\bas follows|\bare)\s*:\s*", re.IGNORECASE
)
# ... or behind another sentence: "Findings: ... is seen. Impression: ...".
_BEHIND = re.compile(
    r"(?<=[.!?])[ \t]+[*_]*(?:final\s+)?impressions?[*_]*\s*[:\uff1a][*_]*", re.IGNORECASE
)
_TAG = re.compile(
    r"<(impressions?|answer|output|summary|response|conclusion)>\s*(.*?)\s*(?:</\1>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_NUMBER = r"(?:\d{1,2}[.)]\s+)?"
_OTHER = (
    r"(?:findings?|technique|comparison|indication|history|"
    r"clinical (?:history|information|context)|exam(?:ination)?|recommendations?|explanation|"
    r"reasoning|rationale|notes?|disclaimer|key (?:findings|points)|differential(?: diagnosis)?|"
    r"plan|report|background|references?|analysis|summary of findings|next steps|electronically "
    r"signed(?: by)?)[ \t]*[*_]*[ \t]*(?:[:\uff1a]|$)"
)
_OTHER_HEADING = re.compile(rf"^{_MARKS}{_NUMBER}{_MARKS}{_OTHER}", re.IGNORECASE | re.MULTILINE)
# In a list of numbered points, "2. Recommendations: ..." is a point.
_OTHER_UNNUMBERED = re.compile(rf"^{_MARKS}{_OTHER}", re.IGNORECASE | re.MULTILINE)
_FIRST_POINT = re.compile(r"[\s*_]*1[.)]\s")
_CLOSING = re.compile(
    r"^[ \t>*_(]*(?:-{3,}[ \t]*$|={3,}|please (?:note|let me|consult|correlate with your)|note that this|"
    r"let me know|i hope|this (?:impression|summary|report) (?:is|was|summari[sz]es|captures|"
    r"concisely)|(?:in this impression|the above|as an ai|i am an ai|i'm an ai|if you (?:have|need)|"
    r"feel free|is there anything|would you like|disclaimer|explanation)\b|"
    r"\[(?:your|radiologist|name|signature|date|insert)\b|"
    r"(?:best |kind )?regards\b|sincerely\b)",
    re.IGNORECASE | re.MULTILINE,
)


def _impression_section(text: str) -> str | None:
    """What stands under the last impression heading that anything stands under."""
    tags = [tag[2] for tag in _TAG.finditer(text) if words(tag[2])]
    if tags:
        return _impression_section(tags[-1]) or tags[-1]
    forms = (_HEADING, _CAPITALS, _IN_SENTENCE, _BEHIND)
    found = [match for form in forms for match in form.finditer(text)]
    found.sort(key=lambda m: m.end())
    # A conclusion counts as the impression only where nothing is called one.
    named = [m for m in found if "conclusion" not in m[0].lower() and "opinion" not in m[0].lower()]
    for match in reversed(named or found):
        section = _up_to_the_end(text[match.end() :])
        if words(section):
            return section
    return None


def _up_to_the_end(text: str) -> str:
    other = _OTHER_UNNUMBERED if _FIRST_POINT.match(text) else _OTHER_HEADING
    ends = [m.start() for p in (other, _CLOSING, _HEADING) for m in p.finditer(text)]
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
# "I cannot exclude an effusion" is no refusal.
_REFUSAL = re.compile(
    r"\b(?:(?:i (?:cannot|can't|can not)|i(?: am|'m) (?:unable|not able) to|unable to) (?:\w+ )?"
    r"(?:provide|give|generate|create|write|produce|offer|make|assist|help|fulfil|comply|answer|"
    r"summari[sz]e|diagnose|interpret|access|see any|view)|i (?:do not|don't) have|i'm sorry|"
    r"i am sorry|i apologi[sz]e|as an ai|please provide (?:me|the|your|more|a|any|additional)\b|"
    r"could you (?:please )?provide|no findings (?:were|have been) provided)",
    re.IGNORECASE,
)
_LABEL = re.compile(
    rf"^{_MARKS}(?:(?:the\s+)?(?:final\s+)?(?:answer|response|output|summary|result)|a)[ \t]*[*_]*"
    rf"(?:[:\uff1a]|[ \t]*$)[ \t]*[*_]*",
    re.IGNORECASE | re.MULTILINE,
)


def _body(text: str) -> str:
    """The answer without its opening sentences and closing notes."""
    for _ in range(3):
        shorter = _OPENING.sub("", text, count=1).lstrip()
        if label := _LABEL.match(shorter):
            shorter = shorter[label.end() :]
        if shorter == text or not words(shorter):
            break
        text = shorter
    return _up_to_the_end(text)


def _without_echo(text: str, source: str) -> str:
    """The answer without the findings, where it holds them whole, and without a prompt before."""
    flat = " ".join(source.split())
    if len(flat) < 20:
        return text
    pattern = r"\s+".join(re.escape(word) for word in flat.split())
    echo = re.search(
        rf"{_MARKS}(?:findings?\s*:\s*)?[\"']?{pattern}[\"']?", text, flags=re.IGNORECASE
    )
    if not echo:
        return text
    before, after = text[: echo.start()].strip(), text[echo.end() :].strip()
    if words(after) and _impression_section(before) is None:
        return after
    return f"{before}\n{after}".strip()


_RULE = re.compile(r"[-=_*~]{3,}")  # a line, or what underlines a heading
_OUTER_MARKS = re.compile(r"\A(?:#+\s*|[_`*]+(?=[^\s_`*])|[_`]+\s+|\*{2,}\s+)+")  # "* " is a bullet


def _final(text: str, source: str) -> str | None:
    """Emphasis, quotes and outer marks off; None where nothing is left but the source."""
    text = re.sub(r"(\*\*|__)(.+?)\1", r"\2", text, flags=re.DOTALL)
    text = _HEADING.sub("", _MARKER.sub("", text))
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not _RULE.fullmatch(line)]
    text = _OUTER_MARKS.sub("", "\n".join(lines)).rstrip("*_`# \n")
    while len(text) > 1 and text[0] + text[-1] in ('""', "''", "\u201c\u201d"):
        text = text[1:-1].strip()
    if not words(text) or words(text) == words(source):
        return None
    return text
