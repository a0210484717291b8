"""Learning from what the adapter itself writes: texts are drawn, judged, and made likelier or not.

Cross-entropy teaches the next word of a reference, given the reference's words; what is scored and
read is what the model writes by itself. A small model learns by it to begin sentences as clinicians
do and to end them with what it has seen most often. So a recipe with `policy` goes on from an
adapter thus: of each row several texts are drawn as the decoding has it (windows put together, the
flag kept, copying and the end mark with their biases), each has its reward (train.reward), and the
gradient makes those likelier that are better than the row's others, or, where each window answers
for itself (`credit: window`), than the window's others would have been in the same whole (Williams
1992, "Simple statistical gradient-following algorithms for connectionist reinforcement learning";
Paulus et al. 2018, "A deep reinforced model for abstractive summarization", arXiv:1705.04304,
reward ROUGE likewise).

The lexicon and the ban on repeated words do not bind what is drawn: no reference has a word that
does not exist, so the reward speaks against it. Nor must a window speak (`least_windows`).
"""

from __future__ import annotations

import contextlib
import copy
import functools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from summarizer.copying import CopyBias
from summarizer.flag import FlagKept, token_ids
from summarizer.tasks import Decoding
from summarizer.windows import joined
from train.errors import RunError
from train.reward import Judge, advantages, window_advantages
from train.tokens import IGNORED, Example, padded
from train.trainer import AdapterTrainer

LEFT = 0.8  # of the texts that are being written: with less left, the others go out of the batch
CHUNKS = 3  # drawn texts of similar length are read together, so that little is padding
ROUNDING = 1e-9  # an advantage no larger is none


class PolicyCollator:
    """Bundles of one example -> input_ids, attention_mask (W, T) of all their windows, labels
    (B, U), and the examples themselves."""

    def __init__(self, pad_token_id: int) -> None:
        self.pad_token_id = pad_token_id

    def __call__(self, bundles: list[list[Example]]) -> dict[str, Any]:
        examples = [example for (example,) in bundles]
        parts = [part for example in examples for part in example.parts]
        return {
            "input_ids": padded(parts, self.pad_token_id),
            "attention_mask": padded([[1] * len(part) for part in parts], 0),
            "labels": padded([example.labels for example in examples], IGNORED),
            "examples": examples,
        }


@dataclass(frozen=True)
class Read:
    """Prompts as the encoder gives them to the decoder."""

    states: Any  # (rows, T, width)
    mask: Any  # (rows, T)
    places: dict[int, int]  # of each row that was read, its place in the two


class Drawer:
    """Draws texts from an encoder-decoder with a LoRA adapter, and tells how likely they were.

    Args:
        model: PEFT's, in training.
        decoding: its biases, its flag and its limit hold for what is drawn.
        tokenizer: the backbone's, for the flag.
        ends: end marks.
    """

    def __init__(self, model: Any, decoding: Decoding, tokenizer: Any, ends: Sequence[int]) -> None:
        self.adapted = model.get_base_model()
        self.decoding, self.ends = decoding, list(ends)
        self.start = self.adapted.config.decoder_start_token_id
        self.pad = tokenizer.pad_token_id
        self.flag = FlagKept(tokenizer) if decoding.flag else None
        self.flags = token_ids(tokenizer)  # normal, abnormal
        # Without the adapter's own products, half the work of writing: a copy of the model into
        # whose weights the adapter is merged anew before texts are drawn.
        self.merged = copy.deepcopy(self.adapted).eval().requires_grad_(False)
        self._layers = []
        for name, layer in list(self.merged.named_modules()):
            if hasattr(layer, "base_layer"):
                parent, _, own = name.rpartition(".")
                setattr(self.merged.get_submodule(parent), own, layer.base_layer)
                self._layers.append((layer.base_layer, self.adapted.get_submodule(name)))

    @torch.no_grad()
    def draw(self, ids: Any, mask: Any, copying: CopyBias, samples: int) -> list[list[int]]:
        """`samples` texts of each row as tokens, end marks included; those of a row stand together.

        Args:
            ids, mask: of the prompts, (rows, T).
            copying: the prompts'.
        """
        # Not in the precision of what is drawn: what the adapter changes is small beside the weights.
        with torch.autocast(ids.device.type, enabled=False):
            for plain, layer in self._layers:
                change = sum(layer.get_delta_weight(name) for name in layer.active_adapters)
                plain.weight.copy_(layer.base_layer.weight + change)
        encoded = self.merged.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        encoded, mask = (one.repeat_interleave(samples, 0) for one in (encoded, mask))
        texts: list[list[int]] = [[] for _ in range(len(mask))]
        rows = list(range(len(texts)))
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        last = torch.full((len(rows), 1), self.start, device=ids.device)
        for step in range(self.decoding.max_new_tokens):
            logits = self.merged(
                encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
                attention_mask=mask,
                decoder_input_ids=last,
                past_key_values=cache,
            ).logits[:, -1]
            befores = last[:, 0].tolist()
            logits = self._biased(
                logits.float(), copying, [row // samples for row in rows], befores
            )
            if self.flag is not None:
                written = [
                    [self.start, *texts[row], *[self.pad] * (step - len(texts[row]))]
                    for row in rows
                ]
                logits = self.flag(torch.tensor(written, device=ids.device), logits)
            # One number for each row, and where it falls: much cheaper than one for each token.
            reached = logits.softmax(-1).cumsum(-1)
            drawn = torch.rand(len(rows), 1, device=ids.device) * reached[:, -1:]
            last = torch.searchsorted(reached, drawn, right=True)
            last = last.clamp_(max=reached.shape[1] - 1)
            for row, token in zip(rows, last[:, 0].tolist(), strict=True):
                if not self._ended(texts[row]):
                    texts[row].append(token)
            left = [place for place, row in enumerate(rows) if not self._ended(texts[row])]
            if not left:
                break
            if len(left) < LEFT * len(rows):
                rows = [rows[place] for place in left]
                chosen = torch.tensor(left, device=ids.device)
                last, encoded, mask = last[chosen], encoded[chosen], mask[chosen]
                cache.batch_select_indices(chosen)
        return texts

    def read(self, ids: Any, mask: Any, rows: Sequence[int] | None = None) -> Read:
        """What the encoder makes of prompts, with its gradient.

        Args:
            ids, mask: as `draw`'s.
            rows: those of which something is asked; None: all.
        """
        rows = range(len(ids)) if rows is None else sorted(set(rows))
        ids, mask = ids[list(rows)], mask[list(rows)]
        states = self.adapted.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        return Read(states, mask, {row: place for place, row in enumerate(rows)})

    def likelihoods(
        self, read: Read, copying: CopyBias, texts: Sequence[list[int]], owners: Sequence[int]
    ) -> Any:
        """The logarithm of how likely each text was to be drawn, with its gradient: (texts,).

        Args:
            read: of the prompts that `texts` were drawn of.
            copying: as `draw`'s.
            owners: the row that each text was drawn of.
        """
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        size = -(-len(order) // CHUNKS)
        found = []
        for at in range(0, len(order), size):
            places = order[at : at + size]
            width = max(len(texts[place]) for place in places)
            tokens = torch.tensor(
                [texts[place] + [IGNORED] * (width - len(texts[place])) for place in places],
                device=read.mask.device,
            )
            written = tokens != IGNORED
            shifted = tokens.masked_fill(~written, self.pad).roll(1, 1)
            shifted[:, 0] = self.start
            given = [read.places[owners[place]] for place in places]
            logits = self.adapted(
                encoder_outputs=BaseModelOutput(last_hidden_state=read.states[given]),
                attention_mask=read.mask[given],
                decoder_input_ids=shifted,
                use_cache=False,
            ).logits[written]
            of_rows = [owners[place] for place in places for _ in texts[place]]
            logits = self._biased(logits.float(), copying, of_rows, shifted[written].tolist())
            lost = torch.nn.functional.cross_entropy(logits, tokens[written], reduction="none")
            found.append(
                -torch.zeros(tokens.shape, device=tokens.device).masked_scatter(written, lost)
            )
        likely = torch.cat([one.sum(1) for one in found])
        return likely[torch.tensor(order, device=likely.device).argsort()]

    def flag_losses(self, read: Read, rows: Sequence[int], abnormal: Sequence[bool]) -> Any:
        """How unlikely it is that each row is flagged as it should be, as a logarithm: (rows,).

        A text is told as abnormal as soon as one of its windows is; which one should be is not
        known. So it is asked how likely it is that none is.

        Args:
            read: of all windows' prompts.
            rows: the row that each window is of, 0 first.
            abnormal: of each row.
        """
        device = read.mask.device
        logits = (
            self.adapted(
                encoder_outputs=BaseModelOutput(last_hidden_state=read.states),
                attention_mask=read.mask,
                decoder_input_ids=torch.full((len(rows), 1), self.start, device=device),
                use_cache=False,
            )
            .logits[:, -1]
            .float()
        )
        normal, other = self.flags
        margins = logits[:, other] - logits[:, normal]
        of = torch.tensor(rows, device=device)
        # -log of "none of them is abnormal", and of "one is". In double precision: of a window that
        # is hardly abnormal, what is to be learned is as small as the numbers are.
        likely = torch.nn.functional.softplus(margins.double())
        none = likely.new_zeros(len(abnormal)).index_add(0, of, likely)
        some = -torch.log(-torch.expm1(-none))
        return torch.where(torch.tensor(abnormal, device=device), some, none).float()

    def _ended(self, text: list[int]) -> bool:
        return bool(text) and text[-1] in self.ends

    def _biased(
        self, logits: Any, copying: CopyBias, rows: Sequence[int], befores: Sequence[int]
    ) -> Any:
        """Logits (N, vocabulary) with the decoding's biases, behind the token `befores` each."""
        if self.decoding.end_bias:
            bias = torch.zeros(logits.shape[1], device=logits.device)
            bias[self.ends] = self.decoding.end_bias
            logits = logits + bias
        return copying.favour(logits, rows, befores) if self.decoding.copy_bias else logits


def judged(
    examples: Sequence[Example],
    texts: Sequence[str],
    reward: Callable[[tuple[str, ...], Example], float],
    *,
    by_window: bool,
    weighed: bool = False,
) -> tuple[list[list[float]], list[float]]:
    """What drawn texts are worth, and how much better each is than those it is held against.

    Args:
        examples: each of one or more windows (`parts`).
        texts: of all windows, example after example, as many of each; the first texts of an
            example's windows make a whole, the second ones another.
        reward: of a whole, given its windows' texts.
        by_window: each window answers for what it changes in the whole, else for the whole.
        weighed: as many times as the example has windows. What one of forty changes is about a
            fortieth of the whole's reward, and what one of two changes, a half.

    Returns:
        Of each example the rewards of its wholes; and of each of `texts`, in their order, by how
        much it is better.
    """
    samples = len(texts) // sum(len(example.parts) for example in examples)
    rewards, better, first = [], [], 0
    for example in examples:
        last = first + len(example.parts) * samples
        windows = [texts[at : at + samples] for at in range(first, last, samples)]
        first = last

        @functools.cache
        def worth(*parts: str, example: Example = example) -> float:
            return reward(parts, example)

        rewards.append([worth(*parts) for parts in zip(*windows, strict=True)])
        found = (
            window_advantages(windows, worth)
            if by_window
            else advantages(rewards[-1]) * len(windows)
        )
        times = len(windows) if weighed else 1
        better += [times * one for one in found]
    return rewards, better


class PolicyTrainer(AdapterTrainer):
    """An AdapterTrainer whose training loss is minus the mean reward of what it draws.

    Validation, choice and checkpoints are AdapterTrainer's; so is the validation loss. Raises
    RunError where several processes train together: texts are drawn and read past the wrapper that
    would bring their gradients together.
    """

    def __init__(self, recipe: Any, model: Any, tokenizer: Any, *rest: Any) -> None:
        super().__init__(recipe, model, tokenizer, *rest)
        if self.args.world_size > 1:
            raise RunError(
                "policy.samples trains in one process: start it with python -m train.run, without "
                "accelerate launch."
            )
        self.data_collator = PolicyCollator(tokenizer.pad_token_id)
        self.by_rows = True  # a step's loss is the mean of its rows
        self.judge = Judge(recipe.policy.reward, recipe.task)
        self.drawer = Drawer(model, self.decoding, tokenizer, self._stops())

    def compute_loss_context_manager(self) -> contextlib.ExitStack:
        """What `compute_loss` runs in: the recipe's precision too.

        The wrapper that brings it stands around the whole model's forward, and a drawer asks the
        encoder and the decoder by themselves.
        """
        contexts = super().compute_loss_context_manager()
        contexts.enter_context(self.accelerator.autocast())
        return contexts

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Minus the rewards' mean in value; in gradient the policy gradient, and that of the flags'
        loss where a recipe has a share of it: () float32."""
        if "examples" not in inputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        examples, samples = inputs["examples"], self.recipe.policy.samples
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        parts = [part for example in examples for part in example.parts]
        copying = CopyBias(parts, self.decoding.copy_bias, frozenset(self.drawer.ends))
        drawn = self.drawer.draw(ids, mask, copying, samples)
        self._tokens = self._tokens + sum(map(len, drawn))
        texts = self.tokenizer.batch_decode(drawn, skip_special_tokens=True)
        rewards, better = judged(
            examples,
            [text.strip() for text in texts],
            lambda parts, example: self.judge(joined(parts, self.style), *example.texts[::-1]),
            by_window=self.recipe.policy.credit == "window",
            weighed=self.recipe.policy.weight == "window",
        )
        # What is no better and no worse than its like has no gradient. Under `window` that is most
        # of a visit: a section of its note says nothing of most windows.
        chosen = [place for place, one in enumerate(better) if abs(one) > ROUNDING] or [0]
        of = [place // samples for place in chosen]
        # A flag is asked of every window.
        read = self.drawer.read(ids, mask, None if self.recipe.policy.flag else of)
        likely = self.drawer.likelihoods(read, copying, [drawn[n] for n in chosen], of)
        shares = torch.tensor([better[place] for place in chosen], device=ids.device)
        gradient = -(shares * likely).sum() / samples
        value = -sum(map(statistics.fmean, rewards))
        if self.recipe.policy.flag:
            owners = [n for n, example in enumerate(examples) for _ in example.parts]
            told = [example.labels[0] == self.drawer.flags[1] for example in examples]
            losses = self.drawer.flag_losses(read, owners, told)
            gradient = gradient + self.recipe.policy.flag * losses.sum()
        loss = gradient + (value - gradient).detach()
        return loss / (len(examples) if num_items_in_batch is None else num_items_in_batch)

    def _real_tokens(self, inputs: dict[str, Any]) -> torch.Tensor:
        """Tokens read; those drawn are counted where they are."""
        return inputs["attention_mask"].sum()
