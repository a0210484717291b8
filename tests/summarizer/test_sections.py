"""Of a whole radiology report the findings are read, and what was examined; the rest is told."""

import pytest

from eval.systems import ModelWriter
from summarizer.sections import findings_of
from summarizer.tasks import TASKS, Decoding
from summarizer.text import check_input

REPORT = """EXAM: Chest, two views
HISTORY: Suspected pneumonia on the left.
COMPARISON: A film of last year.
FINDINGS: The lungs are clear. No effusion.
The heart is normal in size.
IMPRESSION: No acute disease."""
READ = "Chest, two views. The lungs are clear. No effusion.\nThe heart is normal in size."


def test_the_examination_and_the_findings_are_read():
    assert findings_of(REPORT) == (READ, ("HISTORY", "COMPARISON", "IMPRESSION"))


@pytest.mark.parametrize(
    "report",
    [
        REPORT.replace("\n", " "),  # on one line, headings in capitals
        REPORT.replace("FINDINGS:", "Findings\n").replace("HISTORY", "Clinical  history"),
        REPORT.replace("EXAM: ", "\n\n"),  # what stands before the first heading is its name
        REPORT.replace("HISTORY", "REASON FOR EXAM").replace("IMPRESSION", "Conclusions"),
        REPORT.replace("EXAM", "**EXAM").replace(":", ":**").replace("\n", "\n**"),
        REPORT.replace("FINDINGS:", "• Findings -").replace("IMPRESSION:", "## Impression\n"),
        REPORT.replace("IMPRESSION", "IMPRESSION (preliminary)").replace("FINDINGS:", "FINDINGS："),
        "Chest, two views.HISTORY: Cough. Findings: " + READ[18:] + " Opinion: Normal.",
        "MRN: 12-34\nChest, two views\nCLINICAL DETAILS: Cough,\nfever.\nREPORT: " + READ[18:],
    ],
)
def test_headings_are_found_as_they_are_written(report):
    read, left = findings_of(check_input(report))
    assert " ".join(read.replace("*", "").split()) == " ".join(READ.split())
    assert len(left) >= 2


@pytest.mark.parametrize(
    "text",
    [
        "The lungs are clear. No effusion.",
        "HISTORY: Fall.\nIMPRESSION: No fracture.",  # nothing else is there to be read
        "FINDINGS: None.\nIMPRESSION: No fracture of the elbow is seen.",
        "FINDINGS: See impression.\nIMPRESSION: No fracture of the elbow is seen.",
        "EXAM: CT of the abdomen and pelvis with intravenous contrast\nIMPRESSION: Appendicitis.",
        "HISTORY: Cough.\nA mass of 3 cm.\nIMPRESSION: Mass.\nADDENDUM: Told by telephone.",
        "The study: a chest film. In comparison: worse. History: smoker.",
        "LUNGS: Clear.\nHEART: Normal in size.\nBONES: Intact.",
        "Comparison is made with the film of May.\nThe lungs are clear.",
    ],
)
def test_a_text_without_headed_findings_is_read_whole(text):
    assert findings_of(check_input(text)) == (check_input(text), ())


@pytest.mark.parametrize(
    ("report", "read", "left"),
    [
        (  # headings of organs belong to the findings, and end what is no finding
            "TECHNIQUE: Axial.\nDENSITY: B.\nFINDINGS:\nLUNGS: Clear.\nCOMPARISON: Of May.\nBONES: Lytic.",
            "DENSITY: B. LUNGS: Clear.\nBONES: Lytic.",
            ("TECHNIQUE", "COMPARISON"),
        ),
        (  # words of a sentence that runs on over a line, or in capitals, are no headings
            "FINDINGS: Not seen in\ncomparison\nwith May. NO CHANGE IN COMPARISON: STABLE.",
            "Not seen in\ncomparison\nwith May.\nNO CHANGE IN COMPARISON: STABLE.",
            (),
        ),
        (
            "FINDINGS: A swallow.\nContrast: flows freely.\nStudy limited by motion.",
            "A swallow.\nContrast: flows freely.\nStudy limited by motion.",
            (),
        ),
        ("REPORT: CT\nHISTORY: Cough.\n\nA mass of 5 cm.", "CT\nA mass of 5 cm.", ("HISTORY",)),
        ("IMPRESSION: Normal.\nFINDINGS: A node.\nMore.", "A node.\nMore.", ("IMPRESSION",)),
        ("FINDINGS: A node.\nIMPRESSION: 1. Node.\nCHEST: Fine.", "A node.", ("IMPRESSION",)),
        ("FINDINGS: A node.\nIMPRESSION: X.\nADDENDUM: A cyst.", "A node.\nA cyst.", ("IMPRESSION",)),
        ("FINDINGS: A node. COMPARISON: None. A cyst.", "A node.\nA cyst.", ("COMPARISON",)),
        ("FINDINGS AND IMPRESSION: A node.", "A node.", ()),
        ("FINDINGS: A node.\nComparison: May. A cyst.", "A node.\nA cyst.", ("COMPARISON",)),
        (  # without a heading, before an impression
            "The lungs are clear. No effusion is seen today.\nIMPRESSION: Normal.",
            "The lungs are clear. No effusion is seen today.",
            ("IMPRESSION",),
        ),
    ],
)  # fmt: skip
def test_no_finding_is_lost(report, read, left):
    assert findings_of(check_input(report)) == (read, left)


def test_reading_again_changes_nothing():
    assert findings_of(READ) == (READ, ())


def test_both_columns_and_every_way_read_the_same(engine, tiny):
    decoding = Decoding(max_new_tokens=8)
    pair = engine.run("radiology", REPORT, decoding=decoding)
    alone = engine.run("radiology", READ, decoding=decoding)
    assert pair.left_out == ("HISTORY", "COMPARISON", "IMPRESSION") and alone.left_out == ()
    assert pair.prompt == alone.prompt and "pneumonia" not in pair.prompt
    assert (pair.base.text, pair.lora.text) == (alone.base.text, alone.lora.text)
    (_, batched), (_, other) = engine.batch(
        "radiology", [{"input": REPORT}, {"input": READ}], decoding=decoding
    )
    assert {batched.left_out, other.left_out} == {pair.left_out, ()}
    assert batched.lora.text == other.lora.text == pair.lora.text
    assert pair.cut is None
    rows = [{"id": n, "input": text} for n, text in enumerate((REPORT, READ))]
    writer = ModelWriter("full", tiny.backbone, "radiology", device="cpu", decoding={})
    first, second = (writer.read(row) for row in rows)
    assert first.rows == second.rows and first.cut is second.cut is None
    assert (first.left_out, second.left_out) == (pair.left_out, ())


def test_other_tasks_read_their_texts_whole(engine):
    for name in sorted(set(TASKS) - {"radiology"}):
        pair = engine.run(name, REPORT, decoding=Decoding(max_new_tokens=2))
        assert pair.left_out == () and "pneumonia" in pair.prompt, name
