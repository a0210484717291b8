"""Left and right are the text's own: which of them it says, and that no other is written."""

import re
from dataclasses import replace

import pytest
import torch

from summarizer.generate import Engine
from summarizer.lexicon import PENALTY, Lexicon, WordsOnly
from summarizer.sides import SIDES, sides_of

PIECES = [
    "",
    " left",
    "Left",
    " le",
    "ft",
    " right",
    " r",
    "ight",
    " b",
    " lung",
    ".",
    "right",
    " at",
]
LEXICON = Lexicon(["left", "leftover", "right", "bright", "lung", "at", "le"], PIECES)


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("The left lung is clear.", "left"),
        ("Leftward shift", "left"),
        ("MRI R KNEE", "right"),
        ("Rt. hip and Lt. hip", "left right"),
        ("RLL infiltrate", "right"),
        ("stenosis of the LAD", "left"),
        ("LVEF 40%", "left"),
        ("both lungs are clear", "left right"),
        ("Bilaterally reduced breath sounds", "left right"),
        ("a mass of the uterus, 12 x 8 cm", ""),
        ("bright fat and an upright film, cleft", ""),
        ("the liver is large, the lungs are clear", ""),
        ("L4-L5 disc", ""),
        ("Cyst of the right kidney. The other kidney is normal.", "left right"),
        ("the trachea deviates to the right, the opposite lung is collapsed", "left right"),
        ("the other kidney", ""),
        ("B/L effusions", "left right"),
        ("bilat. hips", "left right"),
        ("bibasal crackles", "left right"),
        ("bil. hips", "left right"),
        ("bilious vomiting, bile ducts not dilated", ""),
        ("it did not bother him", ""),
        ("station 4R node", "right"),
        ("the ___right lung", "right"),
        ("RLLs and an LVAD", "left right"),
        ("tender rif", "right"),
        ("LVEDD 5.2 cm", "left"),
        ("red eye, OD", "right"),
        ("levoscoliosis", "left"),
        ("dextrose was given", ""),
        ("lingular atelectasis", "left"),
        ("collapse of the middle lobe", "right"),
        ("", ""),
    ],
)
def test_which_sides_a_text_says(text, sides):
    assert sides_of(text) == set(sides.split())


def lost(*written, text):
    """The pieces that lose something behind these, of a text of these pieces."""
    only = WordsOnly(LEXICON, [[PIECES.index(piece) for piece in text]])
    tokens = torch.tensor([[PIECES.index(piece) for piece in written]])
    found = only(tokens, torch.zeros(1, len(PIECES)))[0]
    return {piece for piece, value in zip(PIECES, found.tolist(), strict=True) if value <= -PENALTY}


def test_a_side_is_written_only_where_the_text_says_it():
    sides = {" left", "Left", " right"}
    assert sides & lost(".", text=[" lung"]) == sides
    assert sides & lost(".", text=[".", "Left", " lung"]) == {" right"}  # ".Left" stands there
    assert sides & lost(".", text=[" left", " lung"]) == {"Left", " right"}  # and here it does not
    assert sides & lost(".", text=[" right"]) == {" left", "Left"}
    assert not sides & lost(".", text=[".", "Left", " right"])


def test_what_is_written_of_a_side_in_short_is_held_as_well():
    pieces = [" the", " rt", " RLL", " lue", "lue", " b", " lung"]
    lexicon = Lexicon(["the", "rt", "rll", "lue", "blue", "lung"], pieces)

    def lost(text, written):
        only = WordsOnly(lexicon, [[pieces.index(text)]])
        found = only(torch.tensor([[pieces.index(written)]]), torch.zeros(1, len(pieces)))[0]
        return {piece for piece, value in zip(pieces, found.tolist(), strict=True) if value < 0}

    assert {" rt", " RLL", " lue"} <= lost(" lung", " the")
    assert {" lue"} == lost(" RLL", " the") - {"lue", " the"}  # nor "the the"
    assert "lue" not in lost(" lung", " b"), "blue is no side"


def test_nor_is_it_written_by_parts():
    assert "ft" in lost(" le", text=[" lung"]) and "ft" not in lost(" le", text=[" left"])
    assert "ight" in lost(" r", text=[" lung"]) and "ight" not in lost(" r", text=[" right"])
    assert "right" not in lost(" b", text=[" lung"]), "bright is no side"
    assert "right" in lost(".", text=[" lung"])


def test_nor_is_a_word_begun_that_could_only_become_a_side():
    pieces = [" the", " rig", " left", " lef"]
    lexicon = Lexicon(["the", "right", "left", "leftover"], pieces)
    assert lexicon.with_dead_ends({"right"}, []) == {"right", "r", "ri", "rig", "righ"}
    assert lexicon.with_dead_ends({"right"}, ["rigor"]) == {"right", "righ"}
    assert lexicon.with_dead_ends({"left"}, []) == {"left"}
    found = WordsOnly(lexicon, [[0, 0]])(torch.tensor([[0]]), torch.zeros(1, len(pieces)))[0]
    assert [value < 0 for value in found.tolist()] == [False, True, True, False]


def test_each_row_has_its_own_text():
    texts = [[PIECES.index(" left")], [PIECES.index(" right")]]
    found = WordsOnly(LEXICON, texts)(torch.tensor([[10], [10]]), torch.zeros(2, len(PIECES)))
    left, right = PIECES.index(" left"), PIECES.index(" right")
    assert found[0, left] == found[1, right] == 0
    assert found[0, right] <= -PENALTY and found[1, left] <= -PENALTY


# Written for this project; of each the released adapter, left alone, made up a side.
NO_SIDE = [
    "EXAM: Transvaginal pelvic ultrasound\nHISTORY: Heavy periods.\nFINDINGS: The uterus is enlarged, "
    "12 x 8 x 7 cm. A well-defined hypoechoic intramural mass with edge shadowing of 66 mm is seen in "
    "the posterior wall. A second one of 20 mm lies submucosally and indents the cavity. Endometrium "
    "7 mm. The ovaries are of normal size with follicles. Trace physiological fluid.",
    "Dynamic tracheal CT: in expiration the posterior membrane bows forward and the lumen falls by 85 "
    "per cent at the carina; on inspiration the trachea is round. No thickening of its wall. Lungs: "
    "air trapping at the bases. Obese habitus.",
    "EXAM: US appendix\nHISTORY: Child, 13 years.\nFINDINGS: A blind tube 8 mm across, not "
    "squeezable, with a bright fat cuff. Wall layers coloured. A shadowing plug in the lumen. No "
    "pocket.",
    "Filum terminale: sausage-shaped intradural mass, 41 mm, from L1 to L3, T2 bright, avidly "
    "enhancing, displacing the roots of the cauda equina to the periphery and scalloping the backs "
    "of the vertebral bodies. No drop lesion in the sacral sac. Conus normal in signal.",
]


def test_the_released_adapter_makes_no_side_up(monkeypatch):
    engine = Engine.load(device="cpu")
    rows = [{"input": text} for text in NO_SIDE]
    assert not any(sides_of(text) for text in NO_SIDE)
    made_up = {}
    decoding = replace(engine.task("radiology").decoding, max_new_tokens=64)
    assert decoding.lexicon
    for held in (True, False):
        if not held:
            monkeypatch.setattr("summarizer.lexicon.unsaid_of", lambda text: set())
        said = [pair.lora.text for _, pair in engine.batch("radiology", rows, decoding=decoding)]
        made_up[held] = sum(bool(SIDES & set(re.findall("[a-z]+", text.lower()))) for text in said)
    assert made_up[True] == 0
    assert made_up[False] > 0, "otherwise this shows nothing"
