"""Which targets are kept without their masks, and how they then read."""

from __future__ import annotations

import pytest

from train.masks import names_mask, without_masks


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("x-XXXX", False),
        ("Chest X-XXXX.", False),
        ("XXXX", True),
        ("the XXXX.", True),
        ("[**Hospital 3**]", True),
        ("XX", False),
    ],
)
def test_an_x_ray_is_no_mask(text: str, masked: bool) -> None:
    assert names_mask(text) is masked


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("No acute disease.", "No acute disease."),
        ("XXXX right lower lobe opacity.", "Right lower lobe opacity."),
        (
            "1. XXXX wedge fracture of T8. 2. Age-indeterminate, XXXX XXXX rib fracture.",
            "1. Wedge fracture of T8. 2. Age-indeterminate, rib fracture.",
        ),
        ("The appearance XXXX scarring.", "The appearance suggests scarring."),
        ("Blunted left costophrenic XXXX.", "Blunted left costophrenic angle."),
        ("This XXXX represents a nipple shadow.", "This likely represents a nipple shadow."),
        (
            "Left apical mass. Result notification XXXX Primordial. Chest x-XXXX in a week.",
            "Left apical mass. Chest x-ray in a week.",
        ),
    ],
)
def test_what_reads_well_without_its_masks_is_kept(target: str, kept: str) -> None:
    assert without_masks(target) == kept


@pytest.mark.parametrize(
    "target",
    [
        "Mass, recommend XXXX.",
        "Unchanged from XXXX.",
        "This is XXXX to be postoperative.",
        "Opacity XXXX pneumonia.",
        "Blunting may XXXX pleural scarring.",
        "Nodule in the XXXX of the scaphoid.",
        "XXXX XXXX.",
        "Result notification XXXX.",
    ],
)
def test_where_a_masked_word_is_missed_the_target_is_left_out(target: str) -> None:
    assert without_masks(target) is None
