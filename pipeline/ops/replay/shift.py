"""The same events again, later and with ids of their own: round after round of one data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from connectors.block import Block
from connectors.errors import UserError
from pipeline.decode.timestamps import canonical, parse_canonical, text
from pipeline.events.event_types import EventType, EventTypes, Field
from pipeline.events.model import EXACT_IN_DOUBLE
from pipeline.ops.replay import times
from pipeline.ops.replay.selection import Counts, Selection
from pipeline.ops.replay.wanted import REFUSALS

_DAY_MS: Final = 86_400_000


class Spans(NamedTuple):
    """First and last time and least and largest id of a data set: what a round is moved by."""

    first_ms: int
    last_ms: int
    least_id: int | None
    largest_id: int | None

    def move(self, number: int) -> tuple[int, int]:
        """By how many milliseconds and by how much of an id round `number` is moved.

        Milliseconds are those of whole days, as many as the data set spans.

        Raises:
            UserError: ids would go beyond what every JSON reader keeps exactly.
        """
        days = (self.last_ms - self.first_ms) // _DAY_MS + 1
        if self.least_id is None or self.largest_id is None:
            return number * days * _DAY_MS, 0
        ids = number * (self.largest_id - self.least_id + 1)
        if self.largest_id + ids >= EXACT_IN_DOUBLE:
            raise UserError(
                f"round {number} would have ids up to {self.largest_id + ids}, and 2^53-1 is the"
                " largest: replay fewer rounds"
            )
        return number * days * _DAY_MS, ids


class Extent:
    """Finds the spans of events as they go by."""

    def __init__(self, types: EventTypes) -> None:
        names = sorted({one.id for one in types})
        kinds = [(f"f{at}", msgspec.Raw | UnsetType, UNSET) for at, _ in enumerate(names)]
        renamed = {f"f{at}": name for at, name in enumerate(names)}
        struct = msgspec.defstruct("Ids", kinds, rename=renamed, kw_only=True, gc=False)
        self._decode = msgspec.json.Decoder(struct).decode
        self._found: Spans | None = None

    def add(self, millis: Any, raws: Sequence[bytes | None]) -> None:
        """Some more events; their times in milliseconds."""
        if not len(raws):
            return
        ids = [number for raw in raws for number in self._ids(raw or b"")]
        fresh = Spans(
            int(millis.min()), int(millis.max()), min(ids, default=None), max(ids, default=None)
        )
        self._found = fresh if self._found is None else _wider(self._found, fresh)

    @property
    def spans(self) -> Spans | None:
        """None where there was no event."""
        return self._found

    def _ids(self, raw: bytes) -> list[int]:
        try:
            texts = msgspec.structs.astuple(self._decode(raw))
        except REFUSALS:
            return []
        found = (bytes(text) for text in texts if text is not UNSET)
        return [int(text) for text in found if text.isdigit()]


class Shift:
    """Moves blocks into another round; what can't be moved is counted as a bad line."""

    def __init__(self, types: EventTypes, selection: Selection, counts: Counts) -> None:
        self._members = {one.name: _members(one, selection) for one in types}
        self._selection = selection
        self._counts = counts

    def moved(self, block: Block, spans: Spans, number: int) -> Block:
        """The events of a block as those of round `number`: id, times and key are moved.

        The times are those of the event type's schema and that of the selection. An event that is
        no object, of no known type, or lacks one of them is a bad line. JSON is written anew.
        """
        ms, ids = spans.move(number)
        moving = _Moving()
        for row, raw in enumerate(block.raws):
            moving.events.append(self._opened(moving, row, raw, ids))
        moving.move_times(moving.iso, ms, "iso")
        moving.move_times(moving.sql, ms, "sql")
        for row, why in sorted(moving.why.items()):
            self._counts.bad_line(f"round {number}, event of {text(int(block.times[row]))}", why)
        kept = [row for row in range(len(block)) if row not in moving.why]
        return Block(
            block.times[kept] + ms,
            [msgspec.json.encode(moving.events[row]) for row in kept],
            [self._key(moving.events[row], block.keys[row]) for row in kept],
            [block.headers[row] for row in kept] if block.headers else None,
        )

    def _opened(self, moving: _Moving, row: int, raw: bytes | None, ids: int) -> dict[str, Any]:
        """An event with its id moved, and the places of its times."""
        try:
            event: dict[str, Any] = msgspec.json.decode(raw or b"", type=dict[str, Any])
        except REFUSALS:
            moving.refuse(row, "no JSON object")
            return {}
        name = event.get("type")
        members = self._members.get(name) if isinstance(name, str) else None
        if members is None:
            moving.refuse(row, "type names no event type")
        elif type(event.get(members.id)) is not int:
            moving.refuse(row, f"{members.id} is no integer")
        else:
            event[members.id] += ids
            moving.find_times(row, event, members)
        return event

    def _key(self, event: dict[str, Any], key: bytes | None) -> bytes | None:
        path = self._selection.key_field
        if key is None or path not in self._members[event["type"]].moved:
            return key
        place, name = _place(event, path)
        return str(place[name]).encode()


class _Members(NamedTuple):
    """What a round changes of an event type: its id, its times, and perhaps one more time."""

    id: str
    times: tuple[Field, ...]
    own: tuple[str, times.Format] | None
    moved: frozenset[str]


def _members(event_type: EventType, selection: Selection) -> _Members:
    found = tuple(one for one in event_type.fields if one.kind == "timestamp")
    names = {one.name for one in found}
    own = selection.timestamp_field
    more = None if own in names else (own, selection.timestamp_format)
    return _Members(event_type.id, found, more, frozenset({event_type.id, own, *names}))


class _Moving:
    """The events of a block on their way into another round."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.why: dict[int, str] = {}
        self.iso: list[_Time] = []
        self.sql: list[_Time] = []

    def refuse(self, row: int, why: str) -> None:
        """The first reason counts."""
        self.why.setdefault(row, why)

    def find_times(self, row: int, event: dict[str, Any], members: _Members) -> None:
        """The places of an event's times, whose texts must be there."""
        for one in members.times:
            value = event.get(one.name, _ABSENT)
            if isinstance(value, str):
                self.iso.append((row, event, one.name))
            elif not (one.optional if value is _ABSENT else one.nullable and value is None):
                self.refuse(row, f"{one.name} is no text")
        if members.own:
            path, kind = members.own
            place, name = _place(event, path)
            if isinstance(place.get(name), str):
                (self.iso if kind == "iso" else self.sql).append((row, place, name))
            else:
                self.refuse(row, f"{path} is no text")

    def move_times(self, found: Sequence[_Time], ms: int, kind: times.Format) -> None:
        """Parsed all at once, which is several times quicker than one by one."""
        if not found:
            return
        texts = [place[name] for _, place, name in found]
        # Nothing finer than a millisecond: it would be lost.
        canonicals = list(map(canonical, texts)) if kind == "iso" else []
        parsed = parse_canonical(canonicals) if kind == "iso" else times.parse(texts, kind)
        millis, good = parsed
        stamps = np.datetime_as_string((millis + ms).astype("M8[ms]")).tolist()
        for (row, place, name), is_good, stamp in zip(found, good.tolist(), stamps, strict=True):
            if is_good:
                place[name] = f"{stamp}Z" if kind == "iso" else stamp.replace("T", " ")
            else:
                self.refuse(row, f"{name}: {times.ALLOWED[kind]}")


_Time = tuple[int, dict[str, Any], str]
_ABSENT: Final = object()


def _place(event: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The object that a dotted path leads to, and the name in it; an empty one for none."""
    *folders, name = path.split(".")
    place: Any = event
    for folder in folders:
        place = place.get(folder) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else {}, name


def _wider(one: Spans, other: Spans) -> Spans:
    least = [each.least_id for each in (one, other) if each.least_id is not None]
    largest = [each.largest_id for each in (one, other) if each.largest_id is not None]
    return Spans(
        min(one.first_ms, other.first_ms),
        max(one.last_ms, other.last_ms),
        min(least, default=None),
        max(largest, default=None),
    )
