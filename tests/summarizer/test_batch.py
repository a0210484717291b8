"""Files of rows: the same rows in the same order with both columns, killed or not."""

import csv
import json
import os
import signal
import time
from pathlib import Path

import pytest
from tiny_t5 import TEXTS

from summarizer.batch import InputError, check_target, read_table, run_batch
from summarizer.tasks import Decoding, get_task
from tests.warm import Started

SHORT = Decoding(max_new_tokens=12)
TASK = get_task("radiology")


def write_rows(path: Path, count: int) -> list[dict]:
    rows = [
        {"id": n, "input": " ".join(TEXTS[(n + k) % len(TEXTS)] for k in range(1 + n % 3))}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


class Counting:
    """The engine, with a count of the rows it was given, and a stop after some batches."""

    def __init__(self, engine, stop_after: int | None = None) -> None:
        self.engine = engine
        self.given: list[int] = []
        self.stop_after = stop_after

    def record(self, task):
        return self.engine.record(task)

    def batch(self, task, rows, **options):
        self.given.append(len(rows))
        for number, result in enumerate(self.engine.batch(task, rows, **options)):
            if number == self.stop_after:
                raise KeyboardInterrupt
            yield result


def run(engine, source: Path, target: Path, batch_size: int = 2, decoding: Decoding = SHORT):
    return run_batch(
        engine, TASK, read_table(source), target, decoding=decoding, batch_size=batch_size
    )


def test_the_same_rows_come_back_in_the_same_order_with_both_columns(engine, tmp_path):
    rows = write_rows(tmp_path / "in.jsonl", 7)
    report = run(engine, tmp_path / "in.jsonl", tmp_path / "out.jsonl", batch_size=3)
    assert (report.rows, report.resumed, report.cut_lines) == (7, 0, [])
    out = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [list(row) for row in out] == [["id", "input", "base", "lora"]] * 7
    for row, given in zip(out, rows, strict=True):
        pair = engine.run("radiology", given["input"], decoding=SHORT)
        assert row == given | {"base": pair.base.text, "lora": pair.lora.text}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_a_row_keeps_its_own_writing(engine, tmp_path):
    raw = r'{"x": 1.10, "big": 123456789012345678901, "e":"\u00e9\ud83d\ude00", "input" : "Heart."}'
    (tmp_path / "in.jsonl").write_text(f"\ufeff{raw}\r\n\n  {raw}  ")
    run(engine, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(raw[:-1] + ', "base": "')
        assert json.loads(line)["big"] == 123456789012345678901


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("b.csv", ";"), ("c.tsv", "\t")])
def test_a_table_comes_back_as_a_table(engine, tmp_path, name, delimiter):
    source, target = tmp_path / name, tmp_path / f"out-{name}"
    cells = [["1", 'He said "ouch", twice;\nsecond line.', "é"], ["2", "Lungs\tclear.", ""]]
    with source.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=delimiter).writerows([["id", "input", "note"], *cells])
    run(engine, source, target)
    with target.open(newline="") as file:
        header, *rows = list(csv.reader(file, delimiter=delimiter))
    assert header == ["id", "input", "note", "base", "lora"]
    assert [row[:3] for row in rows] == cells
    for row in rows:
        pair = engine.run("radiology", row[1], decoding=SHORT)
        assert row[3:] == [pair.base.text, pair.lora.text]


def test_sections_are_of_the_row_or_of_the_command(engine, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"input": "A", "section": "PLAN"}\n{"input": "B"}\n')
    table = read_table(source, "chief complaint")
    assert [row.section for row in table.rows] == ["PLAN", "chief complaint"]


def test_rows_that_were_cut_are_told_by_line(engine, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"input": "short"}\n\n' + json.dumps({"input": "a finding. " * 2000}) + "\n")
    report = run(engine, source, tmp_path / "out")
    assert (report.cut_lines, report.left_out_lines) == ([3], [])


def test_reports_of_which_the_findings_alone_were_read_are_told_by_line(engine, tmp_path):
    source = tmp_path / "in.jsonl"
    whole = "HISTORY: Fall. FINDINGS: The lungs are clear. IMPRESSION: Normal."
    source.write_text(json.dumps({"input": whole}) + '\n{"input": "The lungs are clear."}\n')
    report = run(engine, source, tmp_path / "out")
    assert (report.cut_lines, report.left_out_lines) == ([], [1])
    first, second = (json.loads(line) for line in (tmp_path / "out").read_text().splitlines())
    assert first["lora"] == second["lora"] and first["input"] == whole


# --- stopped and started again ------------------------------------------------------------------


def test_a_killed_process_started_again_ends_with_the_file_of_one_never_killed(tiny, tmp_path):
    write_rows(tmp_path / "in.jsonl", 24)

    def start(target: Path) -> Started:
        return Started(
            *("summarizer", "batch", "radiology", tmp_path / "in.jsonl", target),
            *("--backbone", tiny.backbone, "--adapter", tiny.adapters["radiology"]),
            *("--batch-size", "2", "--max-new-tokens", "60", "--device", "cpu"),
        )

    whole = tmp_path / "whole.jsonl"
    process = start(whole)
    assert process.wait(timeout=900) == 0

    killed, partial = tmp_path / "killed.jsonl", tmp_path / "killed.jsonl.partial"
    process = start(killed)
    deadline = time.monotonic() + 900
    while not partial.exists() or partial.read_bytes().count(b"\n") < 4:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    kept = partial.read_bytes()
    assert 4 <= kept.count(b"\n") < 13  # half-way: some batches of twelve, not all

    process = start(killed)
    _, told = process.communicate(timeout=900)
    assert process.returncode == 0, told
    assert killed.read_bytes() == whole.read_bytes()
    assert not partial.exists()
    assert "Traceback" not in told


def test_what_is_done_is_not_done_again(engine, tmp_path):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 9)
    run(engine, source, tmp_path / "whole.jsonl")
    with pytest.raises(KeyboardInterrupt):
        run(Counting(engine, stop_after=5), source, target)  # in the middle of the third batch
    assert not target.exists()
    again = Counting(engine)
    report = run(again, source, target)
    assert report.resumed == 4
    assert again.given == [5]
    assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("damage", [b'{"3": {"ba', b"\x00\x00\x00", b"not json\n{}\n"])
def test_a_line_that_a_kill_cut_off_is_done_again(engine, tmp_path, damage):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 6)
    with pytest.raises(KeyboardInterrupt):
        run(Counting(engine, stop_after=3), source, target)
    with (tmp_path / "out.jsonl.partial").open("ab") as file:
        file.write(damage)
    again = Counting(engine)
    run(again, source, target)
    assert again.given == [4]
    run(engine, source, tmp_path / "whole.jsonl")
    assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("input", "other rows"),
        ("decoding", "another decoding"),
        ("batch_size", "another batch size"),
    ],
)
def test_work_of_another_input_or_other_settings_is_neither_taken_up_nor_lost(
    engine, tmp_path, change, told
):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    partial = tmp_path / "out.jsonl.partial"
    write_rows(source, 6)
    with pytest.raises(KeyboardInterrupt):
        run(Counting(engine, stop_after=3), source, target)
    options = {"batch_size": 2, "decoding": SHORT}
    if change == "input":
        source.write_text(source.read_text().replace("heart", "liver"))
    elif change == "decoding":
        options["decoding"] = Decoding(max_new_tokens=13)
    else:
        options["batch_size"] = 3
    kept = partial.read_bytes()
    again = Counting(engine)
    with pytest.raises(InputError, match=f"holds 2 finished rows of a run with {told}:"):
        run(again, source, target, **options)
    assert partial.read_bytes() == kept and not target.exists()
    partial.unlink()  # as it says
    assert run(again, source, target, **options).resumed == 0
    assert again.given == [6]


def test_settings_may_change_before_a_row_is_done(engine, tmp_path):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 4)
    with pytest.raises(KeyboardInterrupt):
        run(Counting(engine, stop_after=1), source, target)
    assert run(engine, source, target, batch_size=3).resumed == 0
    assert len(target.read_text().splitlines()) == 4


def test_what_a_link_leads_to_is_written(engine, tmp_path):
    source, link = tmp_path / "in.jsonl", tmp_path / "link.jsonl"
    write_rows(source, 4)
    link.symlink_to(tmp_path / "real.jsonl")
    check_target(source, link)
    run(engine, source, link)
    assert link.is_symlink() and len((tmp_path / "real.jsonl").read_text().splitlines()) == 4


def test_a_file_that_is_none_of_ours_is_left_alone(engine, tmp_path):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 4)
    other = tmp_path / "out.jsonl.partial"
    other.write_text('{"input": "somebody\'s rows"}\n')
    with pytest.raises(InputError, match="is in the way: move it"):
        run(engine, source, target)
    assert other.read_text() == '{"input": "somebody\'s rows"}\n'


def test_two_runs_do_not_write_one_file(engine, tmp_path):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 4)

    class Nested(Counting):
        def batch(self, task, rows, **options):
            with pytest.raises(InputError, match="Another run"):
                run(self.engine, source, target)
            return super().batch(task, rows, **options)

    run(Nested(engine), source, target)
    assert len(target.read_text().splitlines()) == 4


def test_an_older_output_stays_until_the_new_one_is_whole(engine, tmp_path):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 4)
    target.write_text("older")
    with pytest.raises(KeyboardInterrupt):
        run(Counting(engine, stop_after=3), source, target)
    assert target.read_text() == "older"
    run(engine, source, target)
    assert len(target.read_text().splitlines()) == 4


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", '{"input": "x"}\n\n{"text": "y"}\n', "line 3: the row has no “input”."),
        ("a.jsonl", '{"input": "x"}\n{"input": 5}\n', "line 2: “input” must be text."),
        ("a.jsonl", '{"input": "x"}\n{"input": " "}\n', "line 2: The text is empty"),
        ("a.jsonl", '{"input": "x"\n', "line 1: this is not JSON."),
        ("a.jsonl", '["x"]\n', "one JSON list"),
        ("a.jsonl", '"x"\n', "line 1: a row must be a JSON object."),
        ("a.jsonl", '{"input": "x", "section": 1}\n', "line 1: “section” must be text."),
        ("a.jsonl", '{"input": "x", "base": ""}\n', "line 1: the row has a “base” already"),
        ("a.jsonl", json.dumps({"input": "x" * 200_001}), "line 1: The text has 200,001"),
        ("a.jsonl", "", "has no rows."),
        ("a.jsonl", "\n\n", "has no rows."),
        ("a.jsonl", b"\x80\x00\xff\x00" * 50, "binary"),
        ("a.jsonl", "[" * 100_000, "one JSON list"),
        ("a.jsonl", '{"a":' * 100_000, "line 1: this is not JSON."),
        ("a.csv", "id,text\n1,x\n", "has no column “input”: its columns are id, text."),
        ("a.csv", "id,input\n1,x,y\n", "line 2: the row has 3 cells, the header 2."),
        ("a.csv", "id,input\n1,x\n2,\n", "line 3: The text is empty"),
        ("a.csv", 'id,input\n1,"x\n', "line 2"),
        ("a.csv", "input,input\n1,2\n", "two columns have the same name."),
        ("a.csv", "id,input\n", "has no rows."),
        ("a.csv", "", "has no rows."),
    ],
)
def test_a_bad_row_is_named_by_its_line_before_anything_runs(tmp_path, name, content, told):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as refused:
        read_table(path)
    assert told in str(refused.value)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_used(tmp_path):
    source = tmp_path / "in.jsonl"
    with pytest.raises(InputError, match=r"in\.jsonl\.$"):
        check_target(source, tmp_path / "out")
    with pytest.raises(InputError, match="batch does not read stdin: save the rows"):
        check_target(Path("-"), tmp_path / "out")
    with pytest.raises(InputError, match="is a folder: name a file of rows"):
        check_target(tmp_path, tmp_path / "out")
    source.write_text("{}")
    with pytest.raises(InputError, match="is a folder"):
        check_target(source, tmp_path)
    with pytest.raises(InputError, match="There is no folder"):
        check_target(source, tmp_path / "nowhere" / "out")
    with pytest.raises(InputError, match="same file"):
        check_target(source, tmp_path / "." / "in.jsonl")
    for ending in ("partial", "writing"):
        unfinished = tmp_path / f"out.{ending}"
        unfinished.write_text("{}")
        with pytest.raises(InputError, match=f"out.{ending} is where unfinished work is kept"):
            check_target(unfinished, tmp_path / "out")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(InputError, match="is a link that leads nowhere"):
        check_target(source, tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is no ordinary file"):
        check_target(source, tmp_path / "pipe")
