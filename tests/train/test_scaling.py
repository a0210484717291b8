"""Three ways to scale: no fact is changed, nothing but training data is touched."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from summarizer.text import sentences
from tests.train.conftest import radiology_rows, write_rows
from train.data import load_train, load_validation
from train.errors import DataError, RecipeError
from train.recipe import DataFile, Recipe, load_recipe
from train.run import each_cluster
from train.scaling import find_styles, shuffle_findings, style_features

PLAIN = (
    "The heart is normal in size. There is a 12 mm nodule in the left lung. It has smooth margins. "
    "The nodule is new since 2019. No pleural effusion. The liver is unremarkable."
)


def recipe(folder: Path | None = None, **scaling) -> Recipe:
    base = load_recipe("radiology")
    data = dataclasses.replace(
        base.data,
        data_dir=str(folder),
        train=[DataFile("train.jsonl")],
        validation=[DataFile("validation.jsonl")],
    )
    return dataclasses.replace(
        base, data=data, scaling=dataclasses.replace(base.scaling, **scaling)
    )


def test_shuffled_findings_are_the_same_sentences_in_another_order() -> None:
    seen = {shuffle_findings(PLAIN, np.random.default_rng(seed)) for seed in range(20)}
    assert len(seen) > 5
    for text in seen:
        assert sorted(sentences(text)) == sorted(sentences(PLAIN))


def test_a_sentence_that_leans_on_another_stays_behind_it() -> None:
    for seed in range(30):
        text = shuffle_findings(PLAIN, np.random.default_rng(seed))
        assert "left lung. It has smooth margins. The nodule is new since 2019." in text


@pytest.mark.parametrize(
    "text",
    [
        "1. Heart normal. 2. Lungs clear.\n2. Effusion.",
        "LIVER: Normal. Smooth.\nSPLEEN: Normal.",
        "The mass described above is larger. No effusion. Heart normal.",
        "The study is limited. Right kidney: 10 cm. Small cyst. Left kidney: Normal.",
        "No pneumothorax\nMild edema",  # "No pneumothorax Mild edema" would be another fact
        "Doctor: Hi.\nPatient: Hello.\nDoctor: How are you?\nPatient: Well.",
    ],
)
def test_text_whose_order_is_its_meaning_is_left_alone(text: str) -> None:
    assert shuffle_findings(text, np.random.default_rng(3)) == text


def test_a_sentence_without_a_place_of_its_own_stays_with_the_last_that_was_named() -> None:
    text = (
        "The right kidney is 10 cm. There is a small cyst. No hydronephrosis is seen. "
        "The left kidney is 9 cm. The liver is normal."
    )
    seen = {shuffle_findings(text, np.random.default_rng(seed)) for seed in range(30)}
    assert len(seen) == 6
    for shuffled in seen:
        assert "kidney is 10 cm. There is a small cyst. No hydronephrosis is seen." in shuffled


def test_rare_segments_get_copies_and_common_ones_none(tmp_path: Path) -> None:
    rows = radiology_rows(40, modality="CT") + radiology_rows(4, seed=2, modality="NM")
    write_rows(tmp_path / "train.jsonl", rows)
    write_rows(tmp_path / "validation.jsonl", radiology_rows(4, seed=3, modality="NM"))
    asked = recipe(tmp_path, augment="modality", augment_share=0.25, augment_copies=4)
    loaded = load_train(asked)
    assert Counter(row["modality"] for row in loaded.rows) == {"CT": 40, "NM": 10}
    originals = {row["id"]: row for row in loaded.rows if not row.get("augmented")}
    copies = [row for row in loaded.rows if row.get("augmented")]
    assert len(copies) == 6 and all("~" in row["id"] for row in copies)
    for copy in copies:
        original = originals[copy["id"].partition("~")[0]]
        assert copy["target"] == original["target"]
        assert sorted(sentences(copy["input"])) == sorted(sentences(original["input"]))
    assert len(load_validation(asked).rows) == 4


def test_no_row_is_copied_more_often_than_asked(tmp_path: Path) -> None:
    rows = radiology_rows(40, modality="CT") + radiology_rows(1, seed=2, modality="NM")
    write_rows(tmp_path / "train.jsonl", rows)
    loaded = load_train(recipe(tmp_path, augment="modality", augment_share=1.0, augment_copies=3))
    assert Counter(row["modality"] for row in loaded.rows)["NM"] == 3


def clinics() -> list[dict]:
    numbered = "1. No acute disease.\n2. Stable nodule."
    prose = "The examination is unremarkable without any acute abnormality in the abdomen."
    shout = "NORMAL CHEST"
    styles = {"a": numbered, "b": numbered, "c": prose, "d": prose, "e": shout}
    return [{"clinic": clinic, "target": text} for clinic, text in styles.items() for _ in range(5)]


def test_clinics_that_write_alike_share_a_cluster() -> None:
    found = find_styles(recipe(clusters=3), clinics())
    assert found["a"] == found["b"] != found["c"] == found["d"]
    assert len(set(found.values())) == 3 and found["e"] == 2  # the smallest is the last


def test_style_is_how_it_is_written_not_what_it_says() -> None:
    assert style_features("1. No mass.\n2. No fluid.") == style_features(
        "1. No clot.\n2. No edema."
    )


def test_more_clusters_than_clinics_is_told() -> None:
    with pytest.raises(ValueError, match=r"scaling\.clusters is 6, .* only 5 of clinic"):
        find_styles(recipe(clusters=6), clinics())


def test_each_cluster_is_a_run_with_folders_of_its_own() -> None:
    runs = each_cluster(recipe(clusters=3))
    assert [one.output_dir for one in runs] == [f"models/radiology-style{n}" for n in range(3)]
    assert len({one.run_dir for one in runs}) == 3
    assert (
        len(each_cluster(recipe(clusters=3, cluster=1))) == 1 and len(each_cluster(recipe())) == 1
    )


def test_a_cluster_trains_on_its_rows_and_asks_for_prepared_ones(tmp_path: Path) -> None:
    rows = [row | {"style": number % 2} for number, row in enumerate(radiology_rows(10))]
    write_rows(tmp_path / "train.jsonl", rows)
    one = each_cluster(recipe(tmp_path, clusters=2))[1]
    assert {row["style"] for row in load_train(one).rows} == {1}
    write_rows(tmp_path / "train.jsonl", radiology_rows(3))
    with pytest.raises(DataError, match=r"train\.prepare with --clusters 2"):
        load_train(one)


def test_a_feature_needs_its_place_in_the_prompt() -> None:
    with pytest.raises(RecipeError, match="input_feature"):
        load_recipe("radiology", {"input_feature": "modality"})
    told = load_recipe(
        "radiology", {"input_feature": "modality", "prompt": "summarize {section}: {input}"}
    )
    assert told.scaling.input_feature == "modality"
