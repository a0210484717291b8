"""Model cards from the records beside a model: run.json, scores.json, adapter_config.json.

Run as: python -m summarizer.card models/radiology      (an adapter)
        python -m summarizer.card models/base           (the embedded base)

Every figure in a card comes from one of those files; what is missing is said to be missing. A
`failures.md` beside the weights, written by a person who read the outputs, is included as it is.
This module trains nothing, scores nothing and never touches the network.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .card_sections import (
    data_and_licences,
    failures,
    files,
    find_task,
    metric_label,
    metric_type,
    metric_types,
    scores_section,
    task_description,
    task_title,
    trained_share,
    training,
    triple,
    uses,
)
from .energy import cost, emissions
from .flag import DENIALS
from .flag import TOKENS as FLAGS
from .lexicon import FILE as LEXICON
from .markdown import code, join
from .record import Record, RecordError, public
from .sources import Source, find, weights_licence
from .tasks import TASKS
from .windows import lengths

_LICENCE_NAME = "trained-on-credentialed-data"
NOTICE = (
    "> **Research demonstration. Not a medical device, not for clinical use.** What it writes can "
    "be wrong, incomplete or invented. Do not give it text that identifies a patient."
)


def write_card(folder: str | Path, **names: str | None) -> Path:
    """Write README.md beside the weights in `folder` and return its path (see `card`)."""
    path = Path(folder) / "README.md"
    path.write_text(card(folder, **names), encoding="utf-8")
    return path


def card(
    folder: str | Path,
    *,
    repo_id: str | None = None,
    base_model: str | None = None,
    base_revision: str | None = None,
) -> str:
    """The card of the adapter or base model in `folder`: YAML front matter and Markdown.

    `repo_id` is the Hub name that the loading snippet uses (default: the folder itself);
    `base_model` the Hub name of an adapter's backbone (default: the one in adapter_config.json),
    `base_revision` the commit it is pinned to. The same files give the same card, byte for byte.
    Raises RecordError where the folder holds no model or a record cannot be read.
    """
    folder = Path(folder)
    record = Record.read(folder)
    name = repo_id or public(folder.as_posix())
    base = base_model or (record.config or {}).get("base_model_name_or_path")
    if record.config is not None and not base:
        raise RecordError(f"{folder}/adapter_config.json does not name its base model.")
    try:
        if record.config is None:
            return _base_card(record, name)
        return _adapter_card(record, name, base, base_revision)
    except RecordError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordError(
            f"run.json or scores.json in {folder} does not have the shape that training and "
            f"scoring write ({type(error).__name__}: {error}): write them again."
        ) from error


# The card of an adapter ------------------------------------------------------------------------


def _adapter_card(record: Record, repo_id: str, base: str, revision: str | None) -> str:
    trained = record.trained_on()
    title = f"{task_title(record.task)}: LoRA adapter for {base}"
    body = [
        f"# {title}",
        NOTICE,
        _adapter_summary(record, base),
        "## What it is for, and not for",
        uses(record),
        "## Where it fails",
        failures(record),
        "## How to load it",
        _adapter_snippet(record, repo_id, base, revision),
        "## Scores",
        scores_section(record),
        "## Data and licences",
        data_and_licences(record, trained),
        "## How it was trained",
        training(record),
        "## Environmental cost",
        cost(record.run),
        "## Files",
        files(record),
    ]
    return _front_matter(_adapter_metadata(record, repo_id, base, trained)) + join(body)


def _adapter_metadata(record: Record, repo_id: str, base: str, trained: list[Source]) -> Any:
    """huggingface_hub.ModelCardData of an adapter, as the Hub shows and indexes it."""
    from huggingface_hub import ModelCardData

    results = _eval_results(record)
    licence = weights_licence(trained)
    return ModelCardData(
        language="en",
        license=licence,
        license_name=_LICENCE_NAME if licence == "other" else None,
        base_model=base,
        base_model_relation="adapter",
        library_name="peft",
        pipeline_tag="summarization",
        datasets=[source.hub or source.name for source in trained] or None,
        metrics=metric_types(record) or None,
        tags=[
            "lora",
            "peft",
            "medical",
            "clinical-summarization",
            record.task,
            "research-demonstration",
        ],
        co2_eq_emissions=emissions(record.run),
        model_name=repo_id.rsplit("/", 1)[-1] if results else None,
        eval_results=results or None,
    )


def _eval_results(record: Record) -> list[Any]:
    """One EvalResult per metric for the adapter and for its base, overall and by source."""
    if not record.scores.get("systems"):
        return []
    data = record.scores.get("data") or {}
    whole = {
        "dataset_type": _slug(data.get("name") or record.task),
        "dataset_name": f"{data.get('name') or record.task} (all rows)",
        "dataset_config": "all",
    }
    results = _results_of(record, record.scores["systems"], data.get("n"), whole)
    for segment in record.by("source"):
        source = find(str(segment["value"]))
        one = {
            "dataset_type": (source.hub or source.name) if source else _slug(segment["value"]),
            "dataset_name": source.title if source else str(segment["value"]),
            "dataset_config": None,
        }
        results += _results_of(record, segment.get("systems") or {}, segment.get("n"), one)
    return results


def _results_of(
    record: Record, systems: Mapping[str, Any], n: int | None, dataset: Mapping[str, Any]
) -> list[Any]:
    from huggingface_hub import EvalResult

    data, results = record.scores.get("data") or {}, []
    arguments = {"n": n, "sha256": data.get("sha256"), "decoding": dict(record.decoding)}
    for name, label in (("lora", "LoRA"), ("base", "base model, no adapter")):
        for metric, value in (systems.get(name) or {}).items():
            mean, low, high = triple(value)
            if mean is None:
                continue
            results.append(
                EvalResult(
                    task_type="summarization",
                    task_name=task_title(record.task),
                    dataset_split=data.get("split"),
                    dataset_args=arguments,
                    metric_type=metric_type(metric),
                    metric_name=f"{metric_label(metric)} ({label})",
                    metric_value=round(mean, 2),
                    metric_args=None
                    if low is None
                    else {
                        "interval": "95% bootstrap",
                        "low": round(low, 2),
                        "high": round(high, 2),
                    },
                    **dataset,
                )
            )
    return results


def _adapter_summary(record: Record, base: str) -> str:
    config, run = record.config or {}, record.run
    scaling = ", rank-stabilised" if config.get("use_rslora") else ""
    words = f"A LoRA adapter (PEFT, rank {config.get('r', '?')}, alpha "
    words += f"{float(config.get('lora_alpha') or 0):g}{scaling}) for `{base}`. "
    words += f"The task: {task_description(record.task)}"
    share = trained_share(run)
    if share:
        words += f" It trains {share} of the model's parameters; the backbone is unchanged."
    return words


def _adapter_snippet(record: Record, repo_id: str, base: str, revision: str | None) -> str:
    """Plain transformers and peft, nothing of this project. A test runs it as it stands."""
    causal = (record.config or {}).get("task_type") == "CAUSAL_LM"
    auto = "AutoModelForCausalLM" if causal else "AutoModelForSeq2SeqLM"
    pin = f', revision="{revision}"' if revision else ""
    arguments = _generate_arguments(record.decoding)
    start = '[0, tokens["input_ids"].shape[1]:]' if causal else "[0]"
    bias = _bias(record.decoding)
    words = record.recipe.get("window_words")
    longer = ""
    if words:
        longer += (
            f"\n\nA longer text is read in windows of about {lengths(words)}, one row each, and the "
            "parts are put together: `windows` and `joined` in the project's `summarizer/windows.py`."
        )
        if least := record.decoding.get("least_windows"):
            longer += (
                f" Of a text's windows {100 * least:g}% are never silent: `LeastWindows` in "
                "`summarizer/silence.py`."
            )
    if record.task in TASKS and TASKS[record.task].findings_alone:
        longer += (
            "\n\nOf a report with headings, what was examined and the findings are read: "
            "`findings_of` in the project's `summarizer/sections.py`."
        )
    snippet = code(f'''
        from peft import PeftModel
        from transformers import {auto}, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained("{base}"{pin})
        backbone = {auto}.from_pretrained("{base}"{pin})
        model = PeftModel.from_pretrained(backbone, "{repo_id}").eval()

        text = {json.dumps(_example_prompt(record))}
        tokens = tokenizer(text, return_tensors="pt")
        {bias}{_allowed(record.decoding, base, pin)}output = model.generate({arguments})
        print(tokenizer.decode(output{start}, skip_special_tokens=True))
    ''')
    return snippet + longer


# The card of the base --------------------------------------------------------------------------


def _base_card(record: Record, repo_id: str) -> str:
    trained = record.trained_on()
    name = repo_id.rsplit("/", 1)[-1]
    body = [
        f"# {name}: a small encoder-decoder for clinical text",
        NOTICE,
        _base_summary(record),
        "## What it is for, and not for",
        _base_uses(),
        "## Where it fails",
        failures(record),
        "## How to load it",
        _base_snippet(repo_id),
        "## Data and licences",
        data_and_licences(record, trained),
        "## How it was trained",
        training(record),
        "## Environmental cost",
        cost(record.run, backbone_apart=False),
        "## Files",
        files(record),
    ]
    return _front_matter(_base_metadata(record, trained)) + join(body)


def _base_metadata(record: Record, trained: list[Source]) -> Any:
    from huggingface_hub import ModelCardData

    model_type = (record.model or {}).get("model_type")
    licence = weights_licence(trained)
    return ModelCardData(
        language="en",
        license=licence,
        license_name=_LICENCE_NAME if licence == "other" else None,
        library_name="transformers",
        datasets=[source.hub or source.name for source in trained] or None,
        tags=[
            tag
            for tag in (model_type, "medical", "pretrained-from-scratch", "research-demonstration")
            if tag
        ],
        co2_eq_emissions=emissions(record.run, "pre-training"),
    )


def _base_summary(record: Record) -> str:
    model, run = record.model or {}, record.run
    shape = [
        f"{model[key]} {what}"
        for key, what in (
            ("num_layers", "encoder layers"),
            ("num_decoder_layers", "decoder layers"),
            ("d_model", "wide"),
            ("vocab_size", "tokens in its vocabulary"),
        )
        if key in model
    ]
    words = (
        "An encoder-decoder trained from scratch on plain text, as the backbone of this "
        "project's adapters."
    )
    if run.get("parameters"):
        words += f" {run['parameters']:,} parameters"
        words += f" ({', '.join(shape)})." if shape else "."
    elif shape:
        words += f" {', '.join(shape)[0].upper()}{', '.join(shape)[1:]}."
    if run.get("tokens"):
        words += f" It has read {run['tokens']:,} tokens."
    return words


def _base_uses() -> str:
    return (
        "It is the left column of a side-by-side demonstration and the backbone of the project's "
        "LoRA adapters. It has read no pairs of any summarisation task, so by itself it does not "
        "summarise well: load it with an adapter, or train one.\n\n"
        "**Out of scope:** any clinical, diagnostic or administrative decision; text in other "
        "languages than English; use as a chat model or a source of facts."
    )


def _base_snippet(repo_id: str) -> str:
    return code(f'''
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained("{repo_id}")
        model = AutoModelForSeq2SeqLM.from_pretrained("{repo_id}").eval()

        tokens = tokenizer("The heart is normal in size.", return_tensors="pt")
        output = model.generate(**tokens, max_new_tokens=32)
        print(tokenizer.decode(output[0], skip_special_tokens=True))
    ''')


# Small parts ----------------------------------------------------------------------------------


# Sentences of this project's own, for the loading snippets.
_SAMPLES = {
    "radiology": "The heart is normal in size. There is a small left pleural effusion with "
    "adjacent atelectasis. No pneumothorax. No acute bony abnormality.",
    "dialogue": "Doctor: What brings you in today? Patient: I have had a cough for two weeks, and "
    "it is worse at night. Doctor: Any fever? Patient: No fever.",
    "question": "My mother has been taking lisinopril for a month and now she has a dry cough "
    "that will not go away. Could it be the tablets, and what else could she take?",
}


def _example_prompt(record: Record) -> str:
    """The prompt that the adapter was trained on, around a text of this project's own."""
    from .tasks import build_prompt, for_run

    task, sample = find_task(record.task), _SAMPLES.get(record.task, "The text to summarise.")
    if task is None:
        return str(record.recipe.get("prompt") or "{input}").replace("{input}", sample)
    section = task.sections[0][0] if task.sections else None
    return build_prompt(for_run(task, record.run), sample, section)


def _bias(decoding: Mapping[str, Any]) -> str:
    """The lines of the snippet that make `sequence_bias`, if there is one."""
    end, copy = decoding.get("end_bias"), decoding.get("copy_bias")
    lines = [f"bias = [[[tokenizer.eos_token_id], {end!r}]]" if end else "bias = []"]
    if copy:
        lines += [
            'ids = tokens["input_ids"][0].tolist()',
            "pairs = sorted(set(zip(ids, ids[1:])))  # what follows each token of the text",
            f"bias += [[list(pair), {copy!r}] for pair in pairs "
            "if pair[1] != tokenizer.eos_token_id]",
        ]
    return "".join(f"{line}\n        " for line in lines) if end or copy else ""


def _allowed(decoding: Mapping[str, Any], base: str, pin: str) -> str:
    """The lines of the snippet that make `allowed`, which keeps to real words
    (`summarizer.lexicon`) and to what a text is flagged as (`summarizer.flag`), if it does."""
    words, flag = decoding.get("lexicon"), decoding.get("flag")
    if not words and not flag:
        return ""
    ban = decoding.get("no_repeat_ngram_size") or 0
    real = _REAL_WORDS.format(base=base, pin=pin, file=LEXICON, ban=ban)
    lines = real if words else "import re\n\n"
    if flag:
        lines += _FINDINGS_FIRST.format(
            denials=" ".join(sorted(DENIALS)),
            abnormal=FLAGS[1],
            others="real_words(_, ids)" if words else "list(range(len(spoken)))",
        )
    lines += f"allowed = {'findings_first' if flag else 'real_words'}\n"
    if flag and decoding.get("num_beams", 1) > 1:
        lines += _FLAG_FIRST
    return "".join(f"{line}\n        " for line in lines.split("\n")[:-1])


_REAL_WORDS = """\
import re
from transformers.utils import cached_file

known = open(cached_file("{base}", "{file}"{pin}), encoding="utf-8").read().split()
low = text.lower()
own = {{*re.findall(r"[^\\W\\d_]+", low)}}
words = {{"", *known, *own}}
starts = {{word[:end] for word in words for end in range(len(word) + 1)}}
special = set(tokenizer.all_special_ids)
pieces = ["" if i in special else tokenizer.decode(i).lower() for i in range(len(tokenizer))]
heads = [re.match(r"[^\\W\\d_]*", piece)[0] for piece in pieces]
tails = [re.search(r"[^\\W\\d_]*\\Z", piece)[0] for piece in pieces]
numbers = {{*re.findall(r"\\d+(?:[.,]\\d+)*", text)}}
figures = {{number[:k] for number in numbers for k in range(1, len(number) + 1)}}
unsaid = {{"left", "right"}} - own if not own & {{"both", "bilateral"}} else set()
# the project reads numbers said in words and shortened sides as well: summarizer/numbers.py, sides.py
capitals = {{i for i, p in enumerate(pieces) if p and p == heads[i] != tokenizer.decode(i)}}
stops, ordinals = {{*".,;:?!)0123456789"}}, {{*"snrt", "st", "nd", "rd", "th"}}
halves = {{i for i, p in enumerate(pieces) if "\\ufffd" in p}} - {{*tokens["input_ids"][0].tolist()}}
halves |= {{i for i, p in enumerate(pieces) if "%" in p and not re.search("%|per ?cent", low)}}
doubled = {{*re.findall(r"\\b([^\\W\\d_]+)\\s+(?=\\1\\b)", low)}}


def repeated_by(ids, n={ban}):  # the tokens with which n tokens in a row would be there twice
    tail = ids[len(ids) - n + 1 :]
    places = range(len(ids) - n + 1) if n else ()
    return {{ids[k + n - 1] for k in places if ids[k : k + n - 1] == tail}}


def points_of(before):  # what a number may be here that counts the points of a list
    begins = before.rstrip(" ")[-1:]
    told = re.findall(r"(?:^|\\n|(?<!\\d)\\.|\\. ) *(\\d+)[.)](?!\\d)", before)
    following = {{str(int(told[-1]) + 1)}} if told and begins != ":" else set()
    return following | {{"1"}} if begins in ("", "\\n", ".", ":") else set()


def real_words(_, ids):  # the tokens that carry a word on towards a real one, or follow one
    written = tokenizer.decode(ids, skip_special_tokens=True)
    last, part = re.search(r"(?:([^\\W\\d_]+) )?([^\\W\\d_]*)\\Z", written.lower()).groups()
    number = re.search(r"(\\d[\\d.,]*)?\\Z", written)[0]
    whole, points = number.rstrip(".,"), points_of(written[: len(written) - len(number)])
    ended = not number or whole in numbers or (whole in points and number == whole + ".")
    repeated = repeated_by(ids.tolist())
    ends = written[-1:].lower()  # no word comes right behind a stop, no figure behind a letter,
    fit = []  # but as in the text
    for i, piece in enumerate(pieces):
        behind = heads[i] if ends in stops else piece[: ends.isalpha() and piece[:1].isdigit()]
        goes_on = piece and piece == heads[i]
        ended_by = piece.isdigit() or (number[-1:].isdigit() and piece in (".", ","))
        if i in repeated and not (number and ended_by):
            continue
        real = part + heads[i] in (starts if goes_on else words) and (goes_on or tails[i] in starts)
        if piece.strip().isdigit():  # a space begins a new number
            grown, listed = number + piece, points
            if piece[:1] == " ":
                grown, listed = piece[1:], points_of(written) if ended else set()
            told = grown in figures or any(point.startswith(grown) for point in listed)
            told = told and (ended or piece[:1] != " ")
        else:
            listed = number in points and piece[:1] in (".", ")")
            told = ended or listed or number + piece in figures
        told = told and (part + heads[i] if goes_on else tails[i]) not in unsaid
        glued = not behind or ends + behind in low or (ends.isdigit() and behind in ordinals)
        told = told and glued and i not in halves
        # a word twice in a row, if it is no other word of the text that begins like it
        before, now = (last, part + piece) if goes_on else (part, tails[i])
        again = before and now and before.startswith(now) and (now == before or len(now) > 3)
        again = again and before not in doubled and (goes_on or piece == " " + now)
        told = told and not (again and not any(w.startswith(now) and w != before for w in own))
        if part and part == last and part not in doubled:
            told = told and goes_on and any(w.startswith(now) for w in own)
        if real and told and not (written[-1:].islower() and i in capitals):
            fit.append(i)
    return fit or [i for i in range(len(pieces)) if i not in repeated]


"""

_FINDINGS_FIRST = """\
denials = "{denials}".split()
abnormal = tokenizer.convert_tokens_to_ids("{abnormal}")
spoken = [tokenizer.decode(i).strip().lower() for i in range(len(tokenizer))]


def findings_first(_, ids):  # a text that is flagged as abnormal does not begin with a denial
    fit = {others}
    written = tokenizer.decode(ids, skip_special_tokens=True)
    begins = re.fullmatch(r"\\s*(1[.)])?\\s*", written) and len(ids) > 1
    if begins and ids[1] == abnormal:
        fit = [i for i in fit if spoken[i] not in denials] or fit
    return fit


"""


_FLAG_FIRST = """\
flag = model.generate(**tokens, max_new_tokens=1, prefix_allowed_tokens_fn=allowed)[0, 1].item()


def flag_first(_, ids):  # beams are of what follows the likeliest flag
    return findings_first(_, ids) if len(ids) > 1 else [flag]


allowed = flag_first
"""


def _generate_arguments(decoding: Mapping[str, Any]) -> str:
    neutral = {
        "num_beams": 1,
        "length_penalty": 1.0,
        "no_repeat_ngram_size": 0,
        "min_new_tokens": 0,
    }
    arguments = {"max_new_tokens": 128, **decoding}
    beams = arguments.get("num_beams", 1) > 1
    shown = [
        f"{key}={arguments[key]!r}"
        for key in ("max_new_tokens", *neutral)
        if key in arguments
        and arguments[key] != neutral.get(key)
        and (key != "no_repeat_ngram_size" or not arguments.get("lexicon"))
        and (beams or key != "length_penalty")
    ]
    if arguments.get("end_bias") or arguments.get("copy_bias"):
        shown.append("sequence_bias=bias")
    if arguments.get("lexicon") or arguments.get("flag"):
        shown.append("prefix_allowed_tokens_fn=allowed")
    line = ", ".join(["**tokens", *shown])
    if len(line) < 70:
        return line
    return "".join(f"\n            {one}," for one in ["**tokens", *shown]) + "\n        "


def _slug(name: Any) -> str:
    """A name as the Hub takes a data set's: letters, digits, `.`, `-`, `_`, one `/`."""
    words = re.sub(r"\.(jsonl|json|csv|parquet)$", "", str(name))
    return re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip("-._") or "data"


def _front_matter(metadata: Any) -> str:
    return f"---\n{metadata.to_yaml()}\n---\n\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m summarizer.card",
        description="Write the model card (README.md) of an adapter or base model from the "
        "records beside it.",
    )
    parser.add_argument("folder", help="for example models/radiology or models/base")
    parser.add_argument("--print", action="store_true", help="print the card, write nothing")
    options = parser.parse_args(arguments)
    try:
        if options.print:
            print(card(options.folder), end="")
        else:
            print(write_card(options.folder))
    except (RecordError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
