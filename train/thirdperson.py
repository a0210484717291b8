"""What a patient says of themselves, or a doctor says to them, told of "the patient".

    "I've had a cough for five days"   -> "The patient has had a cough for five days."
    "If you lose control of your legs" -> "If the patient loses control of their legs."

After the first mention it is "they", whose verbs stay as they are: nothing tells whether it is a he
or a she.
"""

from __future__ import annotations

import re

from train.figures import in_figures

_THIRD = {
    "am": "is", "are": "is", "were": "was", "have": "has", "do": "does", "go": "goes",
    "don't": "does not", "haven't": "has not",
}  # fmt: skip
# Verbs that are alike in all persons: past tenses and modal verbs; those in -ed are told by that.
SAME_IN_ALL_PERSONS = frozenset(
    "can could will would should may might must did had was has is does got went took came felt "
    "fell made gave saw said told thought knew began ran woke hurt cut put broke lost left kept "
    "found stood sat slept ate drank drove bought brought caught threw hit became heard held led "
    "met paid read rode sent set shot sold spent swam taught tore understood wore won wrote quit "
    "can't couldn't won't wouldn't shouldn't didn't hadn't wasn't cannot ought used bit bent grew "
    "blew chose dealt dug drew fed fought flew forgot froze hid lay lent lit meant rang rose sang "
    "sank shook shrank slid spoke stole stuck struck swore".split()
)
_IRREGULAR_PAST = {
    "have": "had", "go": "went", "take": "took", "see": "saw", "get": "got", "feel": "felt",
    "fall": "fell", "lose": "lost", "hit": "hit", "hurt": "hurt", "break": "broke", "come": "came",
    "do": "did", "quit": "quit", "eat": "ate", "drink": "drank", "throw": "threw", "find": "found",
    "begin": "began", "hear": "heard", "wake": "woke", "sleep": "slept", "make": "made",
    "give": "gave", "think": "thought", "know": "knew", "bring": "brought", "put": "put",
    "bleed": "bled", "keep": "kept", "tell": "told", "say": "said", "drive": "drove",
    "become": "became", "stop": "stopped", "pass": "passed",
}  # fmt: skip
_IN_ED = frozenset("need feed bleed proceed exceed succeed".split())  # no past tenses
ADVERBS = frozenset(
    "usually also still always never often sometimes just really only normally generally mostly "
    "recently currently now even probably actually typically rarely occasionally then finally "
    "simply already almost definitely barely hardly mainly kind sort both all certainly frequently "
    "constantly basically honestly suddenly first ever".split()
)
_BASE_VERBS = (
    "get take go feel have lose stop stand sit eat drink come see start try keep do make need want "
    "use sleep wake walk run wear live work exercise cook check watch put give cough sneeze sweat "
    "itch throw hurt ache bring call think know look lie move bend lift breathe swallow notice miss "
    "forget avoid follow stay leave smoke play drive hear say tell"
)
_FURTHER_VERB = re.compile(
    r"(?<= )(and|or|but|then) ((?:still|then|also|just|never|always|usually|sometimes) )?"
    rf"({_BASE_VERBS.replace(' ', '|')})\b(?!')"
)
_LONG_FORMS = [
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in [
        (r"\bi'm\b", "I am"),
        (r"\bi've\b", "I have"),
        (
            r"\bi'd (?=(?:like|say|love|rather|prefer|want|have to|be|recommend|suggest)\b)",
            "I would ",
        ),
        (r"\bi'd\b", "I had"),
        (r"\bi'll\b", "I will"),
        (r"\b(you|we|they)'re\b", r"\1 are"),
        (r"\b(you|we|they)'ve\b", r"\1 have"),
        (r"\b(you|we|they|it|he|she)'ll\b", r"\1 will"),
        (r"\b(you)'d (?=like|rather)", r"\1 would "),
        (r"\b(you)'d\b", r"\1 had"),
        (
            r"\b(it|he|she|there|that|who|what)'s (?=(?:(?:also|just|never|always|only|already|"
            r"recently) )?(?:been|got|had|gotten|become|gone|started)\b)",
            r"\1 has ",
        ),
        (r"\b(it|he|she|there|that|who|what)'s\b", r"\1 is"),
        (r"\bcan't\b", "cannot"),
        (r"\bwon't\b", "will not"),
        (r"\b(do|does|did|have|has|had|is|are|was|were|would|could|should)n't\b", r"\1 not"),
        (r"\bgonna\b", "going to"),
        (r"\bwanna\b", "want to"),
        (r"\bgotta\b", "have to"),
        (r"\b'cause\b", "because"),
        (r"\bkinda\b", "kind of"),
        (r"\buse to (?=[a-z])", "used to "),
    ]
]
# "I'll give you", "for you": the patient is not who does it, unless a verb follows
_OBJECT = re.compile(
    r"\b(?:for|to|with|from|of|on|about|at|in|near|around|than|against|give|gives|giving|gave|see|"
    r"seeing|saw|refer|referring|referred|have|get|getting|got|send|sending|sent|start|starting|"
    r"started|put|putting|let|help|helps|want|like|tell|told|call|called|ask|asked|keep|keeps|kept|"
    r"make|makes|made|recommend|do|check|show|showed|schedule|order|ordering|teach|touch|hear|"
    r"examine|examining|prescribe|prescribing|prescribed|write|bother|bothers|bothering|bring|"
    r"brings|brought|cause|causing|wake|woke|hurt|hurts|worry|worries|offer|treat|treated|switch|"
    r"switched|advise|advised|encourage)\s+$"
)
_VERB_FOLLOWS = re.compile(
    r"(?:are|have|had|do|did|can|could|will|would|should|may|might|must|were|need|feel|felt|take|"
    r"took|get|got|look|want|still|also|never|just|'ve|'re)\b"
)
_SAID_BESIDE = re.compile(
    r",? \b(?:you know|i mean|i guess|like i said|i(?: would|'d) say|i think|i believe|i suppose|"
    r"i know|i hope|i want to say|um+|uh+|hm+|please)(?=[,.!?]|$)|"
    r", (?:sir|ma'am|doctor|doc)(?=[,.!?]|$)",
    re.IGNORECASE,
)


def long_forms(text: str) -> str:
    """The text without contractions: "I've" is "I have"."""
    text = text.replace("\u2019", "'")
    for pattern, words in _LONG_FORMS:
        text = pattern.sub(words, text)
    return text


def third(verb: str) -> str:
    """A verb that follows "I" or "you", as it follows "the patient"."""
    bare = verb.lower()
    if bare in _THIRD:
        return _THIRD[bare]
    past = bare.endswith("ed") and bare not in _IN_ED
    if past or bare in SAME_IN_ALL_PERSONS or bare.endswith("n't"):
        return verb
    if re.search(r"(?:s|sh|ch|x|z|o)$", bare):
        return verb + "es"
    if re.search(r"[^aeiou]y$", bare):
        return verb[:-1] + "ies"
    return verb + "s"


def past(verb: str) -> str:
    """A verb's past tense."""
    bare = verb.lower()
    if bare in _IRREGULAR_PAST:
        return _IRREGULAR_PAST[bare]
    if bare.endswith("e"):
        return bare + "d"
    return bare[:-1] + "ied" if re.search(r"[^aeiou]y$", bare) else bare + "ed"


def told_of_patient(sentence: str, *, by_patient: bool) -> str:
    """A sentence of the patient's, or of the doctor's to them, in the third person.

    The other of the two is "the doctor" where the patient speaks, and "I" where the doctor does.

    Returns:
        A sentence with a capital and a full stop, or "" where nothing is left.
    """
    text = long_forms(sentence)
    me, my, mine = ("I", "my", "mine") if by_patient else ("you", "your", "yours")
    if by_patient:
        text = re.sub(r"\bmyself\b", "themselves", text)
        text = re.sub(r"\bam I\b", "the patient is", text, flags=re.IGNORECASE)
        text = re.sub(r"\bme\b", _object, text)
        text = re.sub(r"\byou\b", "the doctor", text, flags=re.IGNORECASE)
        text = re.sub(r"\byour\b", "the doctor's", text, flags=re.IGNORECASE)
    else:
        text = re.sub(r"\byourself\b", "themselves", text)
    return as_sentence(_possessives(_subjects(text, me, my), my, mine))


def _object(found: re.Match[str]) -> str:
    before = found.string[: found.start()]
    return "them" if re.search(r"\b(?:I|my)\b", before, re.IGNORECASE) else "the patient"


def _subjects(text: str, me: str, my: str) -> str:
    """The text with "I" or "you" named once, then "they"."""
    pattern = re.compile(
        rf"\b{me}\b(?:\s+([A-Za-z'][^.;!?]*))?", re.IGNORECASE if me == "you" else 0
    )
    mentioned = re.compile(rf"\bthe patient\b|\b{my}\b", re.IGNORECASE)
    done, named = "", False
    while found := pattern.search(text):
        before, rest = text[: found.start()], found[1]
        named = named or bool(mentioned.search(before))
        is_object = me == "you" and _OBJECT.search(before) and not _VERB_FOLLOWS.match(rest or "")
        if is_object or not rest:
            done += before + ("them" if named else "the patient")
            text = text[found.start() + len(me) :]
        else:
            done += before + ("they" if named else "the patient")
            text = " " + (_of_they(rest) if named else _conjugated(rest)) + text[found.end() :]
        named = True
    return done + text


def _of_they(rest: str) -> str:
    return re.sub(
        r"^((?:[a-z]+ly )?)(am|was)\b",
        lambda found: found[1] + {"am": "are", "was": "were"}[found[2]],
        rest,
    )


def _conjugated(rest: str) -> str:
    """What follows "I" or "you", with its verbs in the third person."""
    words = rest.split(" ")
    for place, word in enumerate(words[:4]):
        verb = word.rstrip(",.;")
        if verb.lower() in ADVERBS and place + 1 < len(words):
            continue
        if not re.fullmatch(r"[a-z']+", verb.lower()):
            return rest
        words[place] = third(verb) + word[len(verb) :]
        text = " ".join(words)
        if third(verb) == verb or verb.lower() in ("am", "are", "were"):
            return text
        clause, comma, more = text.partition(", ")
        also = _FURTHER_VERB.sub(lambda m: f"{m[1]} {m[2] or ''}{third(m[3])}", clause)
        return also + comma + more
    return rest


def _possessives(text: str, my: str, mine: str) -> str:
    seen = False

    def whose(found: re.Match[str]) -> str:
        nonlocal seen
        known = seen or "the patient" in found.string[: found.start()].lower()
        seen = True
        return "their" if known else "the patient's"

    text = re.sub(rf"\b{my}\b", whose, text, flags=re.IGNORECASE)
    return re.sub(rf"\b{mine}\b", "the patient's", text, flags=re.IGNORECASE)


def as_sentence(text: str) -> str:
    """The text with numbers in figures, without fillers, with a capital and a full stop."""
    text = re.sub(r"\s+", " ", in_figures(text)).strip(" ,;:-")
    text = _SAID_BESIDE.sub("", text)
    text = re.sub(r"\b(?:um+|uh+|you know|like),\s*", "", text, flags=re.IGNORECASE)
    text = text.rstrip(" .,;!?")
    return text[:1].upper() + text[1:] + "." if text else ""


def lower_first(text: str) -> str:
    """The text as the middle of a sentence: without its capital, but "MRI" and "X rays" as they are."""
    return text if re.match(r"[A-Z][A-Z0-9]|I\b|[B-Z] ", text) else text[:1].lower() + text[1:]
