"""Small pieces of Markdown: tables, code fences, paragraphs. Knows nothing of models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from textwrap import dedent


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; a cell's line breaks become spaces and its bars are escaped."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", str(text)).replace("|", "\\|").strip()


def fence(language: str, text: str) -> str:
    """A fenced block, its fence longer than any run of backticks inside."""
    marks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{marks}{language}\n{text.rstrip()}\n{marks}"


def code(text: str) -> str:
    """A fenced block of Python, dedented."""
    return fence("python", dedent(text).strip())


def join(parts: Iterable[str]) -> str:
    """Paragraphs with an empty line between them and a line break at the end."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"
