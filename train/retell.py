"""What a conversation says, told as a note would: a statement for each question and its answer.

The notes of the open data sets say much that their conversations do not (`train.support`), and a
small adapter that learns from them makes things up. Rules can tell what was said, clumsily but
truly: what the patient says, in the third person ("I've had a cough for five days" -> "The patient
has had a cough for five days."), a question with its bare answer ("Do you smoke?" "No." -> "The
patient does not smoke."), what the doctor states. What no rule understands is left out. Of two
windows of a training conversation one says something that its note tells in words of its own or not
at all; there these statements stand in for the note's sentences (`retold` in a recipe). They are
weak labels in the sense of Ratner et al. 2016, "Data programming".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from summarizer.text import sentences
from train.figures import in_figures
from train.thirdperson import (
    SAME_IN_ALL_PERSONS,
    as_sentence,
    long_forms,
    lower_first,
    past,
    third,
    told_of_patient,
)

MOST_WORDS = 45  # of a statement
MOST_ANSWER = 25  # words of an answer that is no sentence
MOST_UNWRITTEN = 24  # words of a turn without full stops that can be one sentence
MOST_QUESTION = 32


class Statement(NamedTuple):
    """A sentence of a note, and the turns [first, last] that say it."""

    text: str
    first: int
    last: int


_I = re.IGNORECASE
_SPEAKER = re.compile(
    r"^\s*(?:(Doctor)|(Patient|Guest_\w+)|\[(doctor)\]|\[(patient)\])\s*:?\s*", _I
)
_KIN = (
    r"(?:little |baby |older |younger |oldest |youngest )?(?:son|daughter|boy|girl|baby|child|kid|"
    r"wife|husband|mother|father|mom|dad|grandson|granddaughter|brother|sister)"
)
# what a turn begins with before it says something
_FILLER = re.compile(
    r"^(?:(?:well|um+|uh+|hm+|mm+|hmm|mhm|ohh?|ah|so|okay|ok|alright|all right|right|sure|great|good|"
    r"perfect|wonderful|excellent|fantastic|awesome|nice|got it|i see|i understand|of course|"
    r"actually|honestly|basically|anyway|and|but|now|then|also|plus|let's see|let me see|"
    r"let me think|i mean|i guess|i think|i believe|i would say|i'd say|i suppose|i know|you know|"
    r"to be honest|thank you|thanks|thank goodness|thankfully|luckily|unfortunately|fortunately|"
    r"please|doctor|doc|sir|ma'am|miss|hello|hi|hey|good (?:morning|afternoon|evening)|hi there|"
    r"hello there|as far as i know|that i know of|for sure|absolutely|definitely|interesting|sorry|"
    r"i'm sorry)"
    r"(?:\s*[,.;:!\u2026-]+\s*|\s+(?=(?:i|my|it|he|she|they|we|there|you|the|just|about)\b)))+",
    _I,
)
_YES = re.compile(
    r"^(?:yes|yeah|yep|yup|yah|correct|exactly|that(?:'s| is) (?:right|correct|true)|(?:i|he|she|it|"
    r"they|we) (?:do|am|is|are|does|did|have|has|was|were|can)(?=[,.!]|$)|absolutely|definitely|of "
    r"course|sure|certainly|right(?=[,.!]|$)|uh[- ]huh|mm[- ]?hmm?|mhm|(?:a little(?: bit)?|"
    r"sometimes)(?=[,.!]|$))\b[,.!;]*\s*",
    _I,
)
_NO = re.compile(
    r"^(?:no|nope|nah|never|none (?:of (?:that|those|them)|that i know(?: of)?|at all)|none|not "
    r"(?:really|at all|that i know(?: of)?|that i'm aware of|that i can (?:remember|think of|recall)|"
    r"as far as i know|anymore|yet|to my knowledge)|i (?:don't|do not) think so|nothing (?:like that|"
    r"at all|else|really)|nothing(?=[,.!]|$)|neither|(?:i|he|she|it|they|we) (?:don't|do not|haven't|"
    r"have not|doesn't|does not|didn't|did not|wasn't|isn't|am not|can't|hasn't)(?=[,.!]|$)|(?:i'm|"
    r"it's) not(?=[,.!]|$)|uh[- ]uh)\b[,.!;]*\s*",
    _I,
)
# what may follow a yes or a no and say nothing more
_EMPTY = re.compile(
    r"^(?:(?:no|nope|never|none|nothing|not|sir|ma'am|miss|doctor|doc|like that|of that|of those|"
    r"at all|really|else|that i know|i'm aware of|as far as i know|thank you|thanks|thank goodness|"
    r"anymore|(?:i|it|he|she|we|they) (?:do|am|have|did|is|does|can|was|don't|do not|haven't|have "
    r"not|doesn't|isn't|didn't|hasn't)|i'm not|i am not|that(?:'s| is) (?:right|correct|it|all|fine|"
    r"good|great)|will do|right|correct|exactly|of course|either|okay|yes|yeah|please|i see|got it|sure|i "
    r"think so|i think|i believe so|i guess|anything|it's|is|fortunately|unfortunately|thankfully|"
    r"luckily|surprisingly|to my knowledge|of|any|those|that|them|just|so|well|um|uh|everything (?:is|"
    r"seems|looks) (?:fine|good|okay|normal)|all (?:good|fine|okay))[\s,.!;]*)*$",
    _I,
)
_CHAT = re.compile(
    r"\b(?:dragon|dax|thanks?|hello|good (?:morning|afternoon|evening)|nice to (?:meet|see)|good to "
    r"(?:see|hear|meet)|how are you|welcome|congratulations|sorry to hear|have a (?:seat|good|great|"
    r"nice)|see you|bye|take care|let me (?:just|see|know|take|have|check|look|think|examine|add)|let'?s "
    r"(?:see|take|talk|go|start|have)|i see|sounds good|makes sense|no problem|that(?:'s| is) (?:good|"
    r"great|fine|right|correct|okay|all|true|wonderful|awesome|it|what (?:it|this|that) is)|got it|"
    r"(?:any|have) questions|that (?:helps|sounds)|good question|you're right|i understand|what do "
    r"you think|good for you|glad to|happy to|of course|don't worry|right back|one moment|just a "
    r"(?:moment|second|minute)|hold on|hang tight|sit tight|excuse me|my name is|nice day|weather|"
    r"insurance|paperwork|chart|here you go|here (?:is|are) (?:the|my)|i(?:'m| am) (?:good|fine|okay|"
    r"great|well|serious|doing (?:well|good|fine|okay|alright))[.!]|i don't know|i do not know|i'm "
    r"not sure|i can't remember|as you know|you know what|you can ask|sound quality)\b|^i(?:'ll| will) "
    r"(?:go|be|grab|get|have the nurse|have my nurse)\b|^my nurses?\b|^please\b|^i(?:'d| would) like to (?:"
    r"examine|ask|know|listen|have a look|take a look)\b|^i (?:just )?want to (?:ask|check|see|know|make "
    r"sure)\b|^i(?:'m| am) (?:just )?(?:going to|gonna) (?:examine|press|listen|look|ask|touch|feel)\b",
    _I,
)
# what a rule has got wrong, or what nobody can have said
_BROKEN = re.compile(
    r"\b(?:is|are|has|was|does) (?:yes|yeah|no|okay|i)\b|\bthe patient,? they\b|"
    r"\bthey (?:has|is|was|does)\b|\b(?:it|that) is it\b|\b(\w+ \w+),? \1\b",
    _I,
)
_DOCTOR_DOES = re.compile(
    r"\b(?:recommend|order|prescrib|refer|start|increase|decrease|continue|see|hear|feel|notice|"
    r"want|like|going|will|think|schedule|send|add|give|put|check|recheck|repeat|do not|don't|"
    r"suspect|believe|stop)",
    _I,
)
_OPENER = re.compile(
    r"^(?:(?:and|so|but|or|okay|alright|now|then|well|also|um|uh),? )*(?:have|has|do|does|did|is|are|"
    r"was|were|can|could|would|will|what|how|when|where|who|why|which|any|should|tell me|describe|"
    r"what's|how's|how're|where's)\b",
    _I,
)
_HAS_VERB = re.compile(
    r"\b(?:is|are|was|were|am|has|have|had|do|does|did|can|cannot|could|will|would|should|may|might|"
    r"went|got|took|came|felt|fell|made|gave|saw|said|told|quit|hurts?|goes|gets|takes?|comes?|"
    r"feels?|makes?|helps?|lives?|works?|lost|broke|itches|burns?|keeps?|seems?|happens?|needs?|"
    r"wants?|smokes?|drinks?|eats?|sleeps?|wakes?|[a-z]+ed|"
    + "|".join(SAME_IN_ALL_PERSONS)
    + r")\b",
    _I,
)
_SUBJECT = re.compile(
    r"^(?:(?:when|if|since|after|before|because|as|once|sometimes|usually|now|lately|recently|"
    r"yesterday|today|last \w+|about .{3,25} ago|at (?:night|times|first)|in the (?:morning|evening)s?"
    r"|every \w+)\b.{0,40}?,? )?(?:i|my|it|he|she|they|we|there|the|this|that|these|those|one|some|"
    r"both|all|his|her|our|their|everything|nothing|something|nobody|no one|mom|dad|mother|father|"
    r"an? [a-z]+ [a-z]+|(?!(?:only|just|when|if|not|until|like)\b)[a-z]+ (?:is|are|was|were|has|had|does|"
    r"did|will|can|hurts?|feels?|gets?|comes?|goes|runs?|helps?|works?|makes?|takes?|keeps?|gave|made|"
    r"helped|worked|started|stopped|seemed))\b",
    _I,
)
# of a conversation that a machine wrote down: a question at the end of a turn without full stops
_UNWRITTEN_QUESTION = re.compile(
    r"(?:^|\b(?:and|so|okay|or|then) )((?:have|do|did|are|were|is|does) (?:you|it|there|your|the)\b "
    r"(?:(?!\b(?:i know|do you|have you|are you|did you|is it|i'm|or do|tell me|can you)\b).){4,70})$|"
    r"(?:^|\b)(any (?:(?!\b(?:do|have|are|is) ).){3,50})$",
    _I,
)


def statements(turns: Sequence[str]) -> Iterator[Statement]:
    """The statements of a conversation, in order.

    Args:
        turns: one each, its speaker before it ("Doctor:", "Patient:", "Guest_family:", "[doctor]",
            "[patient]"); a turn without one says nothing.
    """
    asked: list[str] = []
    asked_at = 0
    for place, turn in enumerate(turns):
        speaker = _SPEAKER.match(turn)
        if not speaker:
            continue
        by_doctor = bool(speaker[1] or speaker[3])
        text = _as_written(turn[speaker.end() :].strip())
        unwritten = bool(text) and text[-1] not in ".?!" and not re.search(r"[.?!] ", text)
        if by_doctor:
            asked, asked_at = [], place
            for sentence in [text] if unwritten else sentences(text):
                question = _question(sentence.strip(), unwritten=unwritten)
                if question:
                    asked.append(question)
                elif not unwritten or len(text.split()) <= MOST_UNWRITTEN:
                    said = _of_doctor(sentence.strip())
                    if said:
                        yield Statement(said, place, place)
            continue
        if not unwritten or len(text.split()) <= MOST_UNWRITTEN:
            question = asked[-1] if asked else None
            first = asked_at if asked else place
            guest = bool(speaker[2]) and speaker[2].lower().startswith("guest")
            for said in _of_patient(text, question, guest=guest):
                yield Statement(said, first, place)
        asked = []


def _as_written(turn: str) -> str:
    """A turn as it would be written: "i do n't know ." is "I don't know."."""
    turn = turn.replace("\u2019", "'")
    turn = re.sub(r" n't\b", "n't", turn)
    turn = re.sub(r"\bgon na\b", "gonna", turn)
    turn = re.sub(r" (?='(?:s|m|re|ve|ll|d)\b)", "", turn)
    turn = re.sub(r"\s+([.,;:?!])", r"\1", turn)
    turn = re.sub(r"(?:,\s*){2,}", ", ", turn)
    turn = re.sub(r"(?:^|(?<=[ ,]))(?:um|uh|uhm|hmm|mm-hmm|er|ah),? (?=[a-z])", "", turn, flags=_I)
    turn = re.sub(r",? ?\b(?:you know|kind of|sort of|i mean),(?= )", "", turn, flags=_I)
    turn = re.sub(r"\b(\w+)(?:,? \1\b){1,3}", _once, turn)
    turn = re.sub(r"\bi\b", "I", turn)
    return re.sub(r"(^|[.?!] )([a-z])", lambda found: found[1] + found[2].upper(), turn)


def _once(found: re.Match[str]) -> str:
    twice = found[1].lower() in ("that", "had", "no", "two", "very") or found[1].isdigit()
    return found[0] if twice else found[1]


def _question(sentence: str, *, unwritten: bool) -> str | None:
    if unwritten:
        found = _UNWRITTEN_QUESTION.search(sentence)
        if found:
            return (found[1] or found[2]) + "?"
    return sentence if sentence.endswith("?") or _OPENER.match(sentence) else None


def _of_doctor(sentence: str) -> str | None:
    bare = _FILLER.sub("", sentence).strip()
    if len(bare.split()) < 4 or _CHAT.search(bare):
        return None
    if re.match(r"(?:i|we)\b", bare, _I) and not _DOCTOR_DOES.search(bare):
        return None
    return _sound(
        told_of_patient(re.sub(r"^(?:yes|yeah),? ", "", bare, flags=_I), by_patient=False)
    )


def _of_patient(text: str, question: str | None, *, guest: bool) -> list[str]:
    """What an answer says; a guest speaks of the patient."""
    if guest:
        text = re.sub(rf"\b(?:my|our) {_KIN}\b(?!'s)", "the patient", text, flags=_I)
    rest, yes = _yes_or_no(_FILLER.sub("", text).strip())
    # "I did": what was asked of today was so before
    before = re.match(r"(?:\w+,? )?(?:i|we) (?:did|used to|was)\b", text, _I)
    given: list[str] = []
    for sentence in sentences(rest) if rest else []:
        bare = re.sub(
            r"^(?:no|yes|yeah), wait,? ?", "", _FILLER.sub("", sentence.strip()), flags=_I
        )
        if not bare or _EMPTY.match(bare) or bare.endswith("?") or _CHAT.search(bare):
            continue
        if guest and re.search(r"\b(?:I|me|my|we|our|us)\b", bare):
            continue
        is_sentence = _SUBJECT.match(bare) and _HAS_VERB.search(long_forms(bare))
        if is_sentence or re.match(r"i [a-z]+", bare, _I):
            said = _sound(told_of_patient(bare, by_patient=True))
        elif question and not given and not (yes and before) and len(bare.split()) <= MOST_ANSWER:
            said = _sound(_completed(question, bare, yes) or "")
        else:
            said = None
        if said and "the doctor" not in said.lower():
            given.append(said)
    # A no is told beside what follows it, a yes where nothing does.
    if question and yes is not None and not (yes and given):
        said = None if yes and before else _sound(as_statement(question, yes) or "")
        if said:
            given.insert(0, said)
    return given


def bare_answer(said: str) -> bool | None:
    """Whether a turn is no more than a yes (True) or a no; None where it says something, or nothing."""
    rest, yes = _yes_or_no(_FILLER.sub("", _as_written(said.strip())).strip())
    return yes if _EMPTY.match(rest) else None


def turn_of(turn: str) -> tuple[bool, str]:
    """Whether the doctor speaks, and what is said, as it would be written."""
    speaker = _SPEAKER.match(turn)
    by_doctor = speaker is not None and bool(speaker[1] or speaker[3])
    return by_doctor, _as_written(turn[speaker.end() if speaker else 0 :].strip())


def is_question(sentence: str) -> bool:
    """Whether the sentence of a turn asks."""
    return _question(sentence.strip(), unwritten=False) is not None


def answered(said: str) -> tuple[str, bool | None]:
    """What an answer says beside a yes or a no, and which of the two it was to all that was asked.

    None where it was neither: "No diabetes." says no to diabetes alone.
    """
    begun = _FILLER.sub("", said).strip()
    rest, yes = _yes_or_no(begun)
    spoken = begun[: len(begun) - len(rest)].rstrip() if rest else ""
    return (said, None) if spoken.lower() in ("no", "not", "never") else (rest, yes)


def _yes_or_no(text: str) -> tuple[str, bool | None]:
    """What follows a yes or a no, and which of the two it was."""
    yes: bool | None = None
    for _ in range(3):
        no = _NO.match(text)
        found = no or _YES.match(text)
        if not found or not found.end():
            break
        if yes is None:
            yes = not no
        text = _FILLER.sub("", text[found.end() :]).strip()
    return text, yes


def _sound(text: str) -> str | None:
    """The statement, where it is one."""
    return text if 2 <= len(text.split()) <= MOST_WORDS and not _BROKEN.search(text) else None


# --- a question and a yes or a no --------------------------------------------------------------

_BEFORE_QUESTION = re.compile(
    r"^(?:(?:ever(?= had)|and|but|so|or|okay|also|now|then|well|um|uh|alright|all right|great|good|do "
    r"you know if|can you tell me if|tell me,?|let me ask(?: you)?,?)[, ]+)+",
    _I,
)
_AFTER_QUESTION = re.compile(
    r"[, ]+(?:is that (?:right|correct|so|true)|right|correct|okay|isn't it|sir|ma'am|miss|at all|by "
    r"any chance|(?:or )?anything(?: like that| else)?|or something(?: like that)?|things like that|any "
    r"of that|or the like|or no|or not|too|then)$",
    _I,
)
_ASKED_NOT_OF_HEALTH = re.compile(
    r"(?:know|think|remember|mind|want|understand|believe|recall|see|say|mean|sure|okay|ready|able to "
    r"(?:come|make)|willing|good|fine with)\b",
    _I,
)
_ASKED_TO_DO = re.compile(
    r"(?:tell|describe|show|explain|please|lift|move|point|give|take|come|sit|stand up|lie|follow|"
    r"confirm|rate|think|elaborate|be more|repeat)\b",
    _I,
)


def as_statement(question: str, yes: bool) -> str | None:
    """A question of the doctor's with a bare yes or no, as a statement; None where no rule fits.

    `as_statement("Do you smoke?", False)` is "The patient does not smoke."
    """
    asked = long_forms(_FILLER.sub("", question.strip())).strip().rstrip("?").strip()
    asked = _BEFORE_QUESTION.sub("", asked)
    for _ in range(2):
        asked = _AFTER_QUESTION.sub("", asked).strip(" ,")
    about = re.match(r"(?:what|how) about\b", asked, _I)
    wh = re.search(r"\b(?:what|which|how|when|where|why|who)\b", asked.split(",")[0], _I)
    if not asked or len(asked.split()) > MOST_QUESTION or (wh and not about):
        return None
    if yes:
        asked = re.sub(r"\banywhere else\b", "elsewhere", asked, flags=_I)
        asked = re.sub(r"\bany(?=(?:thing|one|body|where)\b)", "some", asked, flags=_I)
    for form in (_about_any, _do_you, _are_you, _have_you, _did, _is_there, _is_it, _can_you):
        matched, statement = form(asked, yes)
        if matched:
            return statement
    if yes and re.match(r"(?:you|your|he|she|it|the|this|that)\b", asked, _I):
        return told_of_patient(asked, by_patient=False)  # "And you're sixty four now?"
    plain = re.fullmatch(r"[A-Za-z][A-Za-z ,\-/]+", asked) and len(asked.split()) <= 14
    if (
        not yes
        and plain
        and not re.match(
            r"(?:you|your|he|she|it|i|we|the|is|are|do|does|did|was|were|would|could|can|will|should|shall|"
            r"may|have|has|anything|something|really|no|yes|ready|okay|else)\b",
            asked,
            _I,
        )
    ):
        return as_sentence(f"no {lower_first(asked)}")  # "Chest pain or palpitations?"
    return None


_Form = tuple[bool, str | None]
_OTHER: _Form = (False, None)


def _about_any(asked: str, yes: bool) -> _Form:
    found = re.match(
        r"(?:(?:what|how) about )?(?:any (?:history of |other |new |recent )?)?(.+)$", asked, _I
    )
    if not found or not re.match(r"(?:what|how) about\b|any\b", asked, _I):
        return _OTHER
    what = re.sub(r"\s*(?:that|which)? ?\b(?:you|you have)\b .*$", "", found[1], flags=_I)
    if not what or re.match(r"(?:your|you|the|that|it|this|other|questions?)\b", what, _I):
        return True, None
    what = lower_first(told_of_patient(what, by_patient=False).rstrip("."))
    return True, f"Positive for {what}." if yes else f"No {what}."


def _do_you(asked: str, yes: bool) -> _Form:
    found = re.match(
        r"do (?:you|we) ((?:currently |ever |still |usually |also |happen to |actually |typically |"
        r"normally )*)(.+)$",
        asked,
        _I,
    )
    if not found:
        return _OTHER
    rest = found[2]
    if _ASKED_NOT_OF_HEALTH.match(rest):
        return True, None
    if yes:
        still = "still " if "still" in found[1].lower() else ""
        return True, told_of_patient(f"you {still}{_without_any(rest)}", by_patient=False)
    has = re.match(
        r"(?:have|experience|get|notice|feel|suffer from) (?:any |a history of )?(.+)$", rest, _I
    )
    if has:
        denied = None if re.match(r"questions?\b", has[1], _I) else f"you deny {has[1]}"
        return True, denied and told_of_patient(denied, by_patient=False)
    return True, told_of_patient(f"you do not {rest}", by_patient=False)


def _are_you(asked: str, yes: bool) -> _Form:
    found = re.match(r"(are|were) you ((?:currently |still |also |now )*)(.+)$", asked, _I)
    if not found:
        return _OTHER
    rest = found[3]
    if _ASKED_NOT_OF_HEALTH.match(rest):
        return True, None
    still = "still " if yes and "still" in found[2].lower() else ""
    rest = _without_any(rest) if yes else rest
    text = f"you {found[1].lower()} {'' if yes else 'not '}{still}{rest}"
    return True, told_of_patient(text, by_patient=False)


def _have_you(asked: str, yes: bool) -> _Form:
    found = re.match(r"have you (ever )?(?:recently |already |also )?(.+)$", asked, _I)
    if not found:
        return _OTHER
    rest = _without_any(found[2]) if yes else found[2]
    denied = "" if yes else "never " if found[1] else "not "
    return True, told_of_patient(f"you have {denied}{rest}", by_patient=False)


def _did(asked: str, yes: bool) -> _Form:
    found = re.match(
        r"did (you|he|she|it|they) (?:ever |also |actually )?([a-z]+)\b(.*)$", asked, _I
    )
    if not found:
        return _OTHER
    who, verb, rest = found[1].lower(), found[2], found[3]
    if _ASKED_NOT_OF_HEALTH.match(verb):
        return True, None
    text = f"{who} {past(verb)}{_without_any(rest)}" if yes else f"{who} did not {verb}{rest}"
    return True, told_of_patient(text, by_patient=False)


def _is_there(asked: str, yes: bool) -> _Form:
    found = re.match(r"(is|are|was|were) there (?:any |an? )?(.+)$", asked, _I)
    if not found:
        return _OTHER
    what = re.sub(r"\s*(?:that|which)? ?\b(?:you|you've|i should|we should)\b .*$", "", found[2])
    if len(what) < 3 or re.match(r"(?:anything|something|else)", what, _I):
        return True, None
    text = f"there {found[1].lower()} {'' if yes else 'no '}{what}"
    return True, told_of_patient(text, by_patient=False)


def _is_it(asked: str, yes: bool) -> _Form:
    found = re.match(
        r"(is|are|was|were|does|do|did|has|have|can) (your (?:[a-z]+ ){1,3}?|(?:it|he|she|they|that|this) (?=(?:your|the|"
        r"an?)\b)|(?:the|this|that) (?:[a-z]+ ){1,2}?|(?:it|he|she|they|that|this) )(.+)$",
        asked,
        _I,
    )
    if not found:
        return _OTHER
    verb, subject, rest = found[1].lower(), found[2].strip(), found[3]
    if re.match(r"(?:right|correct|okay|true|so)\b", rest, _I):
        return True, None
    if verb in ("does", "do", "did") and yes:
        main, _, more = rest.partition(" ")
        form = {"does": _does, "did": past}.get(verb, str)(main)
        text = f"{subject} {form} {_without_any(more)}"
    elif yes:
        text = f"{subject} {verb} {rest}"
    else:
        text = f"{subject} {verb} not {re.sub(r'^(?:still|ever|also) ', '', rest)}"
    return True, told_of_patient(text.strip(), by_patient=False)


def _does(verb: str) -> str:
    """ "Does it hurt?": no past tense, though it looks like one."""
    return verb + "s" if verb in ("hurt", "hit", "put", "cut", "let", "come") else third(verb)


def _can_you(asked: str, yes: bool) -> _Form:
    found = re.match(r"can you (.+)$", asked, _I)
    if not found:
        return _OTHER
    if _ASKED_TO_DO.match(found[1]):
        return True, None
    return True, told_of_patient(f"you can{'' if yes else 'not'} {found[1]}", by_patient=False)


def _without_any(text: str) -> str:
    return re.sub(r"\bany\b ?", "", text, count=1, flags=_I)


# --- a question and an answer of a few words ----------------------------------------------------

_AMOUNT = r"(?:an?|the last|one|two|three|four|five|six|seven|eight|nine|\d+|several|few|couple)\b"
_WH = [  # a question; how its answer is told; what of the answer
    (r"how old are you|what is your age|your age\b", "the patient is {} years old", r"(\d{1,3})"),
    (
        r"what (?:medications?|medicines?|meds|prescriptions?)\b.*\b(?:take|taking|on)\b|what are you "
        r"taking|which (?:medications?|medicines?)",
        "the patient takes {}",
        r"(.{2,110})$",
    ),
    (
        r"how long\b|since when\b",
        "for {}",
        rf"((?:about|around|almost|over|maybe|at least|approximately|more than|nearly)?\s*{_AMOUNT}.*?"
        r"(?:minutes?|hours?|days?|weeks?|months?|years?)\b)",
    ),
    (
        r"when did\b.*\b(?:start|begin)|when\b.*\bfirst notice",
        "it started {}",
        rf"((?:about|around|maybe|almost|over|just)?\s*(?:{_AMOUNT}|last|yesterday|this).*)",
    ),
    (
        r"what (?:are you|have you been) allergic|which allerg",
        "the patient is allergic to {}",
        r"(.+)$",
    ),
    (
        r"what (?:kind|type) of work|what do you do for (?:a living|work)|what is your (?:job|occup)",
        "occupation: {}",
        r"(.+)$",
    ),
    (
        r"where (?:is|does) (?:the|your|it)\b.*\b(?:pain|hurt)",
        "the pain is {}",
        r"((?:in|on|at|over|across|right|left|around|behind|under|here)\b.*)",
    ),
]
_PARTLY = re.compile(
    r"(?:only|a little|a bit|some|just|mostly|mainly|sometimes|occasionally|when|whenever|if|at times|"
    r"at night|every now|once in|in the|on the|with|after|before|especially|maybe|about|since|for|"
    r"daily|twice|once|every|off and on|now and then|here and there|all the time)\b",
    _I,
)
_A_NUMBER = re.compile(
    r"(?:about|around|maybe|only|at least|up to|\d|an?|one|two|three|four|five|six|seven|eight|nine|"
    r"half|none|several|few)\b"
)
_A_TIME = re.compile(
    r"\b(?:ago|yesterday|today|morning|night|last|in|week|month|year|\d{4}|since|when|days?)\b"
)


def _completed(question: str, words: str, yes: bool | None) -> str | None:
    """An answer that is no sentence, as one with what its question says; None where no rule fits."""
    if yes is False or re.match(
        r"(?:and|but|or|because|so|like|as|that|which|who|it|they|not|pardon)\b", words, _I
    ):
        return None
    asked = long_forms(_FILLER.sub("", question)).strip(" ?")
    asked = _BEFORE_QUESTION.sub("", asked).lower()
    words = in_figures(words).strip(" .,!")
    if words.lower().startswith("just") or not _PARTLY.match(words):
        words = re.sub(
            r"^(?:just|mostly|only|maybe|probably),?\s+(?=[a-z0-9])", "", words, flags=_I
        )
    words = lower_first(told_of_patient(words, by_patient=True).rstrip("."))
    if not words:
        return None
    for pattern, told, part in _WH:
        if re.search(pattern, asked):
            found = re.match(part, words, _I)
            return as_sentence(told.format(lower_first(found[1]).strip(" .,"))) if found else None
    for form in (_what_you, _how_many, _how_often, _when):
        text = form(asked, words)
        if text:
            return as_sentence(text)
    if re.search(r"\d", words) and 3 <= len(words.split()) <= 8 and asked.startswith("how "):
        return as_sentence(words)  # "How high did it get?" "A hundred and two last night."
    wh = r"(?:what|which|how|where|when|why|who|can|could|would|tell|pardon|sorry)\b"
    if re.match(wh, asked) and not re.match(r"(?:what|how) about\b", asked):
        return None
    choice = re.match(r"are you (.{2,40}) or ([^,]{2,40})$", asked)
    if choice:
        return as_sentence(f"the patient is {words}") if len(words.split()) <= 4 else None
    if _PARTLY.match(words) or (yes and len(words.split()) <= 14):
        whole = as_statement(question, True)
        return as_sentence(f"{whole.rstrip('.')}, {words}") if whole else None
    if yes:
        return None
    return _topic(asked, words)


def _what_you(asked: str, words: str) -> str | None:
    """ "What have you taken for it?" "Tylenol." """
    found = re.match(
        r"(?:what|which)(?: other| kinds? of| types? of)?(?: [a-z]+){0,3}? have you (had|done|used|tried|"
        r"taken)\b ?(.*)$",
        asked,
    )
    if found:
        return f"the patient has {found[1]} {words} {_besides(found[2])}"
    found = re.match(
        r"(?:what|which)(?: other| kinds? of| types? of)?(?: [a-z]+){0,2}? do you (?!(?:do|think|mean|"
        r"want|say|know|have)\b)([a-z]+)\b ?(.*)$",
        asked,
    )
    if not found:
        return None
    if found[2] in ("as", "for", "with", "on", "to", "at", "in"):
        return f"the patient {third(found[1])} {found[2]} {words}"
    return f"the patient {third(found[1])} {words} {_besides(found[2])}"


def _how_many(asked: str, words: str) -> str | None:
    """ "How many pregnancies have you had?" "Three." """
    found = re.match(r"how (?:many|much) (.*?) ?\b(do|did|have|are) you ([a-z]+)\b ?(.*)$", asked)
    if not found or not _A_NUMBER.match(words):
        return None
    what, auxiliary, verb, rest = found.groups()
    if auxiliary == "are":
        return None
    form = {"have": f"has {verb}", "did": past(verb)}.get(auxiliary, third(verb))
    said = any(word[:4] in words for word in what.split() if len(word) > 3)
    amount = words if said or len(words.split()) > 3 else f"{words} {what}"
    rest = "" if set(rest.split()) & set(words.split()) else _besides(rest)
    return f"the patient {form} {amount} {rest}"


def _how_often(asked: str, words: str) -> str | None:
    found = re.match(r"how often do you ([a-z]+) ?(.*)$", asked)
    return f"the patient {third(found[1])} {_besides(found[2])}, {words}" if found else None


def _when(asked: str, words: str) -> str | None:
    """ "When was your last pap smear?" "Two years ago." """
    if not _A_TIME.search(words):
        return None
    found = re.match(r"when (was|were) (.{2,60})$", asked)
    if found:
        text = f"{found[2]} {found[1]} {words}"
    else:
        found = re.match(
            r"when did (you|it|this|that|the [a-z]+(?: [a-z]+)?|your [a-z]+(?: [a-z]+){0,2}?) (last )?"
            r"([a-z]+)\b ?(.*)$",
            asked,
        )
        if not found:
            return None
        text = f"{found[1]} {found[2] or ''}{past(found[3])} {found[4]} {words}"
    return told_of_patient(text, by_patient=False)


def _topic(asked: str, words: str) -> str | None:
    """ "And alcohol?" "A glass of wine on weekends." """
    kind = re.match(
        r"(?:are you|do you have|have you had|is there|are there|do you take) (?:any |an? )?(allergi|"
        r"medical problems|surgeries|operations|medica|medicine|conditions|illnesses)",
        asked,
    )
    if kind:
        before = {"allergi": "the patient is allergic to ", "medica": "the patient takes "}
        before["medicine"] = before["medica"]
        return as_sentence(before.get(kind[1], "") + words)
    topic = re.sub(
        r"^(?:(?:what|how) about|any|do you have any|(?:are|is) there any|have you had any)\s+(?:(?:other|"
        r"known|history of)\s+)?",
        "",
        asked,
    )
    topic = re.sub(r"\b(?:your|the|my)\b ?", "", topic).split(",")[0].strip()
    if (
        not topic
        or len(topic.split()) > 4
        or re.search(
            r"\b(?:you|i|it|he|she|that|this|else|anything|something|is|are|do|does|did|was|were|have|has|"
            r"they|we|other|sorry|what|really|so)\b",
            topic,
        )
    ):
        return None
    return as_sentence(f"{topic}: {words}")


def _besides(rest: str) -> str:
    """What a question says besides, told of the patient."""
    rest = re.sub(r"\b(?:exactly|so far|right now|in your life|at the moment|already)\b", "", rest)
    rest = rest.strip(" ,")
    return lower_first(told_of_patient(rest, by_patient=False).rstrip(".")) if rest else ""
