"""transformers' Trainer with this project's batches, loss, evaluation and clean ends."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from summarizer.backbone import read_lexicon
from summarizer.tasks import Decoding, get_task
from summarizer.windows import joined
from train import selection
from train.data import Rows, windows_of
from train.distill import soft_loss
from train.errors import RunError
from train.model import save_adapter
from train.plan import RunPlan
from train.recipe import Recipe
from train.tokens import IGNORED, CausalCollator, Encoder, Example, Seq2SeqCollator, Tokenised

NOT_READ = ("labels", "told_tokens", "told_shares")  # of a batch: the loss's, not the model's
CHECK_EVERY = 10  # steps between two looks for NaN: each look waits for the GPU


class AdapterTrainer(Trainer):
    """Trains an adapter, evaluates it by what it generates, and keeps the best.

    Args:
        recipe: resolved (every limit and decoding value given).
        model: the backbone with its adapter.
        data: the training rows as tokens.
        validation: the rows that choose.
        run_dir: where checkpoints go.
        revision: the Hub's, of the backbone.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Any,
        tokenizer: Any,
        data: Tokenised,
        validation: Rows,
        run_dir: Path,
        revision: str | None = None,
    ) -> None:
        self.recipe, self.tokenizer, self.run_dir = recipe, tokenizer, run_dir
        self.revision = revision
        self.causal = recipe.architecture == "causal"
        self.interrupted = False
        self.progress: dict[str, Any] = {
            "curve": [],
            "best": None,
            "stale": 0,  # evaluations since the best
            "evaluated_step": -1,
            "seconds": 0.0,
            "training_seconds": 0.0,
            "tokens": 0,
        }
        self._losses: list[tuple[int, torch.Tensor]] = []
        self._tokens: torch.Tensor | int = 0
        arguments = _arguments(recipe, run_dir)
        self.plan = RunPlan(recipe, data, processes=arguments.world_size)
        arguments.max_steps = len(self.plan.steps)
        arguments.eval_steps = arguments.save_steps = max(
            1, round(recipe.evaluation.every_epochs * self.plan.steps_per_epoch)
        )
        self.bar = _Bar(self, arguments)
        self.answers = (  # what a loss of answers is of
            CausalCollator(tokenizer.pad_token_id)
            if self.causal
            else Seq2SeqCollator(tokenizer.pad_token_id, model.config.decoder_start_token_id)
        )
        super().__init__(
            model=model,
            args=arguments,
            data_collator=self.answers,
            train_dataset=data,
            eval_dataset=validation.rows,
            callbacks=[_Watch(self), self.bar, *_loggers(recipe, run_dir, arguments)],
        )
        for unwanted in (PrinterCallback, ProgressCallback):
            self.remove_callback(unwanted)
        # The loss below is a sum over answer tokens divided by the step's tokens, or rows.
        self.model_accepts_loss_kwargs = True
        self.label_smoother = None
        encoder = Encoder(recipe, tokenizer)
        self.ends = encoder.ends
        self.flags = None if encoder.flags is None else torch.tensor(encoder.flags)
        self.by_rows = recipe.training.loss_average == "rows"
        # one beam: the final choice of beams is train.decoding's
        self.decoding = Decoding.from_dict({**asdict(recipe.decoding), "num_beams": 1})
        self.style = get_task(recipe.task).output_style
        self.lexicon = (
            read_lexicon(Path(tokenizer.name_or_path), tokenizer)
            if recipe.decoding.lexicon
            else None
        )
        self.validation = [(row, encoder.inputs(row)) for row in validation.rows]
        self.examples = [  # what the validation loss is of
            Example(encoder.input(row)[0], encoder.target(row["target"])[0])
            for row in windows_of(recipe, validation.rows)
        ]

    # --- the run ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Train from the last whole checkpoint, if there is one, to the end or the time limit.

        Raises:
            RunError: NaN in the loss, out of memory, or no space left on the disk.
        """
        checkpoint = self._last_checkpoint()
        self.started = self.last_save = time.monotonic()
        self.last_evaluation_seconds = 0.0
        if checkpoint is not None:
            self.progress = json.loads((checkpoint / "progress.json").read_text(encoding="utf-8"))
            self.say(f"Going on from step {checkpoint.name.rpartition('-')[2]}.")
        self.seconds_before = self.progress["seconds"]
        try:
            with telling_of_memory(self.recipe, lambda: self.state.global_step + 1):
                if checkpoint is None or not self._is_over(checkpoint):
                    self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
                evaluated = self.progress["evaluated_step"] == self.state.global_step
                if not self.interrupted and not evaluated:
                    self.evaluate()
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            self.bar.close()
        self.count()

    def _is_over(self, checkpoint: Path) -> bool:
        """Whether nothing was left to train when the checkpoint was written; then load it."""
        step = int(checkpoint.name.rpartition("-")[2])
        patience = self.recipe.evaluation.patience
        impatient = patience is not None and self.progress["stale"] >= patience
        if step < self.args.max_steps and not impatient:
            return False
        self._load_from_checkpoint(str(checkpoint))
        self.state.global_step = step
        return True

    def get_train_dataloader(self) -> DataLoader:
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=self.plan,
            collate_fn=self.data_collator,
            pin_memory=torch.cuda.is_available(),
        )
        return self.accelerator.prepare(loader)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Cross-entropy of the answer's tokens, over all of the step's: () float32.

        With `num_items_in_batch`, micro-batches of a step add up to the mean over its tokens, or
        over its rows (loss_average), however it is divided over accumulation and processes.
        """
        labels = inputs["labels"]
        outputs = model(
            **{key: value for key, value in inputs.items() if key not in NOT_READ}, use_cache=False
        )
        logits = outputs.logits.flatten(0, 1)
        if self.causal:  # each position answers with the next token, and few are answers
            labels = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
            asked = labels.flatten() != IGNORED
            logits, labels = logits[asked], labels.flatten()[asked]
        loss = torch.nn.functional.cross_entropy(
            logits.float(),
            labels.flatten(),
            ignore_index=IGNORED,
            reduction="none",
            label_smoothing=self.recipe.training.label_smoothing if model.training else 0.0,
        )
        if model.training and "told_tokens" in inputs:
            share = self.recipe.distillation.weight
            told = [inputs[key].flatten(0, 1) for key in ("told_tokens", "told_shares")]
            loss = (1 - share) * loss + share * soft_loss(logits, *told)
        if model.training:
            loss = self._weighed(loss, inputs["labels"])
        loss = loss.sum()
        if num_items_in_batch is None:
            num_items_in_batch = (labels != IGNORED).sum()
        else:
            loss = loss * self.accelerator.num_processes
        loss = loss / num_items_in_batch
        return (loss, outputs) if return_outputs else loss

    def _weighed(self, loss: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of each answer token, weighed as the recipe says.

        With loss_average: rows, the tokens of an answer together weigh 1, and its flag, beside
        them, flag_weight: the flag of a long answer then counts for as much as that of a short
        one. Else each token weighs 1, and a flag flag_weight.

        Args:
            loss: (B * U,). labels: (B, U); an encoder-decoder's where anything is weighed.
        """
        if not self.by_rows and self.flags is None:
            return loss
        weights = torch.ones_like(labels, dtype=loss.dtype)
        flags = torch.tensor([]) if self.flags is None else self.flags
        flagged = torch.isin(labels, flags.to(labels))
        if self.by_rows:
            words = (labels != IGNORED) & ~flagged
            weights = weights / words.sum(1, keepdim=True).clamp(min=1)
        if self.flags is not None:
            weights = weights.masked_fill(flagged, self.recipe.data.flag_weight)
        return loss * weights.flatten()

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Any:
        """How many tokens, or rows, the loss of a step is the mean of: over all its batches."""
        if self.by_rows:  # every answer has a first token
            batch_samples = [{"labels": batch["labels"][:, :1]} for batch in batch_samples]
        return super()._get_num_items_in_batch(batch_samples, device)

    def training_step(self, model: Any, inputs: dict, num_items_in_batch: Any = None) -> Any:
        self._tokens = self._tokens + self._real_tokens(inputs)
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._losses.append((self.state.global_step + 1, loss))
        if self.state.global_step % CHECK_EVERY == 0 or self.args.device.type == "cpu":
            self.refuse_nan()
        return loss

    def _real_tokens(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Tokens read and answered, padding left out."""
        if self.causal:
            return (inputs["input_ids"] != self.tokenizer.pad_token_id).sum()
        return inputs["attention_mask"].sum() + (inputs["labels"] != IGNORED).sum()

    # --- evaluation ------------------------------------------------------------------------------

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Generate, score, print one line, keep the adapter if it is the best so far."""
        began = time.monotonic()
        self.refuse_nan()
        summary = self._scores()
        summary["loss"] = self.validation_loss()
        if not math.isfinite(summary["loss"]):
            raise RunError(self._not_finite("validation loss", self.state.global_step))
        value = summary[self.recipe.evaluation.metric]
        self._keep_if_best(value, summary)
        self.last_evaluation_seconds = time.monotonic() - began
        self.count()
        self._tell(summary, value)
        self.progress["evaluated_step"] = self.state.global_step
        metrics = {f"eval_{key}": summary[key] for key in (*selection.METRICS, "loss")}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _scores(self) -> dict[str, Any]:
        """Every process answers its share of the validation rows; all know all scores."""
        recipe, rank = self.recipe, self.args.process_index
        processes = self.args.world_size
        share = self.validation[rank::processes]
        prompts = [prompt for _, parts in share for prompt in parts]
        # Under FSDP the processes need each other in every batch: all have as many prompts.
        most = max(
            sum(len(parts) for _, parts in self.validation[other::processes])
            for other in range(processes)
        )
        prompts += [self.validation[0][1][0]] * (most - len(prompts))
        with self.compute_loss_context_manager(), selection.whole(self.model):
            texts = selection.generate(
                self.accelerator.unwrap_model(self.model),
                self.tokenizer,
                prompts,
                causal=self.causal,
                batch_size=recipe.evaluation.batch_size,
                decoding=self.decoding,
                ends=self._stops(),
                lexicon=self.lexicon,
                use_cache=True,
                synced_gpus=self.is_fsdp_enabled,
            )
        told = iter(texts)
        whole = [joined([next(told) for _ in parts], self.style) for _, parts in share]
        found = selection.score([row["target"] for row, _ in share], whole)
        sources = [row["source"] for row, _ in share]
        pairs = self._gathered(list(zip(sources, found, strict=True)))
        return selection.summarise(
            recipe.evaluation, [source for source, _ in pairs], [score for _, score in pairs]
        )

    def _stops(self) -> list[int]:
        given = self.model.generation_config.eos_token_id
        given = given if isinstance(given, list) else [given]
        return list(dict.fromkeys([*given, *self.ends]))

    def _gathered(self, values: list[Any]) -> list[Any]:
        if self.args.world_size == 1:
            return values
        from accelerate.utils import gather_object

        return gather_object(values)

    def validation_loss(self) -> float:
        """Mean cross-entropy of an answer token over the validation rows."""
        examples = sorted(self.examples, key=len)
        size = self.recipe.evaluation.batch_size
        # Logits of every answer token are held at once: long answers go in smaller batches.
        longest = max(len(example.labels) for example in examples)
        size = max(1, min(size, 8192 // longest))
        total, tokens = 0.0, 0
        training = self.model.training
        self.model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            for start in range(0, len(examples), size):
                bundles = [[example] for example in examples[start : start + size]]
                batch = self._prepare_inputs(self.answers(bundles))
                count = int((batch["labels"] != IGNORED).sum())
                total += float(self.compute_loss(self.model, batch)) * count
                tokens += count
        self.model.train(training)
        return total / tokens

    def _keep_if_best(self, value: float, summary: dict[str, Any]) -> None:
        best, evaluation = self.progress["best"], self.recipe.evaluation
        sign = -1 if evaluation.metric == "loss" else 1
        if best is not None and sign * value <= sign * best["value"]:
            self.progress["stale"] += 1
            return
        step = self.state.global_step
        self.progress["stale"] = 0
        name = evaluation.metric
        if name != "loss":
            name += ", mean over " + evaluation.average
        self.progress["best"] = {"step": step, "metric": name, "value": value, "scores": summary}
        # Under FSDP every process holds a part: all of them take part in the gathering.
        state = self.accelerator.get_state_dict(self.model) if self.is_fsdp_enabled else None
        if self.is_world_process_zero():
            staged = self.run_dir / f".best-{step}"
            shutil.rmtree(staged, ignore_errors=True)
            model = self.accelerator.unwrap_model(self.model)
            save_adapter(self.recipe, model, staged, self.revision, state)
            shutil.rmtree(self.best_dir, ignore_errors=True)
            staged.rename(self.best_dir)

    @property
    def best_dir(self) -> Path:
        """The folder of the best adapter so far."""
        return self.run_dir / f"best-{self.progress['best']['step']}"

    # --- what is said ----------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """One line on stdout, from the first process alone, above the progress bar."""
        if self.is_world_process_zero():
            self.bar.write(text)

    def _tell(self, summary: dict[str, Any], value: float) -> None:
        losses = [entry["loss"] for entry in self.progress["curve"] if "loss" in entry]
        best, step = self.progress["best"], self.state.global_step
        self.say(
            f"step {step}  epoch {self.plan.epoch_at(step):.2f}  "
            f"train loss {losses[-1] if losses else float('nan'):.4f}  "
            f"validation loss {summary['loss']:.4f}  "
            f"{selection.line(summary)}  "
            f"{self.recipe.evaluation.metric} {value:.2f}"
            + (" best" if best["step"] == step else f" (best {best['value']:.2f})")
            + f"  {self.progress['seconds']:.0f} s"
        )

    # --- checkpoints -----------------------------------------------------------------------------

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As the Trainer's, with this class's progress first: trainer_state.json, written last,
        says that a checkpoint is whole."""
        self.refuse_nan()
        self.count()
        if self.is_world_process_zero():
            folder = self.run_dir / f"checkpoint-{self.state.global_step}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "progress.json").write_text(json.dumps(self.progress), encoding="utf-8")
        self.accelerator.wait_for_everyone()
        super()._save_checkpoint(model, trial)
        if self.is_world_process_zero() and self.progress["best"] is not None:
            for folder in self.run_dir.glob("best-*"):
                if folder != self.best_dir:
                    shutil.rmtree(folder, ignore_errors=True)
        self.last_save = time.monotonic()

    def _save_rng_state(self, output_dir: str) -> None:
        """As the Trainer's, of every process, before the first one writes trainer_state.json."""
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()

    def last_saved_step(self) -> int:
        """The step that the same command goes on from; 0 where nothing is saved yet."""
        checkpoint = self._last_checkpoint()
        return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0

    def _last_checkpoint(self) -> Path | None:
        found = sorted(
            self.run_dir.glob("checkpoint-*"),
            key=lambda folder: int(folder.name.rpartition("-")[2]),
            reverse=True,
        )
        for folder in found:
            try:
                json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
                progress = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
            except (OSError, json.JSONDecodeError):
                if self.is_world_process_zero():  # killed while it was written
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            best = progress["best"]
            if best is None or (self.run_dir / f"best-{best['step']}").is_dir():
                return folder
        return None

    # --- clean ends ------------------------------------------------------------------------------

    def refuse_nan(self) -> None:
        """Raise RunError if a loss since the last look is NaN or infinite."""
        if not self._losses:
            return
        finite = torch.stack([loss for _, loss in self._losses]).isfinite().tolist()
        steps = [step for step, _ in self._losses]
        self._losses = []
        if not all(finite):
            raise RunError(self._not_finite("loss", steps[finite.index(False)]))

    def _not_finite(self, what: str, step: int) -> str:
        training = self.recipe.training
        return (
            f"The {what} became NaN or infinite at step {step}: lower --learning_rate (now "
            f"{training.learning_rate:g}), raise --warmup (now {training.warmup:g}), or train in "
            f"another --precision (now {training.precision}); then start with --fresh."
        )

    def agreed(self, *flags: bool) -> list[bool]:
        """Each flag as true as soon as one process says so: their clocks and signals differ."""
        if self.args.world_size == 1:
            return list(flags)
        tensor = torch.tensor(flags, dtype=torch.int32, device=self.args.device)
        return [bool(value) for value in self.accelerator.reduce(tensor, "sum")]

    def count(self) -> None:
        """Bring seconds and tokens in `progress` up to date; every process calls it."""
        self.progress["seconds"] = self.seconds_before + time.monotonic() - self.started
        tokens = int(self._tokens)
        if self.args.world_size > 1:
            mine = torch.tensor(tokens, device=self.args.device)
            tokens = int(self.accelerator.reduce(mine, "sum"))
        self.progress["tokens"] += tokens
        self._tokens = 0

    def peak_memory(self) -> int:
        """Bytes: of the GPU where there is one, else of this process."""
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    @property
    def device_name(self) -> str:
        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
        return f"CPU, {torch.get_num_threads()} threads"


@contextmanager
def telling_of_memory(recipe: Recipe, step: Callable[[], int] | None = None) -> Iterator[None]:
    """Turn the device's "out of memory", of a GPU or a CPU, into which flags to lower.

    Args:
        step: tells the step that was being made; None while the model is loaded.

    Raises:
        RunError: it ran out of memory.
    """
    from accelerate.utils.memory import should_reduce_batch_size

    try:
        yield
    except (RuntimeError, MemoryError) as fault:  # torch.OutOfMemoryError is a RuntimeError
        full = isinstance(fault, (MemoryError, torch.OutOfMemoryError))
        if not full and not should_reduce_batch_size(fault):
            raise
        where = f"at step {step()}" if step else "while the model was loaded"
        raise RunError(_out_of_memory(recipe, where)) from None


def _out_of_memory(recipe: Recipe, where: str) -> str:
    training = recipe.training
    size = max(1, training.batch_size // 2)
    parts = training.gradient_accumulation_steps * max(1, training.batch_size // size)
    advice = []
    if training.batch_size > 1:
        advice.append(
            f"lower --batch_size to {size} with --gradient_accumulation_steps {parts}, which "
            "makes the same steps"
        )
    if not training.gradient_checkpointing:
        advice.append("add --gradient_checkpointing")
    advice.append(
        f"lower --max_input_tokens (now {recipe.max_input_tokens}) or --evaluation.batch_size "
        f"(now {recipe.evaluation.batch_size})"
    )
    if recipe.adapter.method == "lora" and not recipe.adapter.use_4bit:
        advice.append("load the backbone with --use_4bit")
    return f"The device ran out of memory {where}: {'; or '.join(advice)}."


class _Watch(TrainerCallback):
    """Looks at the clock, the curve and the user's wishes between steps."""

    def __init__(self, trainer: AdapterTrainer) -> None:
        self.trainer = trainer
        self.step_began = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.step_began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trainer, training = self.trainer, self.trainer.recipe.training
        now = time.monotonic()
        trainer.progress["training_seconds"] += now - self.step_began
        late = False
        if training.max_minutes is not None:
            left = 60 * training.max_minutes - (now - trainer.started)
            late = left < 1.2 * trainer.last_evaluation_seconds
        save = now - trainer.last_save > 60 * training.save_minutes
        late, save, trainer.interrupted = trainer.agreed(late, save, trainer.interrupted)
        if trainer.interrupted:
            control.should_save = control.should_training_stop = True
        elif late:
            control.should_training_stop = True
        elif save:
            control.should_save = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        patience = self.trainer.recipe.evaluation.patience
        if patience is not None and self.trainer.progress["stale"] >= patience:
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        kept = {"loss", "learning_rate", "grad_norm"}
        entry = {
            key: value for key, value in (logs or {}).items() if key in kept or key[:5] == "eval_"
        }
        if entry:
            epoch = round(self.trainer.plan.epoch_at(state.global_step), 4)
            self.trainer.progress["curve"].append(
                {"step": state.global_step, "epoch": epoch, **entry}
            )


class _Bar(TrainerCallback):
    """A progress bar on a terminal's stderr: loss, tokens a second, time left."""

    def __init__(self, trainer: AdapterTrainer, arguments: TrainingArguments) -> None:
        self.trainer = trainer
        self.wanted = sys.stderr.isatty() and arguments.process_index == 0
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.wanted:
            from tqdm import tqdm

            self.bar = tqdm(
                total=state.max_steps, initial=state.global_step, unit="step", dynamic_ncols=True
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if self.bar is not None and "loss" in (logs or {}):
            progress = self.trainer.progress
            if args.world_size == 1:  # counting asks every process
                self.trainer.count()
            rate = progress["tokens"] / max(progress["training_seconds"], 1e-9)
            self.bar.set_postfix_str(f"loss {logs['loss']:.3f}, {rate:,.0f} tokens/s")

    def write(self, text: str) -> None:
        if self.bar is not None:
            self.bar.clear()
        print(text, flush=True)
        if self.bar is not None:
            self.bar.refresh()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _arguments(recipe: Recipe, run_dir: Path) -> TrainingArguments:
    training = recipe.training
    precision = training.precision
    if precision == "auto":
        usable = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        precision = "bf16" if usable else "fp32"
    floor = {"min_lr_rate": 0.1} if training.lr_scheduler == "cosine_with_min_lr" else None
    return TrainingArguments(
        output_dir=str(run_dir),
        per_device_train_batch_size=training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.lr_scheduler,
        lr_scheduler_kwargs=floor,
        warmup_steps=training.warmup,
        optim=training.optimizer,
        weight_decay=training.weight_decay,
        adam_beta2=training.adam_beta2,
        max_grad_norm=training.max_grad_norm,
        use_cpu=not torch.cuda.is_available(),  # else bf16 is refused without a GPU
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        activation_checkpointing=training.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        torch_compile=training.torch_compile,
        logging_steps=training.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=1,  # set when the steps of an epoch are known
        save_steps=1,
        save_total_limit=2,
        seed=recipe.seed,
        data_seed=recipe.seed,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to=[],
        ddp_find_unused_parameters=False,
        run_name=recipe.name,
    )


def _loggers(recipe: Recipe, run_dir: Path, arguments: TrainingArguments) -> list[Any]:
    """TensorBoard always, Weights & Biases when asked for; from the first process."""
    loggers: list[Any] = []
    if arguments.process_index != 0:
        return loggers
    try:
        from torch.utils.tensorboard import SummaryWriter
        from transformers.integrations import TensorBoardCallback

        loggers.append(TensorBoardCallback(SummaryWriter(str(run_dir / "tensorboard"))))
    except ImportError:
        print("tensorboard is not installed: no event files are written.", flush=True)
    if recipe.training.use_wandb:
        from transformers.integrations import WandbCallback

        loggers.append(WandbCallback())
    return loggers
