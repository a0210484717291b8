"""The two rules over words: what counts as the focus of a question, what as an abnormality."""

import math

import pytest

from eval.clinical import focus_kept, focus_words, polarity, tells_abnormality
from eval.metrics import abnormality

NORMAL = [
    "No acute cardiopulmonary abnormality.",
    "1. No acute disease.\n2. Clear lungs.",
    "Normal chest radiograph.",
    "Clear lungs, no focal airspace consolidation.",
    "Unremarkable study.",
    "Negative for acute fracture.",
    "Heart size upper limits of normal with clear lungs.",
    "No pneumothorax, pleural effusion or consolidation.",
    "Stable appearance of the chest without acute abnormality.",
    "No pulmonary nodules are identified.",
    "A discrete foreign body is not seen.",
    "1. Chest. No active disease. 2. Both knees negative.",
    "Please note that fractures may not be demonstrated.",
    "Comparison with the prior study. No interval change.",
    "Nonobstructive bowel pattern.",
    "",
    "   ",
]
ABNORMAL = [
    "Small left pleural effusion.",
    "1. No pneumothorax.\n2. Right lower lobe infiltrate.",
    "Stable cardiomegaly. No acute disease.",
    "Cardiomegaly, no acute pulmonary findings",
    "Senescent changes no acute pulmonary disease.",
    "Hyperexpanded but clear lungs.",
    "Emphysema without acute disease.",
    "Minimal atelectasis of the left base, otherwise clear.",
    "No acute process. Healed rib fractures.",
    "No acute disease, mild scoliosis.",
    "Pneumonia cannot be excluded.",
    "Cannot rule out a small effusion.",
    "No change in the large right mass; unchanged effusion.",
    "Heart upper limits of normal in size and mild tortuosity of the aorta.",
    "- Acute appendicitis",
    "5 mm calculus in the left ureter with hydronephrosis.",
]


@pytest.mark.parametrize("text", NORMAL)
def test_normal_statements_tell_no_abnormality(text):
    assert not tells_abnormality(text)


@pytest.mark.parametrize("text", ABNORMAL)
def test_a_positive_finding_is_told_whatever_stands_around_it(text):
    assert tells_abnormality(text)


def test_a_text_is_judged_the_same_on_one_line_or_many():
    for text in (*NORMAL, *ABNORMAL):
        assert tells_abnormality(text.upper()) == tells_abnormality(text)
        assert tells_abnormality(f"\n{text}  \n") == tells_abnormality(text)


def test_agreement_counts_each_kind_among_its_own():
    outputs = ["Small effusion.", "No acute disease.", "No acute disease.", ""]
    references = ["Effusion.", "Effusion.", "Clear lungs.", "Clear lungs."]
    found = {name: list(values) for name, values in abnormality(outputs, references).items()}
    assert found["abnormal_kept"][:2] == [100, 0]
    assert all(math.isnan(v) for v in found["abnormal_kept"][2:] + found["normal_kept"][:2])
    assert found["normal_kept"][2:] == [100, 0]  # nothing written agrees with nothing
    assert found["abnormality_agreement"] == [100, 0, 100, 0]


def test_polarity_keeps_what_is_stated_from_what_is_denied():
    stated, denied = polarity("Small effusion but no pneumothorax. Lungs are clear, no nodule.")
    assert "effus" in stated and "pneumothorax" not in stated and "lung" not in stated
    assert {"pneumothorax", "nodul"} <= denied and "effus" not in denied


@pytest.mark.parametrize(
    ("question", "focus"),
    [
        ("What are the treatments for Crohn's disease?", {"crohn"}),
        ("Where can I find information on kidney stones?", {"kidney", "stone"}),
        ("What are the side effects of lisinopril 10 mg?", {"lisinopril", "10", "mg"}),
        ("Can type 2 diabetes be cured?", {"2", "diabet"}),
        ("What are the symptoms of an infection?", {"infect"}),
        ("What should I do?", set()),
    ],
)
def test_the_focus_is_what_no_template_has(question, focus):
    assert focus_words(question) == focus


def test_focus_kept_is_the_share_that_the_output_names():
    reference = "What are the treatments for kidney stones?"
    assert focus_kept("How are kidney stones treated?", reference) == 100
    assert focus_kept("What treats a stone?", reference) == 50
    assert focus_kept("What are the treatments for gout?", reference) == 0
    assert focus_kept("", reference) == 0
    assert math.isnan(focus_kept("Anything", "What should I do?"))
