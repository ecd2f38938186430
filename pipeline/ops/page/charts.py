"""Draw figures over time as lines, and shares as bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from pipeline.ops.page.data import Course, Phase
from pipeline.ops.page.markup import Markup, count, element, join

_WIDTH: Final = 500
_HEIGHT: Final = 240
_LEFT: Final = 64
_RIGHT: Final = 404
_TOP: Final = 30
_BOTTOM: Final = 206
_LABEL: Final = 16
"""The height of a label at a line's end."""
_NOTHING: Final = "no samples were taken"

Value = float | None
Shown = Callable[[Value], str]


class Line(NamedTuple):
    """A line of a chart: its name, its class for colour, and a value for each sample."""

    name: str
    style: str
    values: Sequence[Value]


class Bar(NamedTuple):
    """A bar: what it stands for, its value, and the texts of the cells at its end."""

    name: str
    value: float
    cells: tuple[str, ...]


class Scale(NamedTuple):
    """A vertical axis: where it has ticks, and a value's height as a share of the whole."""

    ticks: tuple[float, ...]
    share: Callable[[float], float]


def linear(values: Sequence[float]) -> Scale:
    """Return an axis from 0 to a round number."""
    top = _ceiling(max(values))
    return Scale((0.0, top / 2, top), lambda value: value / top)


def logarithmic(values: Sequence[float]) -> Scale:
    """Return an axis between two powers of ten, for values that differ a thousandfold."""
    powers = [math.log10(value) for value in values if value > 0] or [0.0]
    low = math.floor(min(powers))
    high = max(math.ceil(max(powers)), low + 1)
    ticks = tuple(10.0**power for power in range(low, high + 1))
    # What is below the axis, such as 0, is drawn at its end.
    return Scale(ticks, lambda value: (math.log10(max(value, ticks[0])) - low) / (high - low))


def over_time(
    title: str,
    course: Course,
    lines: Sequence[Line],
    shown: Shown = count,
    scale: Callable[[Sequence[float]], Scale] = linear,
) -> Markup:
    """Return a chart of lines; where a value is unknown a line has a gap."""
    values = [value for line in lines for value in line.values if value is not None]
    if not values:
        return element("p", _NOTHING, class_="quiet")
    last = max([1.0, *(s.seconds for s in course.samples), *(p.until for p in course.phases)])
    axis = scale(values)

    def x(seconds: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * seconds / last

    def y(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * axis.share(value)

    times = [sample.seconds for sample in course.samples]
    return element(
        "svg",
        element("title", title),
        *(_phase(phase, number, x) for number, phase in enumerate(course.phases)),
        *(_tick_y(y(value), shown(value)) for value in axis.ticks),
        *(_tick_x(seconds, x(seconds)) for seconds in _seconds(last)),
        *(_line(line, times, x, y) for line in lines),
        *_names(lines, y),
        *_hints(times, lines, x, shown),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        class_="chart",
    )


def bars(heads: Sequence[str], rows: Sequence[Bar], style: str = "first") -> Markup:
    """Return a table with a bar in each row; `heads` are of the name, the bar and the cells."""
    most = max((bar.value for bar in rows), default=0) or 1
    head = [element("th", text, scope="col") for text in heads]
    body = [
        element(
            "tr",
            element("th", bar.name, scope="row"),
            element("td", _bar(bar.value / most, style), class_="track"),
            *(element("td", cell, class_="number") for cell in bar.cells),
        )
        for bar in rows
    ]
    table = element(
        "table",
        element("thead", element("tr", *head)),
        element("tbody", *body),
        class_="bars",
    )
    return element("div", table, class_="scroll", tabindex="0")


def _bar(share: float, style: str) -> Markup:
    # Something must be seen of the smallest, too.
    width = max(share * 100, 1.5) if share else 0.0
    bar = element("rect", width=f"{width:.1f}%", height="100%", rx=2, class_=f"bar {style}")
    return element("svg", bar, class_="bar", aria_hidden="true")


def _ceiling(value: float) -> float:
    """Return the next round number: 1, 2, 3, 4, 5, 6 or 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def _seconds(last: float) -> Iterator[int]:
    step = next((each for each in (1, 2, 5, 10, 20, 30, 60, 120) if last / each <= 6), 300)
    while last / step > 6:
        step *= 2
    return iter(range(0, int(last) + 1, step))


def _phase(phase: Phase, number: int, x: Callable[[float], float]) -> Markup:
    left, right = x(phase.since), x(phase.until)
    return join(
        element(
            "rect", x=left, y=_TOP, width=max(right - left, 0.0), height=_BOTTOM - _TOP,
            class_=f"phase {'odd' if number % 2 else 'even'}",
        ),
        element("text", phase.name, x=left + 5, y=_TOP - 8, class_="phase-name"),
    )  # fmt: skip


def _tick_y(y: float, text: str) -> Markup:
    style = "axis" if y == _BOTTOM else "grid"
    return join(
        element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_=style),
        element("text", text, x=_LEFT - 7, y=y + 4, text_anchor="end", class_="tick"),
    )


def _tick_x(seconds: int, x: float) -> Markup:
    return element("text", f"{seconds} s", x=x, y=_BOTTOM + 19, text_anchor="middle", class_="tick")


def _line(
    line: Line,
    times: Sequence[float],
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> Markup:
    """Return the line's parts between gaps; a value alone between two gaps is a dot."""
    points = list(zip(times, line.values, strict=True))
    parts = []
    for is_known, run in groupby(points, key=lambda point: point[1] is not None):
        known = [(x(seconds), y(value)) for seconds, value in run if value is not None]
        if is_known and len(known) > 1:
            text = " ".join(f"{px:.1f},{py:.1f}" for px, py in known)
            parts.append(element("polyline", points=text, class_=f"line {line.style}"))
        elif is_known:
            [(px, py)] = known
            parts.append(element("circle", cx=px, cy=py, r=2.5, class_=f"dot {line.style}"))
    return join(*parts)


def _names(lines: Sequence[Line], y: Callable[[float], float]) -> Iterator[Markup]:
    """Yield each line's name at its end, moved so that none covers another."""
    ends = []
    for line in lines:
        known = [value for value in line.values if value is not None]
        if known:
            ends.append((y(known[-1]), line))
    lowest = _BOTTOM + 4.0
    for at, line in sorted(ends, key=lambda end: -end[0]):
        lowest = min(at + 4, lowest)
        yield element("text", line.name, x=_RIGHT + 7, y=lowest, class_=f"end {line.style}")
        lowest -= _LABEL


def _hints(
    times: Sequence[float], lines: Sequence[Line], x: Callable[[float], float], shown: Shown
) -> Iterator[Markup]:
    """Yield an invisible strip for each sample that says its values under the pointer."""
    before = 0.0
    for number, seconds in enumerate(times):
        values = (line.values[number] for line in lines)
        texts = (f"{line.name} {shown(value)}" for line, value in zip(lines, values, strict=True))
        hint = element("title", f"{seconds:.0f} s: {', '.join(texts)}")
        yield element(
            "rect", hint, x=x(before), y=_TOP, width=max(x(seconds) - x(before), 0.0),
            height=_BOTTOM - _TOP, class_="hint",
        )  # fmt: skip
        before = seconds
