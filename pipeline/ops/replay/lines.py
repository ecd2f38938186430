"""Files of JSON lines, packed or plain, as rows: the bytes of a line are passed on as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from msgspec import Struct

from connectors.s3.store import ReadableStore
from pipeline.ops.replay import times
from pipeline.ops.replay.files import lines_stream
from pipeline.ops.replay.rows import LOWEST, Rows, objects
from pipeline.ops.replay.selection import Counts, Selection
from pipeline.ops.replay.wanted import REFUSALS, Wanted, wanted

_READ_BYTES: Final = 1024 * 1024
_PEEK_BYTES: Final = 64 * 1024
_LONGEST_LINE: Final = 16 * 1024 * 1024
_DAMAGED: Final = "damaged from here on"


class LineReader:
    """Reads lines as a selection wants them; bad ones are counted and named, never fatal."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._wanted: Wanted = wanted(selection.timestamp_field, selection.key_field)

    def first_ms(self, store: ReadableStore, path: str) -> int:
        """The least time among the first lines; `LOWEST` where there is none."""
        try:
            with lines_stream(store, path, _PEEK_BYTES) as stream:
                text = stream.read(_PEEK_BYTES)
        except OSError:
            return LOWEST
        whole = text.rpartition(b"\n")[0] or text
        rows = self.rows(whole.split(b"\n"), _Place(path), Counts())
        return int(rows.times.min()) if len(rows) else LOWEST

    def read(self, store: ReadableStore, path: str, counts: Counts) -> Iterator[Rows]:
        """A file's rows in the order of its lines; a damaged file gives those before the damage."""
        place = _Place(path)
        try:
            for lines in _lines(store, path):
                yield self.rows(lines, place, counts)
                place.line += len(lines)
        except _Damage as damage:
            counts.bad_file(path, f"{_DAMAGED}, after line {place.line - 1}: {damage}")

    def rows(self, lines: list[bytes], place: _Place, counts: Counts) -> Rows:
        """The good ones of these lines; `place` says where the first of them stands."""
        events, at = self._decoded(lines, place, counts)
        texts = self._wanted.times(events)
        millis, good = times.parse(texts, self._selection.timestamp_format)
        keys = objects(self._wanted.keys(events), len(events))
        raws = objects(lines if at is None else (lines[each] for each in at), len(events))
        rows = Rows(millis, raws, keys)
        if good.all():
            return rows
        why = (
            f"{self._selection.timestamp_field}: {times.ALLOWED[self._selection.timestamp_format]}"
        )
        for each in np.flatnonzero(~good).tolist():
            counts.bad_line(place.of(each if at is None else at[each]), why)
        return rows.take(good)

    def _decoded(
        self, lines: list[bytes], place: _Place, counts: Counts
    ) -> tuple[list[Struct], list[int] | None]:
        """The lines that are JSON as wanted, and which of them these are; None is all of them."""
        counts.lines += len(lines)
        try:
            return list(map(self._wanted.decode, lines)), None
        except REFUSALS:
            return self._sifted(lines, place, counts)

    def _sifted(
        self, lines: Sequence[bytes], place: _Place, counts: Counts
    ) -> tuple[list[Struct], list[int]]:
        events: list[Struct] = []
        at: list[int] = []
        for each, line in enumerate(lines):
            try:
                events.append(self._wanted.decode(line))
                at.append(each)
            except REFUSALS as error:
                if line.strip():
                    counts.bad_line(place.of(each), _why(error))
                else:
                    counts.blank_lines += 1
                    counts.lines -= 1
        return events, at


@dataclass(slots=True)
class _Place:
    path: str
    line: int = 1

    def of(self, offset: int) -> str:
        return f"{self.path}:{self.line + offset}"


class _Damage(Exception):
    """A file can't be read any further."""


def _why(error: BaseException) -> str:
    # msgspec's messages name fields and types, never values; Python's name bytes.
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def _lines(store: ReadableStore, path: str) -> Iterator[list[bytes]]:
    rest = b""
    for text in _texts(store, path):
        text = rest + text
        lines = text.split(b"\n")
        rest = lines.pop()
        if b"\r" in text:
            lines = [line.removesuffix(b"\r") for line in lines]
        if lines:
            yield lines
        if len(rest) > _LONGEST_LINE:
            raise _Damage(f"a line of more than {_LONGEST_LINE:,} bytes; are these JSON lines?")
    if rest:
        yield [rest.removesuffix(b"\r")]


def _texts(store: ReadableStore, path: str) -> Iterator[bytes]:
    """The unpacked bytes up to the end or the damage.

    Raises:
        _Damage: after what could still be had.
    """
    good = 0
    try:
        with lines_stream(store, path) as stream:
            while text := stream.read(_READ_BYTES):
                good += len(text)
                yield text
    except OSError as error:
        yield _rescued(store, path, good)
        raise _Damage(str(error)) from error


def _rescued(store: ReadableStore, path: str, good: int) -> bytes:
    """What follows the first `good` bytes up to the damage: the read that failed had lost it."""
    found = bytearray()
    with lines_stream(store, path) as stream:
        _pass_over(stream, good)
        try:
            while text := stream.read(1):
                found += text
        except OSError:
            pass
    return bytes(found)


def _pass_over(stream: Any, count: int) -> None:
    while count > 0:
        count -= len(stream.read(min(count, _READ_BYTES)))
