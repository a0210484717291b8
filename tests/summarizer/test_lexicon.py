"""Decoding held to real words: what may follow an unfinished one, and what a text adds."""

import json
import random
import re
import shutil

import pytest
import torch
from plain_settings import real_words
from tiny_t5 import TEXTS, make_adapter

from summarizer.backbone import ROOT, ModelError, load_backbone, read_lexicon
from summarizer.generate import Engine
from summarizer.lexicon import PENALTY, Lexicon, WordsOnly, open_number, words_of
from summarizer.numbers import numbers_of
from summarizer.tasks import Decoding

PIECES = [
    "", "at", "en", "olol", "ol", " at", " Aten", " the", ".", " ", "1", "'s", "a", " s, th",
    None, "é", "e", " caf", "s", " xq",
]  # fmt: skip
LEXICON = Lexicon(["atenolol", "the", "then", "at", "s", "café", "a", "ate"], PIECES)


def token(piece):
    return PIECES.index(piece)


def allowed(part):
    return {PIECES[at] for at, fits in enumerate(LEXICON.allowed(part)) if fits}


def after(*pieces, beams=1, prompts=((),)):
    """The tokens left alone behind these, with the rows' texts."""
    only = WordsOnly(LEXICON, prompts)
    tokens = torch.tensor([[token(piece) for piece in pieces]] * beams * len(prompts))
    rows = only(tokens, torch.zeros(len(tokens), len(PIECES) + 3))
    assert set((rows / -PENALTY).unique().tolist()) <= {0, 1, 2, 3}
    return [{at for at, value in enumerate(row) if value == 0} for row in rows.tolist()]


def test_a_word_grows_only_into_one_that_is_listed():
    assert allowed("aten") == {"olol", "ol"}  # "aten" itself is none: it cannot end
    assert allowed("atenol") == {"ol"}
    assert "olol" not in allowed("atenolol") and "at" not in allowed("atenolol")
    assert {"", ".", " ", "1", " the", None} <= allowed("atenolol")


def test_a_new_word_begins_as_a_listed_one_does():
    begun = allowed("")
    assert {"at", "a", " at", " Aten", " the", "'s", "s", " caf", ".", "1", None} <= begun
    assert not {" xq", "olol", "é"} & begun


def test_letters_behind_a_mark_inside_a_token_begin_a_word_too():
    assert " s, th" in allowed("") and " s, th" in allowed("at") and " s, th" not in allowed("aten")


def test_capitals_are_free():
    assert LEXICON.unfinished([token(" the"), token(" Aten")]) == "aten"
    assert LEXICON.unfinished([token(" Aten"), token("ol")]) == "atenol"
    assert LEXICON.unfinished([token("at"), token("at")]) == "atat"
    for ended in (".", "1", None, ""):
        assert LEXICON.unfinished([token(" Aten"), token(ended)]) == ""


def test_no_capital_follows_a_small_letter_but_where_it_does_in_the_text():
    cased = Lexicon(["hgat", "at"], ["", "Hg", "at", "AT", " at", "."])
    prompts = [[5, 1], [4, 1]]  # ".Hg" does not, " atHg" does
    scores = WordsOnly(cased, prompts)(torch.tensor([[4], [4]]), torch.zeros(2, 6))
    assert scores[0, 3] == scores[1, 3] == -2 * PENALTY  # "atAT" is no word, either
    again = WordsOnly(cased, prompts)(torch.tensor([[0], [0]]), torch.zeros(2, 6))
    assert again[0, 3] == 0 and again[0, 1] == 0
    known = Lexicon(["athg"], ["", "Hg", "at", "AT", " at", "."])
    assert WordsOnly(known, prompts)(torch.tensor([[4], [4]]), torch.zeros(2, 6))[:, 1].tolist() == [
        -PENALTY, 0,
    ]  # fmt: skip


def test_words_of_the_row_s_own_text_may_be_written():
    text = [token(piece) for piece in (" Aten", "at", " xq", ".")]  # "atenat xq."
    without, with_it = after(" Aten", prompts=((), text))
    assert with_it - without == {token("at"), token("a")}
    assert token(" xq") in after(".", prompts=((), text))[1] - after(".", prompts=((), text))[0]
    ended, goes_on = after(" Aten", "at", prompts=(text, ()))
    assert token(".") in ended
    assert goes_on == set(range(len(PIECES) + 3)) - {token("1"), token(None), token(" Aten")}, (
        "no word begins so: it is left alone"
    )


def test_every_beam_of_a_row_has_its_text():
    text = [token(" Aten"), token("at")]
    rows = after(" Aten", beams=2, prompts=((), text))
    assert rows[0] == rows[1] and rows[2] == rows[3] and rows[0] < rows[2]


def test_where_all_else_is_forbidden_a_bent_word_is_better_than_none():
    only = WordsOnly(LEXICON, [[]])
    scores = torch.full((1, len(PIECES)), -torch.inf)
    scores[0, token("at")] = 1.0  # the ban on repetitions leaves this alone
    found = only(torch.tensor([[token(" Aten")]]), scores)
    assert found.isfinite().sum() == 1 and found.argmax() == token("at")
    assert scores[0, token("at")] == 1.0, "the scores given are not changed"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("the aten", "the"),
        ("Then, Aten", "Then,"),
        ("the atenolol", "the atenolol"),
        ("the aten.", "the aten."),  # the model went on: nothing was broken off
        ("the xq", "the xq"),  # the prompt's
        ("the 12", "the 12"),
        ("", ""),
        ("aten", ""),
    ],
)
def test_a_word_that_the_limit_broke_off_is_left_out(text, whole):
    assert LEXICON.without_half_word(text, [token(" xq")]) == whole


def test_tokens_past_the_vocabulary_are_left_alone():
    rows = after(" Aten")
    assert {len(PIECES), len(PIECES) + 2} <= rows[0]


def test_both_ways_of_finding_the_tokens_agree(monkeypatch):
    backbone = load_backbone(str(ROOT / "models/base"), "cpu")
    lexicon = backbone.lexicon
    parts = ["", "p", "pn", "pneu", "a", "café", "metformi", "zzzz", "heart"]
    few = [lexicon.allowed(part) for part in parts]
    monkeypatch.setattr("summarizer.lexicon._MANY", 0)
    again = read_lexicon(ROOT / "models/base", backbone.tokenizer)
    for part, mask in zip(parts, few, strict=True):
        assert torch.equal(mask, again.allowed(part)), part


def test_the_released_lexicon_has_the_words_of_medicine_and_no_bent_ones():
    listed = (ROOT / "models/base/lexicon.txt").read_text().split()
    assert listed == sorted(set(listed))
    words = set(listed)
    known = "pneumothorax cholecystitis metformin atelectasis bronchiectasis atenolol hypertension"
    assert set(known.split()) <= words
    assert not {"pneumothors", "atenololol", "occipight", "cardiothorax"} & words


@pytest.mark.parametrize("task", ["radiology", "dialogue", "question"])
def test_the_base_and_an_adapter_write_words_and_numbers_of_the_text_alone(task):
    """Texts that small models stumble over, to the last word, where the limit ends most of them."""
    engine = Engine.load(device="cpu")
    lexicon = set((ROOT / "models/base/lexicon.txt").read_text().split())
    rows = [
        json.loads(line)
        for line in (ROOT / f"examples/{task}.jsonl").read_text().splitlines()
    ][:8]  # fmt: skip
    bent, untold = {True: 0, False: 0}, {True: 0, False: 0}
    for held in bent:
        decoding = Decoding(max_new_tokens=96, end_bias=-3, lexicon=held)
        for place, pair in engine.batch(task, rows, decoding=decoding):
            said = numbers_of(pair.prompt)
            for column in (pair.base, pair.lora):
                known = lexicon | words_of(pair.prompt)
                bent[held] += len(words_of(column.text) - known)
                whole = re.sub(r"[0-9][0-9.]*\Z", "", column.text)
                point = r"(?m)(^|[\n:]|(?<![0-9])\.|\. ) *[0-9]{1,2}(?=[.)](?![0-9]))"
                numbers = re.findall(r"[0-9]+(?:[.,][0-9]+)*", re.sub(point, r"\1", whole))
                untold[held] += sum(one not in said for one in numbers)
            assert place >= 0
    assert bent[True] == untold[True] == 0
    assert bent[False] > 0 or task == "question", "otherwise this shows nothing"
    assert untold[False] > 0 or task != "dialogue", "otherwise this shows nothing"


# --- characters of several tokens -----------------------------------------------------------------

BYTES = ["", " mg", None, None, None, ".", " be", None]  # at 2 and 3 ">=", at 2 and 4 "<="
CHARACTERS = Lexicon(["mg", "be"], BYTES)


def following(last, *prompt):
    return written_behind((last,), prompt)


def written_behind(tokens, prompt):
    scores = WordsOnly(CHARACTERS, [prompt])(torch.tensor([tokens]), torch.zeros(1, len(BYTES)))
    return {at for at, value in enumerate(scores[0].tolist()) if value == 0}


def test_a_character_of_several_tokens_is_written_as_the_text_has_it():
    text = (1, 2, 3, 1, 5)
    assert following(5, *text) == {0, 1, 2, 5, 6}  # 3 begins no character, 4 and 7 are not there
    assert following(2, *text) == {3}
    assert following(3, *text) == {1}, "no half of another one behind it"
    assert following(5) == {0, 1, 5, 6}, "a text without them has none"
    assert following(2) == {0, 1, 5, 6}, "it has left the text already"
    assert following(2, 2, 3, 6, 2, 4, 5) == {3, 4}
    assert following(3, 2, 3, 2, 4) == {2}, "two of them, one behind the other"
    assert written_behind((7, 2), (2, 3, 1, 7, 2, 4)) == {4}, "no end of the other one"
    assert written_behind((2, 7, 2), (2, 3, 1, 7, 2, 4)) == {4}


@pytest.mark.parametrize("sign", ["≥", "µ", "½", "中文", "👍"])
def test_such_characters_of_the_released_tokenizer_are_whole(sign):
    backbone = load_backbone(str(ROOT / "models/base"), "cpu")
    prompt = backbone.tokenizer(f"Dose {sign} 5 mg, {sign}.", add_special_tokens=False)["input_ids"]
    only, generator = WordsOnly(backbone.lexicon, [prompt]), torch.Generator().manual_seed(0)
    pairs = set(zip(prompt, prompt[1:], strict=False))
    for _ in range(40):  # any of what is allowed, the text's own tokens a thousand times likelier
        tokens = [0]
        while len(tokens) < 24:
            scores = only(torch.tensor([tokens]), torch.zeros(1, len(backbone.tokenizer)))
            weights = scores.exp()[0]
            weights[prompt] *= 1000
            tokens.append(int(torch.multinomial(weights, 1, generator=generator)))
        parts = [one for one in zip(tokens, tokens[1:]) if backbone.lexicon.is_part(one[0])]
        assert set(parts) <= pairs
        assert "\ufffd" not in backbone.text_of(tokens)


# --- what stands without a space ------------------------------------------------------------------

GLUED = ["", "p", "m", "ft", " ft", "1", "12", " 1", ".", " ", "a", "m, s", "4-l"]
LOOSE = Lexicon(["p", "m", "ft", "a", "s", "l"], GLUED)


def banned(before, text):
    return {GLUED[at] for at, wrong in enumerate(LOOSE.glued(before, text)) if wrong}


@pytest.mark.parametrize(
    ("before", "text", "wrong"),
    [
        (".", "soft belly.", {"p", "m", "ft", "a", "m, s"}),
        (".", "at 5 p.m.", {"p", "ft", "a", "m, s"}),
        (".", "at 5 pm", {"p", "ft", "a", "m, s"}),
        (",", "at 5 p.m.", {"p", "m", "ft", "a", "m, s"}),
        ("a", "a hundred and two", {"1", "12", "4-l"}),
        ("a", "your a one c is high", {"4-l"}),
        ("a", "that is a one time thing", {"1", "12", "4-l"}),
        ("l", "at l4-l5", {"1", "12"}),
        ("l", "at l4-12", set()),
        ("l", "at l four through six", {"1", "12"}),
        ("b", "vitamin b-12, it's 4 cm", {"4-l"}),
        ("s", "it's 4 cm", {"1", "12", "4-l"}),
        ("a", "a 12 cm mass, an a1", {"4-l"}),
        ("a", "a 12 cm mass", {"1", "12", "4-l"}),
        ("b", "vitamin b twelve", {"4-l"}),
        ("t", "at two", {"1", "12", "4-l"}),
        ("-", "l4-l5", set()),
        ("1", "soft", {"p", "m", "ft", "a", "m, s"}),
        ("1", "about 5ft tall", {"p", "m", "a", "m, s"}),
        ("(", "soft", set()),
        (" ", "soft", set()),
        ("", "soft", set()),
    ],
)
def test_what_stands_without_a_space_does_so_in_the_text(before, text, wrong):
    assert banned(before, text) == wrong


def test_no_word_stands_twice_in_a_row_that_does_not_in_the_text():
    pieces = [
        "",
        " has",
        " have",
        " ha",
        "has",
        " abdom",
        "inal",
        " abdominal",
        " Has",
        " had",
        "-has",
    ]
    twice = Lexicon(["has", "have", "abdominal", "had"], pieces)
    assert {pieces[at] for at in twice.again("has", None, ())} == {" has", " Has"}
    assert {pieces[at] for at in twice.again("abdominal", None, ())} == {" abdom", " abdominal"}
    assert twice.again("hav", None, ()) == [] and twice.again("has", "ha", ()) == []
    assert {pieces[at] for at in twice.again("abdominal", "abdom", ())} == {"inal"}
    assert twice.again("abdominal", None, {"abdominally"}) == [], "it can be the longer one"
    assert {pieces[at] for at in twice.again("abdom", "abdom", {"abdominal"})} == {*pieces} - {
        "inal"
    }, "and then it has to be"
    prompts = [[pieces.index(" had"), pieces.index(" had")], [pieces.index(" had")]]
    written = torch.tensor([[pieces.index(" had")]] * 2)
    scores = WordsOnly(twice, prompts)(written, torch.zeros(2, len(pieces)))
    assert scores[:, pieces.index(" had")].tolist() == [0, -PENALTY]
    assert scores[:, pieces.index(" has")].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "written", "free"),
    [
        ("the cord", "the the", set()),
        ("the thecal sac", "the the", {"cal"}),  # and no end of the word
        ("the the cord", "the the", {"cal", " the", " cord", "."}),
        ("breathe the cord", "the the", set()),  # inside a longer word it is not doubled
        ("the thecal sac", "the thecal", {" the", " cord", "."}),
        ("the cord", "cord the", {"cal", " cord", "."}),
    ],
)
def test_a_longer_word_of_the_text_may_begin_as_the_one_before(text, written, free):
    pieces = ["", " the", "cal", " cord", "."]
    lexicon = Lexicon(["the", "cord", "thecal"], [*pieces, f" {text}"])
    tokens = [pieces.index(piece) for piece in re.findall(r" (?:the|cord)|cal", f" {written}")]
    scores = WordsOnly(lexicon, [[len(pieces)]])(
        torch.tensor([tokens]), torch.zeros(1, len(pieces) + 1)
    )[0]
    assert {pieces[at] for at in range(1, len(pieces)) if scores[at] == 0} == free


@pytest.mark.parametrize(
    ("text", "free"),
    [("5% of it", True), ("five percent", True), ("5 per cent", True), ("86 over 50", False)],
)
def test_a_share_is_told_where_the_text_tells_one(text, free):
    pieces = ["", "%", " of", "%, "]
    lexicon = Lexicon(["of"], [*pieces, text])
    words = WordsOnly(lexicon, [[len(pieces)]])
    scores = words(torch.tensor([[2]]), torch.zeros(1, len(pieces) + 1))
    assert [value == 0 for value in scores[0, [1, 3]].tolist()] == [free, free]


def test_a_row_has_what_its_own_text_glues():
    prompts = [[GLUED.index(piece) for piece in ("p", ".", "m")], [GLUED.index(" ft")]]
    scores = WordsOnly(LOOSE, prompts)(torch.tensor([[8], [8]]), torch.zeros(2, len(GLUED)))
    assert scores[:, GLUED.index("m")].tolist() == [0, -PENALTY]
    assert scores[:, GLUED.index(" ft")].tolist() == [0, 0]


# --- what cannot be used ------------------------------------------------------------------------


def test_an_adapter_that_writes_by_a_lexicon_needs_one(tiny, tmp_path):
    bare = tmp_path / "base"
    shutil.copytree(tiny.backbone, bare)
    (bare / "lexicon.txt").unlink()
    recipe = {"task": "radiology", "decoding": {"lexicon": True}}
    adapter = make_adapter(bare, tmp_path / "adapter", seed=1, run={"recipe": recipe})
    with pytest.raises(ModelError, match=r"by a lexicon, .* has no lexicon.txt: fetch"):
        Engine.load(str(bare), {"radiology": str(adapter)}, device="cpu")
    engine = Engine.load(str(bare), {"radiology": tiny.adapters["radiology"]}, device="cpu")
    with pytest.raises(ModelError, match="A lexicon is asked for, and the base model has none"):
        engine.run("radiology", TEXTS[0], decoding=Decoding(lexicon=True))
    assert engine.run("radiology", TEXTS[0]).lora.text  # and it goes on serving


def test_a_lexicon_that_is_no_text_is_told(tiny, tmp_path):
    broken = tmp_path / "base"
    shutil.copytree(tiny.backbone, broken)
    (broken / "lexicon.txt").write_bytes(b"\xff\xfe\x00heart")
    with pytest.raises(ModelError, match=r"lexicon\.txt cannot be read"):
        load_backbone(str(broken), "cpu").lexicon  # noqa: B018


# --- numbers --------------------------------------------------------------------------------------

FIGURES = [
    *"0123456789",
    " 1",
    " 2",
    " 7",
    ".",
    ",",
    " mg",
    "\n",
    "",
    "12",
    "3 4",
    ")",
    " x2",
    ".)",
]
NUMBERS = Lexicon(["mg", "x"], FIGURES)


def fitting(part, points, numbers, behind=()):
    mask = NUMBERS.allowed_numbers(part, points, behind if part else points, numbers)
    return {FIGURES[at] for at, fits in enumerate(mask) if fits}


def test_a_number_grows_only_into_one_that_the_text_says():
    text = {"12", "250"}
    assert fitting("", (), text) == {
        "1",
        "2",
        " 1",
        " 2",
        "12",
        " x2",
        ".",
        ",",
        " mg",
        "\n",
        "",
        ")",
        ".)",
    }
    assert fitting("1", (), text) == {"2"}  # one alone is not said: it cannot end
    assert {".", " mg", ""} <= fitting("12", (), text)
    assert not set("0123456789") & fitting("12", (), text)
    assert "3 4" not in fitting("", (), {"3"}) and "3 4" in fitting("", (), {"3", "4"})
    assert fitting("", (), set()) == {".", ",", " mg", "\n", "", ")", ".)"}


def test_a_decimal_is_one_number():
    text = {"4.6", "3.8", "12"}
    assert fitting("4", (), text) == {"."}  # 4 is not said
    assert fitting("4.", (), text) == {"6"}
    assert fitting("3.", (), text) == {"8"}, "not what stands behind another's point"
    ended = set(FIGURES) - {*"0123456789", "12", "3 4", " x2", " 2", " 7"}
    assert fitting("12.", (), text) == ended, "a sentence may end with a number"
    assert {".", " mg", ")", ".)"} <= fitting("4.6", (), text)
    assert not {*"0123456789"} & fitting("4.6", (), text)
    assert not {*"0123456789"} & fitting("2.", {"2"}, text), "a list's point has no decimals"
    assert {" mg", "\n"} <= fitting("2.", {"2"}, text) and " 7" not in fitting("2.", {"2"}, text)
    assert " 7" in fitting("2.", {"2"}, text, behind={"1", "7"})
    assert "." in fitting("2", {"1", "2"}, {"2.5"}) and "5" in fitting("2.", {"2"}, {"2.5"})
    assert fitting("03.0", (), {"03.04.2021"}) == {"4"}


def test_thousands_belong_to_their_number():
    text = {"1,200", "1200"}
    assert fitting("1", (), text) == {"2", ","}
    assert fitting("1,", (), text) == {"2"}
    assert {",", ".", " mg"} <= fitting("1,200", (), text)
    assert "2" not in fitting("2,", (), {"2", "500", "2500"}), "not what stands elsewhere"
    assert {" mg", "\n"} <= fitting("2,", (), {"2", "500"}) and "5" not in fitting("2,", (), {"2"})


def test_the_points_of_a_list_are_counted():
    assert fitting("", {"1"}, set()) == fitting("", (), set()) | {"1", " 1"}
    assert {"1", " 1", "3"} <= fitting("", {"1", "3"}, set())
    assert not {"2", "4", "0", "12"} & fitting("", {"1", "3"}, set())
    assert fitting("3", {"1", "3"}, set()) == {".", ")", ".)"}
    assert fitting("1", {"1", "12"}, set()) == {"2", ".", ")", ".)"}
    assert fitting("4", {"1", "3"}, set()) == set()
    assert fitting("3", (), set()) == set()


@pytest.mark.parametrize(
    ("text", "part", "points", "behind"),
    [
        ("", "", "1", "1"),
        ("2", "2", "1", ""),
        ("1. Clear lungs. 2", "2", "12", ""),
        ("1. Clear lungs.\n2) Normal heart.\n1", "1", "13", ""),
        ("1. Plan: 1", "1", "1", ""),
        ("aged 12", "12", "", ""),
        ("L4-", "", "", ""),
        ("Clear lungs.\n2.", "2.", "1", "13"),
        ("1. It measures 4.", "4.", "", "12"),
        ("measures 4.6", "4.6", "", ""),
        ("on 03.04.20", "03.04.20", "", ""),
        ("It ends at 8.4. ", "", "1", "1"),
        ("Takes 1,2", "1,2", "", ""),
        ("4..", "", "15", "15"),
    ],
)
def test_where_a_point_of_a_list_may_begin(text, part, points, behind):
    assert open_number(text) == (part, set(points), set(behind))


def test_what_stands_there_is_not_repeated_but_to_end_a_number():
    pieces = ["", " 2", "1", "0", ".", " was", " cal", "cium", " low"]
    lexicon = Lexicon(["was", "calcium", "low"], [*pieces, " was 210 calcium low"])
    texts = [" was 210. was 21", " was calcium low was cal", " low was 210 low was 2"]
    for written in texts:
        tokens = [pieces.index(one) for one in re.findall(r" 2|\d|\.| was| cal|cium| low", written)]
        scores = WordsOnly(lexicon, [[len(pieces)]], 3)(
            torch.tensor([tokens]), torch.zeros(1, len(pieces) + 1)
        )[0]
        banned = {pieces[at] for at, one in enumerate(scores[:-1]) if one == -torch.inf}
        assert banned == ({"cium"} if "cal" in written else set())
    tokens = [pieces.index(piece) for piece in (" was", "1", "0", " low", "1", "0")]
    only = WordsOnly(lexicon, [[len(pieces)]], 3)
    scores = only(torch.tensor([tokens]), torch.zeros(1, len(pieces) + 1))
    assert (scores[0] == -torch.inf).nonzero().tolist() == [[pieces.index(" low")]]
    assert not only(torch.tensor([tokens[:4]]), torch.zeros(1, len(pieces) + 1)).isinf().any()


# --- the whole of it ------------------------------------------------------------------------------

NUMBERED = """\
Doctor: So your L4-5 disc, and C five six, and the thecal sac. Blood pressure one ten over seventy
at ten pm. Patient: I take 1,200 mg, no nocturia, ≥ 5 mg or ≤ 4.6 cm. Doctor: B twelve of 2.5, A one
C of eight point four. In the eighties, 5mg on June fifteenth. The the cough. µ 3.
1. Metformin. 2. Aspirin."""


@pytest.mark.parametrize("seed", range(3))
def test_at_any_place_the_plain_check_lets_the_same_tokens_pass(seed):
    """Behind what is drawn from what is allowed, the text's own tokens first, with slips and with
    what stands there already once more."""
    backbone = load_backbone(str(ROOT / "models/base"), "cpu")
    tokenizer = backbone.tokenizer
    prompt = tokenizer(NUMBERED)["input_ids"]
    plain, only = real_words(tokenizer, prompt, 4), WordsOnly(backbone.lexicon, [prompt], 4)
    draw = random.Random(seed)
    shown = set(range(len(tokenizer))) - {*tokenizer.all_special_ids}
    shown -= {token for token in shown if "extra_id" in tokenizer.decode([token])}
    tokens = [0]
    for _ in range(30):
        scores = only(torch.tensor([tokens]), torch.zeros(1, len(tokenizer)))[0].tolist()
        ours = {token for token in shown if scores[token] == max(scores)}
        assert ours == shown & {*plain(0, torch.tensor(tokens))}, tokenizer.decode(tokens)
        own = sorted(ours & {*prompt})
        tokens.append(draw.choice(own if own and draw.random() < 0.7 else sorted(ours)))
        if draw.random() < 0.2:
            tokens += draw.choice([tokens[-1:], tokens[-4:-1], [draw.choice(sorted(shown))]])
