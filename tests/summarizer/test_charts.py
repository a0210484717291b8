"""The drawings of the Results tab: every row where its figures put it."""

import re
import xml.etree.ElementTree as ET

import pytest

from summarizer import charts

BASE = [0.0, 50.0, 100.0, 20.0]
LORA = [100.0, 50.0, 0.0, 80.0]


def _svg(figure: str) -> ET.Element:
    return ET.fromstring(re.search(r"<svg.*</svg>", figure)[0])


def _circles(figure: str, kind: str) -> list[tuple[float, float]]:
    return [
        (float(c.get("cx")), float(c.get("cy")))
        for c in _svg(figure).iter("circle")
        if c.get("class") == kind
    ]


def test_every_row_is_a_point_where_its_scores_are():
    drawn = charts.scatter(BASE, LORA, "ROUGE-L")
    left, right = charts.LEFT, charts.WIDTH - charts.RIGHT
    top, bottom = charts.TOP, charts.HEIGHT - charts.BOTTOM
    assert _circles(drawn, "lora") == [
        (left, top),
        (pytest.approx(left + 0.2 * (right - left), abs=0.1), top + 0.2 * (bottom - top)),
    ]
    assert _circles(drawn, "base") == [(right, bottom)]
    assert len(_circles(drawn, "equal")) == 1
    assert "LoRA above the base in 2, below in 1, equal in 1 rows" in drawn


def test_the_line_of_lengths_goes_through_the_means_of_the_rows():
    words = [10] * 6 + [1000] * 6
    drawn = charts.lengths(words, {"base": [0.0] * 6 + [100.0] * 6, "lora": [50.0] * 12}, "ROUGE-L")
    means = _circles(drawn, "lora mean")
    assert len(means) == 6 and len({y for _, y in means}) == 1
    top, bottom = charts.TOP, charts.HEIGHT - charts.BOTTOM
    assert [y for _, y in _circles(drawn, "base mean")] == [bottom] * 3 + [top] * 3
    assert means[0][0] == charts.LEFT and means[-1][0] == charts.WIDTH - charts.RIGHT
    ticks = [text.text for text in _svg(drawn).iter("text")]
    assert {"10", "100", "1,000"} <= set(ticks)


@pytest.mark.parametrize("words", [[7], [5, 5, 5], [0, 3]])
def test_few_rows_or_rows_of_one_length_are_drawn_inside_the_frame(words):
    values = [30.0] * len(words)
    drawn = charts.lengths(words, {"base": values, "lora": values}, "ROUGE-L")
    for circle in _svg(drawn).iter("circle"):
        assert 0 <= float(circle.get("cx")) <= charts.WIDTH
        assert 0 <= float(circle.get("cy")) <= charts.HEIGHT


def test_names_are_escaped():
    assert "<b>" not in charts.scatter([1.0], [2.0], "<b>")
