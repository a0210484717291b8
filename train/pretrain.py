"""Make the embedded base, models/base, from plain text alone.

Run as:

    python -m train.pretrain --corpus CORPUS --exclude TASK_FILES ... --out models/base

CORPUS is a folder of *.jsonl.xz files with `source` and `text`. Three stages, each skipped when
its result is there: `prepare` (leave out documents that hold a row of a task, hold some back for
validation, train the tokenizer, list the words of the lexicon), `train`, `export` (bf16 safetensors
and run.json). Training goes on from its saved state, on a GPU or a CPU; the learning rate warms up,
stays, and decays over the last part (WSD), so that a run can be lengthened from the state before
the decay. Where no state is kept, `--start models/base` goes on from released weights, with a new
optimizer and a new warm-up; with a multiple of their layers as `--num_layers` in a deeper encoder
that begins where they ended (`train.growth`).

It does not know what the tasks are: `--exclude` only serves to keep their text out.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import lzma
import math
import os
import platform
import random
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from summarizer.lexicon import FILE as LEXICON
from summarizer.lexicon import words_of
from train import objectives
from train.growth import deeper
from train.objectives import Document
from train.tokenizer import sentinel_ids, train_tokenizer

CHARACTERS_A_TOKEN = 3.6  # of English medical text, a little below the mean, so that inputs fit
DOCUMENTS = 3  # that a word stands in before it is in the lexicon: a slip of the pen does not
SHINGLE = 16  # words in a row that a document may not share with a task's row


@dataclass(frozen=True)
class Pretraining:
    """One run. The defaults are the released base's."""

    # the model
    d_model: int = 256
    d_ff: int = 640
    d_kv: int = 64
    num_heads: int = 4
    num_layers: int = 6
    num_decoder_layers: int = 2
    vocabulary_size: int = 8192
    relative_buckets: int = 32
    relative_max_distance: int = 256
    # a row holds several examples side by side, kept apart by the attention masks
    input_tokens: int = 256
    target_tokens: int = 128
    # the run
    rows: int = 12  # rows of one step
    steps: int = 3000
    warmup: int = 100
    decay: float = 0.3  # share of the steps at the end over which the rate falls to zero
    copy_steps: int = 500  # copying alone: cross-attention must align before it can learn more
    ramp_steps: int = 400  # from copying to the mixture
    learning_rate: float = 0.02  # of a parameter's RMS, in one step
    weight_decay: float = 0.0
    clip: float = 1.0
    seed: int = 20
    mixture: str = "broad"  # shares of the objectives, of objectives.MIXTURES
    attention: str = "eager"
    start: str = ""  # a released base to go on from where no state is saved


# --- prepare ----------------------------------------------------------------------------------


def prepare(corpus: Path, exclude: list[Path], work: Path, vocabulary_size: int) -> dict:
    """Filter the corpus, hold every 200th document back, train the tokenizer and write the
    lexicon.

    Returns and writes the report (documents and characters by source, what was left out, why).
    """
    report_path = work / "corpus.json"
    if report_path.exists():
        if not (work / LEXICON).exists():  # prepared before there was one
            files = [work / f"{name}.jsonl.xz" for name in ("train", "validation")]
            documents = (d for path in files for d in read_documents(path))
            write_lexicon((document.text for document in documents), work / LEXICON)
        return json.loads(report_path.read_text())
    files = sorted(corpus.glob("*.jsonl.xz"))
    if not files:
        raise SystemExit(f"No *.jsonl.xz file in {corpus}: give the folder of the plain text.")
    forbidden = task_shingles(exclude)
    report = {"files": {}, "sources": {}, "left_out": [], "shingle_words": SHINGLE}
    documents: list[dict] = []
    for path in files:
        source = path.name.removesuffix(".jsonl.xz")
        if source not in objectives.SOURCE_WEIGHTS:
            continue
        report["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        kept = 0
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if forbidden and not forbidden.isdisjoint(shingles(row["text"])):
                    report["left_out"].append(row["id"])
                    continue
                documents.append({"source": source, "text": row["text"]})
                kept += 1
        report["sources"][source] = kept
        print(f"{source}: {kept} documents", flush=True)
    random.Random(0).shuffle(documents)
    work.mkdir(parents=True, exist_ok=True)
    held_back = max(1, len(documents) // 200)
    write_documents(work / "validation.jsonl.xz", documents[:held_back])
    write_documents(work / "train.jsonl.xz", documents[held_back:])
    report["documents"] = {"train": len(documents) - held_back, "validation": held_back}
    report["characters"] = sum(len(d["text"]) for d in documents)
    train_tokenizer((d["text"] for d in documents), vocabulary_size, work / "tokenizer")
    write_lexicon((d["text"] for d in documents), work / LEXICON)
    report_path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{len(report['left_out'])} documents left out: they hold a row of a task", flush=True)
    return report


def write_lexicon(texts: Iterable[str], path: Path) -> None:
    """The words that a text may be held to (`summarizer.lexicon`): those of `DOCUMENTS` texts."""
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update(words_of(text))
    words = sorted(word for word, times in seen.items() if times >= DOCUMENTS)
    path.write_text("\n".join(words) + "\n", encoding="utf-8")


def task_shingles(paths: list[Path]) -> set[int]:
    found: set[int] = set()
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                found |= shingles(row["input"]) | shingles(row["target"])
    return found


def shingles(text: str) -> set[int]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {hash(tuple(words[i : i + SHINGLE])) for i in range(len(words) - SHINGLE + 1)}


def write_documents(path: Path, documents: list[dict]) -> None:
    with lzma.open(path, "wt", encoding="utf-8", preset=6) as out:
        for document in documents:
            out.write(json.dumps(document, ensure_ascii=False) + "\n")


def read_documents(path: Path) -> list[Document]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [Document(row["source"], row["text"]) for row in map(json.loads, lines)]


# --- rows of examples -------------------------------------------------------------------------


class Rows:
    """Row `i` of the run, made from the seed and `i` alone: the same on any number of workers.

    A row is a dict of int64 arrays: `input`, `input_part` (input_tokens,), and `decoder`, `label`,
    `decoder_part` (target_tokens,). `*_part` numbers the examples in the row from 1; 0 is padding.
    """

    def __init__(self, documents: list[Document], tokenizer, config: Pretraining, mixture=None):
        self.config, self.tokenizer = config, tokenizer
        self.sentinels = sentinel_ids(config.vocabulary_size)
        self.by_source: dict[str, list[Document]] = {}
        for document in documents:
            self.by_source.setdefault(document.source, []).append(document)
        self.lengths = {s: np.cumsum([len(d.text) for d in ds]) for s, ds in self.by_source.items()}
        self.mixture = mixture or objectives.MIXTURES[config.mixture]

    def __len__(self) -> int:
        return self.config.steps * self.config.rows

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        config = self.config
        rng = random.Random(config.seed * 1_000_003 + index)
        arrays = np.random.default_rng((config.seed, index))
        copying = copying_share(index // config.rows, config)
        examples: list[tuple[list[int], list[int]]] = []
        room, target_room, misses = config.input_tokens, config.target_tokens, 0
        while room > 24 and target_room > 8 and misses < 6:
            example = self.example(rng, arrays, room, target_room, copying)
            if example is None or len(example[0]) > room or len(example[1]) > target_room:
                misses += 1
                continue
            examples.append(example)
            room -= len(example[0])
            target_room -= len(example[1])
        return self.pack(examples)

    def example(self, rng, arrays, room: int, target_room: int, copying: float):
        """One (input ids, target ids), both ended by the end token, or None."""
        if rng.random() < copying:
            name = "copy" if rng.random() < 0.7 else "copy_with_gaps"
        else:
            name = rng.choices(list(self.mixture), list(self.mixture.values()))[0]
        document = self.document(rng, objectives.ONLY_FROM.get(name))
        if document is None:
            return None
        if name.startswith("fill"):
            return self.fill(rng, arrays, document, room, target_room, long=name == "fill_long")
        pair = objectives.BY_NAME[name](rng, document, int(room * CHARACTERS_A_TOKEN))
        if pair is None or not pair[0] or not pair[1].strip():
            return None
        given, wanted = self.tokenizer(list(pair))["input_ids"]
        return given, wanted

    def document(self, rng, sources: tuple[str, ...] | None) -> Document | None:
        names = [s for s in self.by_source if sources is None or s in sources]
        if not names:
            return None
        weights = [float(self.lengths[s][-1]) * objectives.SOURCE_WEIGHTS[s] for s in names]
        source = rng.choices(names, weights)[0]
        lengths = self.lengths[source]
        return self.by_source[source][int(np.searchsorted(lengths, rng.random() * lengths[-1]))]

    def fill(self, rng, arrays, document: Document, room: int, target_room: int, long: bool):
        density, mean = (rng.uniform(0.3, 0.5), rng.uniform(6, 20)) if long else (0.15, 3.0)
        # so many raw tokens that both sides fit, whichever is the tighter
        size = min(room / (1 - density * (1 - 1 / mean)), target_room / (density * (1 + 1 / mean)))
        size = int(size * 0.97) - 4
        size = min(size, len(self.sentinels) * int(mean / density) - 1)
        if size < 32:
            return None
        text = document.window(rng, size * 6)
        tokens = np.array(self.tokenizer(text)["input_ids"][:-1][:size])
        if len(tokens) < 24:
            return None
        given, wanted = objectives.corrupt_spans(arrays, tokens, self.sentinels, density, mean)
        return [*given.tolist(), 1], [*wanted.tolist(), 1]

    def pack(self, examples) -> dict[str, np.ndarray]:
        width, target_width = self.config.input_tokens, self.config.target_tokens
        row = {
            "input": np.zeros(width, np.int64),
            "input_part": np.zeros(width, np.int64),
            "decoder": np.zeros(target_width, np.int64),
            "label": np.full(target_width, -100, np.int64),
            "decoder_part": np.zeros(target_width, np.int64),
        }
        at = target_at = 0
        for number, (given, wanted) in enumerate(examples, 1):
            end, target_end = at + len(given), target_at + len(wanted)
            row["input"][at:end] = given
            row["input_part"][at:end] = number
            row["decoder"][target_at + 1 : target_end] = wanted[:-1]
            row["label"][target_at:target_end] = wanted
            row["decoder_part"][target_at:target_end] = number
            at, target_at = end, target_end
        return row


def copying_share(step: int, config: Pretraining) -> float:
    """Share of a step's examples that are copying alone: 1, then down to 0 over the ramp."""
    past = step - config.copy_steps
    if past < 0:
        return 1.0
    return max(0.0, 1 - past / config.ramp_steps) if config.ramp_steps else 0.0


# --- train ------------------------------------------------------------------------------------


def new_model(config: Pretraining):
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=config.vocabulary_size,
            d_model=config.d_model,
            d_ff=config.d_ff,
            d_kv=config.d_kv,
            num_heads=config.num_heads,
            num_layers=config.num_layers,
            num_decoder_layers=config.num_decoder_layers,
            relative_attention_num_buckets=config.relative_buckets,
            relative_attention_max_distance=config.relative_max_distance,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            tie_word_embeddings=True,
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,
            n_positions=2048,
            attn_implementation=config.attention,
        )
    )


def packed_loss(model, batch: dict):
    """Mean cross-entropy (nats a token) of a batch of packed rows, (rows, tokens) each."""
    import torch

    part, decoder_part = batch["input_part"], batch["decoder_part"]
    dtype = torch.bfloat16 if torch.is_autocast_enabled(part.device.type) else torch.float32

    def blocked(queries, keys, causal=False):
        seen = (queries[:, :, None] == keys[:, None, :]) & (keys[:, None, :] > 0)
        if causal:
            seen = seen & torch.ones(seen.shape[1:], dtype=torch.bool, device=seen.device).tril()
        # padding queries see everything: a row of minus infinity would be NaN
        seen = seen | (queries[:, :, None] == 0)
        return torch.where(seen, 0.0, torch.finfo(dtype).min).to(dtype)[:, None]

    encoded = model.encoder(input_ids=batch["input"], attention_mask=blocked(part, part))[0]
    decoded = model.decoder(
        input_ids=batch["decoder"],
        attention_mask=blocked(decoder_part, decoder_part, causal=True),
        encoder_hidden_states=encoded,
        encoder_attention_mask=blocked(decoder_part, part),
        use_cache=False,
    )[0]
    logits = model.lm_head(decoded * model.config.d_model**-0.5)
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), batch["label"].flatten(), ignore_index=-100
    )


class ScaledAdamW:
    """AdamW whose rate for each parameter is a share of that parameter's own size (RMS).

    T5's embeddings start with a standard deviation of 1, its attention with one near 0.01, and
    its attention scores are not scaled: one absolute rate cannot serve both. Adafactor's
    `scale_parameter` does the same (Shazeer & Stern 2018, section 8).
    """

    SMALLEST = 1e-3  # the size that a parameter near zero is taken to have

    def __init__(self, model, config: Pretraining):
        import torch

        self.parameters = list(model.parameters())
        self.adamw = torch.optim.AdamW(
            [{"params": [p]} for p in self.parameters],
            lr=config.learning_rate, betas=(0.9, 0.98), eps=1e-8, weight_decay=config.weight_decay,
        )  # fmt: skip

    def step(self, rate: float) -> None:
        """One step at `rate`, a share of each parameter's RMS; the gradients are cleared."""
        import torch

        norms = torch.stack(torch._foreach_norm([p.detach() for p in self.parameters])).tolist()
        for group, norm in zip(self.adamw.param_groups, norms, strict=True):
            size = norm / group["params"][0].numel() ** 0.5
            group["lr"] = rate * max(self.SMALLEST, size)
        self.adamw.step()
        self.adamw.zero_grad(set_to_none=True)


def rate_at(step: int, config: Pretraining, began: int = 0) -> float:
    """Factor on the learning rate: warm-up, stable, then linear decay to zero (WSD).

    `began` is the step at which the optimizer was new.
    """
    decay_from = config.steps * (1 - config.decay)
    falling = (config.steps - step) / max(1.0, config.steps - decay_from)
    return max(0.0, min(1.0, (step - began + 1) / max(1, config.warmup), falling))


def train(config: Pretraining, work: Path, run: Path, *, minutes: float, workers: int, device: str,
          compile_model: bool, save_every: float) -> bool:  # fmt: skip
    """Train until `config.steps` or for `minutes`; returns whether the run is finished."""
    import torch
    from transformers import AutoTokenizer

    torch.manual_seed(config.seed)
    torch.set_float32_matmul_precision("high")
    tokenizer = AutoTokenizer.from_pretrained(work / "tokenizer")
    rows = Rows(read_documents(work / "train.jsonl.xz"), tokenizer, config)
    model = new_model(config).to(device)
    optimizer = ScaledAdamW(model, config)
    state = load_state(run, config, model, optimizer, device)
    validation = validation_batches(work, tokenizer, config)
    loss_of = torch.compile(packed_loss) if compile_model else packed_loss
    start, began, saved = state["step"], time.monotonic(), time.monotonic()
    new_at = max(
        phase["from"] for phase in state["phases"] if not phase["from"] or "start" in phase
    )
    batches = loader(rows, start, config, workers, device)
    running, timed, timed_at = [], start, time.monotonic()
    step = start
    for batch in batches:
        batch = {k: v.to(device, non_blocking=True) for k, v in batch.items()}
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = loss_of(model, batch)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step(config.learning_rate * rate_at(step, config, new_at))
        running.append(loss.detach())
        step += 1
        now = time.monotonic()
        if step % 50 == 0 or step == config.steps:
            mean = torch.stack(running).mean().item()
            if not math.isfinite(mean):
                raise SystemExit(f"The loss is not a number at step {step}: lower learning_rate.")
            running = []
            rate = (
                (step - timed) * config.rows * config.input_tokens / (time.monotonic() - timed_at)
            )
            timed, timed_at = step, time.monotonic()
            left = (config.steps - step) * config.rows * config.input_tokens / max(rate, 1)
            state["curve"].append({"step": step, "loss": round(mean, 4)})
            print(f"step {step}/{config.steps} loss {mean:.3f} norm {norm.item():.2f} "
                  f"{rate:,.0f} input tokens/s, {left / 60:.1f} min left", flush=True)  # fmt: skip
        out_of_time = now - began > minutes * 60
        if step % 1000 == 0 or step == config.steps:
            scores = evaluate(model, validation, device)
            state["curve"].append({"step": step, "eval_loss": scores})
            print(f"step {step} validation " + " ".join(f"{k} {v:.2f}" for k, v in scores.items()), flush=True)  # fmt: skip
            timed, timed_at = step, time.monotonic()
        if out_of_time or step >= config.steps or now - saved > save_every * 60:
            state["step"] = step
            state["seconds"] += now - saved
            state["device"] = device_name(device)
            save_state(run, config, model, optimizer, state)
            saved = now
        if out_of_time or step >= config.steps:
            break
    return step >= config.steps


def loader(rows: Rows, start: int, config: Pretraining, workers: int, device: str):
    import torch

    return torch.utils.data.DataLoader(
        rows,
        batch_size=config.rows,
        sampler=range(start * config.rows, config.steps * config.rows),
        num_workers=workers,
        pin_memory=device == "cuda",
        prefetch_factor=6 if workers else None,
        drop_last=True,
    )


def validation_batches(work: Path, tokenizer, config: Pretraining) -> dict[str, dict]:
    """For each objective, up to 32 packed rows of documents that training does not see."""
    import torch

    documents = read_documents(work / "validation.jsonl.xz")
    fixed = dataclasses.replace(config, seed=7, copy_steps=0, ramp_steps=0)
    batches = {}
    for name in ["copy", *objectives.MIXTURES["broad"]]:
        rows = Rows(documents, tokenizer, fixed, {name: 1.0})
        made = [rows[i] for i in range(32)]
        made = [row for row in made if row["input_part"].any()]
        if made:
            batches[name] = {k: torch.tensor(np.stack([r[k] for r in made])) for k in made[0]}
    return batches


def evaluate(model, batches: dict[str, dict], device: str) -> dict[str, float]:
    import torch

    scores = {}
    with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16):
        for name, batch in batches.items():
            batch = {k: v.to(device) for k, v in batch.items()}
            scores[name] = round(packed_loss(model, batch).item(), 4)
    return scores


def device_name(device: str) -> str:
    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


# --- the saved state --------------------------------------------------------------------------


def save_state(run: Path, config: Pretraining, model, optimizer, state: dict) -> None:
    """Everything that going on needs, replaced at once: a kill leaves the old or the new."""
    import torch

    run.mkdir(parents=True, exist_ok=True)
    whole = {
        "config": dataclasses.asdict(config),
        "model": model.state_dict(),
        "optimizer": optimizer.adamw.state_dict(),
        "state": state,
    }
    torch.save(whole, run / "state.pt.new")
    os.replace(run / "state.pt.new", run / "state.pt")


# A run may be lengthened, and go on with longer rows and other shares of the objectives.
MAY_CHANGE = {"steps", "decay", "attention", "rows", "input_tokens", "target_tokens", "mixture"}


def load_state(run: Path, config: Pretraining, model, optimizer, device: str) -> dict:
    import torch

    path = run / "state.pt"
    if not path.exists():
        if config.start:
            return released_state(Path(config.start), config, model)
        return {"step": 0, "seconds": 0.0, "curve": [], "phases": [phase_of(config, 0)]}
    whole = torch.load(path, map_location=device, weights_only=True)
    before = Pretraining(**whole["config"])
    ours, theirs = dataclasses.asdict(config), dataclasses.asdict(before)
    other = sorted(k for k in ours if ours[k] != theirs[k] and k not in MAY_CHANGE)
    if other:
        raise SystemExit(
            f"{path} was saved by a run with another {', '.join(other)}: give the same values, "
            "or another --run folder."
        )
    model.load_state_dict(whole["model"])
    optimizer.adamw.load_state_dict(whole["optimizer"])
    state = whole["state"]
    state.setdefault("phases", [phase_of(before, 0)])
    if (now := phase_of(config, state["step"])) != state["phases"][-1] | {"from": state["step"]}:
        state["phases"].append(now)
    print(f"going on from step {state['step']}", flush=True)
    return state


def released_state(folder: Path, config: Pretraining, model) -> dict:
    """Load a released base's weights into `model`; the state from which its run goes on."""
    import torch
    from safetensors import SafetensorError
    from transformers import T5ForConditionalGeneration

    try:
        record = json.loads((folder / "run.json").read_text())
        released = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        model.load_state_dict(deeper(released.state_dict(), config.num_layers))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise SystemExit(f"{folder} is no base of this shape to go on from: {error}") from None
    if record["steps"] >= config.steps:
        raise SystemExit(f"{folder} has {record['steps']} steps already: give more as --steps.")
    print(f"going on from {folder}, step {record['steps']}", flush=True)
    return {
        "step": record["steps"],
        "seconds": record["seconds"],
        "curve": record["curve"],
        "phases": [*record["phases"], phase_of(config, record["steps"])],
    }


def phase_of(config: Pretraining, step: int) -> dict:
    """What may change between parts of one run, and the step from which it holds."""
    names = ("steps", "decay", "rows", "input_tokens", "target_tokens", "mixture")
    defaults = Pretraining()
    others = ("num_layers", "learning_rate")  # of a part that grows, or goes on more gently
    return {
        "from": step,
        **{name: getattr(config, name) for name in names},
        **{
            name: getattr(config, name)
            for name in others
            if getattr(config, name) != getattr(defaults, name)
        },
        **({"start": config.start} if config.start else {}),
    }


def tokens_seen(phases: list[dict], step: int) -> int:
    """Input positions, padding included, that a run of these phases has read at `step`."""
    ends = [phase["from"] for phase in phases[1:]] + [step]
    return sum(
        (end - phase["from"]) * phase["rows"] * phase["input_tokens"]
        for phase, end in zip(phases, ends, strict=True)
    )


# --- export -----------------------------------------------------------------------------------


def export(config: Pretraining, work: Path, run: Path, out: Path, shard: str = "15MB") -> None:
    """Write the model's folder: bf16 safetensors in shards, tokenizer, run.json."""
    import torch
    import transformers

    whole = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    saved = Pretraining(**whole["config"])
    model = new_model(saved)
    model.load_state_dict(whole["model"])
    model = model.to(torch.bfloat16)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.safetensors*"):
        old.unlink()
    model.config.dropout_rate = 0.1  # what adapters are trained with; generation ignores it
    model.save_pretrained(out, max_shard_size=shard)
    transformers.AutoTokenizer.from_pretrained(work / "tokenizer").save_pretrained(out)
    shutil.copyfile(work / LEXICON, out / LEXICON)
    state, report = whole["state"], json.loads((work / "corpus.json").read_text())
    record = {
        "command": "\n".join(commands(state["phases"])),
        "recipe": {**whole["config"], "steps": config.steps, "decay": config.decay},
        "phases": state["phases"],
        "mixtures": {p["mixture"]: objectives.MIXTURES[p["mixture"]] for p in state["phases"]},
        "source_weights": objectives.SOURCE_WEIGHTS,
        "data": {**report, "train": {"sources": report["sources"]}},
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": state["step"],
        "tokens": tokens_seen(state["phases"], state["step"]),
        "seconds": round(state["seconds"], 1),
        "device": state.get("device"),
        "seed": saved.seed,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__,
                     "python": platform.python_version()},
        "curve": state["curve"],
    }  # fmt: skip
    (out / "run.json").write_text(json.dumps(record, indent=1) + "\n")


def commands(phases: list[dict]) -> list[str]:
    """The command of each part of a run, in order: the second goes on from the first's state."""
    call = "python -m train.pretrain --corpus CORPUS --exclude TASK_FILES"
    defaults = Pretraining()
    return [
        call
        + "".join(
            f" --{name} {value}"
            for name, value in phase.items()
            if name != "from" and value != getattr(defaults, name)
        )
        for phase in phases
    ]


# --- command line -----------------------------------------------------------------------------


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, Pretraining]:
    parser = argparse.ArgumentParser(
        prog="python -m train.pretrain", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--corpus", type=Path, help="folder of *.jsonl.xz files of plain text")
    parser.add_argument(
        "--exclude", type=Path, nargs="*", default=[], help="task files (JSONL) to keep out"
    )
    parser.add_argument("--work", type=Path, default=Path("data/pretraining"), help="prepared text")
    parser.add_argument("--run", type=Path, default=Path("runs/base"), help="saved state")
    parser.add_argument("--out", type=Path, default=Path("models/base"))
    parser.add_argument("--stage", choices=["all", "prepare", "train", "export"], default="all")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop cleanly after these")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--save-every", type=float, default=10, help="minutes between saved states")
    defaults = Pretraining()
    for entry in dataclasses.fields(Pretraining):
        value = getattr(defaults, entry.name)
        parser.add_argument(f"--{entry.name}", type=type(value), default=value, help=f"({value})")
    options = parser.parse_args(arguments)
    names = [entry.name for entry in dataclasses.fields(Pretraining)]
    return options, Pretraining(**{name: getattr(options, name) for name in names})


def main(arguments: list[str] | None = None) -> int:
    options, config = parse(arguments)
    import torch

    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.stage in ("all", "prepare"):
        if options.corpus is None and not (options.work / "corpus.json").exists():
            raise SystemExit("Give --corpus: the folder of the plain text.")
        prepare(options.corpus, options.exclude, options.work, config.vocabulary_size)
    finished = True
    if options.stage in ("all", "train"):
        finished = train(config, options.work, options.run, minutes=options.minutes,
                         workers=options.workers, device=device,
                         compile_model=not options.no_compile, save_every=options.save_every)  # fmt: skip
    if options.stage == "export" or (options.stage == "all" and finished):
        export(config, options.work, options.run, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
