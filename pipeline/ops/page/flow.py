"""Draw the flow of records through the job, with a count on every arrow.

It is drawn twice, from left to right for a wide window and from top to bottom for a narrow one; the
style sheet shows one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pipeline.ops.page.data import Reconciled, Step
from pipeline.ops.page.markup import Markup, count, element, join, shortened, sign
from pipeline.ops.reconcile.steps import (
    ARCHIVE,
    DEAD_LETTERS,
    INDEX,
    KINDS_OF_STEPS,
    LAKE,
    REPLICATE,
    SOURCE,
    kind_of,
)

_ROW: Final = 58
_TALL: Final = 46
_WIDE_LABEL: Final = 24
_NARROW_LABEL: Final = 18
"""Characters that fit on an arrow."""
_MOST: Final = 6
"""Boxes of one kind of step; the rest share one."""


class _Column(NamedTuple):
    """The place of boxes: their left edge and width, and how many characters fit."""

    left: int
    width: int
    characters: int

    @property
    def right(self) -> int:
        return self.left + self.width


_WIDE: Final = 980
_SOURCE: Final = _Column(1, 150, 18)
_DECODE: Final = _Column(290, 140, 18)
_SINK: Final = _Column(640, 205, 24)
_BUS: Final = 868
"""Where what sinks refuse goes down to the dead letters."""
_NARROW: Final = 372
_NARROW_SINK: Final = _Column(166, 205, 24)
_TRUNK: Final = 20


def flow(reconciled: Reconciled) -> Markup:
    """Return the drawing."""
    sinks = _sinks(reconciled)
    return join(_across(reconciled, sinks), _down(reconciled, sinks))


def _across(reconciled: Reconciled, sinks: Sequence[Step]) -> Markup:
    """Draw from left to right: source, decode, sinks."""
    height = max(len(sinks), 1) * _ROW
    rows = {sink.step: _TALL / 2 + 2 + _ROW * number for number, sink in enumerate(sinks)}
    decoded = [rows[sink.step] for sink in sinks if sink.kind != ARCHIVE]
    middle = sum(decoded) / len(decoded) if decoded else height / 2
    source = reconciled.first(SOURCE)
    parts = [_source_box(reconciled, middle)]
    if decoded:
        centre = (_SOURCE.right + _DECODE.left) / 2 - 3
        parts += [
            _arrow(f"M{_SOURCE.right} {middle} H{_DECODE.left - 4}", "wide"),
            _label(count(source.due if source else None), centre, middle - 8, "middle", "on-arrow"),
            _label(KINDS_OF_STEPS[SOURCE].unit, centre, middle + 18, "middle"),
            _decode_box(source, _DECODE, middle),
        ]
    for sink in sinks:
        at = rows[sink.step]
        start = _from_source(middle, at) if sink.kind == ARCHIVE else _from_decode(middle, at)
        parts += [
            _arrow(f"{start} H{_SINK.left - 4}", "wide"),
            _label(_counted(sink, _WIDE_LABEL), _SINK.left - 10, at - 7, "end", "on-arrow"),
            _sink_box(sink, _SINK, at),
        ]
    return _drawing(sinks, "wide", _WIDE, height, [*parts, *_bus(reconciled, rows)])


def _down(reconciled: Reconciled, sinks: Sequence[Step]) -> Markup:
    """Draw from top to bottom: source, archive, decode, the other sinks."""
    at = _TALL / 2 + 2
    parts = [_source_box(reconciled, at)]
    start = at + _TALL / 2
    source = reconciled.first(SOURCE)
    rest = [sink for sink in sinks if sink.kind != ARCHIVE]
    for sink in sinks:
        if sink is next(iter(rest), None):
            at += _ROW + 22
            parts += [
                _arrow(f"M{_TRUNK} {start} V{at - _TALL / 2 - 4}", "narrow"),
                _label(f"{count(source.due if source else None)} records", _TRUNK + 10, at - 32,
                       class_="on-arrow"),
                _decode_box(source, _SOURCE, at),
            ]  # fmt: skip
            start = at + _TALL / 2
        at += _ROW
        parts += [
            _arrow(f"M{_TRUNK} {start} V{at} H{_NARROW_SINK.left - 4}", "narrow"),
            _label(
                _counted(sink, _NARROW_LABEL), _NARROW_SINK.left - 10, at - 7, "end", "on-arrow"
            ),
            _sink_box(sink, _NARROW_SINK, at),
        ]
        start = at
    at += _TALL / 2 + 18
    if texts := _refused(reconciled):
        parts.append(_label(f"Dead letters also: {', '.join(texts)}", 1, at))
    return _drawing(sinks, "narrow", _NARROW, at + 6, parts)


def _sinks(reconciled: Reconciled) -> list[Step]:
    """Return a step for each box, from top to bottom; many of one kind share one."""
    boxes: list[Step] = []
    for kind in (ARCHIVE, LAKE, INDEX, REPLICATE, DEAD_LETTERS):
        steps = reconciled.of(kind)
        if len(steps) > _MOST:
            steps = [*steps[: _MOST - 1], _together(kind, steps[_MOST - 1 :])]
        boxes += steps
    return boxes


def _together(kind: str, steps: Sequence[Step]) -> Step:
    counts = {k: [step.counts[k] for step in steps] for k in steps[0].counts}
    return Step(
        step=f"{kind}.and {len(steps)} more",
        due=sum(step.due for step in steps),
        observed=sum(step.observed for step in steps),
        counts={k: _sum(values) for k, values in counts.items()},
        figures={},
        findings=[],
    )


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _bus(reconciled: Reconciled, rows: dict[str, float]) -> list[Markup]:
    """Draw what index and replicas refuse, on its way to the dead letters."""
    texts = _refused(reconciled)
    if not texts:
        return []
    target = rows[DEAD_LETTERS]
    givers = [at for step, at in rows.items() if kind_of(step) in (INDEX, REPLICATE)]
    stubs = "".join(f"M{_SINK.right} {at} H{_BUS} " for at in givers)
    path = f"{stubs}M{_BUS} {min(givers)} V{target} H{_SINK.right + 4}"
    first = target - 8 * (len(texts) - 1) + 5
    labels = (_label(text, _BUS + 8, first + 17 * n) for n, text in enumerate(texts))
    return [_arrow(path, "wide"), *labels]


def _refused(reconciled: Reconciled) -> list[str]:
    """Say how many dead letters are of index and replicas; nothing if there are no such steps."""
    letters = reconciled.first(DEAD_LETTERS)
    names = [(INDEX, "of_index", "of the index"), (REPLICATE, "of_replicate", "of replicas")]
    return [
        f"{count(letters.figures.get(figure))} {text}"
        for kind, figure, text in names
        if letters and reconciled.of(kind)
    ]


def _from_source(middle: float, at: float) -> str:
    """Return the way from the source's box to the height of a sink, past decode."""
    if abs(middle - at) < _ROW:
        return f"M{_SOURCE.right} {middle}"
    x = _SOURCE.left + _SOURCE.width / 2
    return f"M{x} {middle - _TALL / 2} V{at + 12} Q{x} {at} {x + 12} {at}"


def _from_decode(middle: float, at: float) -> str:
    x = _DECODE.right
    return f"M{x} {middle} C{x + 40} {middle} {x + 20} {at} {x + 66} {at}"


def _source_box(reconciled: Reconciled, at: float) -> Markup:
    source = reconciled.first(SOURCE)
    names = ", ".join(dict.fromkeys(bound.rpartition("/")[0] for bound in reconciled.bounds))
    if source and source.errors:
        return _sink_box(source, _SOURCE, at)
    return _box(_SOURCE, at, KINDS_OF_STEPS[SOURCE].title, names)


def _decode_box(source: Step | None, column: _Column, at: float) -> Markup:
    control = source.figures.get("control") if source else None
    return _box(column, at, "Decode", f"{count(control)} control events")


def _sink_box(sink: Step, column: _Column, at: float) -> Markup:
    errors = [f"{count(number)} {kind}" for kind, number in sink.errors.items()]
    return _box(column, at, sink.title, ", ".join(errors) or "nothing wrong", ok=not errors)


def _box(column: _Column, at: float, title: str, line: str, *, ok: bool | None = None) -> Markup:
    """Draw a box with two lines of text; `ok` puts a sign before the second."""
    x, top = column.left + 12, at - _TALL / 2
    inset = 0 if ok is None else 18
    text = shortened(line, column.characters - inset // 9)
    return element(
        "g",
        element("title", f"{title}: {line}"),
        element("rect", x=column.left, y=top, width=column.width, height=_TALL, rx=7),
        element("text", shortened(title, column.characters), x=x, y=top + 20, class_="name"),
        None if ok is None else sign(ok, x=x, y=top + 25.5),
        element("text", text, x=x + inset, y=top + 37, class_="state"),
        class_="box wrong" if ok is False else "box",
    )


def _counted(sink: Step, most: int = 100) -> str:
    """Return how many a sink has, with the unit if both have at most that many characters."""
    number = count(sink.observed)
    text = f"{number} {sink.unit}"
    return text if len(text) <= most else number


def _arrow(path: str, drawing: str) -> Markup:
    return element("path", d=path, class_="arrow", marker_end=f"url(#head-{drawing})")


def _label(text: str, x: float, y: float, anchor: str = "start", class_: str = "unit") -> Markup:
    return element("text", text, x=x, y=y, text_anchor=anchor, class_=class_)


def _drawing(
    sinks: Sequence[Step], name: str, width: int, height: float, parts: Sequence[Markup]
) -> Markup:
    label = ", ".join(f"{sink.title} {_counted(sink)}" for sink in sinks)
    head = element(
        "marker",
        element("path", d="M0 0 L8 4 L0 8 z", class_="head"),
        id=f"head-{name}", viewBox="0 0 8 8", refX=7, refY=4, markerWidth=8, markerHeight=8,
        markerUnits="userSpaceOnUse", orient="auto",
    )  # fmt: skip
    return element(
        "svg",
        element("title", f"From the source to the sinks: {label}"),
        element("defs", head),
        *parts,
        viewBox=f"0 0 {width} {height:g}",
        role="img",
        class_=f"flow {name}",
    )
