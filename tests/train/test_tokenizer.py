"""What the embedded tokenizer promises."""

import pytest
from transformers import AutoTokenizer

from train.tokenizer import SENTINEL, SENTINELS, sentinel_ids, train_tokenizer

TEXT = [
    "Chest X-ray: no focal consolidation. The heart size is 12.5 cm.\n1. No acute disease.",
    "The patient takes Lisinopril 20 mg daily and denies chest pain.\n\nPLAN: follow up in 3 weeks.",
] * 20


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXT, 512, folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    "text",
    [
        "1. No acute disease.\n2. Nodule, 12 mm.",
        "tabs\tand  double  spaces \n\n\n end ",
        "\r\nWindows lines\r\n",
        "Café naïve µg/dL ½ 😀 中文 עברית",
        "</s> <pad> <extra_id_0> typed by hand",
        "",
    ],
)
def test_any_text_comes_back_as_it_went_in(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids[:-1]) == text
    assert ids[-1] == tokenizer.eos_token_id == 1


def test_special_tokens_typed_as_text_stay_text(tokenizer):
    ids = tokenizer("</s><pad><extra_id_0>")["input_ids"]
    assert ids.count(1) == 1, "only the end that the tokenizer itself adds"
    assert 0 not in ids
    assert not set(ids) & set(sentinel_ids(512))


def test_digits_stand_alone_and_case_is_kept(tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("120 Lisinopril lisinopril")["input_ids"])
    assert [t.strip("Ġ") for t in tokens[:3]] == ["1", "2", "0"]
    assert tokenizer("PLAN")["input_ids"] != tokenizer("plan")["input_ids"]


def test_sentinels_close_the_vocabulary(tokenizer):
    names = tokenizer.convert_ids_to_tokens(sentinel_ids(len(tokenizer)))
    assert names == [SENTINEL.format(i) for i in range(SENTINELS)]
