"""A decoding as plain transformers take it, written apart from the engine's way."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any

from summarizer.numbers import ONES, TENS, numbers_of
from summarizer.sides import unsaid_of
from summarizer.tasks import Decoding

LETTERS = r"[^\W\d_]"
POINTS = {str(number) for number in range(1, 41)}  # of a list


def plain_settings(
    decoding: Decoding, ids: list[int], ends: Collection[int], tokenizer: Any = None
) -> dict[str, Any]:
    """Arguments of `generate` for one row of token ids; the tokenizer lies beside a lexicon.

    Beams with a flag: as `flag_first` changes them.
    """
    settings = {name: value for name, value in decoding.to_dict().items() if value}
    bias = []
    if end := settings.pop("end_bias", None):
        bias += [[[token], end] for token in ends]
    if copy := settings.pop("copy_bias", None):
        pairs = {pair for pair in zip(ids, ids[1:], strict=False) if pair[1] not in ends}
        bias += [[list(pair), copy] for pair in sorted(pairs)]
    if settings.pop("lexicon", False):
        settings["prefix_allowed_tokens_fn"] = real_words(tokenizer, ids)
    if settings.pop("flag", False):
        others = settings.get("prefix_allowed_tokens_fn")
        settings["prefix_allowed_tokens_fn"] = findings_first(tokenizer, others)
    return settings | ({"sequence_bias": bias} if bias else {})


def unbroken(text: str, decoding: Decoding, ids: list[int], tokenizer: Any) -> str:
    """A text that the limit ended, as the engine shows it: no half word where words are real."""
    if not decoding.lexicon:
        return text
    words, _ = listed(tokenizer.name_or_path)
    prompt = tokenizer.decode(ids, skip_special_tokens=True).lower()
    rest, half = re.fullmatch(rf"(.*?)({LETTERS}*)", text, re.DOTALL).groups()
    known = {"", *re.findall(rf"{LETTERS}+", prompt)} | words
    return text if half.lower() in known else rest.rstrip()


def findings_first(tokenizer: Any, others: Callable | None) -> Callable[[int, Any], list[int]]:
    """The same for what is flagged as abnormal: its first word is no denial, if another can be."""
    abnormal = tokenizer.convert_tokens_to_ids("<extra_id_1>")
    shown = [tokenizer.decode([token]).strip().lower() for token in range(len(tokenizer))]
    denials = "no normal not none negative clear unremarkable without".split()

    def allowed(row: int, tokens: Any) -> list[int]:
        fit = others(row, tokens) if others else list(range(len(shown)))
        if len(tokens) < 2 or tokens[1] != abnormal:
            return fit
        if re.sub(r"^1[.)]", "", tokenizer.decode(tokens[2:]).strip()).strip():
            return fit
        return [token for token in fit if shown[token] not in denials] or fit

    return allowed


def flag_first(model: Any, given: Any, decoding: Decoding, settings: dict[str, Any]) -> None:
    """With beams a text begins with the token that it begins with greedily."""
    if not decoding.flag or decoding.num_beams == 1:
        return
    one = settings | {"num_beams": 1, "max_new_tokens": 1}
    one.pop("length_penalty", None)
    flag = model.generate(**given, do_sample=False, **one)[0, 1].item()
    others = settings.get("prefix_allowed_tokens_fn")

    def allowed(row: int, tokens: Any) -> list[int]:
        if len(tokens) == 1:
            return [flag]
        return others(row, tokens)

    settings["prefix_allowed_tokens_fn"] = allowed


@cache
def listed(folder: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words of the lexicon that lies there, and how words may begin."""
    words = frozenset((Path(folder) / "lexicon.txt").read_text().split())
    return words, frozenset(beginnings(words))


def beginnings(words: Collection[str]) -> set[str]:
    return {word[:end] for word in words for end in range(len(word) + 1)}


def real_words(tokenizer: Any, prompt: list[int]) -> Callable[[int, Any], list[int]]:
    """What transformers' `prefix_allowed_tokens_fn` takes: real words, the text's numbers and sides.

    It goes through the whole vocabulary at every step: slow, and plain to see.
    """
    known, known_begun = listed(tokenizer.name_or_path)
    text = tokenizer.decode(prompt, skip_special_tokens=True)
    numbers = numbers_of(text)
    own = set(re.findall(f"{LETTERS}+", text.lower()))
    own_begun = beginnings(own)
    shown = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    pieces = [piece.lower() for piece in shown]
    for token in tokenizer.all_special_ids:
        pieces[token] = "\0"

    def is_word(text: str) -> bool:
        return text in known or text in own

    def begins(text: str) -> bool:
        return text in known_begun or text in own_begun

    def fits(part: str, piece: str) -> bool:
        if re.fullmatch(f"{LETTERS}+", piece):
            return begins(part + piece)
        first, last = (re.split(r"[\W\d_]", piece)[end] for end in (0, -1))
        return (not part + first or is_word(part + first)) and (not last or begins(last))

    def counts(written: str, piece: str) -> bool:
        """Whether every number that the piece touches is one of the text's, or a point's."""
        if not re.search("[0-9]", written[-2:] + piece):
            return True
        whole = written + piece
        for number in re.finditer(r"[0-9]+(?:\.[0-9]+)*", whole):
            if number.end() + 1 < len(written):
                continue
            figures, behind = number.group(), whole[number.end() :]
            begins = re.search(r"(?:\A|[\n.:;]) *\Z", whole[: number.start()])
            point = begins and figures in POINTS and behind[:1] in ("", ".", ")")
            open_ = behind in ("", ".") and any(n.startswith(figures + behind) for n in numbers)
            if not (point or open_ or figures in numbers):
                return False
        return True

    ids = frozenset(range(len(pieces)))
    # where a capital follows a small letter in the text itself
    told = {after for before, after in zip(prompt, prompt[1:]) if shown[before][-1:].islower()}
    capitals = {
        token
        for token in ids - told
        if re.fullmatch(f"{LETTERS}+", shown[token]) and shown[token] != shown[token].lower()
    }

    @cache
    def bent(part: str) -> frozenset[int]:
        return frozenset(token for token in ids if not fits(part, pieces[token]))

    unsaid = unsaid_of(text)
    others = [word for word in (*known, *own) if word not in unsaid]
    starts = {word[:end] for word in unsaid for end in range(1, len(word))}
    # nor the beginnings that lead to nothing else
    unsaid |= {start for start in starts if not any(one.startswith(start) for one in others)}

    @cache
    def sided(part: str) -> frozenset[int]:
        """The pieces with which a side is written that the text does not say."""
        parted = {token: re.split(r"[\W\d_]", pieces[token]) for token in ids}
        return frozenset(
            token
            for token, parts in parted.items()
            if part + parts[0] in unsaid and parts[0] or parts[-1] in unsaid and len(parts) > 1
        )

    @cache
    def untold(written: str) -> frozenset[int]:
        return frozenset(token for token in ids if not counts(written, pieces[token]))

    lettered = {
        f"{letter}{number[0]}"
        for letter, word in re.findall(r"\b([a-z])[ -](?=([a-z]+))", text.lower())
        for number in numbers_of(word)
        if ((word in ONES or word in TENS) and letter not in "ai")
        or (letter == "a" and word == "one" and "a one c" in text.lower().replace("-", " "))
    }

    @cache
    def glued(before: str) -> frozenset[int]:
        """What would stand behind this character without a space, as nothing does in the text."""
        told = text.lower()
        words = {token: re.match(f"{LETTERS}*", piece)[0] for token, piece in enumerate(pieces)}
        if before and before in ".,;:?!)":
            return frozenset(t for t, word in words.items() if word and before + word not in told)
        if re.fullmatch(LETTERS, before):
            return frozenset(
                token
                for token, piece in enumerate(pieces)
                if piece[:1] in set("0123456789")
                and before + piece[0] not in told
                and before + piece[0] not in lettered
            )
        return frozenset()

    @cache
    def doubled(part: str) -> frozenset[int]:
        """The word that is being ended once more, or four and more of its letters."""
        if not part or f"{part} {part}" in text.lower():
            return frozenset()
        return frozenset(
            token
            for token, piece in enumerate(pieces)
            if re.fullmatch(f" {LETTERS}+", piece)
            and part.startswith(piece[1:])
            and (piece[1:] == part or len(piece) > 4)
        )

    parts = {token for token in ids if "\ufffd" in shown[token]}  # of a character
    pairs = set(zip([None, *prompt], prompt))

    @cache
    def halved(last: int | None) -> frozenset[int]:
        """What the text does not write behind a part of a character, or begins none with."""
        if last in parts and any(before == last for before, _ in pairs):
            return frozenset(token for token in ids if (last, token) not in pairs)
        begun = {token for before, token in pairs if before not in parts}
        return frozenset(parts - begun)

    def allowed(_: int, tokens: Any) -> list[int]:
        whole = tokenizer.decode(tokens, skip_special_tokens=True)
        written = whole.lower()
        part = re.split(r"[\W\d_]", written)[-1]
        last = tokens[-1].item() if len(tokens) else None
        wrong = [bent(part), untold(written[-12:]), sided(part), halved(last)]
        wrong += [glued(written[-1:]), doubled(part)]
        if whole[-1:].islower():
            wrong.append(capitals)
        faults = [sum(token in one for one in wrong) for token in sorted(ids)]
        least = min(faults)
        return [token for token in sorted(ids) if faults[token] == least]

    return allowed
