"""A bias towards what the text itself says next.

A small model that has begun a name ("Accu") ends it with whatever it has seen most often. The text
knows better: where the token written last stands in it, the tokens that follow it there are
favoured, so that names, numbers and phrases are carried on as they stand (See et al. 2017, "Get to
the point", learn a pointer to the same end; here nothing is learned).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any


class CopyBias:
    """A logits processor for transformers' `generate`.

    Each row has a text of its own, which transformers' `sequence_bias` does not know: for one row,
    that with every pair of neighbours of the text is the same.
    """

    def __init__(
        self, prompts: Sequence[Sequence[int]], bias: float, ends: Collection[int]
    ) -> None:
        """
        Args:
            prompts: token ids of the rows, without padding, in the order of the batch.
            bias: added to a logit.
            ends: end marks, which are never favoured.
        """
        self._bias = bias
        self._after: list[dict[int, list[int]]] = []
        for prompt in prompts:
            after: dict[int, set[int]] = defaultdict(set)
            for token, following in zip(prompt, prompt[1:], strict=False):
                if following not in ends:
                    after[token].add(following)
            self._after.append({token: sorted(found) for token, found in after.items()})

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The scores [rows x beams, vocabulary] with the bias; input_ids [rows x beams, length]."""
        beams = len(scores) // len(self._after)
        rows = [place // beams for place in range(len(scores))]
        return self.favour(scores, rows, input_ids[:, -1].tolist())

    def favour(self, scores: Any, rows: Sequence[int], befores: Sequence[int]) -> Any:
        """The scores [N, vocabulary] with the bias, each behind a token in one row's text.

        rows: of `prompts`, N of them. befores: the token written last, of each.
        """
        import torch

        places: list[int] = []
        favoured: list[int] = []
        for place, (row, last) in enumerate(zip(rows, befores, strict=True)):
            found = self._after[row].get(last, ())
            places += [place] * len(found)
            favoured += found
        if not places:
            return scores
        at = (
            torch.tensor(places, device=scores.device),
            torch.tensor(favoured, device=scores.device),
        )
        bias = torch.full((len(places),), self._bias, dtype=scores.dtype, device=scores.device)
        return scores.index_put(at, bias, accumulate=True)
