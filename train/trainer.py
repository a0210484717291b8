"""transformers' Seq2SeqTrainer with this project's batches, loss, evaluation and clean ends."""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from train import selection
from train.data import IGNORED, Collator, EpochPlan, Rows, Tokenised, encode_input, task_of
from train.model import save_adapter
from train.recipe import Recipe

CHECK_EVERY = 10  # steps between two looks for NaN: each look waits for the GPU


class AdapterTrainer(Seq2SeqTrainer):
    """Trains an adapter, evaluates it by what it generates, and keeps the best.

    Args:
        recipe: resolved (every limit and decoding value given).
        model: the backbone with its adapter.
        data: the training rows as tokens.
        validation: the rows that choose.
        run_dir: where checkpoints go.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Any,
        tokenizer: Any,
        data: Tokenised,
        validation: Rows,
        run_dir: Path,
    ) -> None:
        self.recipe = recipe
        self.tokenizer = tokenizer
        self.run_dir = run_dir
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
        self.plan = EpochPlan(
            data,
            recipe.training.batch_size,
            parts=recipe.training.gradient_accumulation_steps * arguments.world_size,
            seed=recipe.seed,
            section_dropout=recipe.data.section_dropout,
            group_by_length=recipe.training.group_by_length,
        )
        steps = self.plan.steps_per_epoch
        self.total_steps = recipe.training.max_steps or math.ceil(
            recipe.training.num_epochs * steps
        )
        arguments.max_steps = self.total_steps
        arguments.eval_steps = arguments.save_steps = max(
            1, round(recipe.evaluation.every_epochs * steps)
        )
        super().__init__(
            model=model,
            args=arguments,
            data_collator=Collator(tokenizer.pad_token_id, model.config.decoder_start_token_id),
            train_dataset=data,
            eval_dataset=validation.rows,
            callbacks=[_Watch(self), *_tensorboard(run_dir)],
        )
        for unwanted in (PrinterCallback, ProgressCallback):
            self.remove_callback(unwanted)
        # The loss below is a sum over answer tokens divided by their number in the whole step.
        self.model_accepts_loss_kwargs = True
        self.label_smoother = None
        self.validation = validation
        task = task_of(recipe)
        self.validation_inputs = [encode_input(tokenizer, task, row)[0] for row in validation.rows]

    # --- the run ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Train from the last whole checkpoint, if there is one, to the end or the time limit.

        Raises:
            train.run.RunError: NaN in the loss, or out of memory.
        """
        from train.run import RunError

        checkpoint = self._last_checkpoint()
        self.started = self.last_save = time.monotonic()
        self.last_evaluation_seconds = 0.0
        if checkpoint is not None:
            self.progress = json.loads((checkpoint / "progress.json").read_text(encoding="utf-8"))
            print(f"Going on from step {checkpoint.name.rpartition('-')[2]}.", flush=True)
        self.seconds_before = self.progress["seconds"]
        try:
            self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            if not self.interrupted and self.progress["evaluated_step"] != self.state.global_step:
                self.evaluate()
        except torch.OutOfMemoryError:
            raise RunError(self._out_of_memory()) from None
        except KeyboardInterrupt:
            self.interrupted = True
        self.count_time()

    def get_train_dataloader(self) -> DataLoader:
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=self.plan,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory and torch.cuda.is_available(),
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

        With `num_items_in_batch`, micro-batches of a step add up to the mean over its tokens,
        however the step is divided over accumulation and processes.
        """
        labels = inputs["labels"]
        outputs = model(**{key: value for key, value in inputs.items() if key != "labels"})
        loss = torch.nn.functional.cross_entropy(
            outputs.logits.flatten(0, 1).float(),
            labels.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self.recipe.training.label_smoothing if model.training else 0.0,
        )
        if num_items_in_batch is None:
            num_items_in_batch = (labels != IGNORED).sum()
        else:
            loss = loss * self.accelerator.num_processes
        loss = loss / num_items_in_batch
        return (loss, outputs) if return_outputs else loss

    def training_step(self, model: Any, inputs: dict, num_items_in_batch: Any = None) -> Any:
        self._tokens = (
            self._tokens + inputs["attention_mask"].sum() + (inputs["labels"] != IGNORED).sum()
        )
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._losses.append((self.state.global_step + 1, loss))
        if self.state.global_step % CHECK_EVERY == 0 or self.args.device.type == "cpu":
            self.refuse_nan()
        return loss

    # --- evaluation ------------------------------------------------------------------------------

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Generate, score, print one line, keep the adapter if it is the best so far."""
        began = time.monotonic()
        self.refuse_nan()
        recipe, rows = self.recipe, self.validation.rows
        with self.compute_loss_context_manager():
            texts = selection.generate(
                self.accelerator.unwrap_model(self.model),
                self.tokenizer,
                self.validation_inputs,
                batch_size=recipe.evaluation.batch_size,
                max_new_tokens=recipe.decoding.max_new_tokens,
                num_beams=1,
            )
        scores = selection.score([row["target"] for row in rows], texts)
        summary = selection.summarise(recipe.evaluation, [row["source"] for row in rows], scores)
        summary["loss"] = self.validation_loss()
        value = summary[recipe.evaluation.metric]
        self._keep_if_best(value, summary)
        self.last_evaluation_seconds = time.monotonic() - began
        self.count_time()
        self._tell(summary, value)
        self.progress["evaluated_step"] = self.state.global_step
        metrics = {f"eval_{key}": summary[key] for key in (*selection.METRICS, "loss")}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def validation_loss(self) -> float:
        """Mean cross-entropy of an answer token over the validation rows."""
        from train.data import Example, encode_target

        limit = self.recipe.max_target_tokens
        examples = [
            Example(ids, encode_target(self.tokenizer, row["target"], limit)[0])
            for ids, row in zip(self.validation_inputs, self.validation.rows, strict=True)
        ]
        examples.sort(key=lambda example: len(example.input_ids))
        size = self.recipe.evaluation.batch_size
        total, tokens = 0.0, 0
        training = self.model.training
        self.model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            for start in range(0, len(examples), size):
                batch = self._prepare_inputs(self.data_collator(examples[start : start + size]))
                count = int((batch["labels"] != IGNORED).sum())
                total += float(self.compute_loss(self.model, batch)) * count
                tokens += count
        self.model.train(training)
        return total / tokens

    def _keep_if_best(self, value: float, summary: dict[str, Any]) -> None:
        best = self.progress["best"]
        sign = -1 if self.recipe.evaluation.metric == "loss" else 1
        if best is not None and sign * value <= sign * best["value"]:
            self.progress["stale"] += 1
            return
        step = self.state.global_step
        self.progress["stale"] = 0
        self.progress["best"] = {
            "step": step,
            "metric": f"validation {self.recipe.evaluation.metric}, "
            f"mean over {self.recipe.evaluation.average}",
            "value": value,
            "scores": summary,
        }
        if self.is_world_process_zero():
            staged = self.run_dir / f".best-{step}"
            shutil.rmtree(staged, ignore_errors=True)
            save_adapter(self.recipe, self.accelerator.unwrap_model(self.model), staged)
            shutil.rmtree(self.best_dir, ignore_errors=True)
            staged.rename(self.best_dir)

    @property
    def best_dir(self) -> Path:
        """The folder of the best adapter so far."""
        return self.run_dir / f"best-{self.progress['best']['step']}"

    def _tell(self, summary: dict[str, Any], value: float) -> None:
        if not self.is_world_process_zero():
            return
        losses = [entry["loss"] for entry in self.progress["curve"] if "loss" in entry]
        best = self.progress["best"]
        is_best = best["step"] == self.state.global_step
        print(
            f"step {self.state.global_step}  epoch {self.state.epoch or 0:.2f}  "
            f"train loss {losses[-1] if losses else float('nan'):.4f}  "
            f"validation loss {summary['loss']:.4f}  "
            f"{selection.line(summary)}  "
            f"{self.recipe.evaluation.metric} {value:.2f}"
            + (" best" if is_best else f" (best {best['value']:.2f})")
            + f"  {self.progress['seconds']:.0f} s",
            flush=True,
        )

    # --- checkpoints -----------------------------------------------------------------------------

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As the Trainer's, with this class's progress first: trainer_state.json, written last,
        says that a checkpoint is whole."""
        self.refuse_nan()
        self.count_time()
        if self.is_world_process_zero():
            folder = self.run_dir / f"checkpoint-{self.state.global_step}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "progress.json").write_text(json.dumps(self.progress), encoding="utf-8")
        super()._save_checkpoint(model, trial)
        if self.is_world_process_zero() and self.progress["best"] is not None:
            for folder in self.run_dir.glob("best-*"):
                if folder != self.best_dir:
                    shutil.rmtree(folder, ignore_errors=True)
        self.last_save = time.monotonic()

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
                shutil.rmtree(folder, ignore_errors=True)  # killed while it was written
                continue
            best = progress["best"]
            if best is None or (self.run_dir / f"best-{best['step']}").is_dir():
                return folder
        return None

    # --- clean ends ------------------------------------------------------------------------------

    def refuse_nan(self) -> None:
        """Raise RunError if a loss since the last look is NaN or infinite."""
        from train.run import RunError

        if not self._losses:
            return
        finite = torch.stack([loss for _, loss in self._losses]).isfinite().tolist()
        steps = [step for step, _ in self._losses]
        self._losses = []
        if not all(finite):
            training = self.recipe.training
            raise RunError(
                f"The loss became NaN or infinite at step {steps[finite.index(False)]}: lower "
                f"--learning_rate (now {training.learning_rate:g}), raise --warmup (now "
                f"{training.warmup:g}), or train in another --precision (now "
                f"{training.precision}); then start with --fresh."
            )

    def _out_of_memory(self) -> str:
        training = self.recipe.training
        size = max(1, training.batch_size // 2)
        parts = training.gradient_accumulation_steps * max(1, training.batch_size // size)
        return (
            f"The device ran out of memory at step {self.state.global_step + 1}: lower "
            f"--batch_size to {size} with --gradient_accumulation_steps {parts} (the same steps), "
            "add --gradient_checkpointing, lower --max_input_tokens "
            f"(now {self.recipe.max_input_tokens}) or --evaluation.batch_size "
            f"(now {self.recipe.evaluation.batch_size}), or load the backbone with --use_4bit."
        )

    def count_time(self) -> None:
        self.progress["seconds"] = self.seconds_before + time.monotonic() - self.started
        self.progress["tokens"] += int(self._tokens)
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


class _Watch(TrainerCallback):
    """Looks at the clock, the curve and the user's wishes between steps."""

    def __init__(self, trainer: AdapterTrainer) -> None:
        self.trainer = trainer
        self.step_began = 0.0

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        plan = self.trainer.plan
        plan.set_epoch(state.global_step // plan.steps_per_epoch)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.step_began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trainer = self.trainer
        now = time.monotonic()
        trainer.progress["training_seconds"] += now - self.step_began
        training = trainer.recipe.training
        if now - trainer.last_save > 60 * training.save_minutes:
            control.should_save = True
        if training.max_minutes is not None:
            left = 60 * training.max_minutes - (now - trainer.started)
            if left < 1.2 * trainer.last_evaluation_seconds:
                control.should_training_stop = True
        if trainer.interrupted:
            control.should_save = control.should_training_stop = True

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
            entry = {"step": state.global_step, "epoch": state.epoch, **entry}
            self.trainer.progress["curve"].append(entry)


def _arguments(recipe: Recipe, run_dir: Path) -> Seq2SeqTrainingArguments:
    training = recipe.training
    precision = training.precision
    if precision == "auto":
        usable = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        precision = "bf16" if usable else "fp32"
    extra = {"min_lr_rate": 0.1} if training.lr_scheduler == "cosine_with_min_lr" else None
    return Seq2SeqTrainingArguments(
        output_dir=str(run_dir),
        per_device_train_batch_size=training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.lr_scheduler,
        lr_scheduler_kwargs=extra,
        warmup_steps=training.warmup,
        optim=training.optimizer,
        weight_decay=training.weight_decay,
        adam_beta2=training.adam_beta2,
        max_grad_norm=training.max_grad_norm,
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
    )


def _tensorboard(run_dir: Path) -> list[Any]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        print("tensorboard is not installed: no event files are written.", flush=True)
        return []
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(str(run_dir / "tensorboard")))]
