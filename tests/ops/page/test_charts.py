"""Charts: axes, gaps, and numbers for people."""

from __future__ import annotations

import re

import pytest

from pipeline.ops.page.charts import Bar, Line, bars, logarithmic, over_time
from pipeline.ops.page.data import Course, Phase, Sample
from pipeline.ops.page.markup import count, duration, element, shortened, size


def course(*seconds: float) -> Course:
    phases = [Phase(name="all of it", since=0, until=max(seconds))]
    return Course(samples=[Sample(seconds=each) for each in seconds], phases=phases, lag_until="x")


def test_a_line_has_a_gap_where_a_value_is_unknown() -> None:
    line = Line("speed", "first", [1.0, 2.0, None, 3.0, 4.0, None, 5.0])
    drawn = over_time("t", course(1, 2, 3, 4, 5, 6, 7), [line])
    assert (drawn.count("<polyline"), drawn.count("<circle")) == (2, 1)
    assert "all of it" in drawn


def test_a_chart_of_nothing_says_so() -> None:
    line = Line("speed", "first", [None, None])
    assert over_time("t", course(1, 2), [line]) == '<p class="quiet">no samples were taken</p>'


def test_no_label_covers_another() -> None:
    lines = [Line(name, "first", [5.0, 5.0]) for name in ("a", "b", "c")]
    drawn = over_time("t", course(1, 2), lines)
    heights = sorted(float(y) for y in re.findall(r'y="([\d.]+)" class="end', drawn))
    assert [after - before for before, after in zip(heights, heights[1:], strict=False)] == [16, 16]


@pytest.mark.parametrize(("highest", "top"), [(0, "1"), (7, "8"), (4_999, "5,000"), (31, "40")])
def test_the_axis_ends_at_a_round_number(highest: float, top: str) -> None:
    drawn = over_time("t", course(1, 2), [Line("a", "first", [0.0, float(highest)])])
    assert f">{top}</text>" in drawn


def test_a_logarithmic_axis_ends_at_powers_of_ten() -> None:
    line = Line("a", "first", [0.0, 700.0, 139_000.0])
    drawn = over_time("t", course(1, 2, 3), [line], duration, logarithmic)
    ticks = re.findall(r'class="tick">([^<]*s)</text>', drawn)
    assert ticks[:5] == ["100 ms", "1 s", "10 s", "100 s", "1,000 s"]
    points = re.findall(r'points="([^"]*)"', drawn)[0].split()
    heights = [float(point.split(",")[1]) for point in points]
    assert heights[0] == 206.0 > heights[1] > heights[2] > 30.0  # 0 is at the axis' end.


def test_the_longest_bar_is_full_and_the_smallest_is_seen() -> None:
    drawn = bars(
        ("name", "", "n"), [Bar(n, v, (count(v),)) for n, v in (("a", 9e6), ("b", 1), ("c", 0))]
    )
    assert re.findall(r'rect width="([\d.]+)%"', drawn) == ["100.0", "1.5", "0.0"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "unknown"), (0, "0 B"), (1023, "1,023 B"), (1536, "1.5 KiB"), (1024**3, "1 GiB"),
     (3.5 * 1024**4, "3.5 TiB"), (2048 * 1024**4, "2,048 TiB"), (150 * 1024**2 + 7, "150 MiB")],
)  # fmt: skip
def test_sizes(number: float | None, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "unknown"), (787, "787 ms"), (1000, "1 s"), (2760, "2.8 s"), (61_500, "62 s")],
)
def test_durations(number: float | None, text: str) -> None:
    assert duration(number) == text


def test_attributes_and_text_are_escaped() -> None:
    assert (
        element("p", "a<b", title='"&', data_x=1.25)
        == '<p title="&quot;&amp;" data-x="1.2">a&lt;b</p>'
    )
    assert shortened("abcdef", 4) == "abc…"
