"""Passages of a text, for tests that hold two texts apart."""

import re


def passages(text: str, words: int = 12) -> set[tuple[str, ...]]:
    """Every run of so many words, in lower case and without what stands between them."""
    found = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(found[i : i + words]) for i in range(len(found) - words + 1)}
