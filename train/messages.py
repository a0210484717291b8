"""Consumers' messages drawn as people write them, with the question that each comes to.

The open data sets hold some eight hundred messages: too few to learn which of the names in a long
letter is the one that is asked about, where that name ends, and how a question is put that the
writer has only hinted at. So a message is drawn (`train/grammar/messages.yaml`): a fact that
names a thing, something asked of it, remarks around them, a subject line or none, and the slips of
people who type in a hurry (`train.slips`). What is asked is known from how the message was made,
and the question names the thing as it is spelled, whatever the slip.

Those of `train/grammar/concerns.yaml` stand beside them: what people want to know is more than what
a few dozen kinds of question ask of any disease or drug (whether the drops that froze in
the car are still good, what "unremarkable" means), so each of its entries is a concern of its own.

The remarks are the grammar's, sentences of the training messages that ask nothing (`remarks`), and
what patients say in notes told as conversations (`statements`), so that the other names of a
message are as many and as various as they are in life.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from summarizer.text import sentences
from train.slips import hurried, misspelled
from train.synthetic import capital, chosen, grammar, invented

COMMON = 0.6  # of the conditions, those of the grammar; the others are MedQuAD's
PLACED = 0.15  # of the symptoms, those of a part of the body
INVENTED = 0.12  # of the drugs, those that nobody has heard of
BUILT = 0.6  # of the facts, those put together from parts
NAMED = 0.35  # of what is asked about a thing already named, what names it again
ALONE = 0.15  # of what is asked, what is asked with no fact before it
PUT = 0.18  # of the questions, those that the writer puts as they are to be told
TWO = 0.12  # of the messages, those that ask two things
FOUND = 0.6  # of the remarks, those that are not the grammar's
HOW_MANY = [0, 0, 1, 1, 2, 2, 3, 4, 6, 8, 12]  # remarks
SUBJECT, TITLED, LABELLED = 0.32, 0.1, 0.18  # of the messages: "SUBJECT: ...", "....", "MESSAGE:"
MISSPELLED = 0.1  # of the messages, those that misspell what they ask about
HURRIED = 0.25  # of the messages, those that are typed in a hurry
LOWER, UPPER = 0.15, 0.02  # of the messages, those without capitals, and in nothing else

SLOT = re.compile(r"\{(\w+?)(\d?)\}")
CLAUSE = re.compile(r"^(?:my|I) ")
ARTICLE = re.compile(r"^(?:an?|the|my) ", re.IGNORECASE)
_ASKS = re.compile(
    r"\?|\b(?:want|wants|wish|wonder\w*|know|tell|help\w*|info\w*|looking|interested|would like|"
    r"question\w*|please|pls|advi[cs]e|hope|need|what|why|how|where|which|who|when|if|whether|can|"
    r"could|should|subject|message|thank\w*|regards|sincerely|dear|hello|hi|contact|e?mail|send|"
    r"diagnos\w*|suffer\w*|find|suggest\w*|answer\w*|sir|guide|cure\w*|treat\w*|http\S*|www\S*)\b|"
    r"SUBJECT|[*_/<>]",
    re.IGNORECASE,
)
_STATES = re.compile(r"^(?:I|My|It|We|The|There|He|She)\b[^?]*$")


def remarks(texts: Iterable[str]) -> list[str]:
    """The sentences of messages that ask for nothing and greet nobody, each once."""
    found: dict[str, None] = {}
    for text in texts:
        for sentence in sentences(text):
            if 4 <= len(sentence.split()) <= 26 and not _ASKS.search(sentence):
                found.setdefault(sentence)
    return list(found)


def statements(conversations: Iterable[str], count: int, seed: int = 0) -> list[str]:
    """`count` sentences in which a patient states something, each once."""
    found: dict[str, None] = {}
    for conversation in conversations:
        for turn in re.findall(r"^Patient: (.*)$", conversation, re.MULTILINE):
            for sentence in sentences(turn):
                if 4 <= len(sentence.split()) <= 22 and _STATES.match(sentence):
                    found.setdefault(sentence)
    return random.Random(seed).sample(list(found), min(count, len(found)))


class _Names:
    """What the slots of one message stand for: (as it is said, as the question has it)."""

    def __init__(self, rng: random.Random, rules: dict[str, Any], topics: Sequence[str]):
        self.rng, self.topics = rng, topics
        self.slots = rules["slots"] | rules["concerns"]["slots"]
        self.drawn: dict[str, tuple[str, str]] = {}

    def fill(self, text: str, *, told: bool = False) -> str:
        """The text with its slots filled: as a message has them, or (`told`) as the question has."""
        return SLOT.sub(lambda slot: self._word(slot[1], slot[2], told), text)

    def _word(self, name: str, key: str, told: bool) -> str:
        if name in ("tail", "tailless", "timeahead"):
            return self.fill(self.rng.choice(self.slots[name]))
        if name == "symptoms":  # a clause
            said, written = self.of("symptom", key)
            return said if CLAUSE.match(said) else f"there is {written}"
        if name == "topicbare":
            return ARTICLE.sub("", self.of("topic", key)[0])
        if name == "who" and key:  # within a sentence
            return re.sub("^(?:My|Our)", lambda word: word[0].lower(), self.of("who", key)[0])
        said, written = self.of("symptom" if name == "symptomn" else name, key)
        return written if told or name.startswith("symptom") and CLAUSE.match(said) else said

    def of(self, name: str, key: str = "") -> tuple[str, str]:
        """What the slot stands for; no name stands for two slots."""
        while name + key not in self.drawn:
            value = self._draw(name)
            taken = {written for _, written in self.drawn.values()}
            if value[1] not in taken or name in ("age", "number"):
                self.drawn[name + key] = value
        return self.drawn[name + key]

    def _draw(self, name: str) -> tuple[str, str]:
        rng = self.rng
        if name == "topic":
            known = rng.random() < COMMON or not self.topics
            value = rng.choice(self.slots["common"] if known else self.topics)
        elif name == "drug" and rng.random() < INVENTED:
            value = invented(rng)
        elif name == "symptom" and rng.random() < PLACED:
            value = self._placed()
        elif name == "age":
            value = str(rng.randrange(19, 88))
        else:
            value = rng.choice(self.slots[name])
        said, _, written = value.partition("|")
        return said, written or said

    def _placed(self) -> str:
        ache, part = self.rng.choice(self.slots["ache"]), self.rng.choice(self.slots["part"])
        side = self.rng.choice(["left ", "right ", ""])
        ways = [
            f"{ache} in my {side}{part}|{part} {ache}",
            f"{ache} in the {part}",
            f"{part} {ache}",
            f"my {side}{part} hurts|{part} pain",
        ]
        return self.rng.choice(ways)


def concern(rng: random.Random, names: _Names, entry: str) -> tuple[str, list[str], str]:
    """(subject line or "", what is said, part by part, the question's template) of an entry."""
    said, _, target = entry.partition(" => ")
    said, target = chosen(rng, said, target)
    parts = [_put_together(names.fill(part)) for part in said.split(" // ")]
    subject = parts.pop(0).removeprefix("S: ") if parts[0].startswith("S: ") else ""
    return subject, parts, target


def _put_together(text: str) -> str:
    """As it is written, whatever was chosen: spaces, capitals, "an eye"."""
    text = re.sub(r" +([,.?!])|  +", lambda found: found[1] or " ", text.strip())
    text = re.sub(r"(\A| )(a|\AA) (?=[aeio](?!ne\b|nce\b|u))", r"\1\2n ", text)  # not Retin-A
    return capital(re.sub(r"[.?!] [a-z]", lambda found: found[0].upper(), text))


class _Message:
    """One message in the making: what is said in it, and the question that it comes to."""

    def __init__(
        self, rng: random.Random, rules: dict[str, Any], topics: Sequence[str], *, concerns: bool
    ):
        self.rng, self.rules = rng, rules
        self.names = _Names(rng, rules, topics)
        self.subject, self.kind = "", ""
        if concerns:
            entry = rng.choice(rules["concerns"]["entries"])
            self.subject, self.said, target = concern(rng, self.names, entry)
        elif rng.random() < TWO:
            self.said, target, self.kind = self._two()
        else:
            self.said, target, self.kind = self._one()
        written = self.names.fill(target, told=True)
        self.target = _put_together(written) if concerns else capital(written)

    def _name(self) -> str:
        """What it is about, as it is said; else the longest word that it shares with its question."""
        if self.kind:
            return self.names.of(self.kind)[0]
        words = set(re.findall(r"\w+", " ".join(self.said)))
        return max(words & set(re.findall(r"\w+", self.target)), key=len, default="")

    def _one(self) -> tuple[list[str], str, str]:
        """(what is said and asked, in order, the question's template, what it is about)."""
        rng, intents = self.rng, self.rules["intents"]
        intent = rng.choices(intents, [one["times"] for one in intents])[0]
        kind, ask, may = intent["kind"], rng.choice(intent["asks"]), intent.get("named", True)
        target = rng.choice(intent["target"])
        fact = self._fact(rng.choice(intent["facts"])) if intent["facts"] else ""
        if may and kind != "symptom" and "{it}" in ask and rng.random() < ALONE:
            fact = ""
        if "|" in fact:  # the fact brings its symptom's name with it
            fact, written = map(self.names.fill, fact.split("|"))
            self.names.drawn["symptom"] = (written, written)
        if rng.random() < PUT:
            return self._put(fact, target), target, kind
        named = not fact or (may and rng.random() < NAMED)
        said = [self.names.fill(fact)] if fact else []
        place = 0 if named and rng.random() < 0.3 else len(said)
        said.insert(place, self._asked(kind, ask, named))
        return said, target, kind

    def _two(self) -> tuple[list[str], str, str]:
        """The same, of two things asked of one condition or drug."""
        kind = "topic" if self.rng.random() < 0.75 else "drug"
        first, second = self.rng.sample(list(self.rules["pairs"][kind].values()), 2)
        said = [self.names.fill(self._fact(kind))]
        for one in (first, second):
            said.append(self._asked(kind, self.rng.choice(one["asks"]), self.rng.random() < 0.15))
        return said, f"{first['first']}, and {second['then']}?", kind

    def _put(self, fact: str, target: str) -> list[str]:
        """What is said where the writer puts the question in so many words."""
        question = target.rstrip("?")
        forms = {"{Q}": question, "{q}": _lower_first(question), "{s}": _if(question)}
        wrapper = self.rng.choice(self.rules["wrappers"])
        for slot, words in forms.items():
            wrapper = wrapper.replace(slot, words)
        said = [self.names.fill(wrapper)]
        if fact and self.rng.random() < 0.6:
            said.insert(0 if self.rng.random() < 0.7 else 1, self.names.fill(fact))
        return said

    def _asked(self, kind: str, ask: str, named: bool) -> str:
        thing = {"symptom": "{symptomn}", "value": "my {value}"}.get(kind, f"{{{kind}}}")
        word = thing if named else self.rng.choice(self.rules["it"][kind])
        return self.names.fill(ask.replace("{it}", word))

    def _fact(self, pool: str) -> str:
        """A fact, with its slots: of a pool of the grammar, or the sentence itself."""
        if pool in self.rules["built"] and self.rng.random() < BUILT:
            return self._built(self.rules["built"][pool])
        return self.rng.choice(self.rules["facts"].get(pool, [pool]))

    def _built(self, parts: dict[str, list[str]]) -> str:
        """A fact put together from its parts, with its slots."""
        rng = self.rng
        before = rng.choice(self.rules["built"]["before"])
        if rng.random() < 0.25:
            return rng.choice(parts["others"])
        if rng.random() < 0.6:
            who, verb = "I", rng.choice(parts["I"])
        else:
            who, verb = "{who9}" if before else "{who}", rng.choice(parts["who"])
        return f"{before}{who} {verb} {rng.choice(parts['thing'])}{rng.choice(parts['after'])}."

    def text(self, found: Sequence[str]) -> str:
        """The message as it was sent.

        Args:
            found: sentences to set between what is said, beside the grammar's remarks.
        """
        rng, rules, said = self.rng, self.rules, list(self.said)
        for _ in range(rng.choice(HOW_MANY)):
            if found and rng.random() < FOUND:
                remark = rng.choice(found)
            else:
                remark = self.names.fill(rng.choice(rules["asides"]))
            between = len(said) > 1 and rng.random() < 0.25
            said.insert(1 if between else rng.choice([0, 0, len(said)]), remark)
        parts = [rng.choice(rules["openings"]), *map(capital, said), rng.choice(rules["closings"])]
        return self._sent(" ".join(part for part in parts if part))

    def _sent(self, text: str) -> str:
        """The text as its writer typed it, under a subject line or none."""
        rng = self.rng
        way, subject = rng.random(), self._subject()
        if rng.random() < MISSPELLED:
            text = misspelled(rng, text, self._name())
        if rng.random() < HURRIED:
            text = hurried(rng, text)
        manner = rng.random()
        if manner < LOWER:
            text, subject = text.lower(), subject.lower()
        elif manner < LOWER + UPPER:
            text = text.upper()
        if way < SUBJECT:
            return f"SUBJECT: {subject}\nMESSAGE: {text}"
        if way < SUBJECT + TITLED:
            return f"{subject}.\n{text}"
        return f"MESSAGE: {text}" if way < SUBJECT + TITLED + LABELLED else text

    def _subject(self) -> str:
        choice = self.rng.random()
        if choice < 0.4 and (self.kind or self.subject):
            return self.subject or ARTICLE.sub("", self.names.of(self.kind)[1])
        if choice < 0.55:
            return " ".join(self.target.rstrip("?").split()[-self.rng.randrange(2, 6) :])
        return self.rng.choice(self.rules["subjects"])


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _if(template: str) -> str:
    """A question's template as it follows "I wonder": "Can {drug} help" -> "if {drug} can help"."""
    found = re.match(r"^(Can|Is|Are|Does) (it|I|you|there|\{\w+\}) (\w+)(.*)$", template)
    if not found:
        return _lower_first(template)
    verb, subject, word, rest = found.groups()
    if verb == "Does":
        return f"if {subject} {word}s{rest}"
    return f"if {subject} {verb.lower()} {word}{rest}"


def _concerns() -> dict[str, Any]:
    """concerns.yaml: its `slots`, and the `entries` of all its parts."""
    parts = grammar("concerns")
    slots = parts.pop("slots")
    return {"slots": slots, "entries": [entry for part in parts.values() for entry in part]}


def messages(
    count: int,
    topics: Sequence[str],
    found: Sequence[str] = (),
    seed: int = 0,
    *,
    concerns: bool = False,
) -> Iterator[dict[str, str]]:
    """Up to `count` rows, no text twice: `id`, `input`, `target`, `source`.

    Args:
        topics: names of conditions beside the grammar's.
        found: sentences that ask for nothing (`remarks`, `statements`), to set between.
        concerns: whether each is of an entry of concerns.yaml, instead of messages.yaml's ways to
            ask.
    """
    rng = random.Random(seed)
    rules = grammar("messages") | {"concerns": _concerns()}
    name = "concern" if concerns else "message"
    seen: set[str] = set()
    for number in range(count):
        message = _Message(rng, rules, topics, concerns=concerns)
        text = message.text(found)
        if text in seen:
            continue
        seen.add(text)
        yield {"id": f"{name}-{number}", "input": text, "target": message.target, "source": f"{name}s"}  # fmt: skip
