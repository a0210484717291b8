"""What a text that an adapter wrote for a training row is worth, for learning from it (train.policy).

The scores of the tables, asked of one text at a time, and what they do not see: words that neither
the reference nor the input has, what is put together of words that do not belong together, sides,
denials and numbers that the input has otherwise, and an abnormal report told as normal. No model is
asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from eval import faults
from eval.clinical import focus_kept, focus_words, function_stems
from eval.rouge import f_measure, sentence_lines, tokenize
from summarizer.findings import tells_abnormality
from train.awkward import awkward
from train.denials import turned
from train.recipe import Reward
from train.selection import ROUGE

# Of eval.faults.CATEGORIES those that the scores do not see.
_UNSEEN = frozenset({"wrong side", "negation", "number", "repetition"})


class Judge:
    """Tells the reward of texts for one recipe's rows."""

    def __init__(self, reward: Reward, task: str) -> None:
        """
        Args:
            reward: the shares of each part.
            task: of the rows; reports of radiology are told as normal or as abnormal.
        """
        self._reward = reward
        self._task, self._reports = task, task == "radiology"
        self._rouge = [name for name in ROUGE if getattr(reward, name)]

    def __call__(self, text: str, target: str, source: str) -> float:
        """The reward of a text.

        Each ROUGE F-measure (0 to 1, stemmer on) and the share of the target's focus words that the
        text names count with the recipe's shares; the share of the text's words that stand neither
        in the target nor in the input, function words aside, is taken off, and so are the share
        that is put together (`scattered`), that of what a conversation says otherwise
        (train.denials), that of its sentences that no clinician would write so (train.awkward) and
        each of the faults of a side, a denial, a number or a repetition
        (eval.faults); and a report told as normal or abnormal as the target tells it earns `told`.
        Where the target is empty, silence earns what the parts together could, or `silence`, and
        every text nothing.

        Args:
            target: the row's reference.
            source: its input.
        """
        reward = self._reward
        if not target:
            most = sum(getattr(reward, name) for name in (*self._rouge, "focus"))
            earned = most if reward.silence is None else reward.silence
            return 0.0 if text else earned
        total = sum(getattr(reward, name) * f_measure(name, text, target) for name in self._rouge)
        if reward.focus and focus_words(target):
            total += reward.focus * focus_kept(text, target) / 100
        words = _content(text)
        if reward.invented and words:
            known = {*tokenize(target), *tokenize(source)}
            total -= reward.invented * len(words - known) / len(words)
        if reward.scattered:
            total -= reward.scattered * scattered(text, target, source)
        if reward.faults:
            row = {"input": source, "target": target}
            found = {fault.category for fault in faults.faults(self._task, row, text)}
            total -= reward.faults * len(found & _UNSEEN)
        if reward.turned:
            total -= reward.turned * turned(text, source)
        if reward.awkward:
            total -= reward.awkward * awkward(text, source)
        if reward.told and self._reports:
            total += reward.told * (tells_abnormality(text) == tells_abnormality(target))
        return total


def scattered(text: str, target: str, source: str) -> float:
    """Share (0 to 1) of a text's words that its sentences bring together from nowhere.

    Of each sentence those words count that are not in the target: they should stand together in one
    sentence of the input. Those beyond the sentence that has most of them are scattered: "tear of
    the left femoral neck" where the input tells of a tear elsewhere. Function words are left out.
    """
    known = frozenset(tokenize(target))
    there = _sentences(source)
    words = lost = 0
    for sentence in sentence_lines(text):
        ours = _content(faults.unnumbered(sentence))
        open_ = ours - known
        words += len(ours)
        lost += min((len(open_ - one) for one in there), default=len(open_))
    return lost / words if words else 0.0


@lru_cache(maxsize=1_000)
def _sentences(text: str) -> tuple[frozenset[str], ...]:
    """The words of each sentence."""
    return tuple(frozenset(tokenize(sentence)) for sentence in sentence_lines(text))


def _content(text: str) -> frozenset[str]:
    """A text's words, function words left out."""
    return frozenset(tokenize(text)) - function_stems()


def advantages(rewards: Sequence[float]) -> list[float]:
    """How much better each of a row's drawn texts is than its others together.

    The mean of the others is the baseline that leaves the gradient unbiased (Kool et al. 2019, "Buy
    4 REINFORCE samples, get a baseline for free!").
    """
    total, others = sum(rewards), len(rewards) - 1
    return [one - (total - one) / others for one in rewards]


def window_advantages(windows: Sequence[Sequence[str]], worth: Callable[..., float]) -> list[float]:
    """How much better each window's text makes the whole than the window's other texts would.

    The whole that a text was drawn for is held against those that differ from it in this window
    alone: what the other windows say is the same in both. Windows are drawn independently, so that
    this baseline knows nothing of the text that it is for, and the gradient stays unbiased (Wu et
    al. 2018, "Variance reduction for policy gradient with action-dependent factorized baselines").
    Where only silence is right and two windows speak, none of them is told so: the whole is worth
    nothing without either.

    Args:
        windows: each with its drawn texts; the first of all windows make one whole, the second
            another, and so on.
        worth: the reward of a whole, given a text of each window.

    Returns:
        A number for each text, window after window.
    """
    wholes = list(zip(*windows, strict=True))
    better = []
    for place, texts in enumerate(windows):
        for number, whole in enumerate(wholes):
            others = [text for n, text in enumerate(texts) if n != number]
            swapped = sum(worth(*whole[:place], text, *whole[place + 1 :]) for text in others)
            better.append(worth(*whole) - swapped / len(others))
    return better
