"""The three tasks: what a model is asked, how much it reads and how it decodes.

A new task is one entry in `TASKS`, one recipe and one example file. This module knows no model.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from summarizer.text import visible
from summarizer.windows import lengths

# The longest section name that a prompt takes: a name is a label, not a second input.
MAX_SECTION_CHARACTERS = 80


class UnknownTask(ValueError):
    """The task asked for does not exist. The message is one sentence that lists those that do."""


@dataclass(frozen=True)
class Decoding:
    """How text is generated, the same for both columns.

    num_beams: 1 is greedy. max_new_tokens: most tokens written. length_penalty: exponent on a
    beam's length (beams only). no_repeat_ngram_size: no n-gram of this size twice (with a
    lexicon, but for what carries on a number), 0 is off.
    min_new_tokens: least tokens written, 0 is off. end_bias: added to the end mark's logit at every
    step: above 0 texts end earlier, below 0 later. copy_bias: added to the logit of each token that
    follows the last one written somewhere in the text (`summarizer.copying`). lexicon: only words of
    the base's lexicon or of the text are written, and only the text's numbers and sides
    (`summarizer.lexicon`). flag: a text that begins with the flag for abnormal does not go on with
    what is not there (`summarizer.flag`). least_windows: of a text's windows this share, rounded
    down, begins with something else than an end mark (`summarizer.silence`); 0 is off.

    Raises ValueError with one sentence for a value out of range.
    """

    num_beams: int = 1
    max_new_tokens: int = 128
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    min_new_tokens: int = 0
    end_bias: float = 0.0
    copy_bias: float = 0.0
    lexicon: bool = False
    flag: bool = False
    least_windows: float = 0.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("num_beams", 1, 16),
            ("max_new_tokens", 1, 4096),
            ("no_repeat_ngram_size", 0, 64),
            ("min_new_tokens", 0, 4096),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(
                    f"{name} must be a whole number from {low} to {high}, not {value!r}."
                )
        for name, least, most in (
            ("length_penalty", -10, 10),
            ("end_bias", -10, 10),
            ("copy_bias", -10, 10),
            ("least_windows", 0, 1),
        ):
            value = getattr(self, name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not least <= value <= most:  # the comparison also refuses NaN
                raise ValueError(f"{name} must be a number from {least} to {most}, not {value!r}.")
            object.__setattr__(self, name, float(value))
        for name in ("lexicon", "flag"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false, not {value!r}.")
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(
                f"min_new_tokens ({self.min_new_tokens}) must not be above "
                f"max_new_tokens ({self.max_new_tokens})."
            )

    def to_dict(self) -> dict[str, int | float]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Decoding:
        """The decoding that `to_dict` wrote. Raises ValueError for a key that does not exist."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise ValueError(f"Unknown decoding setting {key!r}: there are {', '.join(known)}.")
        return cls(**values)


def decoding_words(decoding: Mapping[str, Any], windows: int | None = None) -> str:
    """Decoding settings in words: "greedy, no 3 tokens in a row twice, at most 192 tokens".

    Args:
        decoding: what `Decoding.to_dict` gives; empty where it was not recorded.
        windows: of how many words, where a long text was read in windows.
    """
    if not decoding:
        return "decoding not recorded"
    beams = decoding.get("num_beams") or 1
    words = ["greedy" if beams == 1 else f"{beams} beams"]
    if beams > 1 and decoding.get("length_penalty", 1.0) != 1.0:
        words.append(f"length penalty {decoding['length_penalty']:g}")
    if decoding.get("no_repeat_ngram_size"):
        words.append(f"no {_tokens(decoding['no_repeat_ngram_size'])} in a row twice")
    if decoding.get("end_bias"):
        words.append(f"end mark {decoding['end_bias']:+g}")
    if decoding.get("copy_bias"):
        words.append(f"what the text says next {decoding['copy_bias']:+g}")
    if decoding.get("lexicon"):
        words.append("real words and the text's numbers and sides only")
    if decoding.get("flag"):
        words.append("findings first")
    if decoding.get("least_windows"):
        words.append(f"{100 * decoding['least_windows']:g}% of a text's windows never silent")
    if decoding.get("min_new_tokens"):
        words.append(f"at least {_tokens(decoding['min_new_tokens'])}")
    if decoding.get("max_new_tokens"):
        words.append(f"at most {_tokens(decoding['max_new_tokens'])}")
    how = ", ".join(words)
    return f"{how} in each window of {lengths(windows)}" if windows else how


def _tokens(number: int) -> str:
    return f"{number:,} token{'s' * (number != 1)}"


@dataclass(frozen=True)
class Task:
    """One thing the models are asked to do. Limits are in tokens of the backbone's tokenizer."""

    name: str
    title: str
    description: str
    input_label: str
    output_label: str
    placeholder: str
    prompt: str  # a format string with {input} and, where the task has segments, {section}
    prompt_without_section: str
    max_input_tokens: int  # of the whole prompt
    decoding: Decoding  # defaults, chosen on validation
    output_style: str  # "numbered" | "prose" | "question"
    adapter: str  # a folder, or owner/name@revision on the Hub
    examples: str
    sections: tuple[tuple[str, str], ...] = ()  # (canonical name, label shown)
    # The field of a row that stands in {section}; None: its section, where the task has sections.
    segment: str | None = None
    # Of a text with headings, what was examined and the findings alone are read (summarizer.sections).
    findings_alone: bool = False
    # A longer text is read in windows of about so many words (summarizer.windows); None: whole.
    window_words: int | None = None


# Section codes of MTS-Dialog (Ben Abacha et al., EACL 2023) and ACI-Bench (Yim et al., 2023),
# with the words that stand for them in a prompt and on the page.
SECTION_CODES: dict[str, str] = {
    "GENHX": "history of present illness",
    "FAM/SOCHX": "family and social history",
    "PASTMEDICALHX": "past medical history",
    "CC": "chief complaint",
    "PASTSURGICAL": "past surgical history",
    "ROS": "review of systems",
    "MEDICATIONS": "medications",
    "ALLERGY": "allergies",
    "ASSESSMENT": "assessment",
    "EXAM": "physical examination",
    "DIAGNOSIS": "diagnosis",
    "DISPOSITION": "disposition",
    "PLAN": "plan",
    "EDCOURSE": "emergency department course",
    "IMMUNIZATIONS": "immunizations",
    "IMAGING": "imaging",
    "GYNHX": "gynecologic history",
    "PROCEDURES": "procedures",
    "OTHER_HISTORY": "other history",
    "LABS": "laboratory results",
    "subjective": "subjective",
    "objective_exam": "objective exam",
    "objective_results": "objective results",
    "assessment_and_plan": "assessment and plan",
    "full_note": "full note",
}

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="radiology",
            title="Radiology report",
            description="The findings of a radiology report, summarised as its impression.",
            input_label="Findings",
            output_label="Impression",
            placeholder="Paste a radiology report, or its findings.",
            prompt="summarize: {input}",
            prompt_without_section="summarize: {input}",
            max_input_tokens=1024,
            decoding=Decoding(max_new_tokens=192),
            output_style="numbered",
            adapter="models/radiology",
            examples="examples/radiology.jsonl",
            findings_alone=True,
        ),
        Task(
            name="dialogue",
            title="Doctor-patient conversation",
            description="A conversation between doctor and patient, "
            "written up as a section of the clinical note.",
            input_label="Conversation",
            output_label="Note",
            placeholder="Paste a conversation, one turn a line: “Doctor: …”, “Patient: …”.",
            prompt="note {section}: {input}",
            prompt_without_section="note: {input}",
            max_input_tokens=2048,
            decoding=Decoding(max_new_tokens=448),
            output_style="prose",
            adapter="models/dialogue",
            examples="examples/dialogue.jsonl",
            sections=tuple((name, name[0].upper() + name[1:]) for name in SECTION_CODES.values()),
        ),
        Task(
            name="question",
            title="Health question",
            description="A long health question in a consumer's own words, "
            "reduced to the one short question it comes to.",
            input_label="Question as asked",
            output_label="Short question",
            placeholder="Paste a long question about health.",
            prompt="question: {input}",
            prompt_without_section="question: {input}",
            max_input_tokens=512,
            decoding=Decoding(max_new_tokens=64),
            output_style="question",
            adapter="models/question",
            examples="examples/question.jsonl",
        ),
    )
}


def get_task(name: str) -> Task:
    """The task of that name. Raises UnknownTask."""
    try:
        return TASKS[name]
    except KeyError:
        raise UnknownTask(f"There is no task {name!r}: choose from {', '.join(TASKS)}.") from None


def segment_of(task: Task, row: Mapping[str, Any]) -> Any:
    """What a row names as the {section} of the prompt: its section, or the field trained with."""
    return row.get(task.segment or "section")


def section_name(task: Task, raw: str | None) -> str | None:
    """The canonical name of a section, given its code, label or name in any case.

    None for no section, or for a task that has none. A name that is not known is kept, in lower
    case and on one line, so that a data set with sections of its own needs no change here.
    """
    if raw is None or not (task.sections or task.segment):
        return None
    plain = visible(" ".join(raw.split()))
    if not plain:
        return None
    names = _section_names(task)
    folded = plain.lower()
    return (
        names.get(folded)
        or names.get(folded.replace("_", " "))
        or (folded[:MAX_SECTION_CHARACTERS].strip())
    )


def section_note(task: Task, raw: str | None) -> str:
    """What somebody should know who names this section; empty where nothing is amiss."""
    if raw is None or not raw.strip():
        return ""
    if not (task.sections or task.segment):
        return f"The task {task.name} has no sections: --section is left out."
    name = section_name(task, raw)
    if name is None or task.segment or name in _section_names(task).values():
        return ""
    known = ", ".join(name for name, _ in task.sections)
    return (
        f"“{name}” is none of the usual sections ({known}); the model is asked for it as it stands."
    )


def _section_names(task: Task) -> dict[str, str]:
    names = {code.lower(): name for code, name in SECTION_CODES.items()}
    for name, label in task.sections:
        names[name.lower()] = name
        names[label.lower()] = name
    return names


def prompt_parts(task: Task, section: str | None = None) -> tuple[str, str]:
    """What stands before and after the input in the task's prompt, the section filled in.

    The engine cuts the input alone, so it needs to know where the input stands.
    """
    name = section_name(task, section)
    template = task.prompt if name is not None else task.prompt_without_section
    before, after = template.split("{input}")
    values = {"section": name} if name is not None else {}
    return before.format(**values), after.format(**values)


def build_prompt(task: Task, text: str, section: str | None = None) -> str:
    """The whole prompt for one text: what both columns see before tokenisation."""
    before, after = prompt_parts(task, section)
    return before + text + after


def for_run(task: Task, run: dict[str, Any] | None) -> Task:
    """The task as an adapter was trained on it: prompt, limits and decoding of its run record.

    Reads `prompt`, `prompt_without_section`, `max_input_tokens`, `window_words`, `decoding` and
    `scaling.input_feature` of `run["recipe"]`, each where it is there and not null. Raises
    ValueError with one sentence for a value that cannot be used.
    """
    recipe = (run or {}).get("recipe") or {}
    changes: dict[str, Any] = {}
    if recipe.get("prompt"):
        changes["prompt"] = _checked_template(recipe["prompt"])
        without = recipe.get("prompt_without_section")
        # A recipe with one prompt and no section in it has the same prompt for both cases.
        without = without or re.sub(r"\s*\{section\}", "", recipe["prompt"])
        changes["prompt_without_section"] = _checked_template(without)
    for key in ("max_input_tokens", "window_words"):
        if recipe.get(key) is not None:
            changes[key] = _checked_length(key, recipe[key])
    changes["segment"] = (recipe.get("scaling") or {}).get("input_feature") or None
    decoding = recipe.get("decoding") or {}
    changes["decoding"] = Decoding.from_dict(
        task.decoding.to_dict()
        | {key: value for key, value in decoding.items() if value is not None}
    )
    return replace(task, **changes)


def _checked_length(key: str, length: Any) -> int:
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise ValueError(f"{key} is {length!r}: it must be a whole number above 0.")
    return length


def _checked_template(template: str) -> str:
    names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    if names.count("input") != 1 or set(names) - {"input", "section"}:
        raise ValueError(
            f"The prompt {template!r} must hold {{input}} once, and nothing else but {{section}}."
        )
    return template
