"""The embedded model's tokenizer: byte-level BPE trained on the pre-training text.

Cased, because a drug's name and a section's heading are told by their capitals; single digits, so
that a number is copied figure by figure; line breaks kept, because an impression is a numbered
list; and bytes underneath, so that any text comes back as it went in.

Run as part of `python -m train.pretrain`; it knows nothing of models or tasks.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PAD, END = "<pad>", "</s>"
SENTINELS = 64  # spans that one input can lose; T5 has 100, our inputs are short
SENTINEL = "<extra_id_{}>"

# GPT-4's way of cutting text into words, with each digit alone and line breaks apart from spaces.
WORDS = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|[\r\n]|[^\S\r\n]+(?!\S)|[^\S\r\n]+"
)


def train_tokenizer(texts: Iterable[str], vocabulary_size: int, folder: Path | str) -> None:
    """Train on `texts` and write a folder that `AutoTokenizer.from_pretrained` loads.

    The vocabulary holds `vocabulary_size` entries in all: padding (0), end (1), the merges, and
    the sentinels of span corruption at its end, as T5 has them.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size - SENTINELS,
        special_tokens=[PAD, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", pair=f"$A {END} $B {END}", special_tokens=[(END, 1)]
    )
    sentinels = [SENTINEL.format(i) for i in range(SENTINELS)]
    tokenizer.add_special_tokens(sentinels)
    save(tokenizer, sentinels, Path(folder))


def save(tokenizer, sentinels: list[str], folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=sentinels,
        clean_up_tokenization_spaces=False,
        # A visitor who types "</s>" means those four characters, not the end of the text.
        split_special_tokens=True,
        model_max_length=2048,
    ).save_pretrained(folder)


def sentinel_ids(vocabulary_size: int) -> list[int]:
    """Ids of the sentinels, the first to be used first."""
    return list(range(vocabulary_size - SENTINELS, vocabulary_size))
