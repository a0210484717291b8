"""An impression whose first token flags it as normal or abnormal, and which keeps to that.

A small model answers a consolidation with the commonest impression of all, "No acute
cardiopulmonary abnormality", although its encoder tells normal from abnormal reports well. So an
adapter may be trained to write a flag first: one of two special tokens, which no text shows
(`flag_weight` in a recipe; Narayan et al. 2021, "Planning with learned entity prompts for
abstractive summarization", let a summary begin with a plan likewise). What follows is then held to
it: an impression that is flagged as abnormal does not begin with what is not there.

Beams are of what follows the flag. What is told as normal is short, and surer than any finding: held
against each other as wholes, a report would be told as normal that is flagged as abnormal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

# Of T5's sentinels, with which answers begin in pre-training too: normal, abnormal.
TOKENS = ("<extra_id_0>", "<extra_id_1>")
DENIALS = frozenset("clear negative no none normal not unremarkable without".split())
# Less than what a word that does not exist loses (`summarizer.lexicon`).
PENALTY = 1e3
# What may stand before the first word: the number of a list's first point.
BEGINNING = re.compile(r"\s*(?:1[.)])?\s*")
_LONGEST = 4  # tokens of such a beginning
_NONE = -1e9  # as transformers' search scores beams that are none yet


def token_ids(tokenizer: Any) -> tuple[int, int] | None:
    """Ids of the two flags, None where a tokenizer does not have them."""
    known = tokenizer.get_added_vocab()
    normal, abnormal = (known.get(token) for token in TOKENS)
    return None if normal is None or abnormal is None else (normal, abnormal)


class FlagKept:
    """A logits processor for transformers' `generate`, for encoder-decoders.

    Rows that do not begin with the flag for abnormal are left as they are.
    """

    def __init__(self, tokenizer: Any, num_beams: int = 1) -> None:
        """Raises ValueError where the tokenizer has no tokens for the flags."""
        self._tokenizer = tokenizer
        self._searched = num_beams > 1
        self._abnormal, self._denials = _of(tokenizer)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The scores [rows x beams, vocabulary], less `PENALTY` where a denial would come first.

        With beams the first token is the likeliest one: of the others nothing is left.

        input_ids: [rows x beams, length], the decoder's start token first.
        """
        if self._searched and input_ids.shape[1] == 1:
            return only(scores, scores.argmax(-1))
        if not 2 <= input_ids.shape[1] <= 2 + _LONGEST:
            return scores
        held = [
            place
            for place, (_, flag, *written) in enumerate(input_ids.tolist())
            if flag == self._abnormal and self._nothing_yet(written)
        ]
        if not held:
            return scores
        scores = scores.clone()
        for place in held:
            scores[place, self._denials.to(scores.device)] -= PENALTY
        return scores

    def _nothing_yet(self, written: Sequence[int]) -> bool:
        """Whether these tokens have no word."""
        text = self._tokenizer.decode(written, skip_special_tokens=True)
        return BEGINNING.fullmatch(text) is not None


def only(scores: Any, tokens: Any) -> Any:
    """The scores [rows, vocabulary] of one token of each row [rows], and of the others next to none.

    Not minus infinity: a search subtracts such scores from each other.
    """
    import torch

    left = torch.full_like(scores, _NONE)
    return left.scatter_(1, tokens[:, None], scores.gather(1, tokens[:, None]))


@lru_cache(maxsize=8)
def _of(tokenizer: Any) -> tuple[int, Any]:
    """Id of the flag for abnormal, and those of the tokens that are a denial: [denials]."""
    import torch

    ids = token_ids(tokenizer)
    if ids is None:
        raise ValueError(f"The tokenizer has no {' and '.join(TOKENS)}.")
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    denials = [token for token, text in enumerate(texts) if text.strip().lower() in DENIALS]
    return ids[1], torch.tensor(denials)
