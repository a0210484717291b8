"""A card says what the records say, nothing else, and its snippet runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from summarizer import card as card_module
from summarizer.card import card, main, write_card
from summarizer.record import RecordError, public
from summarizer.sources import SOURCES, find, weights_licence
from tests.hub_card_rules import check_card
from tests.tiny_models import make_adapter, make_base, write_records


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models/base and models/radiology, named in the config as a user's are."""
    root = tmp_path_factory.mktemp("project")
    make_base(root / "models/base")
    make_adapter(root / "models/radiology", root / "models/base", base_name="models/base")
    write_records(root / "models/radiology")
    return root


@pytest.fixture
def adapter(project: Path, tmp_path: Path) -> Path:
    """A copy of the adapter to spoil."""
    return Path(shutil.copytree(project / "models/radiology", tmp_path / "radiology"))


def _front(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def _change(folder: Path, file: str, **values) -> None:
    record = json.loads((folder / file).read_text())
    record.update(values)
    (folder / file).write_text(json.dumps(record))


def test_the_front_matter_is_what_the_hub_asks_of_a_peft_adapter(adapter: Path) -> None:
    front = _front(card(adapter, repo_id="owner/radiology", base_model="owner/base"))
    assert front["base_model"] == "owner/base"
    assert front["base_model_relation"] == "adapter"
    assert front["library_name"] == "peft"
    assert front["pipeline_tag"] == "summarization"
    assert front["language"] == "en"
    assert front["license"] == "cc-by-nc-4.0"  # Indiana's reports are non-commercial
    assert front["datasets"] == ["indiana-openi", "mtsamples"]
    assert front["metrics"] == ["rouge", "bleu"]
    assert {"lora", "medical", "radiology"} <= set(front["tags"])
    assert front["co2_eq_emissions"]["emissions"] == 168.0  # 0.5 h x 0.7 kW x 480 g
    assert front["model-index"][0]["name"] == "radiology"


def test_the_model_index_carries_n_split_decoding_interval_and_the_base(adapter: Path) -> None:
    scores = json.loads((adapter / "scores.json").read_text())
    results = _front(card(adapter))["model-index"][0]["results"]
    assert [result["dataset"]["name"] for result in results] == [
        "radiology/test.jsonl (all rows)",
        SOURCES["indiana-openi"].title,
        SOURCES["parrot-v0"].title,
    ]
    assert [result["dataset"]["args"]["n"] for result in results] == [403, 347, 16]
    for result in results:
        assert result["task"]["type"] == "summarization"
        assert result["dataset"]["split"] == "test"
        assert result["dataset"]["args"]["decoding"]["num_beams"] == 4
        metrics = {metric["name"]: metric for metric in result["metrics"]}
        for system, label in (("lora", "LoRA"), ("base", "base model, no adapter")):
            expected = scores["systems"][system]["rougeL"]
            found = metrics[f"ROUGE-L ({label})"]
            assert found["type"] == "rouge"
            assert found["value"] == pytest.approx(expected["mean"], abs=0.006)
            assert found["args"]["low"] == pytest.approx(expected["low"], abs=0.006)
            assert found["args"]["high"] == pytest.approx(expected["high"], abs=0.006)


def test_the_hubs_own_reader_gets_the_same_results_back(adapter: Path) -> None:
    from huggingface_hub import ModelCard

    read = ModelCard(card(adapter)).data
    assert read.model_name == "radiology"
    assert len(read.eval_results) == 3 * 2 * 3  # data sets x systems x metrics
    assert {result.dataset_split for result in read.eval_results} == {"test"}


def test_every_figure_follows_the_files(adapter: Path) -> None:
    """Change a record: the old figure is gone from the card and the new one is there."""
    before = card(adapter)
    assert "58.3 (56.3 to 60.3)" in before
    scores = json.loads((adapter / "scores.json").read_text())
    scores["systems"]["lora"]["rougeL"] = {"mean": 33.33, "low": 31.0, "high": 35.0}
    scores["data"]["n"] = 401
    (adapter / "scores.json").write_text(json.dumps(scores))
    _change(adapter, "run.json", seconds=7200.0, steps=777)
    after = card(adapter)
    assert "33.3 (31.0 to 35.0)" in after
    assert "**n = 401**" in after and "**n = 403**" not in after
    assert "2.0 hours" in after and "1.4 kWh" in after
    assert "777" in after


def test_a_floor_that_the_adapter_does_not_reach_is_said(adapter: Path) -> None:
    text = card(adapter)
    assert (
        "**The adapter is not above:** nearest on ROUGE-L (58.3 against 58.8); "
        "nearest on BLEU (40.0 against 41.2)." in text
    )


def test_it_says_what_it_is_not_for_and_what_the_licences_forbid(adapter: Path) -> None:
    text = card(adapter)
    assert "not for clinical use" in text
    assert "**Not for:** patient care" in text
    assert "CC BY-NC-ND" in text and "No commercial use." in text
    assert "Tested on PARROT" in text and "CC BY-NC-SA 4.0" in text
    assert "JAMIA 2016" in text


def test_failures_come_from_a_person_or_are_said_to_be_missing(adapter: Path) -> None:
    assert "Nobody has written down yet where it fails" in card(adapter)
    (adapter / "failures.md").write_text("# Sides\n\nIt told a left effusion as right once.\n")
    text = card(adapter)
    assert "### Sides\n\nIt told a left effusion as right once." in text
    assert "Nobody has written" not in text


def test_an_adapter_that_was_not_scored_says_so(adapter: Path) -> None:
    (adapter / "scores.json").unlink()
    text = card(adapter)
    assert "Not scored yet" in text
    assert "model-index" not in _front(text)


def test_the_curve_has_its_first_and_last_point_and_its_picture(adapter: Path) -> None:
    (adapter / "curve.png").write_bytes(b"\x89PNG")
    text = card(adapter)
    for heads in ("step | epoch | loss", "step | epoch | eval_loss"):
        table = text.split(f"| {heads} |")[1].split("\n\n")[0]
        steps = re.findall(r"^\| (\d+) \|", table, re.MULTILINE)
        assert steps[0] == "0" and steps[-1] == "400" and len(steps) == 14
    assert "![Training curve](curve.png)" in text


def test_a_loss_that_is_of_drawn_texts_is_said_to_be(adapter: Path) -> None:
    record = json.loads((adapter / "run.json").read_text())
    assert "While training:" in card(adapter)
    record["recipe"]["policy"] = {"samples": 4}
    (adapter / "run.json").write_text(json.dumps(record))
    assert "While training (minus the mean reward of the texts that were drawn" in card(adapter)
    assert "drawn with another decoding" not in card(adapter)


def test_what_texts_were_drawn_with_is_told_where_it_was_not_kept(adapter: Path) -> None:
    record = json.loads((adapter / "run.json").read_text())
    record["recipe"] |= {"policy": {"samples": 4}, "decoding": {"num_beams": 1, "copy_bias": 2.0}}
    record["drawn_with"] = {"num_beams": 1, "copy_bias": 1.5}
    (adapter / "run.json").write_text(json.dumps(record))
    told = "| texts were drawn with another decoding than was chosen afterwards | copy_bias 1.5 |"
    assert told in card(adapter)


def test_windows_that_are_never_silent_are_told_beside_the_snippet(adapter: Path) -> None:
    record = json.loads((adapter / "run.json").read_text())
    record["recipe"]["window_words"] = 25
    (adapter / "run.json").write_text(json.dumps(record))
    assert "windows of about 25 to 40 words" in card(adapter)
    assert "never silent" not in card(adapter)
    scores = json.loads((adapter / "scores.json").read_text())
    scores["decoding"]["least_windows"] = 0.125
    (adapter / "scores.json").write_text(json.dumps(scores))
    assert "Of a text's windows 12.5% are never silent: `LeastWindows`" in card(adapter)


def test_a_decoding_that_training_does_not_choose_is_told_beside_its_command(adapter: Path) -> None:
    record = json.loads((adapter / "run.json").read_text())
    record.pop("decoding_tried", None)
    (adapter / "run.json").write_text(json.dumps(record))
    assert "chosen afterwards, with `python -m train.decoding`" not in card(adapter)
    record["decoding_tried"] = [{"decoding": {"num_beams": 1}, "rougeL": 40.0}]
    (adapter / "run.json").write_text(json.dumps(record))
    assert "chosen afterwards, with `python -m train.decoding`" in card(adapter)


def test_the_same_files_give_the_same_card(adapter: Path) -> None:
    assert card(adapter) == card(adapter)


def test_an_adapter_that_goes_on_from_another_says_both_commands(adapter: Path) -> None:
    record = json.loads((adapter / "run.json").read_text())
    record.pop("command", None)
    record["recipe"] |= {"name": "radiology", "adapter": {"init_from": None}}
    (adapter / "run.json").write_text(json.dumps(record))
    assert "```bash\npython -m train.run radiology\n```" in card(adapter)
    record["recipe"]["adapter"] = {"init_from": "models/radiology-start"}
    (adapter / "run.json").write_text(json.dumps(record))
    both = "python -m train.run radiology-start && python -m train.run radiology"
    assert f"```bash\n{both}\n```" in card(adapter)
    record["goes_on_from"] = ["radiology-start", "radiology-second"]
    (adapter / "run.json").write_text(json.dumps(record))
    three = " && ".join(
        f"python -m train.run radiology{part}" for part in ("-start", "-second", "")
    )
    assert f"```bash\n{three}\n```" in card(adapter)


def test_paths_of_the_machine_stay_at_home(adapter: Path) -> None:
    _change(adapter, "run.json", command="python -m train.run radiology")
    record = json.loads((adapter / "run.json").read_text())
    record["recipe"]["data"] = {"data_dir": "/home/someone/secret-project/data/radiology"}
    record["recipe"]["revision"] = None
    (adapter / "run.json").write_text(json.dumps(record))
    text = card(adapter)
    assert str(adapter.parent) not in text and "revision: null" not in text
    assert "someone" not in text and "secret-project" not in text
    assert "data/radiology" in text
    assert public(
        {"a": ["C:\\Users\\x\\y\\z.csv", "../../up/z.csv", "note {section}: {input}"]}
    ) == {"a": ["y/z.csv", "up/z.csv", "note {section}: {input}"]}


def test_the_bases_snippet_runs_with_plain_libraries(project: Path) -> None:
    """The adapters' own are run in test_embedded."""
    snippet = re.search(r"```python\n(.*?)```", card_text(project, "models/base"), re.DOTALL)[1]
    assert "summarizer" not in snippet
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=project, capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n")


def card_text(project: Path, name: str) -> str:
    previous = os.getcwd()
    os.chdir(project)
    try:
        return card(name)
    finally:
        os.chdir(previous)


def test_the_bases_card_is_a_models_own(project: Path) -> None:
    text = card_text(project, "models/base")
    front = _front(text)
    assert front["library_name"] == "transformers"
    assert "base_model" not in front
    assert "2 encoder layers, 1 decoder layers" in text
    assert "how they were made is not recorded" in text


def test_a_base_of_credentialed_text_names_its_licence(project: Path, tmp_path: Path) -> None:
    """The Hub refuses `license: other` without a name."""
    base = Path(shutil.copytree(project / "models/base", tmp_path / "base"))
    (base / "run.json").write_text(json.dumps({"data": {"train": {"sources": {"mimic-iii": 9}}}}))
    text = card(base)
    assert _front(text)["license"] == "other"
    assert check_card(text, "model") == ([], [])


def test_the_command_writes_the_card_beside_the_weights(adapter: Path, capsys) -> None:
    assert main([str(adapter)]) == 0
    assert capsys.readouterr().out.strip() == str(adapter / "README.md")
    assert (adapter / "README.md").read_text() == card(adapter)
    assert write_card(adapter) == adapter / "README.md"


def test_bad_input_is_one_sentence(tmp_path: Path, adapter: Path, capsys) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        assert main([str(folder)]) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
    (adapter / "failures.md").write_bytes(b"\xff\xfe")
    assert main([str(adapter)]) == 1
    assert "failures.md is no text in UTF-8" in capsys.readouterr().err
    (adapter / "failures.md").unlink()
    wrong = json.dumps({"systems": {"lora": {"rougeL": {"mean": "58", "low": 1, "high": 2}}}})
    for broken in ("{", "[]", "[" * 100_000, json.dumps({"systems": {"lora": 3}}), wrong):
        (adapter / "scores.json").write_text(broken)
        with pytest.raises(RecordError) as fault:
            card(adapter)
        assert "scores.json" in str(fault.value) and "\n" not in str(fault.value)


def test_a_licence_follows_the_strictest_source() -> None:
    def licence(*names: str) -> str:
        return weights_licence([SOURCES[name] for name in names])

    assert licence("mts-dialog", "aci-bench") == "apache-2.0"
    assert licence("mts-dialog", "indiana-openi") == "cc-by-nc-4.0"
    assert licence("parrot-v0") == "cc-by-nc-sa-4.0"
    assert licence("mimic-iii", "meqsum") == "other"
    assert find("albertvillanova/meqsum") is SOURCES["meqsum"]
    assert find("corpus/medquad.jsonl.xz") is SOURCES["medquad"]
    assert find("train.jsonl") is None


def test_every_task_has_a_text_of_its_own_in_the_snippet() -> None:
    from summarizer.tasks import TASKS

    assert set(TASKS) <= set(card_module._SAMPLES)
