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
# What has no side: a sentence that opens with it speaks of nothing before it.
_OWN_PLACE = re.compile(
    r"(?:(?:the|no|normal|a normal) )?(?:heart|cardi\w+|mediastin\w+|liver|hepat\w+|spleen|splen\w+|"
    r"pancrea\w+|gallbladder|bladder|uterus|prostate|aorta|aortic|stomach|appendix|brainstem|"
    r"pleural effusion|pneumothorax|ascites|hydrocephalus|free (?:air|fluid))\b",
    re.IGNORECASE,
)
_POINTS_ELSEWHERE = re.compile(
    r"\b(?:above|below|aforementioned|following|former|latter|described|respectively)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?:^|\s)(?:\d{1,2}[.)]|[-*•])\s", re.MULTILINE)
_HEADING = re.compile(r"(?:^|[.;!?]\s+)[A-Z][\w /&,()-]{2,40}:", re.MULTILINE)
# Whose side, level or lobe a sentence speaks of; one that names none may speak of the last named.
_PLACE = re.compile(
    r"\b(?:left|right|bilateral\w*|upper|middle|lower|medial|lateral|anterior|posterior|superior|"
    r"inferior|proximal|distal|[CTLS]-?\d{1,2})\b",
    re.IGNORECASE,
)


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
    it is; and so is text that is not all in sentences, which would run into each other.
    """
    if any(pattern.search(text) for pattern in (_NUMBERED, _HEADING, _POINTS_ELSEWHERE)):
        return text
    found = sentences(text)
    if text.count("\n") > 2 or not all(sentence.endswith((".", "!", "?")) for sentence in found):
        return text
    groups: list[list[str]] = []
    for sentence in found:
        if groups and _stays(groups[-1], sentence):
            groups[-1].append(sentence)
        else:
            groups.append([sentence])
    order = rng.permutation(len(groups))
    return " ".join(" ".join(groups[place]) for place in order)


def _stays(group: list[str], sentence: str) -> bool:
    """Whether a sentence must stay behind the group: it leans on it, or may be of its place."""
    if _LEANS.match(sentence) or _same_thing(group[-1], sentence):
        return True
    placed = any(_PLACE.search(one) for one in group)
    return placed and not _PLACE.search(sentence) and not _OWN_PLACE.match(sentence)


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
