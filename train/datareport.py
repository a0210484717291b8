"""What a prepared data set is like: report.md with two pictures, for the person who trusts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from train.errors import UserError
from train.recipe import Recipe
from train.scaling import STYLE, style_features

Row = dict[str, Any]
SEGMENTS = ("source", "section", "modality", "clinic", "style")
OPTIONAL = ("source", "section", "modality", "clinic", "indication", "patient")


def write_report(recipe: Recipe, prepared: Any, folder: Path) -> None:
    """Write report.md, lengths.png and segments.png into `folder`."""
    unit, count = _counter(recipe)
    lengths = {
        split: [(count(row["input"]), count(row["target"])) for row in rows]
        for split, rows in prepared.splits.items()
    }
    parts = [
        f"# Data of {recipe.name}",
        _origin(recipe, prepared),
        "## Rows dropped",
        _table(["rule", "rows"], [(rule, f"{number:,}") for rule, number in prepared.dropped])
        if prepared.dropped
        else "None.",
        f"## Lengths, in {unit}",
        _lengths(recipe, lengths, unit),
        "![Lengths](lengths.png)",
        "## Segments",
        _segments(prepared.splits),
        "![Segments](segments.png)",
        "## Style of the targets",
        _style(prepared.splits),
        "## Missing fields",
        _missing(prepared.splits),
        "## Repeated targets",
        _repeated(prepared.splits),
        "## Leaks across the splits",
        _leaks(recipe, prepared),
    ]
    if prepared.styles:
        parts += ["## Clusters of reporting style", _clusters(recipe, prepared)]
    (folder / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    _draw_lengths(lengths, unit, folder / "lengths.png")
    _draw_segments(prepared.splits, folder / "segments.png")


def _counter(recipe: Recipe) -> tuple[str, Callable[[str], int]]:
    """What lengths are counted in: the backbone's tokens, or words where it is not at hand."""
    from train.model import fetch_description, load_tokenizer

    try:
        tokenizer = load_tokenizer(recipe, fetch_description(recipe))
    except UserError:
        return "words", lambda text: len(text.split())
    return f"tokens of {recipe.backbone}", lambda text: len(tokenizer(text)["input_ids"])


def _origin(recipe: Recipe, prepared: Any) -> str:
    chosen = recipe.prepare
    where = (
        chosen.hub
        or ", ".join(chosen.published)
        or ", ".join(Path(name).name for name in chosen.files)
    )
    sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in prepared.splits.items())
    how = {
        "official": "the publishers' splits where they have some, else by seed",
        "random": f"by seed {chosen.split_seed}, one text in one split",
        "group": f"by seed {chosen.split_seed}, one {chosen.group_by} in one split",
    }[chosen.split]
    return f"From {where}: {prepared.read:,} rows read, {sizes}. Split: {how}."


def _lengths(recipe: Recipe, lengths: dict[str, list[tuple[int, int]]], unit: str) -> str:
    from train.run import resolve

    resolved = resolve(recipe)
    limits = (resolved.max_input_tokens or 0, resolved.max_target_tokens or 0)
    rows = []
    for split, pairs in lengths.items():
        for place, (name, limit) in enumerate(zip(("input", "target"), limits, strict=True)):
            values = sorted(pair[place] for pair in pairs)
            if not values:
                continue
            over = sum(value > limit for value in values) / len(values)
            rows.append(
                (
                    split,
                    name,
                    f"{fmean(values):.0f}",
                    f"{median(values):.0f}",
                    str(values[int(0.95 * (len(values) - 1))]),
                    str(values[-1]),
                    f"{100 * over:.1f}% over {limit}" if unit != "words" else "-",
                )
            )
    return _table(["split", "text", "mean", "median", "95%", "longest", "truncated"], rows)


def _segments(splits: dict[str, list[Row]]) -> str:
    rows = []
    for by in SEGMENTS:
        counts = {split: _counts(part, by) for split, part in splits.items()}
        values = Counter()
        for part in counts.values():
            values.update(part)
        for value, _ in values.most_common(25):
            rows.append((by, value, *(f"{part[value]:,}" for part in counts.values())))
    return _table(["by", "value", *splits], rows) if rows else "The rows name none."


def _style(splits: dict[str, list[Row]]) -> str:
    rows = []
    for split, part in splits.items():
        if part:
            means = [
                fmean(values) for values in zip(*(style_features(row["target"]) for row in part))
            ]
            named = dict(zip(STYLE, means, strict=True))
            prose = 1 - named["numbered"] - named["bulleted"]
            rows.append(
                (
                    split,
                    f"{100 * named['numbered']:.1f}%",
                    f"{100 * named['bulleted']:.1f}%",
                    f"{100 * max(0.0, prose):.1f}%",
                    f"{named['lines']:.1f}",
                    f"{fmean(len(row['target'].split()) for row in part):.0f}",
                )
            )
    return _table(["split", "numbered", "bulleted", "prose", "lines", "words"], rows)


def _missing(splits: dict[str, list[Row]]) -> str:
    rows = []
    for name in OPTIONAL:
        shares = [_share(not row.get(name) for row in part) for part in splits.values()]
        if any(share not in ("-", "100.0%") for share in shares):
            rows.append((name, *shares))
    return _table(["field", *splits], rows) if rows else "Rows have an input and a target alone."


def _repeated(splits: dict[str, list[Row]]) -> str:
    from train.leaks import normal

    counts = Counter(normal(row["target"]) for part in splits.values() for row in part)
    total = sum(counts.values())
    repeated = sum(number for number in counts.values() if number > 1)
    _, most = counts.most_common(1)[0]
    return (
        f"{100 * repeated / total:.1f}% of the rows have a target that another row has too; the "
        f"commonest stands in {most:,} rows ({100 * most / total:.1f}%)."
    )


def _leaks(recipe: Recipe, prepared: Any) -> str:
    if not prepared.leaks:
        return f"None at a similarity of {recipe.prepare.near_duplicate:g} or more."
    exact = sum(leak.similarity == 1 for leak in prepared.leaks)
    done = {
        "drop": "their twins were dropped",
        "allow": "the rows are marked `near_dup_in_train`: score them apart",
    }.get(recipe.prepare.leaks, "")
    worst = sorted(prepared.leaks, key=lambda leak: -leak.similarity)[:20]
    return (
        f"{len(prepared.leaks)} rows, {exact} of them with the same words; {done}.\n\n"
    ) + _table(
        ["split", "row", "its twin", "similarity", "same target"],
        [
            (
                leak.split,
                leak.row,
                f"{leak.twin} ({leak.twin_split})",
                f"{leak.similarity:.2f}",
                str(leak.same_target),
            )
            for leak in worst
        ],
    )


def _clusters(recipe: Recipe, prepared: Any) -> str:
    by = recipe.scaling.cluster_by
    rows = [
        (str(cluster), ", ".join(name for name, mine in prepared.styles.items() if mine == cluster))
        for cluster in sorted(set(prepared.styles.values()))
    ]
    return _table(["cluster", by], rows)


def _counts(rows: Sequence[Row], by: str) -> Counter:
    return Counter(str(row[by]) for row in rows if row.get(by) is not None)


def _share(flags: Iterable[bool]) -> str:
    values = list(flags)
    return f"{100 * sum(values) / len(values):.1f}%" if values else "-"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(header), line(["---"] * len(header)), *map(line, rows)])


def _draw_lengths(lengths: dict[str, list[tuple[int, int]]], unit: str, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(("input", "target")):
        axes = figure.add_subplot(1, 2, place + 1)
        for split, pairs in lengths.items():
            if pairs:
                values = [pair[place] for pair in pairs]
                axes.hist(values, bins=40, histtype="step", density=True, label=split)
        axes.set_xlabel(f"{name}, {unit}")
        axes.set_yticks([])
        axes.legend(frameon=False)
    figure.savefig(path)


def _draw_segments(splits: dict[str, list[Row]], path: Path) -> None:
    """Training rows of the commonest values of each segment that the rows name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [(by, _counts(splits["train"], by).most_common(12)) for by in SEGMENTS]
    shown = [(by, values) for by, values in shown if values]
    figure = Figure(figsize=(4.5 * max(1, len(shown)), 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for place, (by, values) in enumerate(shown, start=1):
        axes = figure.add_subplot(1, len(shown), place)
        names = [name if len(name) < 28 else name[:27] + "…" for name, _ in values][::-1]
        axes.barh(names, [number for _, number in values][::-1])
        axes.set_title(f"training rows by {by}")
    figure.savefig(path)
