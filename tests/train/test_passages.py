"""Passages for teachers to answer, and films with what was coded of them."""

import random

from summarizer.text import sentences
from train import passages
from train.objectives import Document

REPORT = (
    "The liver is enlarged and measures 19 cm. There is a 2 cm cyst of the left kidney. "
    "The gallbladder contains several mobile stones. No biliary dilatation is seen. "
    "The spleen is normal in size. The pancreas appears normal in its visualized parts. "
    "There is no free fluid. The abdominal aorta is of normal caliber throughout its course."
)
FILM = (
    "The heart is normal in size. The lungs are clear. There is no pleural effusion. "
    "No acute bony abnormality is seen."
)
ROWS = [
    {"id": "a", "input": REPORT, "source": "mtsamples", "modality": "US"},
    {"id": "b", "input": FILM, "source": "indiana-openi", "mesh": "normal", "modality": "XR"},
    {
        "id": "c",
        "input": FILM.replace("normal in size", "enlarged"),
        "source": "indiana-openi",
        "mesh": "Cardiomegaly/mild;Technical Quality of Image Unsatisfactory ;Opacity/lung/base",
    },
    {"id": "d", "input": FILM, "source": "indiana-openi", "mesh": "No Indexing"},
    {"id": "e", "input": "Technical.", "source": "x", "mesh": "Technical Quality of Image Poor"},
    {"id": "f", "input": REPORT, "source": "mtsamples"},
]


def document(text: str, source: str = "mtsamples") -> Document:
    return Document(source, f"Title\nDescription\n{text}")


def test_films_are_told_by_their_codes() -> None:
    made = list(passages.coded(ROWS))
    assert [(row["id"], row["target"]) for row in made] == [
        ("b-codes", "Codes: normal."),
        ("c-codes", "Codes: cardiomegaly mild; opacity lung base."),
        ("e-codes", "Codes: normal."),
    ]
    assert all(row["input"].startswith("Codes: ") and row["flagged"] is False for row in made)


def test_the_same_rows_make_the_same_passages_of_their_own_sentences() -> None:
    others = [{"input": REPORT.replace("liver", "uterus")}]
    documents = [document(f"CT of the abdomen.\nFINDINGS: {REPORT}")]
    made = passages.passages(ROWS, others, documents)
    assert made == passages.passages(ROWS, others, documents)
    assert len({row["id"] for row in made}) == len(made)
    ways = {row["source"].removeprefix("transfer-") for row in made}
    assert ways == {"mtsamples", "windows", "chest", "grammar"}
    said = {part for row in [*ROWS, *others] for part in sentences(row["input"])}
    for row in made:
        if row["source"] in ("transfer-windows", "transfer-chest"):
            assert set(sentences(row["input"])) <= said, row


def test_passages_of_documents_tell_what_an_examination_showed() -> None:
    told = list(passages.of_documents([document(f"CT of the abdomen.\nFINDINGS: {REPORT}")]))
    assert told and all(18 <= len(text.split()) < 110 for text in told)
    assert not any("FINDINGS" in text for text in told)
    assert not list(passages.of_documents([document(REPORT)])), "no examination is named"
    assert not list(passages.of_documents([document(f"CT. {REPORT}", "medquad")]))
    talk = "He had a CT scan last year. " + "He walks his dog twice a day around the lake. " * 6
    assert not list(passages.of_documents([document(talk)])), "nothing of what was seen"


def test_shortened_windows_keep_the_order_and_mixed_ones_need_not() -> None:
    parts = sentences(REPORT)
    for text in passages.shortened(random.Random(0), [REPORT] * 20):
        places = [parts.index(part) for part in sentences(text)]
        assert places == sorted(places)
    shuffled = [
        [parts.index(part) for part in sentences(text)]
        for text in passages.mixed(random.Random(0), [REPORT] * 20)
    ]
    assert any(places != sorted(places) for places in shuffled)
