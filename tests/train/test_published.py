"""Public sets come from where they are published, and only as they were published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.train.publisher import Publisher, archive, workbook
from train.errors import DataError
from train.published import PUBLISHED, fetch_rows, modality_of, report_parts
from train.recipe import load_recipe


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher() as made:
        yield made


GRID = """File type = "ooTextFile"
Object class = "TextGrid"
item []:
    item [1]:
        intervals [1]:
            xmin = {start}
            xmax = 9
            text = "{text}"
        intervals [2]:
            xmin = 9
            xmax = 10
            text = ""
"""
PAGE = """<html><script>var x = "FINDINGS: no";</script><div><b>Sample Name:</b> MRI Brain<br>
<b>EXAM:</b> MRI of the brain.<br><br><b>FINDINGS:</b> There is a 3 mm lesion.<br>
No shift.<br><br><b>IMPRESSION:</b> Small lesion.<br><b>Keywords:</b> mri</div></html>"""


def serve_all(publisher: Publisher) -> None:
    """Every publisher's files, in their form."""
    publisher.put(
        "indiana-openi",
        b"uid,MeSH,indication,comparison,findings,impression\n"
        b'7,normal,Cough,None,"Heart size normal, lungs clear.",No acute disease.\n',
    )
    publisher.put("mtsamples", archive({".scrapy/httpcache/mt/00/a/response_body": PAGE,
                                        ".scrapy/httpcache/mt/00/a/pickled_meta": b"\x80\x02X",
                                        ".scrapy/httpcache/mt/00/b/response_body": "<p>404</p>"}))  # fmt: skip
    parrot = {"DICOM Modality": "US", "Area": "Abdomen", "English translation":
              "Ultrasound\n\nCLINICAL HISTORY: Pain.\n\nResults:\n\nSteatosis.\n\nImpression: Fatty."}  # fmt: skip
    publisher.put(
        "parrot-v0", json.dumps([parrot, {**parrot, "English translation": "x"}]).encode()
    )
    for place in range(3):
        publisher.put(
            "mts-dialog",
            b"ID,section_header,section_text,dialogue\r\n"
            b'%d,GENHX,"Cough, dry.","Doctor: Hi.\nPatient: Cough%s."\r\n'
            % (place, b" again" * place),
            place,
        )
    publisher.put(
        "mts-dialog-augmented", b"ID,section_header,section_text,dialogue\n1,CC,Cough,a b\n"
    )
    for place, _ in enumerate(PUBLISHED["aci-bench"].files):
        pair = {"src": f"[doctor] hi {place}\n[patient] hello", "tgt": f"note {place}", "file": "1"}
        publisher.put("aci-bench", json.dumps({"data": [pair]}).encode(), place)
    publisher.put(
        "primock57",
        archive(
            {
                "notes/day1_consultation01.json": json.dumps(
                    {"note": "3/7 hx of cough", "presenting_complaint": "cough"}
                ),
                "notes/README.md": "x",
                "transcripts/day1_consultation01_doctor.TextGrid": GRID.format(
                    start=0.5, text='Hello, ""you"". <UNSURE>Um</UNSURE>'
                ),
                "transcripts/day1_consultation01_patient.TextGrid": GRID.format(
                    start=2, text="Hi."
                ),
            }
        ),
    )
    publisher.put("meqsum", workbook(["File", "CHQ", "Summary"], [["1.txt", "long", "short?"]]))
    publisher.put(
        "mediqa2021-task1",
        workbook(["Question ID", "NLM Question", "Summary"], [["1", "long one", "short?"]]),
    )
    long = "Is this a long question of a clinician that has well over twelve words in it or not?"
    publisher.put(
        "rqe-amia2016",
        f"""<?xml version="1.0"?><data>
        <pair pid="1" value="true"><chq>{long}</chq><faq>Is it long?</faq></pair>
        <pair pid="2" value="false"><chq>{long}</chq><faq>Other?</faq></pair>
        <pair pid="3" value="true"><chq>Short one?</chq><faq>Short?</faq></pair></data>""".encode(),
    )
    publisher.put(
        "liveqa2017-nlm",
        b"""<?xml version="1.0"?><LiveQA><NLM-QUESTION qid="TQ1"><Original-Question>
        <SUBJECT>Simvastatin</SUBJECT><MESSAGE>Why in
          the evening?</MESSAGE></Original-Question><NIST-PARAPHRASE>Why?</NIST-PARAPHRASE>
        <NLM-Summary>Why take simvastatin in the evening?</NLM-Summary></NLM-QUESTION></LiveQA>""",
    )


def test_every_set_of_every_recipe_is_read_in_its_publisher_s_form(publisher, tmp_path) -> None:
    serve_all(publisher)
    rows = {}
    for name in PUBLISHED:
        for row in fetch_rows([name], tmp_path, publisher.url):
            rows.setdefault(name, []).append(row)
    assert {name: len(found) for name, found in rows.items()} == {
        **dict.fromkeys(PUBLISHED, 1), "mts-dialog": 3, "aci-bench": 20,
    }  # fmt: skip
    first = {name: found[0] for name, found in rows.items()}
    assert all(row["source"] == name for name, row in first.items())
    assert first["indiana-openi"]["input"] == "Heart size normal, lungs clear."
    assert first["indiana-openi"]["modality"] == "XR" and first["indiana-openi"]["patient"] == "7"
    assert first["indiana-openi"]["mesh"] == "normal"
    assert first["mtsamples"]["input"] == "There is a 3 mm lesion.\nNo shift."
    assert (
        first["mtsamples"]["target"] == "Small lesion." and first["mtsamples"]["modality"] == "MR"
    )
    assert first["parrot-v0"]["target"] == "Fatty." and first["parrot-v0"]["split"] == "test"
    assert [row["split"] for row in rows["mts-dialog"]] == ["train", "validation", "test"]
    assert first["mts-dialog"]["input"] == "Doctor: Hi.\nPatient: Cough."
    sections = [row["section"] for row in rows["aci-bench"] if row["split"] == "validation"]
    assert sections == [
        "full_note", "subjective", "objective_exam", "objective_results", "assessment_and_plan",
    ]  # fmt: skip
    assert first["primock57"]["input"] == 'Doctor: Hello, "you". Um\nPatient: Hi.'
    assert first["meqsum"]["target"] == first["mediqa2021-task1"]["target"] == "short?"
    assert first["rqe-amia2016"]["id"] == "rqe-1"
    assert first["liveqa2017-nlm"]["input"] == "SUBJECT: Simvastatin\nMESSAGE: Why in the evening?"


def test_every_name_in_a_recipe_is_a_known_set() -> None:
    from train.recipe import recipe_names

    for name in recipe_names():
        chosen = load_recipe(name).prepare
        assert set(chosen.published) | set(chosen.aux) <= set(PUBLISHED)


def test_a_file_is_downloaded_once(publisher, tmp_path) -> None:
    serve_all(publisher)
    first = fetch_rows(["meqsum"], tmp_path, publisher.url)
    assert fetch_rows(["meqsum"], tmp_path, publisher.url) == first
    assert len(publisher.asked) == 1


def test_a_file_that_changed_is_refused(publisher, tmp_path) -> None:
    serve_all(publisher)
    fetch_rows(["meqsum"], tmp_path, publisher.url)
    next(tmp_path.glob("abachaa_MeQSum*")).unlink()
    publisher.put("meqsum", workbook(["File", "CHQ", "Summary"], [["1.txt", "other", "other?"]]))
    with pytest.raises(DataError, match="is not the file that was downloaded first") as fault:
        fetch_rows(["meqsum"], tmp_path, publisher.url)
    assert "checksums.json" in str(fault.value)


def test_a_damaged_download_in_the_cache_is_fetched_again(publisher, tmp_path) -> None:
    serve_all(publisher)
    first = fetch_rows(["meqsum"], tmp_path, publisher.url)
    next(tmp_path.glob("abachaa_MeQSum*")).write_bytes(b"half")
    assert fetch_rows(["meqsum"], tmp_path, publisher.url) == first


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "the server answered 404"),
        (b"<html>rate limited</html>", "is not in the form that meqsum is published in"),
        (workbook(["File", "Question"], [["1", "a"]]), "not in the form"),
    ],
)
def test_what_goes_wrong_is_one_sentence(publisher, tmp_path, content, words) -> None:
    if content is not None:
        publisher.put("meqsum", content)
    with pytest.raises(DataError) as fault:
        fetch_rows(["meqsum"], tmp_path, publisher.url)
    assert words in str(fault.value) and "\n" not in str(fault.value)
    # What proved to be something else is not held against the right file.
    serve_all(publisher)
    assert fetch_rows(["meqsum"], tmp_path, publisher.url)


def test_no_network_and_an_unknown_name_are_told(tmp_path) -> None:
    with pytest.raises(DataError, match="cannot be reached"):
        fetch_rows(["meqsum"], tmp_path, "http://127.0.0.1:9")
    with pytest.raises(DataError, match="there is no data set 'mimic'; known are indiana-openi"):
        fetch_rows(["mimic"], tmp_path)


def test_reports_are_parted_at_their_headings() -> None:
    text = "EXAM: CT\nIndication: pain\nFindings: A.\nB.\nConclusion: C."
    assert report_parts(text) == ("A.\nB.", "C.", "pain")
    assert report_parts("Findings: only these.") is None
    assert modality_of("CT angiogram of the chest") == "CT" and modality_of("consult") is None


def test_prepare_makes_the_data_of_an_embedded_recipe(publisher, tmp_path, capsys) -> None:
    """Official splits where there are some, auxiliary rows in a file of their own."""
    from train.prepare import main

    serve_all(publisher)
    flags = f"--mirror {publisher.url} --data_dir {tmp_path / 'data' / 'dialogue'}"
    assert main(["dialogue", *flags.split(), "--backbone", "models/none"]) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "data"
    splits = {
        name: [json.loads(line) for line in (folder / "dialogue" / f"{name}.jsonl").open()]
        for name in ("train", "validation", "test")
    }
    assert {row["source"] for row in splits["train"]} >= {"mts-dialog", "aci-bench"}
    assert "mts-dialog-augmented" not in {row["source"] for row in splits["train"]}
    extra = (folder / "aux" / "mts-dialog-augmented.jsonl").read_text().splitlines()
    assert len(extra) == 1 and json.loads(extra[0])["section"] == "chief complaint"
    assert "train" in out and not (Path("data") / ".downloads" / "x").exists()
