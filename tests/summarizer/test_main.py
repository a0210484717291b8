"""The command line: both columns for a person and for a machine, one sentence for a fault."""

import io
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from tiny_t5 import TEXTS, make_adapter, make_backbone

from summarizer.__main__ import _read_text, main
from summarizer.backbone import ROOT
from summarizer.tasks import Decoding
from summarizer.text import InputError


@pytest.fixture
def command(tiny, capfd, monkeypatch):
    """Run a command in this process on the tiny model: its status, stdout and stderr."""

    def run(name, *arguments, stdin="", model=True):
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        task = arguments[0] if arguments else ""
        options = ["--device", "cpu"]
        if model:
            options += ["--backbone", tiny.backbone]
            options += ["--adapter", tiny.adapters.get(task, tiny.adapters["radiology"])]
        capfd.readouterr()  # what making a model printed is none of the command's
        try:
            code = main([name, *map(str, arguments), *options])
        except SystemExit as ended:
            code = ended.code
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


def assert_refused(done, *words) -> None:
    """One clear sentence on stderr, nothing on stdout, a status other than zero."""
    assert done.code not in (0, None)
    assert done.out == ""
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err


# --- run ----------------------------------------------------------------------------------------


def test_run_prints_both_columns_titled(command, engine, tiny):
    done = command("run", "radiology", "-", "--max-new-tokens", 12, stdin=TEXTS[0])
    assert done.code == 0
    pair = engine.run("radiology", TEXTS[0], decoding=Decoding(max_new_tokens=12))
    base, lora = done.out.split("\n\nLoRA: ")
    assert base.startswith(f"Base: {tiny.backbone} (")
    assert lora.startswith(f"{tiny.backbone} + {tiny.adapters['radiology']} (")
    assert pair.base.text.split()[0] in base.split("\n", 1)[1]
    assert pair.lora.text.split()[0] in lora.split("\n", 1)[1]
    assert done.err == ""


def test_run_gives_machines_one_json_object(command, engine, tiny, tmp_path):
    file = tmp_path / "conversation.txt"
    file.write_text(TEXTS[2])
    options = ("--section", "GENHX", "--beams", 2, "--max-new-tokens", 12, "--json")
    done = command("run", "dialogue", file, *options)
    found = json.loads(done.out)
    pair = engine.run(
        "dialogue", TEXTS[2], section="GENHX", decoding=Decoding(max_new_tokens=12, num_beams=2)
    )
    assert found["task"] == "dialogue"
    assert found["base"]["text"] == pair.base.text
    assert found["lora"]["text"] == pair.lora.text
    assert found["lora"]["finish"] in ("end", "length")
    assert found["prompt"] == f"note history of present illness: {TEXTS[2]}"
    assert found["cut"] is None
    assert found["decoding"]["num_beams"] == 2
    assert found["adapter"]["path"] == tiny.adapters["dialogue"]
    assert (done.code, done.err) == (0, "")


def test_run_tells_what_was_not_read(command):
    text = " ".join(f"Word{n}." for n in range(1500))
    done = command("run", "radiology", "--max-new-tokens", 4, stdin=text)
    assert done.code == 0
    assert "Not read: the last " in done.out
    assert done.out.rstrip().endswith("Word1499.")
    cut = json.loads(command("run", "radiology", "--json", "--max-new-tokens", 4, stdin=text).out)[
        "cut"
    ]
    assert cut["tokens_read"] == 1024 < cut["tokens_total"]
    assert cut["unread_text"].endswith("Word1499.")


def test_run_tells_what_was_left_out_of_a_report(command):
    text = "HISTORY: Fall.\nFINDINGS: The lungs are clear.\nIMPRESSION: Normal."
    done = command("run", "radiology", "--max-new-tokens", 4, stdin=text)
    assert done.out.endswith("Left out: HISTORY, IMPRESSION.\n")
    found = json.loads(command("run", "radiology", "--json", "--max-new-tokens", 4, stdin=text).out)
    assert found["left_out"] == ["HISTORY", "IMPRESSION"] and found["cut"] is None
    assert found["prompt"] == "summarize: The lungs are clear."


def test_the_environment_names_the_model(command, tiny, monkeypatch):
    monkeypatch.setenv("SUMMARIZER_BACKBONE", tiny.backbone)
    monkeypatch.setenv("SUMMARIZER_ADAPTER_QUESTION", tiny.adapters["question"])
    done = command("run", "question", "--max-new-tokens", 4, stdin=TEXTS[3], model=False)
    assert done.code == 0
    assert tiny.adapters["question"] in done.out
    assert_refused(command("run", "radiology", stdin="x", model=False), "--adapter", "radiology")


def test_a_terminal_is_not_given_control_characters(tiny):
    from summarizer.__main__ import _as_text
    from summarizer.generate import Pair, Summary

    evil = Summary("a\x1b[2Jb\x07c\nd", 4, 0.1, "end")
    engine = SimpleNamespace(
        backbone_name="base",
        backbone_revision=None,
        adapters={"radiology": SimpleNamespace(label="adapter")},
    )
    shown = _as_text(
        SimpleNamespace(name="radiology"), engine, Pair(evil, evil, None, Decoding(), "")
    )
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "a[2Jbc\nd" in shown


# --- batch --------------------------------------------------------------------------------------


def test_batch_writes_what_run_prints_and_shows_its_progress(command, tmp_path):
    rows = [{"id": n, "input": text} for n, text in enumerate(TEXTS)]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = command("batch", "question", source, target, "--max-new-tokens", 10, "--batch-size", 2)
    assert done.code == 0, done.err
    assert done.out == ""
    assert "5/5" in done.err
    for line, row in zip(target.read_text().splitlines(), rows, strict=True):
        single = command(
            "run", "question", "--json", "--max-new-tokens", 10, stdin=row["input"]
        ).out
        assert json.loads(line)["base"] == json.loads(single)["base"]["text"]
        assert json.loads(line)["lora"] == json.loads(single)["lora"]["text"]


# --- benchmark ----------------------------------------------------------------------------------


@pytest.mark.parametrize("beams", [1, 2])
def test_the_benchmark_compares_the_same_text(command, beams, tmp_path):
    options = ("--repeat", 1, "--rows", 2, "--max-new-tokens", 6, "--beams", beams)
    file = tmp_path / "measured" / "columns.json"
    done = command("benchmark", *options, "--json", file)
    assert done.code == 0, done.err
    assert "the text is the same both ways" in done.out
    assert done.out.count("x\n") == 3  # three ratios
    found = json.loads(file.read_text())
    assert found["decoding"]["num_beams"] == beams and found["tokens"]["input"] > 100
    assert len(found["seconds"]) == 3
    for row in found["seconds"].values():
        assert row["ratio"] == pytest.approx(row["plain"] / row["engine"])


def test_the_benchmark_refuses_a_speed_that_changes_the_text(monkeypatch, command):
    from summarizer import benchmark

    plain = benchmark._Plain.one

    def other(self, *arguments):
        texts, first, total = plain(self, *arguments)
        return [texts[0], texts[1] + "!"], first, total

    monkeypatch.setattr(benchmark._Plain, "one", other)
    done = command("benchmark", "--repeat", 1, "--rows", 1, "--max-new-tokens", 4)
    assert_refused(done, "LoRA column")


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stdin", "word"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("\u200b\u202e", "nothing"),
        ("x" * 2**20, "200,000"),
        ("x" * 250_000, "200,000"),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00", "binary"),
        (bytes(range(128, 256)) * 9, "binary"),
    ],
)
def test_bad_text(command, stdin, word):
    assert_refused(command("run", "radiology", "-", stdin=stdin), word)


@pytest.mark.parametrize("text", ["\u200fمرحبا\u202c", "😀 👍🏽", "naïve".encode("cp1252")])
def test_unusual_text_works(command, text):
    assert command("run", "radiology", "--max-new-tokens", 3, stdin=text).code == 0


def test_files_that_are_not_there(command, tmp_path):
    assert_refused(command("run", "radiology", tmp_path / "no.txt"), "There is no file")
    assert_refused(command("run", "radiology", tmp_path), "is a folder")
    missing = command("batch", "radiology", tmp_path / "no.jsonl", tmp_path / "out")
    assert_refused(missing, "There is no file")
    assert_refused(command("batch", "radiology", tmp_path, tmp_path / "out"), "is a folder")
    assert_refused(command("run", "radiology", ""), "FILE is empty")


def test_without_stdin_it_says_so(command, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="Nothing can be read from stdin"):
        _read_text("-")


def test_half_a_character_in_a_section_is_left_out(command, tmp_path):
    text = tmp_path / "visit.txt"
    text.write_text("Doctor: Any pills?\nPatient: No.")
    done = command("run", "dialogue", text, "--section", "plan\udcff", "--max-new-tokens", 3)
    assert done.code == 0, done.err
    rows = tmp_path / "in.jsonl"
    rows.write_text('{"input": "Doctor: Hi.", "section": "\\ud800"}\n')
    done = command("batch", "dialogue", rows, tmp_path / "out.jsonl", "--max-new-tokens", 3)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("task", "section", "told"),
    [
        ("dialogue", "hystory", "“hystory” is none of the usual sections (history of"),
        ("radiology", "plan", "The task radiology has no sections"),
        ("dialogue", "Plan", None),
        ("dialogue", "GENHX", None),
    ],
)
def test_a_section_that_means_nothing_is_told(command, task, section, told):
    done = command("run", task, "--section", section, "--max-new-tokens", 3, stdin="Patient: Hi.")
    assert done.code == 0
    assert told in done.err if told else "section" not in done.err


def test_a_row_without_input_names_its_line(command, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"input": "a"}\n{"text": "b"}\n')
    done = command("batch", "radiology", source, tmp_path / "out.jsonl")
    assert_refused(done, "line 2", "“input”")
    assert not (tmp_path / "out.jsonl").exists()


def test_unknown_tasks_options_and_numbers(command):
    assert_refused(command("run", "cardiology", stdin="a"), "radiology, dialogue, question")
    assert_refused(command("run", "radiology", "--beams", "0", stdin="a"), "--beams")
    assert_refused(command("run", "radiology", "--beams", "99", stdin="a"), "num_beams")
    assert_refused(command("run", "radiology", "--nonsense", stdin="a"), "--nonsense")
    assert_refused(command("run"), "TASK")


def test_wrong_settings(command, monkeypatch):
    monkeypatch.setenv("SUMMARIZER_THREADS", "many")
    assert_refused(command("run", "radiology", stdin="a"), "SUMMARIZER_THREADS")


def test_models_that_cannot_be_used(command, tiny, tmp_path):
    def refused(*words, **models):
        options = [f"--{name}={path}" for name, path in models.items()]
        assert_refused(command("run", "radiology", "-", *options, stdin="a", model=False), *words)

    empty, own = tmp_path / "empty", tiny.adapters["radiology"]
    empty.mkdir()
    refused("is missing", backbone="models/nothing", adapter=own)
    refused("holds no backbone", backbone=empty, adapter=own)
    refused("holds no adapter", backbone=tiny.backbone, adapter=empty)

    other = make_adapter(make_backbone(tmp_path / "wide", width=48), tmp_path / "other", seed=1)
    refused("does not fit", backbone=tiny.backbone, adapter=other)

    truncated = shutil.copytree(own, tmp_path / "truncated")
    weights = truncated / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    refused("damaged", backbone=tiny.backbone, adapter=truncated)

    weights.rename(truncated / "adapter_model.bin")
    refused("pickle", backbone=tiny.backbone, adapter=truncated)


# --- as a real process --------------------------------------------------------------------------


def test_help_answers_without_a_model_library():
    """`python -m summarizer --help`, where importing one of them would fail."""
    program = (
        "import sys, runpy\n"
        "for name in ('torch', 'transformers', 'peft', 'gradio', 'huggingface_hub', 'numpy'):\n"
        "    sys.modules[name] = None\n"
        "sys.argv = ['summarizer', *sys.argv[1:]]\n"
        "runpy.run_module('summarizer', run_name='__main__')\n"
    )
    for arguments in (["--help"], ["run", "--help"], ["batch", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "not for clinical use" in " ".join(done.stdout.split())


def test_a_real_process_from_stdin_to_status(run_command, tiny):
    model = ("--backbone", tiny.backbone, "--adapter", tiny.adapters["radiology"])
    done = run_command(
        "summarizer", "run", "radiology", "-", "--max-new-tokens", 4, *model, stdin=TEXTS[0]
    )
    assert done.code == 0, done.err
    assert done.err == ""
    assert done.out.startswith("Base: ")
    done = run_command("summarizer", "run", "radiology", "-", *model, stdin=b"\x00\x01")
    assert (done.code, done.out) == (1, "")
    assert done.err == "Error: This is not text but binary data: give plain text in UTF-8.\n"
