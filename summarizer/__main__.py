"""The command line: `python -m summarizer run`, `batch`, `benchmark` and `deploy`.

Bad input ends with one sentence on stderr and a status other than zero. No model library is
imported before a model is needed, so `--help` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from summarizer.sections import left_out_words
from summarizer.settings import DEVICES, DTYPES, Settings, SettingsError, read_settings
from summarizer.tasks import TASKS, Decoding, Task, UnknownTask, get_task, section_note
from summarizer.text import MAX_CHARACTERS, InputError, check_input, decode

if TYPE_CHECKING:
    from summarizer.generate import Engine, Pair

NOTICE = "Research demonstration, not for clinical use. Do not give it patient data."


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status; errors are told on stderr in one sentence."""
    from summarizer.backbone import ModelError
    from summarizer.hub import HubError

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    options = parser().parse_args(arguments)
    try:
        status = options.command(options, read_settings())
        sys.stdout.flush()
        return status
    except (InputError, SettingsError, UnknownTask, ModelError, HubError) as error:
        for line in getattr(error, "log", ()):  # of a Space that did not start
            print(f"  {line}", file=sys.stderr)
        return _fail(str(error))
    except BrokenPipeError:  # `... | head` is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}.")
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    whole = _Parser(
        prog="python -m summarizer",
        description="Two summaries of a medical text: a base model's, and the same model's with a "
        "LoRA adapter for the task.",
        epilog=NOTICE,
    )
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="both columns for one text", epilog=NOTICE)
    _task_argument(run)
    run.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="a text file; - or none: stdin"
    )
    run.add_argument("--json", action="store_true", help="print one JSON object")
    _model_options(run)
    run.set_defaults(command=run_command)

    batch = commands.add_parser(
        "batch",
        help="both columns for every row of a file",
        description="Adds the columns `base` and `lora` to every row. A run that was stopped goes "
        "on where it was when the same command is given again.",
        epilog=NOTICE,
    )
    _task_argument(batch)
    batch.add_argument("input", metavar="IN", type=Path, help="JSON Lines or CSV with `input`")
    batch.add_argument("output", metavar="OUT", type=Path, help="the file to write")
    batch.add_argument("--batch-size", type=_whole, default=8, metavar="N", help="rows at a time")
    _model_options(batch)
    batch.set_defaults(command=batch_command)

    bench = commands.add_parser(
        "benchmark",
        help="how fast both columns are, against two models one after the other",
        description="Times both columns of one text against the plain way, two separately loaded "
        "models one after the other with the same tokens, and checks that the text is the same.",
    )
    bench.add_argument("--task", default="radiology", metavar="TASK", help=", ".join(TASKS))
    bench.add_argument("--repeat", type=_whole, default=5, metavar="N", help="timed runs of each")
    bench.add_argument("--rows", type=_whole, default=8, metavar="N", help="rows of the batch")
    bench.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    _model_options(bench)
    bench.set_defaults(command=benchmark_command)

    deploy = commands.add_parser(
        "deploy",
        help="serve the page as a Space of the Hub",
        description="Makes the Space or brings it up to date: the page, its library and the models "
        "it serves in one commit, hardware, variables and secrets; then waits for the build. The "
        "token is the Hub client's own: `hf auth login`, or HF_TOKEN.",
    )
    deploy.add_argument("space", metavar="OWNER/SPACE", help="made where it is missing")
    deploy.add_argument("--hardware", metavar="NAME", help="such as cpu-basic, t4-small, zero-a10g")
    deploy.add_argument(
        "--variable",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the page, such as SUMMARIZER_ADAPTER_DIALOGUE=owner/name@revision",
    )
    deploy.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME",
        help="a secret; its value is taken from the environment variable of that name",
    )
    deploy.add_argument("--private", action="store_true", help="a new Space is private")
    deploy.add_argument(
        "--replace", action="store_true", help="overwrite another app that is there"
    )
    deploy.add_argument("--dry-run", action="store_true", help="show what would go up")
    deploy.add_argument(
        "--wait",
        type=_seconds,
        default=1800.0,
        metavar="SECONDS",
        help="how long to wait for the build; 0 does not wait (default: 1800)",
    )
    deploy.set_defaults(command=deploy_command)
    return whole


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"Error: {message.rstrip('.')} (see {self.prog} --help).\n")


def _task_argument(command: argparse.ArgumentParser) -> None:
    command.add_argument("task", metavar="TASK", help=", ".join(TASKS))


def _model_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--section", metavar="NAME", help="the section of the note to write")
    command.add_argument("--beams", type=_whole, metavar="N", help="beams; 1 is greedy")
    command.add_argument("--max-new-tokens", type=_whole, metavar="N", help="longest output")
    command.add_argument("--backbone", metavar="MODEL", help="folder, or owner/name@revision")
    command.add_argument("--adapter", metavar="MODEL", help="folder, or owner/name@revision")
    command.add_argument("--device", choices=DEVICES, help="default: auto")
    command.add_argument("--dtype", choices=DTYPES, help="default: auto")
    command.add_argument("--threads", type=_whole, metavar="N", help="of the CPU; default: cores")


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def run_command(options: argparse.Namespace, settings: Settings) -> int:
    task = get_task(options.task)
    text = check_input(_read_text(options.file))
    engine = _load(options, settings, task)
    _tell_of_section(engine.task(task.name), options.section)
    pair = engine.run(
        task.name, text, section=options.section, decoding=_decoding(options, engine, task)
    )
    if options.json:
        print(json.dumps(_as_json(task, engine, pair), ensure_ascii=False, indent=2))
    else:
        print(_as_text(task, engine, pair))
    return 0


def batch_command(options: argparse.Namespace, settings: Settings) -> int:
    from tqdm import tqdm

    from summarizer.batch import check_target, read_table, run_batch

    task = get_task(options.task)
    check_target(options.input, options.output)
    table = read_table(options.input, options.section)
    engine = _load(options, settings, task)
    _tell_of_section(engine.task(task.name), options.section)
    with tqdm(total=len(table.rows), unit="row", file=sys.stderr, dynamic_ncols=True) as bar:

        def started(done: int, rows: int) -> None:
            bar.reset(total=rows)
            bar.initial = done
            bar.update(done)

        report = run_batch(
            engine,
            task,
            table,
            options.output,
            decoding=_decoding(options, engine, task),
            batch_size=options.batch_size,
            started=started,
            advanced=bar.update,
        )
    for told, of_lines in (
        ("Not read to the end, as they are longer than the model reads", report.cut_lines),
        ("Read without the sections that are no findings", report.left_out_lines),
    ):
        if of_lines:
            lines = ", ".join(map(str, of_lines[:10]))
            more = ", …" if len(of_lines) > 10 else ""
            print(
                f"{told}: {len(of_lines)} of {report.rows} rows (line {lines}{more}).",
                file=sys.stderr,
            )
    return 0


def benchmark_command(options: argparse.Namespace, settings: Settings) -> int:
    from summarizer.benchmark import benchmark, table

    task = get_task(options.task)
    backbone, adapter = _sources(options, settings, task)
    found = benchmark(
        task,
        backbone,
        adapter,
        device=options.device or settings.device,
        dtype=options.dtype or settings.dtype,
        threads=options.threads or settings.threads or None,
        section=options.section,
        num_beams=options.beams,
        max_new_tokens=options.max_new_tokens,
        repeat=options.repeat,
        rows=options.rows,
    )
    print(table(found))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def _tell_of_section(task: Task, raw: str | None) -> None:
    note = section_note(task, raw)
    if note:
        print(note, file=sys.stderr)


def _read_text(name: str) -> str:
    """A file's text, or stdin's for "-". Raises InputError."""
    most = 4 * MAX_CHARACTERS + 4  # UTF-8 takes at most four bytes for a character
    if not name:
        raise InputError("FILE is empty: name a text file, or - for stdin.")
    if name == "-":
        if sys.stdin is None:
            raise InputError("Nothing can be read from stdin: name a text file.")
        if sys.stdin.isatty():
            print("Type or paste the text, then press Ctrl+D.", file=sys.stderr)
        data = sys.stdin.buffer.read(most + 1)
    else:
        path = Path(name)
        if path.is_dir():
            raise InputError(f"{name} is a folder: name a text file.")
        try:
            with path.open("rb") as file:
                data = file.read(most + 1)
        except FileNotFoundError:
            raise InputError(f"There is no file {name}.") from None
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror or error}.") from None
    if len(data) > most:
        raise InputError(
            f"The text has more than {MAX_CHARACTERS:,} characters: give the part that matters."
        )
    return decode(data)


def deploy_command(options: argparse.Namespace, settings: Settings) -> int:
    from summarizer.hub import clean_line
    from summarizer.space import deploy

    variables = {}
    for one in options.variable:
        name, mark, value = one.partition("=")
        if not mark:
            raise InputError(f"--variable {clean_line(one)}: write NAME=VALUE.")
        variables[name] = value
    for name in options.secret:
        if not os.environ.get(name):
            raise InputError(
                f"--secret {clean_line(name.partition('=')[0])}: give its name alone, and its value "
                "in the environment variable of that name."
            )
    done = deploy(
        options.space,
        hardware=options.hardware,
        variables=variables,
        secrets={name: os.environ[name] for name in options.secret},
        private=options.private,
        replace_app=options.replace,
        dry_run=options.dry_run,
        wait=options.wait,
    )
    if done is not None:
        print(f"{done.address} ({done.stage})")
    return 0


def _load(options: argparse.Namespace, settings: Settings, task: Task) -> Engine:
    from summarizer.generate import Engine

    backbone, adapter = _sources(options, settings, task)
    return Engine.load(
        backbone,
        {task.name: adapter},
        device=options.device or settings.device,
        dtype=options.dtype or settings.dtype,
        threads=options.threads or settings.threads or None,
    )


def _sources(options: argparse.Namespace, settings: Settings, task: Task) -> tuple[str, str]:
    backbone = options.backbone or settings.backbone
    adapter = options.adapter
    if adapter is None and backbone == settings.backbone:
        adapter = settings.adapters.get(task.name)
    if adapter is None:
        raise SettingsError(
            f"No adapter for the task {task.name} is set for the backbone {backbone}: "
            "name one with --adapter."
        )
    return backbone, adapter


def _decoding(options: argparse.Namespace, engine: Engine, task: Task) -> Decoding:
    decoding = engine.task(task.name).decoding
    changes: dict[str, Any] = {}
    if options.beams is not None:
        changes["num_beams"] = options.beams
    if options.max_new_tokens is not None:
        changes["max_new_tokens"] = options.max_new_tokens
        changes["min_new_tokens"] = min(decoding.min_new_tokens, options.max_new_tokens)
    try:
        return replace(decoding, **changes)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _as_json(task: Task, engine: Engine, pair: Pair) -> dict[str, Any]:
    info = engine.adapters[task.name]
    return {
        "task": task.name,
        "backbone": {"name": engine.backbone_name, "revision": engine.backbone_revision},
        "adapter": {
            "name": info.label,
            "path": info.path,
            "revision": info.revision,
            "rank": info.rank,
        },
        "device": engine.device,
        "dtype": engine.dtype,
        "decoding": pair.decoding.to_dict(),
        "prompt": pair.prompt,
        "windows": pair.windows,
        "left_out": list(pair.left_out),
        "cut": asdict(pair.cut) if pair.cut is not None else None,
        "base": asdict(pair.base),
        "lora": asdict(pair.lora),
    }


def _as_text(task: Task, engine: Engine, pair: Pair) -> str:
    from summarizer.backbone import shown_name

    adapter = engine.adapters[task.name].label
    backbone = shown_name(engine.backbone_name, engine.backbone_revision)
    endings = {"length": ", cut off at the longest output", "stopped": ", stopped"}
    parts = []
    for title, summary in (
        (f"Base: {backbone}", pair.base),
        (f"LoRA: {backbone} + {adapter}", pair.lora),
    ):
        facts = f"{summary.tokens} tokens, {summary.seconds:.1f} s"
        parts.append(f"{title} ({facts}{endings.get(summary.finish, '')})")
        # a terminal obeys control characters: a model's text must not reach it with them
        shown = "".join(c for c in summary.text if c.isprintable() or c == "\n")
        parts.append(f"{shown or '(no text)'}\n")
    if pair.windows > 1:
        parts.append(f"Read in {pair.windows} windows, the parts put together.\n")
    if pair.left_out:
        parts.append(f"{left_out_words(pair.left_out)}\n")
    if pair.cut is not None:
        cut = pair.cut
        parts.append(
            f"Not read: the last {cut.words_unread:,} words. The model reads {cut.tokens_read:,} "
            f"of the {cut.tokens_total:,} tokens; it did not see:\n{cut.unread_text}\n"
        )
    return "\n".join(parts).rstrip("\n")


def _fail(message: str) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
