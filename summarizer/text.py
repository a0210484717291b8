"""What happens to a text before a model reads it: checks, cleaning, sentences, the cut.

Both columns see the text that `clean` returns, cut by `cut_to`. This module knows no model; it is
handed a tokenizer where tokens are counted.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

MAX_CHARACTERS = 200_000


class InputError(ValueError):
    """The text given cannot be summarised. The message is one sentence for whoever gave it."""


def check_input(text: str) -> str:
    """The text cleaned, ready for a prompt.

    Raises InputError for a text that is empty or blank, longer than MAX_CHARACTERS, or binary.
    """
    if not text or not text.strip():
        raise InputError("The text is empty: paste or type something to summarise.")
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"The text has {len(text):,} characters, and at most {MAX_CHARACTERS:,} are read: "
            "paste the part that matters."
        )
    if _looks_binary(text):
        raise InputError("This is not text but binary data: give plain text in UTF-8.")
    cleaned = clean(text)
    if not cleaned:
        raise InputError(
            "The text has nothing to read in it: paste or type something to summarise."
        )
    return cleaned


# What files of other kinds begin with: some are short, and some are text at their beginning.
_OTHER_KINDS = (
    b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"\x1f\x8b", b"PK\x03\x04", b"{\\rtf", b"\x7fELF"
)  # fmt: skip


def decode(data: bytes) -> str:
    """The text of a file's bytes: UTF-8, UTF-16 with its mark, else Windows-1252.

    Raises InputError for bytes that are no text.
    """
    if data.startswith(_OTHER_KINDS):
        raise InputError(
            "This is not text but binary data, a document or a picture: give plain text in UTF-8."
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\x00" in data:
        encodings = []
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _looks_binary(text) and (encoding == "utf-8-sig" or _is_written(text, encoding)):
            return text
    raise InputError("This is not text but binary data: give plain text in UTF-8.")


def _is_written(text: str, encoding: str) -> bool:
    """Whether bytes that these encodings accept nearly always are text all the same."""
    if encoding == "utf-16":
        # Unassigned and private characters: a bullet of Word's is one, no text is made of them.
        strange = sum(unicodedata.category(one) in ("Cn", "Co", "Cs") for one in text)
        return 10 * strange <= len(text)
    text = text.removesuffix("\x1a")  # as DOS ended files
    plain = sum(one.isascii() and (one >= " " or one in "\t\n\r\v\f") for one in text)
    return 2 * plain >= len(text)


def _looks_binary(text: str) -> bool:
    if "\x00" in text:
        return True
    bad = sum(
        1
        for character in text
        if character == "\ufffd"
        or "\ud800" <= character <= "\udfff"
        or (character < " " and character not in "\t\n\r\v\f")
    )
    return bad >= 4 and bad > 0.02 * len(text)


# Lines end in many ways; the model knows one.
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")

# Invisible characters: they change the tokens and show nothing. Zero-width and direction marks,
# soft hyphens, byte order marks, invisible operators and tag characters.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """The text in one normal form. Idempotent.

    Unicode NFC; one kind of line end; no control, direction or zero-width characters; runs of
    spaces are one space, lines have none at their ends; at most two empty lines in a row; no
    de-identification masks (see `remove_masks`).
    """
    text = visible(_LINE_ENDS.sub("\n", text).replace("\t", " "))
    text = unicodedata.normalize("NFC", text)
    text = _tidy_space(text)
    return _tidy_space(remove_masks(text))


def visible(text: str) -> str:
    """The text without control, direction and zero-width characters, and without half ones."""
    return _CONTROL.sub("", _INVISIBLE.sub("", text))


def _tidy_space(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip()


# De-identification masks: XXXX (Indiana), [**...**] (MIMIC-III), ___ (MIMIC-IV). A model that reads
# them writes them.
_MASKED_RAY = re.compile(r"(?<![^\W_])([xX])-[xX]{4,}")
_MASK = re.compile(r"(?<!\w)(?<!\d,)[xX]{4,}(?![^\W_])|\[\*\*[^\]\n]{0,200}?\*\*\]|_{3,}")
_HOLE = "\x00"  # stands for a mask while the text around it is mended; `clean` removed all others
_MENDS = (
    # a masked age, and words joined to a mask by a hyphen or slash
    (re.compile(rf"{_HOLE}-(?:year|month|week|day)s?-old\b"), _HOLE),
    (re.compile(rf"{_HOLE}['’]s\b"), _HOLE),
    (re.compile(rf"[-/]?{_HOLE}[-/]?"), _HOLE),
    # several in a row are one; brackets and quotes around nothing are nothing
    (re.compile(rf"{_HOLE}(?:[ ,/]{{0,2}}{_HOLE})+"), _HOLE),
    (re.compile(rf"[(\[\"'“‘] ?{_HOLE} ?[)\]\"'”’]"), _HOLE),
    # a sentence of nothing but masks goes with its full stop
    (re.compile(rf"(^|\n|[.!?:;] ){_HOLE} ?[.,;:!?](?!\d)", re.MULTILINE), rf"\1{_HOLE}"),
    # a comma that leads to nothing
    (re.compile(rf", ?{_HOLE} ?(?=[.,;:!?)\]\n]|$)"), _HOLE),
    # the space around the hole: none before punctuation and at the ends of lines, else one
    (re.compile(rf" ?{_HOLE} ?(?=[.,;:!?)\]\n]|$)"), ""),
    (re.compile(rf"(^|[(\[\n]) ?{_HOLE} ?", re.MULTILINE), r"\1"),
    (re.compile(rf" ?{_HOLE} ?"), " "),
)


def remove_masks(text: str) -> str:
    """The text without de-identification masks; "x-XXXX" becomes "x-ray", its case kept.

    "The XXXX are intact." becomes "The are intact.": what the mask hid is not known, so nothing
    is put in its place. Spaces and punctuation that stood around a mask are mended.
    """
    text = _MASKED_RAY.sub(r"\1-ray", text)
    text, holes = _MASK.subn(_HOLE, text)
    if holes:
        for pattern, replacement in _MENDS:
            text = pattern.sub(replacement, text)
    return text


# Words whose full stop ends no sentence, and those for which that holds before a number only.
_ABBREVIATIONS = frozenset(
    [
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "st",
        "vs",
        "e.g",
        "i.e",
        "eg",
        "ie",
        "approx",
        "ca",
        "cf",
        "pt",
        "pts",
    ]
)
_BEFORE_NUMBER = frozenset(
    [
        "no",
        "nos",
        "fig",
        "figs",
        "vol",
        "p",
        "pp",
        "ser",
        "im",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
    ]
)
# Words that come before a single letter which is no initial ("hepatitis C. No ...").
_LETTERED = frozenset(
    [
        "hepatitis",
        "vitamin",
        "vitamins",
        "type",
        "group",
        "class",
        "stage",
        "grade",
        "factor",
        "protein",
        "influenza",
        "category",
        "child-pugh",
        "strep",
        "plan",
        "option",
        "part",
        "level",
        "segment",
        "zone",
    ]
)
_BREAK = re.compile(r"[.!?…]+[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9À-ÞΑ-ΩА-Я•*-])|\n[ \n]*")
_LIST_MARK = re.compile(r"(?:^|(?<=\s))[(]?(?:\d{1,2}|[A-Za-z])[.)]$")


def sentences(text: str) -> list[str]:
    """The text's sentences in order, each on one line, none empty.

    Full stops of abbreviations, initials, decimals and list numbers end no sentence: an item of
    a numbered list keeps its number. A line break ends a sentence unless the text runs on over it
    (no full stop before, a small letter after).
    """
    found: list[str] = []
    start = 0
    for match in _BREAK.finditer(text):
        if match.start() < start:
            continue
        if _ends_sentence(text, start, match):
            found.append(text[start : match.end()])
            start = match.end()
    found.append(text[start:])
    return [line for line in (" ".join(part.split()) for part in found) if line]


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    following = text[match.end() : match.end() + 1]
    if match.group().startswith("\n"):
        return not (following.islower() and _last(text, start, match.start()) not in ".!?:;")
    if match.group()[0] in "!?…" or match.group().startswith(".."):
        return True
    # The word before the full stop decides; a look back of 40 characters holds any word.
    word = text[max(start, match.start() - 40) : match.start()].split()
    last = word[-1].lstrip("([\"'“‘") if word else ""
    opens = text[start : match.start()].strip() == last  # nothing but this word so far
    if _LIST_MARK.fullmatch(last + ".") and opens:
        return False
    if "\n" in match.group():
        return True
    if last.lower() in _ABBREVIATIONS:
        return False
    if last.lower() in _BEFORE_NUMBER:
        return not following.isdigit()
    if len(last) == 1 and last.isupper() and following.isupper() and len(word) > 1:
        before = word[-2]
        return not before[0].isupper() or before.lower() in _LETTERED
    return True


def _last(text: str, start: int, end: int) -> str:
    stripped = text[max(start, end - 40) : end].rstrip()
    return stripped[-1:] or "."


@dataclass(frozen=True)
class Cut:
    """What the model did not read of a text that is longer than it reads.

    tokens_read and tokens_total are of the whole prompt, as the backbone's tokenizer counts.
    """

    tokens_read: int
    tokens_total: int
    unread_text: str
    words_unread: int


def cut_to(
    tokenizer: Any, before: str, text: str, after: str, max_tokens: int
) -> tuple[list[int], Cut | None]:
    """Token ids of `before + text + after`, at most `max_tokens`, and what was cut off.

    The prompt stays whole; the end of the text goes, at a token boundary that splits no
    character. The second value is None where everything is read. `tokenizer` is a fast tokenizer
    of transformers.

    Raises InputError where the prompt alone is longer than `max_tokens`.
    """
    encoded = tokenizer(
        before + text + after,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        return_attention_mask=False,
        truncation=False,
        verbose=False,
    )
    ids = list(encoded["input_ids"])
    total = len(ids)
    if total <= max_tokens:
        return ids, None

    text_start, text_end = len(before), len(before) + len(text)
    offsets = encoded["offset_mapping"]
    in_text = [
        index
        for index, ((begin, end), special) in enumerate(
            zip(offsets, encoded["special_tokens_mask"], strict=True)
        )
        if not special and end > text_start and begin < text_end
    ]
    keep = len(in_text) - (total - max_tokens)
    # A character of several tokens has the same place for each of them: take all or none.
    while keep > 0 and offsets[in_text[keep]][0] < offsets[in_text[keep - 1]][1]:
        keep -= 1
    if keep < 1:
        raise InputError(f"The prompt alone is longer than the {max_tokens} tokens that are read.")
    dropped = set(in_text[keep:])
    kept = [token for index, token in enumerate(ids) if index not in dropped]
    unread = text[max(0, offsets[in_text[keep - 1]][1] - text_start) :].strip()
    return kept, Cut(len(kept), total, unread, len(unread.split()))
