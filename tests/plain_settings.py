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
        ban = settings.pop("no_repeat_ngram_size", 0)
        settings["prefix_allowed_tokens_fn"] = real_words(tokenizer, ids, ban)
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


def real_words(tokenizer: Any, prompt: list[int], ban: int = 0) -> Callable[[int, Any], list[int]]:
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

    def point_here(before: str, figures: str, behind: str) -> bool:
        """Whether these figures count a list's points, as the first or as the next to the last."""
        if behind[:1] not in ("", ".", ")"):
            return False
        before = before.rstrip(" ")
        if before and before[-1] not in "\n.:":
            return False
        if figures == "1" or before.endswith(":"):
            return figures == "1"
        told = re.sub(r"[0-9]\.[0-9]", "#", before)  # decimals
        lines = re.split(r"(?m)^ *|(?<![0-9])\. *|\.  *", told)
        points = [one[1] for line in lines if (one := re.match(r"([0-9]{1,2})[.)]", line + "."))]
        return bool(points) and figures == str(int(points[-1]) + 1)

    def counts(written: str, piece: str) -> bool:
        """Whether every number that the piece touches is one of the text's, or a point's."""
        if not re.search("[0-9]", written[-2:] + piece):
            return True
        whole = written + piece
        for number in re.finditer(r"[0-9]+(?:[.,][0-9]+)*", whole):
            if number.end() + 1 < len(written):
                continue
            figures, behind = number.group(), whole[number.end() :]
            point = point_here(whole[: number.start()], figures, behind)
            open_ = behind in ("", ".", ",") and any(
                n.startswith(figures + behind) for n in numbers
            )
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

    # a letter and its figures: "b twelve", "l4-5", "l four and five"
    figure = f"(?:[0-9]+|{'|'.join((*ONES, *TENS))})"
    between = "(?: ?[-/,&] ?| and | to | through | (?=[a-z]))"
    lettered: dict[str, set[str]] = {}
    for letter, gap, run in re.findall(
        rf"(?<![a-z0-9'’])([a-z])([ -]?)({figure}\b(?:{between}{figure}\b)*)", text.lower()
    ):
        told = re.findall(figure, run)
        if letter in "ai":
            told = told[:1] if told[0].isdecimal() and gap != " " else []
        found = {number[0] for one in told for number in numbers_of(one)}
        lettered.setdefault(letter, set()).update(found)
    if re.search(r"\ba[ -]one[ -]c\b", text.lower()):
        lettered.setdefault("a", set()).add("1")

    @cache
    def glued(before: str) -> frozenset[int]:
        """What would stand behind this character without a space, as nothing does in the text."""
        told = text.lower()
        words = {token: re.match(f"{LETTERS}*", piece)[0] for token, piece in enumerate(pieces)}
        if before and before in ".,;:?!)":
            half_day = before == "." and re.search(r"\b[ap]m\b", told)
            return frozenset(
                token
                for token, word in words.items()
                if word and before + word not in told and not (half_day and word == "m")
            )
        if re.fullmatch("[0-9]", before):
            known = {*re.findall(rf"[0-9]({LETTERS}+)", told), "st", "nd", "rd", "th"}
            decades = {f"{word[:-1]}ies" for word in TENS} & set(re.findall(f"{LETTERS}+", told))
            known |= {"s"} if decades else set()
            return frozenset(
                token
                for token, word in words.items()
                if word and not any(one.startswith(word) for one in known)
            )
        if re.fullmatch(LETTERS, before):
            return frozenset(
                token
                for token, piece in enumerate(pieces)
                if piece[:1] in set("0123456789")
                and before + piece[0] not in told
                and piece[0] not in lettered.get(before, ())
            )
        return frozenset()

    twice = set(re.findall(rf"({LETTERS}+)\s+(?=\1\b)", text.lower()))

    @cache
    def doubled(tail: str, begun: bool) -> frozenset[int]:
        """What writes a word once more behind itself, or four and more of its letters, and no
        longer word of the text; or what ends such a longer one too soon. Of a word that is begun, or
        of one that the piece begins."""
        found = set()
        for token, piece in enumerate(pieces):
            for pair in re.finditer(rf"({LETTERS}+) (?=({LETTERS}+)(.?))", tail + piece, re.DOTALL):
                first, second, behind = pair.groups()
                if (pair.start(2) < len(tail)) != begun:
                    continue
                if first in twice or (pair.end(2) <= len(tail) and second != first):
                    continue  # the text does so, or it was written before
                longer = [word for word in own if word != first]
                if second == first:
                    wrong = not (not behind and any(word.startswith(second) for word in longer))
                elif first.startswith(second):
                    others = sum(word.startswith(second) and word != first for word in known)
                    most = len(second) > 3 or not others
                    wrong = most and not any(word.startswith(second) for word in longer)
                else:  # it went on from the whole of the word
                    grown = begun and second.startswith(first) and tail.endswith(f"{first} {first}")
                    wrong = grown and not any(word.startswith(second) for word in longer)
                if wrong:
                    found.add(token)
        return frozenset(found)

    parts = {token for token in ids if "\ufffd" in shown[token]}  # of a character

    @cache
    def halved(last: tuple[int, ...]) -> frozenset[int]:
        """What the text does not write behind the parts of a character, or begins none with."""
        for context in (last[start:] for start in range(len(last))):
            size = len(context)
            follow = [
                (prompt[at + size : at + size + 1] or [None])[0]
                for at in range(len(prompt))
                if tuple(prompt[at : at + size]) == context
            ]
            if follow:
                return frozenset(ids - set(follow))
        begun = {token for before, token in zip([None, *prompt], prompt) if before not in parts}
        return frozenset(parts - begun)

    def at_end(tokens: list[int]) -> tuple[int, ...]:
        size = 0
        while size < 4 and size < len(tokens) and tokens[-1 - size] in parts:
            size += 1
        return tuple(tokens[len(tokens) - size :])

    def repeated(tokens: list[int], written: str) -> set[int]:
        """What would be there twice with what stands before it, but for the rest of a number."""
        grams = [tuple(tokens[at : at + ban]) for at in range(len(tokens) - ban + 1)]
        found = {gram[-1] for gram in grams if gram[:-1] == tuple(tokens[len(tokens) - ban + 1 :])}
        rest = "[0-9.,]" if re.search(r"[0-9]\Z", written) else None
        rest = "[0-9]" if re.search(r"[0-9][.,]\Z", written) else rest
        return {token for token in found if not (rest and re.fullmatch(rest, pieces[token]))}

    def allowed(_: int, tokens: Any) -> list[int]:
        whole = tokenizer.decode(tokens, skip_special_tokens=True)
        written = whole.lower()
        part = re.split(r"[\W\d_]", written)[-1]
        wrong = [bent(part), sided(part), halved(at_end(tokens.tolist()))]
        tail = re.search(rf"(?:{LETTERS}+ )?{LETTERS}*\Z", written)[0]
        wrong += [glued(written[-1:]), doubled(tail, True), doubled(tail, False)]
        if "%" not in text and not re.search(r"\bper ?cent", text.lower()):
            wrong += [frozenset(token for token in ids if "%" in pieces[token])]
        # of numbers the whole text says what the next point of a list is
        begins = re.search(r"(?:\A|[\n.:]) *([0-9]*[.,]?[0-9]* *)?\Z", written)
        wrong += [untold(written if begins else written[-12:])]
        if whole[-1:].islower():
            wrong.append(capitals)
        fit = sorted(ids - (repeated(tokens.tolist(), written) if ban else set()))
        faults = {token: sum(token in one for one in wrong) for token in fit}
        least = min(faults.values())
        return [token for token in fit if faults[token] == least]

    return allowed
