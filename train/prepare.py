"""Makes the data of a recipe: reads, cleans, filters, splits, looks for leaks, reports.

Run as:
    python -m train.prepare dialogue
    python -m train.prepare radiology-mediphi-qlora --files '[reports.xlsx]' --published '[]' \\
        --columns '{input: Findings, target: Impression, clinic: Site, patient: MRN}' \\
        --prepare.split group --group_by patient

Rows come from the Hub, from where a public set is published, or from local JSONL, CSV, Excel and
Parquet files, with the recipe's `prepare.columns` naming theirs. Written are train.jsonl,
validation.jsonl and test.jsonl in data_dir, with prepared.json (what was done, with checksums) and
report.md (what the data is like) beside them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from summarizer.backbone import file_sha256
from summarizer.tasks import get_task, section_name
from summarizer.text import InputError, clean, decode
from train.errors import DataError, UserError
from train.jsonl import json_objects
from train.leaks import Leak, find_leaks, normal
from train.masks import without_masks
from train.published import fetch_rows
from train.recipe import Recipe, load_recipe, parse_overrides, recipe_names
from train.run import write_json
from train.scaling import find_styles

SPLITS = ("train", "validation", "test")
# The fields that are kept; a recipe's columns may name others, such as patient.
FIELDS = ("id", "source", "input", "target", "section", "modality", "clinic", "indication", "mesh")
Row = dict[str, Any]


@dataclass
class Prepared:
    """A data set ready to be trained on."""

    splits: dict[str, list[Row]]
    read: int  # rows before any rule
    dropped: list[tuple[str, int]]  # rule -> rows, in the order of the rules
    leaks: list[Leak] = field(default_factory=list)
    styles: dict[str, int] = field(default_factory=dict)  # reader -> cluster


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m train.prepare",
        description=f"Make the data of a recipe. The recipes: {', '.join(recipe_names())}.",
        epilog="Any value of the recipe can be given as --key value; see train.run --help.",
        allow_abbrev=False,
    )
    parser.add_argument("recipe", help="a name in train/recipes, or a path to a .yaml file")
    options, rest = parser.parse_known_args(arguments)
    try:
        recipe = load_recipe(options.recipe, parse_overrides(rest))
        if recipe.notice:
            print(recipe.notice, flush=True)
        prepared = prepare(recipe)
    except UserError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: no data was written; downloads are kept.", file=sys.stderr)
        return 130
    except OSError as fault:
        print(
            f"error: {recipe.data.data_dir} cannot be written: {fault.strerror or fault}.",
            file=sys.stderr,
        )
        return 1
    for rule, count in prepared.dropped:
        print(f"{count:>7,}  {rule}")
    sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in prepared.splits.items())
    print(f"{sizes}; see {Path(recipe.data.data_dir) / 'report.md'}")
    return 0


def prepare(recipe: Recipe) -> Prepared:
    """Make the recipe's data and write it into data_dir, all of it or nothing.

    Raises:
        DataError: nothing to read, a wrong column, an empty split, a leak that is not allowed.
    """
    _refuse_foreign(Path(recipe.data.data_dir))
    rows = read_source(recipe)
    prepared = Prepared({}, len(rows), [])
    rows = clean_rows(recipe, rows, prepared)
    prepared.splits = split_rows(recipe, rows)
    _refuse_empty(recipe, prepared)
    _look_for_leaks(recipe, prepared)
    if recipe.scaling.clusters is not None:
        _add_styles(recipe, prepared)
    write(recipe, prepared)
    return prepared


def _refuse_foreign(folder: Path) -> None:
    """Data that somebody else put there is not overwritten."""
    there = [split for split in SPLITS if (folder / f"{split}.jsonl").exists()]
    if there and not (folder / "prepared.json").is_file():
        raise DataError(
            f"{folder / there[0]}.jsonl was not made by train.prepare and is not overwritten: name "
            "another folder with --data_dir."
        )


# --- reading ------------------------------------------------------------------------------------


def read_source(recipe: Recipe) -> list[Row]:
    """The rows of the recipe's source, in this project's fields; `split` where it has its own.

    Raises:
        DataError: no source is named, it cannot be read, or a column is missing.
    """
    chosen = recipe.prepare
    cache = Path(recipe.data.data_dir).parent / ".downloads"
    if chosen.published:
        rows = fetch_rows([*chosen.published, *chosen.aux], cache, chosen.mirror)
    elif chosen.hub:
        rows = _mapped(recipe, _hub_tables(recipe))
    elif chosen.files:
        rows = _mapped(recipe, _file_tables(recipe))
    else:
        raise DataError(
            "The recipe names no data: give prepare.hub, prepare.files or prepare.published."
        )
    return rows


def _hub_tables(recipe: Recipe) -> Iterator[tuple[str, str | None, list[Row]]]:
    """`(where, split, rows)` for each split of a data set of the Hub."""
    from datasets import get_dataset_split_names, load_dataset
    from datasets.exceptions import DatasetNotFoundError
    from datasets.utils.logging import disable_progress_bar

    chosen = recipe.prepare
    disable_progress_bar()
    where: dict[str, Any] = {"path": chosen.hub}
    if chosen.hub_config:
        where["name"] = chosen.hub_config
    if chosen.hub_revision:
        where["revision"] = chosen.hub_revision
    try:
        names = get_dataset_split_names(
            chosen.hub, config_name=chosen.hub_config, revision=chosen.hub_revision
        )
        for name in names:
            yield f"{chosen.hub}, {name}", name, list(load_dataset(**where, split=name))
    except DatasetNotFoundError:
        raise DataError(
            f"The data set {chosen.hub} is not on the Hub, or is not open to you: ask for access "
            "there and log in with hf auth login."
        ) from None
    except (OSError, ValueError, RuntimeError) as fault:
        raise DataError(
            f"The data set {chosen.hub} cannot be read: {str(fault).strip().splitlines()[0]}"
        ) from None


def _file_tables(recipe: Recipe) -> Iterator[tuple[str, str | None, list[Row]]]:
    """`(where, split, rows)` of local files. A file named after a split (train.csv) is that split."""
    for name in recipe.prepare.files:
        path = Path(name)
        if not path.is_file():
            raise DataError(f"There is no file {path}.")
        split = next((split for split in SPLITS if path.stem.lower().startswith(split)), None)
        yield str(path), split, read_table(path)


def read_table(path: Path) -> list[Row]:
    """The rows of a JSONL, CSV, TSV, Excel or Parquet file; an empty cell is None.

    Raises:
        DataError: another kind of file, or one that is not what its name says.
    """
    import pandas

    kind = path.suffix.lower()
    try:
        if kind in (".jsonl", ".ndjson"):
            return _json_lines(path)
        if kind in (".csv", ".tsv", ".txt"):
            return _delimited(path)
        if kind in (".xlsx", ".xlsm"):
            table = pandas.read_excel(path, dtype=object)
        elif kind == ".parquet":
            table = pandas.read_parquet(path)
        else:
            raise DataError(f"{path} is none of .jsonl, .csv, .tsv, .xlsx and .parquet.")
    except DataError:
        raise
    except Exception as fault:  # each reader has faults of its own
        reason = str(fault).strip().splitlines()
        raise DataError(
            f"{path} cannot be read as {kind[1:]}: {reason[0] if reason else type(fault).__name__}"
        ) from None
    return [
        {str(key): None if _missing(value) else value for key, value in row.items()}
        for row in table.to_dict("records")
    ]


def _json_lines(path: Path) -> list[Row]:
    return [row for _, row in json_objects(path, _text_of(path))]


def _delimited(path: Path) -> list[Row]:
    """CSV as spreadsheets write it: any encoding, comma, semicolon or tab."""
    import csv
    import io

    text = _text_of(path)
    csv.field_size_limit(1 << 24)
    head = text.partition("\n")[0]
    delimiter = max((",", ";", "\t"), key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise DataError(
                    f"{path}, line {reader.line_num}: it has another number of cells than the "
                    "header."
                )
            rows.append({key: value or None for key, value in row.items()})
    except csv.Error as fault:
        raise DataError(f"{path}, line {reader.line_num}: {fault}.") from None
    return rows


def _text_of(path: Path) -> str:
    try:
        return decode(path.read_bytes())
    except InputError:
        raise DataError(f"{path} is not text: is its name's ending right?") from None


def _mapped(recipe: Recipe, tables: Iterable[tuple[str, str | None, Sequence[Row]]]) -> list[Row]:
    """Rows in this project's fields, as `prepare.columns` maps them.

    Raises:
        DataError: a column that is not there, a text that is no text, no row at all.
    """
    columns = {name: name for name in FIELDS}
    if recipe.prepare.group_by is not None:
        columns[recipe.prepare.group_by] = recipe.prepare.group_by
    columns |= recipe.prepare.columns
    official = {there: here for here, there in recipe.prepare.official.items()}
    found: list[Row] = []
    for where, split_there, rows in tables:
        _check_columns(recipe, columns, where, rows)
        for number, row in enumerate(rows, start=1):
            mapped = {name: row.get(column) for name, column in columns.items()}
            mapped["split"] = split_there or row.get("split")
            for name in ("input", "target"):
                if mapped[name] is not None and not isinstance(mapped[name], str):
                    raise DataError(
                        f"{where}, row {number}: {columns[name]} must be text, not "
                        f"{mapped[name]!r:.60}."
                    )
            for name, value in mapped.items():  # a clinic may be a number; it is a name here
                if isinstance(value, (dict, list)):
                    column = columns.get(name, name)
                    raise DataError(
                        f"{where}, row {number}: {column} must be one value, not {value!r:.60}."
                    )
                mapped[name] = None if value is None else str(value)
            mapped["id"] = mapped["id"] if mapped["id"] is not None else str(len(found))
            mapped["source"] = mapped["source"] or recipe.prepare.hub or recipe.name
            mapped["split"] = official.get(mapped["split"], mapped["split"])
            known = {key: value for key, value in mapped.items() if value is not None}
            if "mesh" in known:  # what train.compose tells hosts and findings by
                known["normal"] = known["mesh"].strip().lower() == "normal"
            found.append(known)
    if not found:
        raise DataError("The source holds no row.")
    return found


def _check_columns(
    recipe: Recipe, columns: dict[str, str], where: str, rows: Sequence[Row]
) -> None:
    """Every table has the columns that are mapped; in JSON Lines, some row of it has them."""
    there = list(dict.fromkeys(key for row in rows for key in row))
    grouped = [recipe.prepare.group_by] if recipe.prepare.split == "group" else []
    for name in ("input", "target", *recipe.prepare.columns, *grouped):
        if rows and columns[name] not in there:
            raise DataError(
                f"{where}: prepare.columns: there is no column {columns[name]!r} for {name}; the "
                f"columns are {', '.join(map(str, there))}."
            )


def _missing(value: Any) -> bool:
    """Whether a cell of a table is empty: None, NaN, or pandas' NA and NaT."""
    import pandas

    return bool(pandas.api.types.is_scalar(value) and pandas.isna(value))


# --- cleaning -----------------------------------------------------------------------------------

_HEADING = re.compile(
    r"^\s*(?:findings?|report|results?|impressions?|conclusions?|opinion|summary)\s*:\s*",
    re.IGNORECASE,
)
_MASK = re.compile(r"XXXX|\[\*\*|_{3,}")
_MASKED_RAY = re.compile(r"\bx-\s?XXXX", re.IGNORECASE)


def clean_rows(recipe: Recipe, rows: Sequence[Row], prepared: Prepared) -> list[Row]:
    """Rows cleaned and filtered; what each rule dropped goes into `prepared.dropped`.

    Masks, white space and encodings are cleaned (summarizer.text.clean), headings such as
    "IMPRESSION:" taken off. Then, in this order: no input or target, a target to be learned from
    that does not read well without its masks (train.masks), seed 004's lengths, duplicates.
    """
    rules = recipe.prepare
    task = get_task(recipe.task)
    dropped: Counter = Counter()
    kept: list[Row] = []
    seen: set[tuple[Any, ...]] = set()
    copies: Counter = Counter()
    for row in rows:
        if not row.get("input") or not row.get("target"):
            dropped["no input or no target"] += 1
            continue
        row = dict(row)
        if row.get("split") in (None, "train"):
            target = without_masks(row["target"])
            if target is None or _MASK.search(_MASKED_RAY.sub("", target)):
                dropped["target not readable without its masks"] += 1
                continue
            row["target"] = target
        row["input"] = _HEADING.sub("", clean(row["input"]))
        row["target"] = _HEADING.sub("", clean(row["target"]))
        if row.get("section") is not None and task.sections:
            row["section"] = section_name(task, str(row["section"]))
        reason = _length_rule(rules, row)
        # The same row in two official splits is no duplicate to be dropped, but a leak to be told.
        split = row.get("split") if rules.split == "official" else None
        key = (split, normal(row["input"]), str(row.get("section")), normal(row["target"]))
        if reason is None and key in seen:
            reason = "the same input and target as another row"
        if reason is not None:
            dropped[reason] += 1
            continue
        seen.add(key)
        copies[row["id"]] += 1
        if copies[row["id"]] > 1:  # an id names one row
            row["id"] = f"{row['id']}-{copies[row['id']]}"
        kept.append(row)
    prepared.dropped += list(dropped.items())
    return kept


def _length_rule(rules: Any, row: Row) -> str | None:
    if len(row["input"]) < rules.min_input_characters:
        return f"input under {rules.min_input_characters} characters"
    if len(row["target"]) < rules.min_target_characters:
        return f"target under {rules.min_target_characters} characters"
    if rules.max_target_characters and len(row["target"]) > rules.max_target_characters:
        return f"target over {rules.max_target_characters} characters"
    return None


# --- splitting ----------------------------------------------------------------------------------


def split_rows(recipe: Recipe, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by split: the publisher's where it has one, else by seed.

    Rows that must not be parted (a patient's, a document's, or one text asked for several
    sections) are in one split: the unit that is drawn is `group_by`, or the input itself.

    Raises:
        DataError: `group_by` is missing in a row; `split: official` with no split anywhere.
    """
    chosen = recipe.prepare
    splits: dict[str, list[Row]] = {split: [] for split in SPLITS}
    free: list[Row] = []
    for row in rows:
        split = row.get("split") if chosen.split == "official" else None
        if split is None:
            free.append(row)
        elif split in splits:
            splits[split].append(row)
        else:
            raise DataError(
                f"prepare.official: the source has a split {split!r}; say which of train, "
                "validation and test it is."
            )
    if chosen.split == "official" and chosen.official and free:
        raise DataError("prepare.split is official, but rows of the source name no split.")
    if chosen.split == "group":  # a patient may be in several sources, but in one split
        _draw(recipe, free, splits)
    else:
        for source in sorted({row["source"] for row in free}):
            _draw(recipe, [row for row in free if row["source"] == source], splits)
    if chosen.max_rows is not None:
        splits = {split: part[: chosen.max_rows] for split, part in splits.items()}
    return {split: [_without_split(row) for row in part] for split, part in splits.items()}


def _draw(recipe: Recipe, rows: list[Row], splits: dict[str, list[Row]]) -> None:
    chosen = recipe.prepare
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if chosen.group_by is not None and chosen.split == "group":
            if row.get(chosen.group_by) is None:
                raise DataError(
                    f"prepare.group_by: row {row['id']} of {row['source']} has no "
                    f"{chosen.group_by}."
                )
            groups[str(row[chosen.group_by])].append(row)
        else:
            groups[normal(row["input"])].append(row)
    names = sorted(groups)
    order = np.random.default_rng(chosen.split_seed).permutation(len(names))
    wanted = [share * len(rows) for share in chosen.shares]
    filled = [0.0] * len(SPLITS)
    for place in order:
        group = groups[names[place]]
        split = max(range(len(SPLITS)), key=lambda at: (wanted[at] - filled[at]) / wanted[at])
        splits[SPLITS[split]].extend(group)
        filled[split] += len(group)


def _without_split(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "split"}


def _refuse_empty(recipe: Recipe, prepared: Prepared) -> None:
    for split in SPLITS:
        if not prepared.splits[split]:
            drops = ", ".join(f"{count} {rule}" for rule, count in prepared.dropped)
            raise DataError(
                f"The {split} split is empty: {prepared.read} rows were read"
                + (f", dropped were {drops}" if drops else "")
                + ("; give --prepare.split random." if recipe.prepare.split == "official" else ".")
            )


# --- leaks and styles ---------------------------------------------------------------------------


def _look_for_leaks(recipe: Recipe, prepared: Prepared) -> None:
    """Fail on a leak, drop the training rows that leak, or mark the rows that they give away."""
    chosen = recipe.prepare
    prepared.leaks = find_leaks(prepared.splits, chosen.near_duplicate)
    if prepared.leaks and chosen.leaks == "fail":
        leak = max(prepared.leaks, key=lambda one: one.similarity)
        twin_split = {"train": "training"}.get(leak.twin_split, leak.twin_split)
        raise DataError(
            f"Rows that stand in another split as well: {len(prepared.leaks)}; {leak.split} row "
            f"{leak.row} is {100 * leak.similarity:.0f}% {twin_split} row {leak.twin}; give "
            "--leaks drop to take such rows out of training and validation, or --leaks allow to "
            "mark them."
        )
    if chosen.leaks == "drop":
        dropped: Counter = Counter()
        leaks = prepared.leaks
        while leaks:  # a row may have several twins
            for split in ("train", "validation"):
                guilty = {leak.twin for leak in leaks if leak.twin_split == split}
                kept = [row for row in prepared.splits[split] if row["id"] not in guilty]
                dropped[split] += len(prepared.splits[split]) - len(kept)
                prepared.splits[split] = kept
            leaks = find_leaks(prepared.splits, chosen.near_duplicate)
        for split, where in (("train", "validation or test"), ("validation", "test")):
            if dropped[split]:
                prepared.dropped.append((f"{split} row that stands in {where}", dropped[split]))
        _refuse_empty(recipe, prepared)
        return
    found = {(leak.split, leak.row) for leak in prepared.leaks if leak.twin_split == "train"}
    targets = {normal(row["target"]) for row in prepared.splits["train"]}
    for split in ("validation", "test"):
        for row in prepared.splits[split]:
            row["near_dup_in_train"] = (split, row["id"]) in found
            row["target_in_train"] = normal(row["target"]) in targets


def _add_styles(recipe: Recipe, prepared: Prepared) -> None:
    """Give every row the cluster of style of whoever wrote it; a stranger's is the largest."""
    try:
        prepared.styles = find_styles(recipe, prepared.splits["train"])
    except ValueError as fault:
        raise DataError(str(fault)) from None
    by = recipe.scaling.cluster_by
    for rows in prepared.splits.values():
        for row in rows:
            row["style"] = prepared.styles.get(str(row.get(by) or "unspecified"), 0)


# --- writing ------------------------------------------------------------------------------------


def write(recipe: Recipe, prepared: Prepared) -> None:
    """Put the splits, prepared.json and the report into data_dir, whole file by whole file.

    Raises:
        DataError: the folder holds data that this command did not make.
    """
    from train.datareport import write_report

    target = Path(recipe.data.data_dir)
    staged = target.parent / f".{target.name}.new"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    _write_aux(recipe, prepared)
    record: dict[str, Any] = {
        "recipe": recipe.name,
        "prepare": dataclasses.asdict(recipe.prepare),
        "read": prepared.read,
        "dropped": dict(prepared.dropped),
        "leaks": [dataclasses.asdict(leak) for leak in prepared.leaks],
        "styles": prepared.styles,
        "files": {},
    }
    for split, rows in prepared.splits.items():
        path = staged / f"{split}.jsonl"
        path.write_text(_lines(rows), encoding="utf-8")
        record["files"][path.name] = {"rows": len(rows), "sha256": file_sha256(path)}
    write_json(staged / "prepared.json", record)
    write_report(recipe, prepared, staged)
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(staged.iterdir()):
        path.replace(target / path.name)
    staged.rmdir()


def _write_aux(recipe: Recipe, prepared: Prepared) -> None:
    """Move the rows of auxiliary sets out of the training split into files of their own."""
    for name in recipe.prepare.aux:
        rows = [row for row in prepared.splits["train"] if row["source"] == name]
        path = Path(recipe.data.data_dir).parent / "aux" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".{path.name}.new")
        staged.write_text(_lines(rows), encoding="utf-8")
        staged.replace(path)
    kept = [row for row in prepared.splits["train"] if row["source"] not in recipe.prepare.aux]
    prepared.splits["train"] = kept


def _lines(rows: Sequence[Row]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False, default=str)}\n" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
