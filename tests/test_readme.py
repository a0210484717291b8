"""The README says what the files say."""

import json
import re
import shlex
from pathlib import Path

import pytest

from eval import readme
from summarizer.backbone import file_sha256
from summarizer.tasks import TASKS
from summarizer.windows import LONGEST, MOST_WORDS, SLACK
from train.answers import exchange_groups, exchanges
from train.phrasings import banks
from train.phrasings import groups as phrasing_groups
from train.recipe import RECIPES, recipe_names
from train.talks import talk_groups, talks
from train.written import files, groups, templates

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_figures_are_those_of_the_files():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.written(text) == text, "run python -m eval.readme"


def test_every_task_has_a_row_with_its_n():
    table = readme.scores_table()
    for task in TASKS:
        scores = json.loads((ROOT / "models" / task / "scores.json").read_text())
        sources = [s for s in scores["segments"] if s["by"] == "source"]
        assert sources
        for segment in sources:
            assert re.search(rf"\| {task}, {segment['value']} \| {segment['n']} \|", table)


def test_only_what_is_above_every_trivial_method_is_bold():
    lines = [line.split(" | ") for line in readme.scores_table().splitlines() if "| ROUGE" in line]
    assert len(lines) >= 16
    for _, _, _, _, lora, _, floor in lines:
        figure = float(lora.strip("*").split()[0])
        assert lora.startswith("**") == (figure > float(floor.split()[0])), lora


def test_rows_without_a_twin_in_training_stand_apart_where_many_have_one():
    table = readme.scores_table()
    new = re.search(r"\| radiology, indiana-openi, new \| (\d+) \|", table)
    assert new and int(new[1]) < 347
    assert "mtsamples, new" not in table  # all but one of them are
    assert re.search(r"abnormal reports summarised as abnormal \| \d+ \| % \|", table)


def test_a_changed_figure_is_seen():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    figure = re.search(r"\*\*(\d+\.\d) \[", text)
    assert figure
    changed = text.replace(figure[0], "**99.9 [", 1)
    assert readme.written(changed) == text != changed


def test_the_windows_are_those_that_the_models_read_in():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for task, name in (("radiology", "report"), ("dialogue", "conversation")):
        told = re.search(rf"a {name} of more than (\d+) words in windows of (\d+)", text)
        record = json.loads((ROOT / "models" / task / "run.json").read_text())
        words = record["recipe"]["window_words"]
        assert (int(told[1]), int(told[2])) == (int(SLACK * words), words)
    assert f"of up to {LONGEST} where a visit is long, by turns" in text
    assert f"past about {MOST_WORDS:,} words nothing is read" in text


@pytest.fixture(scope="module")
def learned_from():
    return (ROOT / "train/README.md").read_text(encoding="utf-8")


def test_the_exchanges_are_as_many_as_are_told(learned_from):
    count = sum(len(ways) for group in exchange_groups() for ways in exchanges(group).values())
    assert f"the dialogue adapter has learned from {count:,} exchanges" in learned_from


@pytest.mark.parametrize(("task", "noun"), [("question", "messages"), ("radiology", "reports")])
def test_the_written_pairs_are_as_many_as_are_told(task, noun, learned_from):
    """Those of the groups that the recipes of the chain name."""
    chain = [name for name in recipe_names() if re.fullmatch(rf"{task}(-[a-z]+)?", name)]
    groups = {
        found[1]
        for name in chain
        for found in re.finditer(r"written-(\w+)\.jsonl", (RECIPES / f"{name}.yaml").read_text())
    }
    count = sum(1 for group in groups for path in files(group) for _ in templates(path))
    assert f"he {task} adapter has learned from {count:,} such {noun}" in learned_from


def test_what_no_released_adapter_has_learned_from_is_told(learned_from):
    learned = {
        group
        for path in RECIPES.glob("*.yaml")
        for group in re.findall(r"(?:written|bare)-(\w+)\.jsonl", path.read_text())
    }
    line = next(line for line in learned_from.split("\n") if "No released adapter" in line)
    told = re.findall(r"(\w+)-\*\.txt", line)
    assert set(told) == set(groups()) - learned
    for named in (told[1:3], told[3:]):  # reports, conversations
        count = sum(1 for group in named for path in files(group) for _ in templates(path))
        assert f"`{named[-1]}-*.txt` ({count:,})" in line


def test_the_wordings_and_the_held_out_texts_are_as_many_as_are_told(learned_from):
    count = sum(1 for path in files("wordings") for _ in templates(path))
    assert f"in {count:,} of them (`wordings-*.txt`)" in learned_from
    count = sum(
        1
        for group in ("reads", "rounds", "cases")
        for path in files(group)
        for _ in templates(path)
    )
    assert (
        f"the last {count:,} of them (`reads-*.txt`, `rounds-*.txt`, `cases-*.txt`)" in learned_from
    )
    reports, talks, messages = (
        len((ROOT / f"train/held_out/{task}.jsonl").read_text(encoding="utf-8").splitlines())
        for task in ("radiology", "dialogue", "question")
    )
    held = (
        f"In `train/held_out` are {reports} reports, {talks} conversations and {messages} messages"
    )
    assert held in learned_from


def test_the_phrases_and_the_answers_are_as_many_as_are_told(learned_from):
    every = [bank for group in phrasing_groups() for bank in banks(group)]
    parts = [group for bank in every for group in bank.groups]
    findings = [finding for group in parts for finding in group.findings]
    said = sum(len(finding.said) for finding in findings)
    normal = sum(len(group.normal) for group in parts)
    assert (
        f"{len(every)} banks of phrases, each of an examination: {len(findings):,} findings in {said:,} wordings "
        f"and {normal:,} ways to say that something is normal"
    ) in learned_from
    answers = [one for group in talk_groups() for many in talks(group).values() for one in many]
    said = sum(len(one.answered) for one in answers)
    assert f"{len(answers):,} answers in {said:,} wordings" in learned_from


def test_pictures_and_files_that_it_names_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", text):
        assert (ROOT / target).exists(), target


def test_publishing_takes_five_lines_that_the_commands_understand():
    from summarizer.__main__ import parser
    from train import push

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## Publish your adapter\n")[1].split("\n## ")[0]
    lines = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1].splitlines()
    assert len(lines) == 5
    parsers = {"train.push": push.parser(), "summarizer": parser()}
    pushed = []
    for line in lines[1:]:
        python, option, module, *arguments = shlex.split(line, comments=True)
        assert (python, option) == ("python", "-m")
        options = parsers[module].parse_args(arguments)
        if module == "train.push":
            pushed.append((Path(options.folder).name, options.repository, options.dry_run))
    assert pushed[0] == ("base", f"OWNER/{push.BASE_NAME}", False)  # what an adapter looks for
    assert [dry for _, _, dry in pushed[1:]] == [True, False]


@pytest.mark.parametrize("name", ["columns", "evaluation"])
def test_the_speeds_are_of_the_released_adapter(name):
    found = json.loads((readme.MEASURED / f"{name}.json").read_text(encoding="utf-8"))
    weights = ROOT / "models/radiology/adapter_model.safetensors"
    assert found.get("adapter_sha256") == file_sha256(weights), "measure again"


def test_speeds_are_those_of_the_files_that_the_commands_write(tmp_path, monkeypatch):
    columns = {
        "tokens": {"input": 301},
        "device": "cpu",
        "threads": 2,
        "seconds": {"both columns done": {"engine": 0.5, "plain": 1.5, "ratio": 3.0}},
    }
    space = {
        "cores": 2,
        "seconds_to_first_page": 11.4,
        "seconds_of_the_summary": 0.61,
        "peak_memory_bytes": 2**30,
    }
    for name, found in (("columns", columns), ("space", space)):
        (tmp_path / f"{name}.json").write_text(json.dumps(found))
    monkeypatch.setattr(readme, "MEASURED", tmp_path)
    block = readme.speed()
    assert "a report of 301 tokens, on cpu with 2 threads" in block
    assert "| both columns done | 0.50 s | 1.50 s | 3.0 |" in block
    assert "first page after 11 s" in block and "0.6 s after" in block and "1.0 GiB" in block

    (tmp_path / "columns.json").write_text(json.dumps(columns).replace("0.5", "0.9"))
    assert "| 0.90 s |" in readme.speed() != block
    monkeypatch.setattr(readme, "MEASURED", tmp_path / "nothing")
    assert readme.speed() == ""
