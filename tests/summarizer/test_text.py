"""Text: what is refused, what is cleaned, where sentences end, what is cut and told."""

import time

import pytest
from tiny_t5 import make_tokenizer

from summarizer.text import (
    MAX_CHARACTERS,
    Cut,
    InputError,
    check_input,
    clean,
    cut_to,
    decode,
    sentences,
)

NASTY = [
    "The heart is normal.\r\nLungs\u00a0clear.\r",
    "cafe\u0301 \u200b\u202eabc\u202c \ufeff",
    "Chest x-XXXX, XXXX. [**Name**] ___ saw (XXXX) the XXXX-year-old.",
    "a\n\n\n\n\n\nb \t c  ",
    "عربي 😀👍🏽 \u2066x\u2069 ﷽",
    "x\x00\x07\x1b[31m\x7f\x85y",
    " ".join(["XXXX"] * 50),
]


@pytest.mark.parametrize("text", NASTY)
def test_cleaning_twice_changes_nothing_more(text):
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\r\nb\rc\u2028d\u0085e", "a\nb\nc\nd\ne"),
        ("cafe\u0301", "café"),
        ("no\u200b \u202ertl\u202c \ufeffmarks\u00ad", "no rtl marks"),
        ("bell\x07 escape\x1b[0m", "bell escape[0m"),
        ("two  spaces\t tab  \n  next ", "two spaces tab\nnext"),
        ("a\n\n\n\n\nb\n\n\nc", "a\n\n\nb\n\n\nc"),
        ("שלום \u200fעולם 😀", "שלום עולם 😀"),
        ("1. One.\n2. Two.", "1. One.\n2. Two."),
        ("lone \ud800 surrogate", "lone surrogate"),
    ],
)
def test_cleaning_gives_one_normal_form(text, cleaned):
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Chest x-XXXX XXXX.", "Chest x-ray."),
        ("X-XXXX of the heart", "X-ray of the heart"),
        ("XXXX-year-old male, pain", "male, pain"),
        ("The XXXX are intact. XXXX XXXX. Next.", "The are intact. Next."),
        ("The heart (XXXX) is big.", "The heart is big."),
        ("seen on XXXX, XXXX.", "seen on."),
        ("Dr. [**Last Name (STitle)**] saw ___ on [**2010-1-1**].", "Dr. saw on."),
        ("heart XXXX, mediastinum", "heart, mediastinum"),
        ("end XXXX\nXXXX start", "end\nstart"),
        ("XXXX", ""),
    ],
)
def test_masks_are_taken_out_and_the_space_around_them_mended(text, cleaned):
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    "text", ["47,XXXX karyotype", "XXX", "Roman XX", "__init__", "foxxxxy", "[*]"]
)
def test_what_is_no_mask_stays(text):
    assert clean(text) == text


def test_no_output_of_cleaning_holds_a_mask():
    text = " ".join(f"word{n} XXXX, [**{n}**] {'_' * (3 + n)}." for n in range(20))
    cleaned = clean(text)
    assert "XXXX" not in cleaned
    assert "[**" not in cleaned
    assert "___" not in cleaned


@pytest.mark.parametrize(
    "text",
    [
        " " * 200_000,
        "\n" * 200_000,
        "XXXX " * 40_000,
        "x-XXXX" * 30_000,
        "[**" * 60_000,
        "_" * 99999,
    ],
)
def test_cleaning_the_longest_text_takes_a_moment(text):
    started = time.perf_counter()
    clean(text)
    sentences(text)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("text", ["", " ", "\n\t \u200b\u00a0", "XXXX", "\u202e", "___"])
def test_a_text_with_nothing_in_it_is_refused(text):
    with pytest.raises(InputError, match="empty|nothing") as refused:
        check_input(text)
    assert "\n" not in str(refused.value)


def test_a_text_that_is_too_long_is_refused_with_its_length():
    assert check_input("a" * MAX_CHARACTERS)
    with pytest.raises(InputError, match="1,048,576"):
        check_input("a" * 2**20)


@pytest.mark.parametrize("text", ["ab\x00cd", "\ufffd" * 100, "\x01\x02\x03\x04" * 9, "\udcff" * 9])
def test_binary_data_is_refused(text):
    with pytest.raises(InputError, match="binary"):
        check_input(text)


@pytest.mark.parametrize(
    "text", ["emoji 😀 alone", "مرحبا \u200f", "one bad \ufffd mark in a text", "5"]
)
def test_unusual_text_is_accepted(text):
    assert check_input(text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("naïve".encode(), "naïve"),
        ("naïve".encode("utf-8-sig"), "naïve"),
        ("naïve".encode("utf-16"), "naïve"),
        ("naïve – 5°".encode("cp1252"), "naïve – 5°"),
        ("Poumons normaux, cœur élargi.\x1a".encode("cp1252"), "Poumons normaux, cœur élargi.\x1a"),
        ("\uf0b7 Chest X-ray: normal.".encode("utf-16"), "\uf0b7 Chest X-ray: normal."),
        ("心臟大小正常".encode("utf-16"), "心臟大小正常"),
        (b"", ""),
    ],
)
def test_files_are_read_in_the_encodings_that_people_have(data, text):
    assert decode(data) == text


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 4,
        b"\x7fELF\x02\x01\x00\x00",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"\x1f\x8b\x08",
        b"%PDF-1.7\nthe words of a page",
        b"\xde\xad\xbe\xef",  # letters in Windows-1252, and nobody's word
        b"\x01\x02\xef\x07",
        b"\xff\xfe\x00",
        ("\ufeff" + "\uf123\u0378" * 20).encode("utf-16-le"),  # characters that do not exist
    ],
)
def test_binary_files_are_refused(data):
    with pytest.raises(InputError, match="binary"):
        decode(data)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It is 2.5 cm. No effusion.", ["It is 2.5 cm.", "No effusion."]),
        ("1. Mild edema. 2. No fracture.", ["1. Mild edema.", "2. No fracture."]),
        ("1. One\n2. Two\n(3) Three", ["1. One", "2. Two", "(3) Three"]),
        ("Dr. Lee was told at 5 p.m. today.", ["Dr. Lee was told at 5 p.m. today."]),
        ("See fig. 2. Then go.", ["See fig. 2.", "Then go."]),
        ("E.g. this, i.e. That vs. Those. End", ["E.g. this, i.e. That vs. Those.", "End"]),
        (
            "John F. Kennedy. Hepatitis C. No more.",
            ["John F. Kennedy.", "Hepatitis C.", "No more."],
        ),
        ("Fracture of T12. L1 is intact!", ["Fracture of T12.", "L1 is intact!"]),
        ("The line runs\non to here. New", ["The line runs on to here.", "New"]),
        (
            "Doctor: Hi.\nPatient: Hello... I am ill.",
            ["Doctor: Hi.", "Patient: Hello...", "I am ill."],
        ),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ("", []),
        (" \n \n", []),
        ("no full stop", ["no full stop"]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text, parts):
    assert sentences(text) == parts


def test_sentences_keep_every_word():
    text = "A b. C d! E? 1. F g. 2. Dr. H i.\nJ: k l... M 3.5 n. (O.) P"
    assert " ".join(sentences(text)).split() == text.split()


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def test_a_text_that_fits_is_read_whole(tokenizer):
    ids, cut = cut_to(tokenizer, "summarize: ", "Clear lungs.", "", 100)
    assert cut is None
    assert ids == tokenizer("summarize: Clear lungs.")["input_ids"]


@pytest.mark.parametrize("limit", range(16, 60, 7))
def test_a_cut_takes_the_end_as_the_tokenizers_own_truncation_does(tokenizer, limit):
    text = "The heart is normal in size and the lungs are clear. " * 4
    ids, cut = cut_to(tokenizer, "summarize: ", text, "", limit)
    prompt = "summarize: " + text
    assert ids == tokenizer(prompt, truncation=True, max_length=limit)["input_ids"]
    assert ids[-1] == tokenizer.eos_token_id
    assert cut.tokens_read == len(ids) == limit
    assert cut.tokens_total == len(tokenizer(prompt)["input_ids"])
    read = tokenizer.decode(ids, skip_special_tokens=True).removeprefix("summarize: ")
    assert " ".join((read + cut.unread_text).split()) == " ".join(text.split()) or (
        " ".join((read + " " + cut.unread_text).split()) == " ".join(text.split())
    )
    assert cut.words_unread == len(cut.unread_text.split())


def test_what_stands_behind_the_text_is_kept(tokenizer):
    ids, cut = cut_to(tokenizer, "<", "word " * 100, "> answer:", 40)
    text = tokenizer.decode(ids, skip_special_tokens=True)
    assert text.startswith("<word word")
    assert text.endswith("> answer:")
    assert len(ids) <= 40
    assert isinstance(cut, Cut)


@pytest.mark.parametrize("limit", range(8, 40))
def test_a_cut_splits_no_character(tokenizer, limit):
    ids, cut = cut_to(tokenizer, "", "é😀👍🏽한" * 10, "", limit)
    assert "\ufffd" not in tokenizer.decode(ids, skip_special_tokens=True)
    assert "\ufffd" not in cut.unread_text
    assert len(ids) <= limit


def test_a_prompt_that_leaves_no_room_is_refused(tokenizer):
    with pytest.raises(InputError, match="prompt alone"):
        cut_to(tokenizer, "a very long prompt indeed ", "text " * 50, "", 6)
