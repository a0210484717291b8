"""A section that is asked for is told, though most of a visit says nothing of it.

Of a long text read in windows, a model is silent where it has nothing to say: rightly so in most of
them. Where a section has few words in a visit (an examination, a result), it may be surer of silence
than of any word in every window, and then nothing is told at all. How much it would rather speak in
one window than in another it knows far better. So of many windows a share speaks in any case: those
that would rather than the others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from summarizer.flag import only


class LeastWindows:
    """A logits processor for transformers' `generate`.

    Of a text of fewer windows than one in `share`, nothing is asked. A window speaks whose first
    token is no end mark: where a flag comes first, all do. With beams a window of several is silent
    if its likeliest first token is an end mark, and else it speaks.
    """

    def __init__(self, windows: Sequence[int], share: float, ends: Collection[int]) -> None:
        """
        Args:
            windows: how many rows of the batch each text has; its rows stand together.
            share: of a text's windows, rounded down, that do not begin with an end mark.
            ends: end marks.
        """
        self._texts = [(count, int(count * share + 1e-9)) for count in windows]
        self._ends = sorted(ends)
        self._begun = False
        self._silent: Any = None  # of each row, with beams

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The scores [rows x beams, vocabulary], end marks out of reach where a window must speak."""
        import torch

        if self._begun:
            if self._silent is None or not self._silent.any():
                return scores
            # Beams that are none yet would go on to the limit.
            ended = only(scores, torch.full_like(scores[:, 0], self._ends[0], dtype=torch.long))
            return torch.where(self._silent[:, None], ended, scores)
        self._begun = True
        beams = len(scores) // sum(count for count, _ in self._texts)
        asked = any(least for _, least in self._texts)
        if not asked and beams == 1:
            return scores
        words = scores.clone()
        words[:, self._ends] = -float("inf")
        held, first = scores.clone(), 0
        if asked:
            rather = (words.amax(1) - scores[:, self._ends].amax(1))[::beams]
            for count, least in self._texts:
                for place in rather[first : first + count].topk(least).indices.tolist():
                    at = (first + place) * beams
                    held[at : at + beams] = words[at : at + beams]
                first += count
        if beams == 1:
            return held
        several = [count > 1 for count, _ in self._texts for _ in range(count * beams)]
        chosen = torch.tensor(several, device=scores.device)
        likeliest = held.argmax(1)
        ends = torch.tensor(self._ends, device=scores.device)
        self._silent = chosen & torch.isin(likeliest, ends)
        held = torch.where(chosen[:, None], words, held)
        return torch.where(self._silent[:, None], only(scores, likeliest), held)
