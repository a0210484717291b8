"""Seed 004's ways to serve many kinds of report with little data of some.

One model that is told the segment needs nothing here: the segment stands in the prompt. This
module has the other two: clusters of reporting style, and augmentation of rare segments that
cannot change a fact.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from summarizer.text import sentences
from train.recipe import Recipe

# --- augmentation -------------------------------------------------------------------------------

# A sentence that opens with one of these, or that has no verb of its own to stand on, speaks of
# the one before: "There is a nodule. It measures 2 cm." They move together.
_LEANS = re.compile(
    r"(?:this|that|these|those|it|its|they|their|he|she|his|her|which|the (?:former|latter|same|"
    r"lesion|mass|nodule|fracture|finding|largest|other)|another|other|both|one|again|also|"
    r"however|otherwise|additionally|in addition|furthermore|similarly|likewise|subsequently|"
    r"then|there(?:after|fore)|thus|given|because|as above|as before|same|smaller|larger|"
    r"measur\w*|compar\w*|unchanged|stable|but|and|or|with|without|while|where|no other|no further|"
    r"the (?:remaining|remainder|rest)|remaining|elsewhere)\b",
    re.IGNORECASE,
)
_POINTS_ELSEWHERE = re.compile(
    r"\b(?:above|below|aforementioned|following|former|latter|described|respectively)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•])\s", re.MULTILINE)
_HEADING = re.compile(r"^[A-Z][A-Za-z /&,()-]{2,40}:", re.MULTILINE)


def augment(
    recipe: Recipe, rows: Sequence[dict[str, Any]], weights: Sequence[float]
) -> tuple[list[dict[str, Any]], list[float]]:
    """Copies of training rows of rare segments, their findings in another order.

    A segment with fewer rows than `augment_share` of the commonest one's gets copies up to that
    share, at most `augment_copies` of a row. No word is changed; the target is never touched.
    """
    scaling = recipe.scaling
    assert scaling.augment is not None
    segments = [str(row.get(scaling.augment) or "unspecified") for row in rows]
    counts = Counter(segments)
    wanted = scaling.augment_share * max(counts.values())
    rng = np.random.default_rng([recipe.seed, 4])
    out_rows, out_weights = list(rows), list(weights)
    by_segment: dict[str, list[int]] = defaultdict(list)
    for place, segment in enumerate(segments):
        by_segment[segment].append(place)
    for places in by_segment.values():
        missing = min(round(wanted) - len(places), (scaling.augment_copies - 1) * len(places))
        for number in range(max(0, missing)):
            place = places[number % len(places)]
            row = dict(rows[place])
            row["id"] = f"{row['id']}~{number // len(places) + 1}"
            row["augmented"] = True
            if scaling.shuffle_findings:
                row["input"] = shuffle_findings(row["input"], rng)
            out_rows.append(row)
            out_weights.append(weights[place])
    return out_rows, out_weights


def shuffle_findings(text: str, rng: np.random.Generator) -> str:
    """The same sentences in another order, each beside those it speaks of.

    A sentence that leans on the one before ("It measures 2 cm.") stays behind it. Text whose order
    is its structure (numbered, with headings, a conversation, "as described above") is returned as
    it is.
    """
    if any(pattern.search(text) for pattern in (_NUMBERED, _HEADING, _POINTS_ELSEWHERE)):
        return text
    if text.count("\n") > 2:
        return text
    groups: list[list[str]] = []
    for sentence in sentences(text):
        if groups and (_LEANS.match(sentence) or _same_thing(groups[-1][-1], sentence)):
            groups[-1].append(sentence)
        else:
            groups.append([sentence])
    order = rng.permutation(len(groups))
    return " ".join(" ".join(groups[place]) for place in order)


def _same_thing(before: str, sentence: str) -> bool:
    """Whether "The nodule ..." follows a sentence that names a nodule."""
    if not sentence.startswith("The "):
        return False
    named = {word for word in re.findall(r"[a-z]{4,}", before.lower())}
    return not named.isdisjoint(re.findall(r"[a-z]{4,}", sentence.lower()))


# --- clusters of reporting style ----------------------------------------------------------------

STYLE = ("numbered", "bulleted", "lines", "words", "sentence_words", "capitals", "negations")


def style_features(text: str) -> list[float]:
    """How an impression is written, not what it says: one number for each name in STYLE."""
    words = text.split()
    lines = [line for line in text.splitlines() if line.strip()]
    parts = sentences(text) or [text]
    letters = [letter for letter in text if letter.isalpha()]
    return [
        float(bool(re.search(r"(?:^|\s)\d{1,2}[.)]\s", text))),
        float(bool(re.search(r"^\s*[-*•]\s", text, re.MULTILINE))),
        float(len(lines)),
        float(np.log1p(len(words))),
        float(np.log1p(len(words) / len(parts))),
        sum(letter.isupper() for letter in letters) / max(1, len(letters)),
        len(re.findall(r"\b(?:no|not|without|negative)\b", text, re.IGNORECASE))
        / max(1, len(parts)),
    ]


def find_styles(recipe: Recipe, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Clusters of those who report, by the style of their training targets: name -> cluster.

    A reader's style is the mean of their reports' features; k-means on the standardised means.
    Clusters are numbered by size, the largest 0. Fitted on training rows alone: a new report is
    placed by who wrote it, which is known when it comes in, never by its own target.

    Raises:
        ValueError: fewer of them than clusters; the message is one sentence.
    """
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    scaling = recipe.scaling
    by_reader: dict[str, list[list[float]]] = defaultdict(list)
    for row in rows:
        reader = str(row.get(scaling.cluster_by) or "unspecified")
        by_reader[reader].append(style_features(row["target"]))
    readers = sorted(by_reader)
    if len(readers) < (scaling.clusters or 0):
        raise ValueError(
            f"scaling.clusters is {scaling.clusters}, but the training rows name only "
            f"{len(readers)} of {scaling.cluster_by}."
        )
    means = np.array([np.mean(by_reader[reader], axis=0) for reader in readers])
    fitted = KMeans(scaling.clusters, n_init=10, random_state=recipe.seed).fit_predict(
        StandardScaler().fit_transform(means),
        sample_weight=[len(by_reader[reader]) for reader in readers],
    )
    sizes = Counter()
    for reader, cluster in zip(readers, fitted, strict=True):
        sizes[int(cluster)] += len(by_reader[reader])
    rank = {cluster: place for place, (cluster, _) in enumerate(sizes.most_common())}
    return {reader: rank[int(cluster)] for reader, cluster in zip(readers, fitted, strict=True)}
