"""What a text that an adapter wrote for a training row is worth, for learning from it (train.policy).

The scores of the tables, asked of one text at a time, and what they do not see: words that neither
the reference nor the input has, and an abnormal report told as normal. No model is asked.
"""

from __future__ import annotations

from typing import Any

from rouge_score.rouge_scorer import RougeScorer

from eval.clinical import FUNCTION_WORDS, focus_kept, focus_words
from eval.rouge import tokenize
from summarizer.findings import tells_abnormality
from train.recipe import Reward
from train.selection import ROUGE


class Judge:
    """Tells the reward of texts for one recipe's rows."""

    def __init__(self, reward: Reward, task: str) -> None:
        """
        Args:
            reward: the shares of each part.
            task: of the rows; reports of radiology are told as normal or as abnormal.
        """
        self._reward = reward
        self._reports = task == "radiology"
        self._rouge = [name for name in ROUGE if getattr(reward, name)]
        self._scorer = RougeScorer(self._rouge, use_stemmer=True)
        self._template = frozenset(token for word in FUNCTION_WORDS for token in tokenize(word))

    def __call__(self, text: str, target: str, source: str) -> float:
        """The reward of a text.

        Each ROUGE F-measure (0 to 1, stemmer on) and the share of the target's focus words that the
        text names count with the recipe's shares; the share of the text's words that stand neither
        in the target nor in the input, function words aside, is taken off; and a report told as
        normal or abnormal as the target tells it earns `told`. Where the target is empty, silence
        earns what the parts together could, and every text nothing.

        Args:
            target: the row's reference.
            source: its input.
        """
        reward = self._reward
        if not target:
            most = sum(getattr(reward, name) for name in (*self._rouge, "focus"))
            return 0.0 if text else most
        scores = self._scorer.score(target, text)
        total = sum(getattr(reward, name) * scores[name].fmeasure for name in self._rouge)
        if reward.focus and focus_words(target):
            total += reward.focus * focus_kept(text, target) / 100
        words = set(tokenize(text)) - self._template
        if reward.invented and words:
            known = {*tokenize(target), *tokenize(source)}
            total -= reward.invented * len(words - known) / len(words)
        if reward.told and self._reports:
            total += reward.told * (tells_abnormality(text) == tells_abnormality(target))
        return total


def advantages(rewards: Any) -> Any:
    """How much better each drawn text is than the row's others together: (rows, texts) of each.

    The mean of the others is the baseline that leaves the gradient unbiased (Kool et al. 2019, "Buy
    4 REINFORCE samples, get a baseline for free!").
    """
    others = rewards.shape[1] - 1
    return rewards - (rewards.sum(1, keepdim=True) - rewards) / others
