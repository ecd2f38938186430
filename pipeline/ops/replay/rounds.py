"""Repeat the events of a data set in rounds, each later and with its own ids."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import Raw

from connectors.block import Block
from connectors.errors import UserError
from pipeline.decode import timestamps
from pipeline.decode.timestamps import canonical, parse_canonical
from pipeline.events.event_types import EventType, EventTypes, Field
from pipeline.events.model import EXACT_IN_DOUBLE
from pipeline.ops.replay.history import History
from pipeline.ops.replay.lines import (
    DECODE_ERRORS,
    EXPECTED,
    TimeFormat,
    parse_times,
)
from pipeline.ops.replay.selection import Counts, Selection
from pipeline.ops.replay.spans import Extent, Spans

_AHEAD: Final = 4
_SHOWN: Final = 5
"""How many days of strays are named."""
_ABSENT: Final = object()
_decode: Final = msgspec.json.Decoder(
    dict[str, Any], float_hook=lambda text: Raw(text.encode())
).decode
"""Numbers with a fraction keep their digits, also those that a double does not hold."""


class Piece(NamedTuple):
    """A block, and the number of its round."""

    round: int
    block: Block


class Rounds:
    """The events of a history, repeated `rounds` times; 0 is forever.

    `spans` are those of an earlier complete pass. Without any event there is only one round.

    Raises:
        UserError: an archive cannot be replayed in rounds.
    """

    def __init__(self, history: History, rounds: int = 1, spans: Spans | None = None) -> None:
        if rounds != 1 and history.selection.archive:
            raise UserError(
                "an archive can't be replayed in rounds: its records would come again with the"
                " positions they had; leave --loop or --archive out"
            )
        self.history = history
        self.spans = spans
        self.rounds = rounds

    def pieces(self, first: int = 0, skip: int = 0) -> Iterator[Piece]:
        """Yield the pieces from a round on, without that round's first `skip` events."""
        for number in count(first):
            for block in self._later(number, skip) if number else self._first(skip):
                yield Piece(number, block)
            skip = 0
            if number + 1 == self.rounds or self.spans is None:
                return

    def _first(self, skip: int) -> Iterator[Block]:
        if self.rounds == 1:
            yield from self.history.blocks(skip)
            return
        extent = Extent(self.history.types)
        yield from self.history.blocks(skip, extent.add)
        self.spans = extent.spans
        self._warn(extent)

    def _warn(self, extent: Extent) -> None:
        counts = self.history.counts
        counts.strays = sum(extent.strays.values())
        if counts.strays:
            days = [f"{day}: {events:,}" for day, events in extent.strays.items()]
            more = f" and {len(days) - _SHOWN:,} days more" if len(days) > _SHOWN else ""
            counts.warnings.append(
                f"stray events: {counts.strays:,}, far from all others in time"
                f" ({', '.join(days[:_SHOWN])}{more}). The time from one round to the next does not"
                " include them; --from and --until leave them out"
            )
        if not self.spans:
            return
        latest = int(time.time() * 1000) + timestamps.AHEAD
        rounds, why = self.spans.until(latest), "times of later ones are over a day in the future"
        by_ids = self.spans.rounds_of_ids
        if by_ids is not None and by_ids < rounds:
            rounds, why = by_ids, "ids of later ones are above 2^53-1, and the replay ends there"
        if not 0 < self.rounds <= rounds:
            counts.warnings.append(f"the job accepts {rounds:,} rounds: {why}")

    def end_of(self, number: int) -> int:
        """Return the time of the last event of a round, without strays; known after the first."""
        assert self.spans, "known after the first round"
        return self.spans.last_ms + self.spans.move(number)[0]

    def _later(self, number: int, skip: int) -> Iterator[Block]:
        assert self.spans, "known after the first round"
        history = self.history
        shift = Shift(history.types, history.selection, history.counts)
        # Events that cannot be moved are left out: `skip` counts those that were sent.
        for block in history.blocks():
            moved = shift.moved(block, self.spans, number)
            start = min(skip, len(moved))
            skip -= start
            if start < len(moved):
                yield moved.part(start, len(moved))


class Ahead:
    """Read a few pieces ahead in its own thread, so that reading doesn't disturb the pace."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._waiting: deque[Future[Piece | None]] = deque()
        for _ in range(_AHEAD):
            self._request()

    def is_ready(self, seconds: float) -> bool:
        """Wait for the next piece, at most for that time; return whether it is ready."""
        return bool(wait([self._waiting[0]], seconds).done)

    def take(self) -> Piece | None:
        """Return the next piece; None at the end. Re-raise what reading raised."""
        piece = self._waiting.popleft().result()
        self._request()
        return piece

    def close(self) -> None:
        """Stop reading after the current piece."""
        self._pool.shutdown(cancel_futures=True)

    def _request(self) -> None:
        self._waiting.append(self._pool.submit(next, self._pieces, None))


class Shift:
    """Move blocks into another round; count events that cannot be moved as bad lines."""

    def __init__(self, types: EventTypes, selection: Selection, counts: Counts) -> None:
        self._members = {event_type.name: _Members.of(event_type) for event_type in types}
        self._selection = selection
        self._counts = counts

    def moved(self, block: Block, spans: Spans, number: int) -> Block:
        """Return a block's events as those of round `number`, with id, times and key moved.

        The times are those of the event type's schema and of the selection. An event that is no
        object, has no known type, or lacks a time is a bad line. The JSON is written anew.
        """
        ms, ids = spans.move(number)
        events: dict[int, dict[str, Any]] = {}
        refused: dict[int, str] = {}
        times: dict[TimeFormat, list[_Time]] = {"iso": [], "sql": []}
        for row, raw in enumerate(block.raws):
            try:
                events[row] = self._event(raw, ids)
                for kind, holder, name in self._times(events[row]):
                    times[kind].append((row, holder, name))
            except _Immovable as error:
                refused[row] = str(error)
        for kind, of_kind in times.items():
            refused = _move(of_kind, ms, kind) | refused
        for row, why in sorted(refused.items()):
            where = f"round {number}, event of {timestamps.text(int(block.times[row]))}"
            self._counts.bad_line(where, why)
        rows = [row for row in events if row not in refused]
        return Block(
            block.times[rows] + ms,
            [msgspec.json.encode(events[row]) for row in rows],
            [self._key(events[row], block.keys[row]) for row in rows],
            [block.headers[row] for row in rows] if block.headers else None,
        )

    def _event(self, raw: bytes | None, ids: int) -> dict[str, Any]:
        """Return the event with its id moved."""
        try:
            event = _decode(raw or b"")
        except DECODE_ERRORS:
            raise _Immovable("no JSON object") from None
        members = self._members_of(event)
        if members is None:
            raise _Immovable("type names no event type")
        if len(members.id) > 1:
            raise _Immovable(f"its id has several fields: {', '.join(members.id)}")
        for name in members.id:
            if type(event.get(name)) is not int:
                raise _Immovable(f"{name} is no integer")
            if abs(event[name]) >= EXACT_IN_DOUBLE:
                raise _Immovable(f"{name} is beyond 2^53-1")
            event[name] += ids
        return event

    def _members_of(self, event: dict[str, Any]) -> _Members | None:
        """Return the members of the event's type; without `type` in it, those of the only type."""
        if "type" not in event and len(self._members) == 1:
            return next(iter(self._members.values()))
        name = event.get("type")
        return self._members.get(name) if isinstance(name, str) else None

    def _times(self, event: dict[str, Any]) -> Iterator[tuple[TimeFormat, dict[str, Any], str]]:
        """Yield each time to move: its format, the object that holds it, and its name there."""
        members = self._members_of(event)
        assert members, "an event without any was refused"
        for field in members.times:
            value = event.get(field.name, _ABSENT)
            if isinstance(value, str):
                yield "iso", event, field.name
            elif not (field.optional if value is _ABSENT else field.nullable and value is None):
                raise _Immovable(f"{field.name} is no text")
        path = self._selection.timestamp_field
        if path not in members.names:
            holder, name = _holder(event, path)
            if not isinstance(holder.get(name), str):
                raise _Immovable(f"{path} is no text")
            yield self._selection.timestamp_format, holder, name

    def _key(self, event: dict[str, Any], key: bytes | None) -> bytes | None:
        field, members = self._selection.key_field, self._members_of(event)
        moved = {*(members.names if members else ()), self._selection.timestamp_field}
        if key is None or field not in moved:
            return key
        holder, name = _holder(event, field)
        return str(holder[name]).encode()


_Time = tuple[int, dict[str, Any], str]
"""A row, the object that holds its time, and the time's name there."""


class _Immovable(Exception):
    """An event cannot be moved into another round; the message is the reason."""


class _Members(NamedTuple):
    """The members that a round changes: the id and the times of the schema, and their names."""

    id: tuple[str, ...]
    times: tuple[Field, ...]
    names: frozenset[str]

    @staticmethod
    def of(event_type: EventType) -> _Members:
        times = tuple(field for field in event_type.fields if field.kind == "timestamp")
        names = frozenset({*event_type.id, *(field.name for field in times)})
        return _Members(event_type.id, times, names)


def _move(times: Sequence[_Time], ms: int, kind: TimeFormat) -> dict[int, str]:
    """Move times, parsed together because that is faster; return why rows are refused."""
    if not times:
        return {}
    texts = [holder[name] for _, holder, name in times]
    is_iso = kind == "iso"
    if is_iso:  # Not `parse_times`, which truncates to milliseconds.
        millis, good = parse_canonical(list(map(canonical, texts)))
    else:
        millis, good = parse_times(texts, kind)
    stamps = np.datetime_as_string((millis + ms).astype("M8[ms]")).tolist()
    refused: dict[int, str] = {}
    for (row, holder, name), is_good, stamp in zip(times, good.tolist(), stamps, strict=True):
        if is_good:
            holder[name] = f"{stamp}Z" if is_iso else stamp.replace("T", " ")
        else:
            refused.setdefault(row, f"{name}: {EXPECTED[kind]}")
    return refused


def _holder(event: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """Return the object that a dotted path leads to (empty if none), and the name in it."""
    *folders, name = path.split(".")
    holder: Any = event
    for folder in folders:
        holder = holder.get(folder) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else {}, name
