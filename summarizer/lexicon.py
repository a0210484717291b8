"""Decoding held to words that exist, and to the numbers and sides that the text says.

A small model that writes word by parts joins parts that make no word ("Atenololol", "occipight").
Here a word may only grow into one that the base has read often enough, or that stands in the text
(as recognisers of speech and handwriting hold their search to a lexicon). A word that exists can
still be the wrong one. Numbers are taken from the text alone, in figures or in words
(`summarizer.numbers`), but for those that count the points of a list one by one: an age, a dose or a
size that nobody has told is made up. So is "left" or "right" of a text that does not name that side
(`summarizer.sides`). A text is what is read at once: a long one's window.

A word is a run of letters; inside one no capital follows a small letter, but for tokens of the text
("mmHg"). Marks and spaces are free, but for a mark of several tokens ("≥"), which is written as the
text has it: a part of it is no character; and "%" is written where the text says it. Without a
space between them a word comes behind a full stop or a figure, and a figure behind a letter, only as
they do in the text ("p.m.", "5mg", "L4"); and no word stands twice in a row ("has has") that does
not there.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from summarizer.numbers import DECADES, NUMBER_WORDS, numbers_of
from summarizer.sides import unsaid_of

FILE = "lexicon.txt"  # beside a base model's weights: a word a line, small letters, sorted
WORD = re.compile(r"[^\W\d_]+")

# What a token that would leave the lexicon loses. It is not minus infinity: where another rule
# forbids everything else, such a token is still better than none.
PENALTY = 1e4
# From so many words on that begin alike, trying every token is less work than going through them.
_MANY = 3000
_ENDING = frozenset(".,;:?!)")  # marks behind which a space stands
# A letter and the figures that go with it: "L4-5", "B-12", in words "b twelve", "l four to five",
# "a one c"; not "a 4 cm", "a hundred", "I one day".
_FIGURE = f"(?:[0-9]+|(?:{'|'.join(sorted(NUMBER_WORDS))})\\b)"
_MORE = rf"(?: ?[-/,&] ?[0-9]+\b|(?:-| and | to | through ){_FIGURE}| (?![0-9]){_FIGURE})*"
_LETTERED = re.compile(
    rf"(?<![^\W_])(?<!['’])(?:([b-hj-z])[ -]?({_FIGURE}{_MORE})|([ai])-?([0-9]+)|(a)[ -](one)[ -]c\b)"
)
_BEHIND_FIGURES = ("st", "nd", "rd", "th")
_DECADE = re.compile(rf"\b(?:{'|'.join(DECADES)})\b")  # "the 80s"
# Figures and the marks between them, then what is none of them.
_NUMBER = re.compile(r"([0-9]*(?:[.,][0-9]+)*)(.*)", re.DOTALL)
_DOUBLED = re.compile(r"(?<![^\W\d_])([^\W\d_]+)\s+(?=\1(?![^\W\d_]))")
_PERCENT = re.compile(r"%|\bper ?cent")
_LETTERS_AT_END = re.compile(r"[^\W\d_]*\Z")
_POINT = re.compile(r"(?:\A|\n|(?<![0-9])\.|\. ) *([0-9]{1,2})[.)](?![0-9])")  # of a list: "2."
_LAST = "\U0010ffff"
_MOST = 4  # letters that a word hardly shares with the next
_BYTES = 4  # of a character at most
_LONGEST = 32  # tokens looked back for the beginning of a word


def words_of(text: str) -> set[str]:
    """The words of a text, in small letters."""
    return {word.lower() for word in WORD.findall(text)}


class Lexicon:
    """The words that may be written, and which tokens lead to them."""

    def __init__(self, words: Iterable[str], pieces: Sequence[str | None]) -> None:
        """
        Args:
            words: in small letters.
            pieces: the text of each token by its id, its space included; "" for a special token,
                None for a token that is no text by itself (part of a character's bytes): it ends
                a word as a mark does.
        """
        self._words = sorted(set(words))
        self._size = len(pieces)
        self._letters: dict[str, list[int]] = defaultdict(list)  # a word is carried on
        self._begins: dict[str, list[int]] = defaultdict(list)  # a mark or space, then a new word
        self._mixed: list[tuple[str, str, int]] = []  # carried on, ended, and another begun
        self._plain: list[int] = []  # no letter at all: the word before must be whole
        self._ends_with: list[str | None] = []  # a token's last letters; None: letters throughout
        self._pieces: list[str] = []
        self._figures: list[tuple[int, str]] = []  # tokens that hold a figure, with their text
        self._small_end: list[bool] = []  # a token ends with a small letter
        self._capital: list[bool] = []  # it carries a word on, with a capital
        self._point: list[int] = []  # what stands behind the number of a list's point
        self._marks: list[tuple[int, str]] = []  # what stands between a number's parts
        self._parts: set[int] = set()  # of a character's bytes
        self.percent: list[int] = []  # tokens with the sign
        self._headed: list[int] = []  # begins with a letter
        self._spaced: dict[str, list[int]] = defaultdict(list)  # a space, then letters alone
        for token, piece in enumerate(pieces):
            if piece is None:
                self._parts.add(token)
            text = "\ufffd" if piece is None else piece.lower()
            head = WORD.match(text)
            tail = re.search(r"[^\W\d_]*\Z", text)
            last = tail.group() if tail else ""
            if head:
                self._headed.append(token)
            if last and text == f" {last}":
                self._spaced[last].append(token)
            whole = bool(head) and head.end() == len(text)  # type: ignore[union-attr]
            self._pieces.append(text)
            if "%" in text:
                self.percent.append(token)
            self._small_end.append((piece or "")[-1:].islower())
            self._capital.append(whole and piece != text)
            if re.search("[0-9]", text):
                self._figures.append((token, text))
            elif text[:1] in (".", ")"):
                self._point.append(token)
            if text in (".", ","):
                self._marks.append((token, text))
            self._ends_with.append(None if whole else last)
            if whole:
                self._letters[text].append(token)
            elif head:
                self._mixed.append((head.group(), last, token))
            elif last:
                self._begins[last].append(token)
            else:
                self._plain.append(token)
        self._cache: dict[str, Any] = {}
        self._new_word = self._tokens_of(self._begins, "")

    @classmethod
    def read(cls, path: Path, tokenizer: Any) -> Lexicon:
        """The lexicon of a file for a tokenizer. Raises OSError, UnicodeDecodeError."""
        return cls(path.read_text(encoding="utf-8").split(), pieces_of(tokenizer))

    @cached_property
    def _headed_mask(self) -> Any:
        import torch

        mask = torch.zeros(self._size, dtype=torch.bool)
        mask[self._headed] = True
        return mask

    def __contains__(self, word: str) -> bool:
        place = bisect_left(self._words, word)
        return place < len(self._words) and self._words[place] == word

    def text_of(self, tokens: Sequence[int]) -> str:
        """What tokens say, in small letters; a mark stands for what is no text by itself."""
        return "".join(self._pieces[token] for token in tokens if token < self._size)

    def unfinished(self, tokens: Sequence[int]) -> str:
        """The letters of the word that the last of these tokens leave open."""
        parts: list[str] = []
        for token in reversed(tokens):
            last = self._ends_with[token] if token < self._size else ""
            if last is not None:
                parts.append(last)
                break
            parts.append(self._pieces[token])
        return "".join(reversed(parts))

    def allowed(self, part: str) -> Any:
        """Which tokens may follow an unfinished word ("": none is), as a bool tensor [tokens]."""
        import torch

        if part in self._cache:
            return self._cache[part]
        mask = torch.zeros(self._size, dtype=torch.bool)
        mask[self._tokens_of(self._letters, part)] = True
        if not part or part in self:
            mask[self._plain] = True
            mask[self._new_word] = True
        for head, last, token in self._mixed:
            if part + head in self and (not last or self.begins(last)):
                mask[token] = True
        if len(self._cache) >= 4096:  # 8 KB each
            self._cache.clear()
        self._cache[part] = mask
        return mask

    def allowed_also(self, part: str, words: Collection[str]) -> list[int]:
        """The tokens that may follow as well where these words, too, may be written."""
        rests = (word[len(part) :] for word in words if word.startswith(part))
        found = list(_steps(self._letters, rests))
        if not part or part in self or part in words:
            found += _steps(self._begins, words)
        if part and part in words:
            found += self._plain + self._new_word
        return found

    def with_dead_ends(self, words: Collection[str], own: Iterable[str]) -> set[str]:
        """Words that may not be written, and their beginnings that are no other word's: neither of
        this lexicon nor of a text's `own`."""
        others = [word for word in own if word not in words]

        def leads_on(part: str) -> bool:
            if any(word.startswith(part) for word in others):
                return True
            place = bisect_left(self._words, part)
            while place < len(self._words) and self._words[place].startswith(part):
                if self._words[place] not in words:
                    return True
                place += 1
            return False

        parts = {word[:end] for word in words for end in range(1, len(word))}
        return {*words, *(part for part in parts if not leads_on(part))}

    def leading_to(self, part: str, words: Collection[str]) -> list[int]:
        """The tokens with which an unfinished word ("": none is) becomes one of these."""
        found = [
            token for head, last, token in self._mixed if part + head in words or last in words
        ]
        for word in words:
            found += self._begins.get(word, ())
            if word.startswith(part):
                found += self._letters.get(word[len(part) :], ())
        return found

    def capitals(self, tokens: Sequence[int]) -> Any:
        """The tokens that carry a word on with a capital, as a bool tensor; not those that do so in
        a text's own words: "McDonald" says "D" after a small letter, "Doctor" does not.
        """
        import torch

        mask = torch.tensor(self._capital)
        pairs = zip(tokens, tokens[1:], strict=False)
        mask[
            [token for before, token in pairs if self.ends_small(before) and token < self._size]
        ] = False
        return mask

    def glued(self, before: str, text: str) -> Any:
        """The tokens that would stand behind the character `before` without a space, as nothing
        does in this text (small letters), as a bool tensor [tokens].
        """
        import torch

        mask = torch.zeros(self._size, dtype=torch.bool)
        if before in _ENDING:
            mask |= self._headed_mask
            words = re.findall(rf"{re.escape(before)}([^\W\d_]+)", text)
            words += ["m"] if before == "." and re.search(r"\b[ap]m\b", text) else []  # "10 pm"
            mask[list(_steps(self._letters, words))] = False
        elif before.isdecimal():
            mask |= self._headed_mask
            words = [*_BEHIND_FIGURES, *re.findall(r"[0-9]([^\W\d_]+)", text)]
            words += ["s"] if _DECADE.search(text) else []
            mask[list(_steps(self._letters, words))] = False
        elif before.isalpha():
            known = {*re.findall(f"{before}([0-9])", text), *_lettered(text).get(before, ())}
            mask[
                [
                    token
                    for token, piece in self._figures
                    if piece[0].isdecimal() and piece[0] not in known
                ]
            ] = True
        return mask

    def again(self, before: str, part: str | None, own: Collection[str]) -> list[int]:
        """The tokens that write a word once more behind itself, or the most of it.

        Args:
            before: the word.
            part: the letters of the next one so far; None: a space is still to come.
            own: a text's words. One that begins as the word does may be what is being written
                ("the thecal sac"); then it has to be.
        """
        others = [word for word in own if word.startswith(before[:1]) and word != before]
        if part == before:
            rests = [word[len(before) :] for word in others if word.startswith(before)]
            going_on = {*_steps(self._letters, rests)}
            return [token for token in range(self._size) if token not in going_on]
        table, written = (self._spaced, "") if part is None else (self._letters, part)
        return [
            token
            for end in range(len(written) + 1, len(before) + 1)
            if end >= min(len(before), _MOST) or not self._others_begin(before[:end], before)
            if not any(word.startswith(before[:end]) for word in others)
            for token in table.get(before[len(written) : end], ())
        ]

    def carries_on(self, text: str, token: int) -> bool:
        """Whether a token carries on the number that a text ends with."""
        if token >= self._size or not re.search("[0-9][.,]?\\Z", text):
            return False
        piece = self._pieces[token]
        return piece.isdecimal() or (text[-1].isdecimal() and piece in (".", ","))

    def is_part(self, token: int) -> bool:
        """Whether a token is part of a character's bytes and no text by itself."""
        return token in self._parts

    def parts_at_end(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """The last tokens, as far as each is part of a character's bytes; of one character, no
        more."""
        at = len(tokens)
        while at and len(tokens) - at < _BYTES and self.is_part(tokens[at - 1]):
            at -= 1
        return tuple(tokens[at:])

    def parts(self, tokens: Sequence[int]) -> dict[tuple[int, ...], Any]:
        """Which tokens may follow those that are parts of a character's bytes (`parts_at_end`):
        what follows them in a text, as bool tensors [tokens]; behind (), which stands for any
        other, all but the parts that begin no character there.
        """
        import torch

        found: dict[tuple[int, ...], Any] = {}
        first = torch.ones(self._size, dtype=torch.bool)
        first[list(self._parts)] = False
        for at, token in enumerate([*tokens, -1]):
            before = self.parts_at_end(tokens[:at])
            if not before and self.is_part(token):
                first[token] = True
            for start in range(len(before)):
                after = found.setdefault(before[start:], torch.zeros(self._size, dtype=torch.bool))
                if 0 <= token < self._size:
                    after[token] = True
        return {**found, (): first}

    def ends_small(self, token: int) -> bool:
        """Whether a token ends with a small letter."""
        return token < self._size and self._small_end[token]

    def allowed_numbers(
        self,
        part: str,
        points: Collection[str],
        behind: Collection[str],
        numbers: Collection[str],
    ) -> Any:
        """Which tokens may follow where only these numbers may be written.

        Args:
            part: the figures and marks of an unfinished number, "" where none is.
            points: what it may be as the number of a list's point, if a full stop or a bracket
                follows.
            behind: what another number may be so that begins here (`open_number` has these three).

        Returns:
            A bool tensor [tokens].
        """
        import torch

        starts = _beginnings(numbers)
        counted = _beginnings(points)
        # Behind a mark the number may have ended already, with its sentence or as a list's.
        whole = part.rstrip(".,")
        counts = whole in points
        ended = not part or whole in numbers or (counts and part.endswith("."))
        mask = torch.full((self._size,), ended)
        if counts and whole == part:
            mask[self._point] = True
        for token, piece in self._figures:
            number, rest = _NUMBER.fullmatch(part + piece).groups()  # type: ignore[union-attr]
            if not rest:
                fits = number in starts or number in counted
            else:  # the number ends, then comes something else, then perhaps another number
                last = re.search("[0-9]*\\Z", rest).group()  # type: ignore[union-attr]
                between = rest[: len(rest) - len(last)]
                near = number == whole and not between[len(part) - len(whole) :].strip(" ")
                begins = behind if near else points_of(between)
                fits = (ended if number == whole else number in numbers) and (
                    not last or last in starts or last in _beginnings(begins)
                )
            mask[token] = fits
        if whole == part:
            for token, mark in self._marks:
                mask[token] |= part + mark in starts
        return mask

    def without_half_word(self, text: str, prompt: Sequence[int]) -> str:
        """A text that the limit ended, without the word that it broke off.

        A last word that is neither here nor in the prompt (its token ids) was not finished.
        """
        last = re.search(r"[^\W\d_]+\Z", text)
        if last is None or last[0].lower() in {*words_of(self.text_of(prompt))}:
            return text
        return text if last[0].lower() in self else text[: last.start()].rstrip()

    def begins(self, part: str) -> bool:
        """Whether a word of the lexicon begins so."""
        place = bisect_left(self._words, part)
        return place < len(self._words) and self._words[place].startswith(part)

    def _others_begin(self, part: str, word: str) -> bool:
        """Whether another word of the lexicon than this one begins so."""
        place = bisect_left(self._words, part)
        alike = self._words[place : place + 2]
        return any(one != word and one.startswith(part) for one in alike)

    def _tokens_of(self, table: dict[str, list[int]], part: str) -> list[int]:
        """The tokens of a table (letters -> ids) of which the letters carry `part` on."""
        low = bisect_left(self._words, part)
        high = bisect_left(self._words, part + _LAST)
        if high - low > _MANY:
            return [
                token
                for letters, tokens in table.items()
                if self.begins(part + letters)
                for token in tokens
            ]
        return sorted(set(_steps(table, (word[len(part) :] for word in self._words[low:high]))))


def open_number(text: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """The number that a text ends with, what it may be as the number of a list's point, and what
    one may be that begins at the end (`points_of`).

    A full stop or a comma behind figures is part of it: a decimal may follow.
    """
    part = re.search(r"(?:[0-9]+(?:[.,][0-9]+)*[.,]?)?\Z", text[-_LONGEST:]).group()  # type: ignore[union-attr]
    behind = points_of(text)
    return part, points_of(text[: len(text) - len(part)]) if part else behind, behind


def points_of(before: str) -> frozenset[str]:
    """What a number behind this text may be that counts the points of a list: where a sentence or a
    line begins, 1 or the next after the last point; behind a colon 1."""
    before = before.rstrip(" ")
    if before and before[-1] not in "\n.:":
        return frozenset()
    last = [int(number) for number in _POINT.findall(before)][-1:]
    return frozenset({"1"} | {str(number + 1) for number in last if before[-1:] != ":"})


@lru_cache(maxsize=64)  # asked of a text for every letter
def _lettered(text: str) -> dict[str, set[str]]:
    """The first figures that may stand behind a letter, by the letter ("b twelve": 1 behind b)."""
    known: dict[str, set[str]] = defaultdict(set)
    for found in _LETTERED.finditer(text):
        letter, figures = (one for one in found.groups() if one)
        known[letter] |= {number[0] for number in numbers_of(figures)}
    return dict(known)


def _beginnings(numbers: Iterable[str]) -> set[str]:
    return {number[:end] for number in numbers for end in range(1, len(number) + 1)}


def _steps(table: dict[str, list[int]], rests: Iterable[str]) -> Iterable[int]:
    """The tokens of which the letters begin one of these rests of words."""
    for rest in rests:
        for end in range(1, len(rest) + 1):
            yield from table.get(rest[:end], ())


def pieces_of(tokenizer: Any) -> list[str | None]:
    """The text that each token adds to one before it, as `Lexicon` takes it."""

    def decoded(rows: list[list[int]]) -> list[str]:
        return tokenizer.batch_decode(rows, clean_up_tokenization_spaces=False)

    # A token at the start of a text may lose its space.
    dot = tokenizer(".", add_special_tokens=False)["input_ids"][-1]
    special = set(tokenizer.all_special_ids)
    ids = range(len(tokenizer))
    before = len(decoded([[dot]])[0])
    texts = decoded([[dot, token] for token in ids])
    return [
        "" if token in special else None if "\ufffd" in text else text[before:]
        for token, text in zip(ids, texts, strict=True)
    ]


class WordsOnly:
    """A logits processor for transformers' `generate`: real words, the text's numbers and sides."""

    def __init__(
        self, lexicon: Lexicon, prompts: Sequence[Sequence[int]], no_repeat_ngram_size: int = 0
    ) -> None:
        """
        Args:
            prompts: token ids of the rows, without padding, in the order of the batch: their words
                may be written as well, and their numbers and sides alone.
            no_repeat_ngram_size: no n-gram of this size is written twice, but for what carries on a
                number: without its last figure it would be another; 0 is off.
        """
        self._lexicon, self._ban = lexicon, no_repeat_ngram_size
        self._rows = [_Row(lexicon, prompt) for prompt in prompts]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The scores [rows x beams, vocabulary], less `PENALTY` for each rule that a token breaks:
        of words, of characters, of what stands next to each other, of the text's numbers and sides.
        """
        import torch

        beams, written = len(scores) // len(self._rows), input_ids.tolist()
        broken = [
            self._rows[place // beams].rules_broken(tokens, scores.shape[1])
            for place, tokens in enumerate(written)
        ]
        scores = scores - PENALTY * torch.stack(broken).to(scores.device)
        for place, tokens in enumerate(written if self._ban else ()):
            if repeating := self._repeating(tokens):
                scores[place, repeating] = -torch.inf
        return scores

    def _repeating(self, tokens: Sequence[int]) -> list[int]:
        """The tokens with which an n-gram would stand there twice."""
        size = self._ban - 1
        tail = tokens[len(tokens) - size :]
        found = {
            tokens[at + size] for at in range(len(tokens) - size) if tokens[at : at + size] == tail
        }
        text = self._lexicon.text_of(tokens[-_LONGEST:]) if found else ""
        return [token for token in found if not self._lexicon.carries_on(text, token)]


class _Row:
    """What may be written of one text."""

    def __init__(self, lexicon: Lexicon, prompt: Sequence[int]) -> None:
        self._lexicon = lexicon
        self._text = lexicon.text_of(prompt)
        self._own = words_of(self._text)
        self._extra = {word for word in self._own if word not in lexicon}
        self._doubled = set(_DOUBLED.findall(self._text))
        self._capitals = lexicon.capitals(prompt)
        self._numbers = numbers_of(self._text)
        self._shares = _PERCENT.search(self._text) is not None
        self._unsaid = lexicon.with_dead_ends(unsaid_of(self._text), self._extra)
        self._parts = lexicon.parts(prompt)
        # What has been asked for, by what it depends on of what is written. A byte a token, since a
        # long text has many rows.
        self._fitting: dict[tuple[str, frozenset[str], frozenset[str]], Any] = {}
        self._glued: dict[str, Any] = {}
        self._found: dict[tuple[Any, ...], Any] = {}

    def rules_broken(self, tokens: Sequence[int], size: int) -> Any:
        """How many rules each of `size` tokens breaks behind these, as bytes [size]."""
        lexicon = self._lexicon
        written, tail = lexicon.text_of(tokens), tokens[-_LONGEST:]
        parts = lexicon.parts_at_end(tail)
        while parts not in self._parts:
            parts = parts[1:]
        part = lexicon.unfinished(tail)
        end = (
            part,
            self._words_before(written, part),
            open_number(written),
            written[-1:],
            lexicon.ends_small(tokens[-1]),
            parts,
        )
        if end not in self._found:
            self._found[end] = self._broken_behind(*end, size)
        return self._found[end]

    def _words_before(self, written: str, part: str) -> tuple[tuple[str, str | None], ...]:
        """The words that may not stand once more behind themselves, with how much of it does; part:
        the letters at the end of what is written."""
        found: list[tuple[str, str | None]] = [(part, None)] if part else []
        before = written[: len(written) - len(part)]
        if before.endswith(" "):
            near = before[-2 * _LONGEST : -1].rpartition(" ")[2]
            word = _LETTERS_AT_END.search(near).group()  # type: ignore[union-attr]
            if word.startswith(part):
                found.append((word, part))
        return tuple(one for one in found if one[0] and one[0] not in self._doubled)

    def _broken_behind(
        self,
        part: str,
        words: tuple[tuple[str, str | None], ...],
        number: tuple[str, frozenset[str], frozenset[str]],
        before: str,
        small: bool,
        parts: tuple[int, ...],
        size: int,
    ) -> Any:
        """part: an unfinished word's letters; words: as `_words_before`, number: as
        `open_number` has it; before: the last character, small: a small letter; parts: as `parts_at_end`."""
        import torch

        lexicon, extra = self._lexicon, self._extra
        wrong = torch.zeros(size, dtype=torch.uint8)
        if number not in self._fitting:
            self._fitting[number] = lexicon.allowed_numbers(*number, self._numbers)
        if before not in self._glued:
            self._glued[before] = lexicon.glued(before, self._text)
        known = slice(len(self._capitals))
        wrong[known] += ~self._fitting[number]
        wrong[known] += ~self._parts[parts]
        wrong[known] += self._glued[before]
        if not self._shares:
            wrong[lexicon.percent] += 1
        if small:
            wrong[known] += self._capitals
        # Else it has left the lexicon already: there is nothing to keep to.
        if lexicon.begins(part) or any(word.startswith(part) for word in extra):
            real = lexicon.allowed(part).clone()
            real[lexicon.allowed_also(part, extra)] = True
            wrong[known] += ~real
        wrong[lexicon.leading_to(part, self._unsaid)] += 1
        for word, begun in words:
            wrong[lexicon.again(word, begun, self._own)] += 1
        return wrong
