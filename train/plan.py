"""Which rows are shown in which step: the whole run, planned from its seed.

Nothing is drawn while training. So a run that was killed meets the same batches when it goes on,
and two processes together meet those of one.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate

import numpy as np

from train.recipe import Recipe
from train.tokens import Tokenised

Bundle = tuple[int, ...]  # items that share a sequence; one, unless rows are packed
POOL = 50  # steps whose rows are sorted by length together


class RunPlan:
    """A batch sampler over all steps of a run: every micro-batch is a list of bundles.

    Rows of similar length share a step, so that little is padding: a shuffled epoch is cut into
    pools of 50 steps, each pool sorted by length and cut into steps, and the steps shuffled. A
    step's bundles are then dealt to `parts` micro-batches (accumulation x processes), so that
    every process gets its share of each step. A last step with too few is filled with bundles
    drawn again: all steps have one size.

    Args:
        processes: how many train together.
    """

    drop_last = False

    def __init__(self, recipe: Recipe, data: Tokenised, *, processes: int = 1) -> None:
        training = recipe.training
        self.data = data
        self.seed = recipe.seed
        self.batch_size = training.batch_size
        self.parts = training.gradient_accumulation_steps * processes
        self.step_size = self.batch_size * self.parts
        self.section_dropout = recipe.data.section_dropout
        self.group_by_length = training.group_by_length
        self.packed_tokens = recipe.data.packed_tokens if recipe.data.packing else None
        self.groups = _groups(data)
        self.steps: list[list[Bundle]] = []
        self._ends: list[int] = []  # steps at the end of each epoch
        self._fill(training.num_epochs, training.max_steps)

    def __len__(self) -> int:
        return len(self.steps) * self.parts

    def __iter__(self) -> Iterator[list[Bundle]]:
        for step in self.steps:
            for part in range(self.parts):
                yield step[part * self.batch_size : (part + 1) * self.batch_size]

    def epoch_at(self, step: int) -> float:
        """How often the data was seen after `step` steps, 0 at the start."""
        before = bisect_right(self._ends, step)
        if before == len(self._ends):
            return float(before)
        start = self._ends[before - 1] if before else 0
        return before + (step - start) / (self._ends[before] - start)

    @property
    def steps_per_epoch(self) -> int:
        """Of the first epoch; packed epochs differ by a step or two."""
        return self._ends[0]

    def _fill(self, num_epochs: float, max_steps: int | None) -> None:
        lengths = []
        epoch = 0
        while True:
            steps = self.epoch(epoch)
            lengths.append(len(steps))
            self.steps += steps
            epoch += 1
            if max_steps is not None:
                if len(self.steps) >= max_steps:
                    break
            elif epoch >= num_epochs:
                break
        self._ends = list(accumulate(lengths))
        total = max_steps
        if total is None:  # of the last epoch, the share that num_epochs asks for
            total = len(self.steps) - lengths[-1]
            total += math.ceil(lengths[-1] * (num_epochs - (epoch - 1)))
        del self.steps[total:]

    def epoch(self, epoch: int) -> list[list[Bundle]]:
        """The bundles of each step of an epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        bundles = self._bundles(self._items(rng))
        count = max(1, math.ceil(len(bundles) / self.step_size))
        short = count * self.step_size - len(bundles)
        again = rng.choice(len(bundles), short, replace=short > len(bundles))
        bundles += [bundles[place] for place in again]
        bundles = [bundles[place] for place in rng.permutation(len(bundles))]
        if not self.group_by_length:
            return _chunks(bundles, self.step_size)
        steps: list[list[Bundle]] = []
        for pool in _chunks(bundles, POOL * self.step_size):
            steps += _chunks(sorted(pool, key=self._length, reverse=True), self.step_size)
        return [steps[place] for place in rng.permutation(len(steps))]

    def _items(self, rng: np.random.Generator) -> list[int]:
        """An epoch's items in random order: whole copies, and the fraction drawn anew."""
        rows: list[int] = []
        for group, weight in self.groups:
            rows += group * int(weight)
            extra = round(len(group) * (weight - int(weight)))
            rows += rng.choice(group, extra, replace=False).tolist()
        if not rows:  # weights so low that not one row was drawn
            rows = [row for group, _ in self.groups for row in group][:1]
        order = rng.permutation(len(rows))
        without = rng.random(len(rows)) < self.section_dropout
        return [2 * rows[place] + int(without[place]) for place in order]

    def _bundles(self, items: list[int]) -> list[Bundle]:
        if self.packed_tokens is None:
            return [(item,) for item in items]
        length: Callable[[int], int] = lambda item: len(self.data.example(item))  # noqa: E731
        return pack(items, length, self.packed_tokens)

    def _length(self, bundle: Bundle) -> tuple[int, int]:
        examples = self.data[bundle]
        return sum(len(one.input_ids) for one in examples), sum(len(one.labels) for one in examples)


def pack(items: list[int], length: Callable[[int], int], room: int) -> list[Bundle]:
    """Items into as few bundles of at most `room` tokens as best-fit decreasing finds.

    An item longer than `room` is a bundle of its own. Order among equals is the given one.
    """
    by_space: dict[int, list[list[int]]] = defaultdict(list)  # free tokens -> bundles
    bundles: list[list[int]] = []
    for item in sorted(items, key=length, reverse=True):
        size = length(item)
        space = next((free for free in range(size, room + 1) if by_space.get(free)), None)
        if space is None:
            bundle: list[int] = []
            bundles.append(bundle)
            space = max(room, size)
        else:
            bundle = by_space[space].pop()
        bundle.append(item)
        by_space[space - size].append(bundle)
    return [tuple(bundle) for bundle in bundles]


def _groups(data: Tokenised) -> list[tuple[list[int], float]]:
    """Rows of one source and weight together: a fraction of their copies has a constant size."""
    groups: dict[tuple[str, float], list[int]] = defaultdict(list)
    for row, (source, weight) in enumerate(zip(data.sources, data.weights, strict=True)):
        groups[source, round(weight, 6)].append(row)
    return [(rows, weight) for (_, weight), rows in groups.items()]


def _chunks(values: list, size: int) -> list[list]:
    return [values[start : start + size] for start in range(0, len(values), size)]
