"""Writes the README's figures from the files that measured them, so that none is typed by hand.

Run as: python -m eval.readme            (python -m eval.readme --check only compares)

Between `<!-- scores: begin -->` and `<!-- scores: end -->` it puts a row for each task and source
of models/*/scores.json, one for a source's rows without a twin in training where many have one, and
what ROUGE does not see; between the `failures` marks, what models/*/failures.md say was seen by
reading the outputs; between the `speed` marks, what docs/measured/*.json hold.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.floors import FLOORS
from eval.tables import difference, find_pair, interval
from summarizer.tasks import TASKS

README = Path("README.md")
MODELS = Path("models")
MEASURED = Path("docs/measured")
HEADER = ["task, rows", "n", "metric", "base", "LoRA", "LoRA - base", "best floor"]
# What each task is chosen by, and shown by beside ROUGE-1.
METRICS = {"radiology": ("rouge1", "rougeL"), "dialogue": ("rouge1", "rougeL"),
           "question": ("rouge1", "rougeL")}  # fmt: skip
LABELS = {"rouge1": "ROUGE-1", "rougeL": "ROUGE-L"}
# What ROUGE does not see, of all sources together.
KEPT = {"abnormality_agreement": ("normal or abnormal as the reference says", None),
        "abnormal_kept": ("abnormal reports summarised as abnormal", "abnormal"),
        "normal_kept": ("normal reports summarised as normal", "normal"),
        "focus_kept": ("words kept that say what is asked about", None)}  # fmt: skip
NEW = ", new"  # rows that have no twin among the training rows, and no target that one of them has
MOSTLY_NEW = 0.8  # share of a source's rows from which on they have no line of their own


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where README differs")
    options = parser.parse_args(arguments)
    text = README.read_text(encoding="utf-8")
    wanted = written(text)
    if options.check:
        if wanted != text:
            print("README.md is not what the files say: run python -m eval.readme", file=sys.stderr)
            return 1
        return 0
    README.write_text(wanted, encoding="utf-8")
    return 0


def written(text: str) -> str:
    """The README with both blocks as the files have them."""
    text = between(text, "scores", scores_table())
    text = between(text, "speed", speed())
    return between(text, "failures", failures())


def between(text: str, name: str, block: str) -> str:
    """`text` with `block` between the marks of that name. Raises ValueError without the marks."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"README.md needs the marks {begin} and {end}, once each.")
    head, _, rest = text.partition(begin)
    return f"{head}{begin}\n{block}\n{end}{rest.partition(end)[2]}"


def scores_table() -> str:
    """One row for each task, source and metric, as a Markdown table."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    even: list[str] = []
    for task in TASKS:
        path = MODELS / task / "scores.json"
        if not path.is_file():
            continue
        scores = json.loads(path.read_text(encoding="utf-8"))
        sizes = {(each["by"], each["value"]): each["n"] for each in scores["segments"]}
        for segment in scores["segments"]:
            shown = segment["by"] == "source" or (
                segment["by"] == "source and overlap"
                and segment["value"].endswith(NEW)
                and segment["n"] < MOSTLY_NEW * sizes["source", segment["value"].removesuffix(NEW)]
            )
            if shown:
                named = f"{task}, {segment['value']}"
                even += [
                    f"{named} ({LABELS[metric]})"
                    for metric in METRICS[task]
                    if not _beyond(find_pair(segment["paired"], "lora", "base", metric))
                ]
                lines += [row(named, segment, metric) for metric in METRICS[task]]
        for metric, (label, reference) in KEPT.items():
            if metric in scores["systems"]["lora"]:
                n = sizes.get(("reference", reference), scores["data"]["n"])
                if not _beyond(find_pair(scores["paired"], "lora", "base", metric)):
                    even.append(f"{task}, {label}")
                lines.append(row(f"{task}, {label}", {**scores, "n": n}, metric))
    if even:
        lines += ["", f"No better than the base beyond chance: {'; '.join(even)}."]
    return "\n".join(lines)


def _beyond(pair: Mapping[str, Any] | None) -> bool:
    """Whether the interval of a paired difference lies above zero."""
    return pair is not None and pair["low"] > 0


def row(named: str, segment: Mapping[str, Any], metric: str) -> str:
    """A table row; LoRA's figure is bold where it is above every trivial method's."""
    systems = segment["systems"]
    floors = {name: s[metric] for name, s in systems.items() if name in FLOORS and metric in s}
    floor = max(floors, key=lambda name: floors[name]["mean"], default=None)
    pair = find_pair(segment["paired"], "lora", "base", metric)
    lora = interval(systems["lora"][metric])
    above = floor is None or systems["lora"][metric]["mean"] > floors[floor]["mean"]
    cells = [
        named,
        str(segment["n"]),
        LABELS.get(metric, "%"),
        interval(systems["base"][metric]),
        f"**{lora}**" if above else lora,
        difference(pair) if pair else "-",
        f"{floors[floor]['mean']:.1f} ({floor})" if floor else "-",
    ]
    return "| " + " | ".join(cells) + " |"


def speed() -> str:
    """How fast it is, as ratios against a named rival, from the files that the commands wrote."""
    parts = []
    if (path := MEASURED / "columns.json").is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        parts += [
            f"Both columns of a report of {found['tokens']['input']} tokens, on {found['device']} "
            f"with {found['threads']} threads, against two separately loaded models that run one "
            "after the other (same tokens, same text):",
            "",
            "| | this engine | two models | ratio |",
            "|---|---|---|---|",
        ]
        parts += [
            f"| {label} | {row['engine']:.2f} s | {row['plain']:.2f} s | {row['ratio']:.1f} |"
            for label, row in found["seconds"].items()
        ]
    if (path := MEASURED / "evaluation.json").is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        parts += [
            "",
            f"Predicting {found['rows']} rows with base and adapter: {found['ratio']:.1f} times as "
            "fast as row by row with two models by the clock, "
            f"{found['ratio_processor']:.1f} times by processor time; "
            f"{found['identical']} of {found['texts']} texts identical.",
        ]
    if (path := MEASURED / "space.json").is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        parts += ["", space(found)]
    return "\n".join(parts).strip()


def space(found: Mapping[str, Any]) -> str:
    return (
        f"Started as a Space on {found['cores']} cores: first page after "
        f"{found['seconds_to_first_page']:.0f} s, a first summary "
        f"{found['seconds_of_the_summary']:.1f} s after it was asked for, peak memory "
        f"{found['peak_memory_bytes'] / 2**30:.1f} GiB."
    )


def failures() -> str:
    """The failures that a reader of the outputs wrote down, by task."""
    parts = []
    for task in TASKS:
        path = MODELS / task / "failures.md"
        if path.is_file():
            body = re.sub(r"^#.*\n+", "", path.read_text(encoding="utf-8")).strip()
            parts.append(f"**{TASKS[task].title}.** {body}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
