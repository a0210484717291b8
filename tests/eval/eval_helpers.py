"""Rows, predictions and files for the tests of eval. The text is made up here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

FINDINGS = [
    ("The heart is normal in size. The lungs are clear.", "No acute cardiopulmonary disease."),
    ("There is a small left pleural effusion.", "1. Small left pleural effusion."),
    ("A 5 mm nodule is seen in the right upper lobe.", "1. 5 mm right upper lobe nodule."),
    ("Heart size is enlarged. No effusion.", "1. Cardiomegaly.\n2. No pleural effusion."),
    ("No focal consolidation. Normal heart.", "No acute disease."),
]


def rows(count: int = 12, **fields: Any) -> list[dict[str, Any]]:
    """Radiology rows of two modalities and two sources; each text differs by its number."""
    made = []
    for k in range(count):
        findings, impression = FINDINGS[k % len(FINDINGS)]
        row = {
            "id": f"r{k}",
            "input": f"{findings} Study {k} of the series.",
            "target": impression,
            "source": "north" if k % 2 else "south",
            "modality": "XR" if k % 3 else "CT",
            "near_dup_in_train": k % 4 == 0,
        }
        made.append(row | fields)
    return made


def write_jsonl(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def write_predictions(
    path: Path, lines: list[dict[str, Any]], *, task: str = "radiology", **systems: Any
) -> Path:
    """A predictions file whose sidecar says that its systems (default base, lora) generated."""
    names = systems or {"base": {}, "lora": {}}
    write_jsonl(path, lines)
    meta = {
        "task": task,
        "data": {"name": "north/test.jsonl", "split": "test", "sha256": "0" * 64, "n": len(lines)},
        "systems": {name: {"method": "generate"} | settings for name, settings in names.items()},
        "versions": {},
    }
    Path(f"{path}.meta.json").write_text(json.dumps(meta))
    return path
