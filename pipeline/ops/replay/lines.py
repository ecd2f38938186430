"""Read files of JSON lines, compressed or plain; the bytes of a line are forwarded unchanged."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Raw, Struct
from numpy.typing import NDArray

from connectors.errors import UserError
from pipeline.decode.timestamps import (
    CANONICAL_LENGTH,
    EPOCH,
    MILLISECOND,
    canonical,
    parse_canonical,
)
from pipeline.ops.replay.files import DataSet
from pipeline.ops.replay.order import LOWEST, Rows, Times, objects
from pipeline.ops.replay.selection import Counts, Selection

TimeFormat = Literal["iso", "sql"]

DECODE_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
EXPECTED: Final = {
    "iso": "no ISO-8601 instant with an offset or Z, such as 2018-01-01T00:21:05.000Z",
    "sql": "no instant such as 2018-01-01 00:21:05 or 2018-01-01 00:21:05.000",
}
"""The error message for an invalid time, by format."""

_SQL: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?")
_READ_BYTES: Final = 1024 * 1024
_PEEK_BYTES: Final = 64 * 1024
_LONGEST_LINE: Final = 16 * 1024 * 1024

_BYTE_ORDER_MARKS: Final = {
    codecs.BOM_UTF8: "UTF-8",
    codecs.BOM_UTF32_LE: "UTF-32",  # Before UTF-16, whose mark it begins with.
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

_Tree = dict[str, Any]


class LineReader:
    """Read lines; count and name bad ones, without failing.

    Raises:
        UserError: the field name of the time or the key is invalid.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._fields = EventFields(selection.timestamp_field, selection.key_field)

    def first_ms(self, data: DataSet, path: str) -> int:
        """Return the earliest time among the first lines; `LOWEST` if there is none."""
        try:
            with data.unpacked(path, _PEEK_BYTES) as stream:
                text = stream.read(_PEEK_BYTES)
        except OSError:
            return LOWEST
        lines = (text.rpartition(b"\n")[0] or text).split(b"\n")
        rows = self._rows(lines, path, 1, Counts())
        return int(rows.times.min()) if len(rows) else LOWEST

    def read(self, data: DataSet, path: str, counts: Counts) -> Iterator[Rows]:
        """Yield a file's rows in the order of its lines; of a damaged file, the whole ones."""
        number = 1
        try:
            for lines in _lines(data, path):
                yield self._rows(lines, path, number, counts)
                number += len(lines)
        except _Damage as damage:
            counts.bad_file(path, f"damaged from here on, after line {number - 1}: {damage}")

    def _rows(self, lines: list[bytes], path: str, number: int, counts: Counts) -> Rows:
        """Return the good lines as rows; `number` is that of the first line."""
        counts.lines += len(lines)
        try:
            events, indices = list(map(self._fields.decode, lines)), list(range(len(lines)))
        except DECODE_ERRORS:
            events, indices = self._decoded_singly(lines, path, number, counts)
        kind = self._selection.timestamp_format
        millis, good = parse_times(self._fields.times(events), kind)
        keys = objects(self._fields.keys(events), len(events))
        rows = Rows(millis, objects(map(lines.__getitem__, indices), len(events)), keys)
        if good.all():
            return rows
        why = f"{self._selection.timestamp_field}: {EXPECTED[kind]}"
        for row in np.flatnonzero(~good).tolist():
            counts.bad_line(f"{path}:{number + indices[row]}", why)
        return rows.take(good)

    def _decoded_singly(
        self, lines: list[bytes], path: str, number: int, counts: Counts
    ) -> tuple[list[Struct], list[int]]:
        """Return the good lines decoded, and their indices."""
        events: list[Struct] = []
        indices: list[int] = []
        for index, line in enumerate(lines):
            try:
                events.append(self._fields.decode(line))
                indices.append(index)
            except DECODE_ERRORS as error:
                if line.strip():
                    counts.bad_line(f"{path}:{number + index}", _why(error, line))
                else:
                    counts.blank_lines += 1
                    counts.lines -= 1
        return events, indices


def _why(error: BaseException, line: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if line.startswith(mark):
            return f"begins with the byte-order mark of {encoding}: save it as UTF-8 without one"
    # msgspec's messages name fields and types, never values; Python's contain bytes.
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


class _Damage(Exception):
    """The rest of a file cannot be read."""


def _lines(data: DataSet, path: str) -> Iterator[list[bytes]]:
    rest = b""
    for text in _texts(data, path):
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


def _texts(data: DataSet, path: str) -> Iterator[bytes]:
    """Yield the decompressed bytes, up to the end or up to where _Damage is raised."""
    good = 0
    try:
        with data.unpacked(path) as stream:
            while text := stream.read(_READ_BYTES):
                good += len(text)
                yield text
    except OSError as error:
        yield _rescued(data, path, good)
        raise _Damage(str(error)) from error


def _rescued(data: DataSet, path: str, good: int) -> bytes:
    """Continue byte by byte after the first `good` bytes: the read that failed lost some."""
    rescued = bytearray()
    with data.unpacked(path) as stream:
        while good > 0:
            good -= len(stream.read(min(good, _READ_BYTES)))
        with suppress(OSError):
            while text := stream.read(1):
                rescued += text
    return bytes(rescued)


class EventFields:
    """Decode JSON into a struct with time and key only; skip all other fields.

    Dots in a field's name lead into objects. The time is required.

    Raises:
        UserError: a name is empty, or one field lies within the other.
    """

    def __init__(self, time_field: str, key_field: str) -> None:
        tree: _Tree = {}
        self._time = _getter(tree, time_field, str)
        self._key = self._time if key_field == time_field else None
        if key_field and not self._key:
            self._key = _getter(tree, key_field, Raw)
        self.decode: Final = msgspec.json.Decoder(struct_of(tree)).decode

    def times(self, events: Sequence[Struct]) -> list[str]:
        """Return the texts of the events' times."""
        return list(map(self._time, events))

    def keys(self, events: Sequence[Struct]) -> list[bytes | None]:
        """Return the keys: UTF-8 of a text, JSON of any other value, None if null or absent."""
        if self._key is None:
            return [None] * len(events)
        if self._key is self._time:
            return [self._time(event).encode() for event in events]
        values = map(bytes, map(self._key, events))
        return [value if value.isdigit() else _key(value) for value in values]


def _getter(tree: _Tree, path: str, kind: type) -> Callable[[Struct], Any]:
    """Add a field to the tree of fields to decode; return a function that gets it from a struct."""
    *folders, leaf = names = path.split(".")
    for name in folders:
        tree = tree.setdefault(name, {}) if isinstance(tree, dict) else tree
    if not all(names) or not isinstance(tree, dict) or leaf in tree:
        raise UserError(
            f"cannot find events by the field {path!r}: give a name, or several with dots between"
            " them, and no field that lies within the other one"
        )
    tree[leaf] = kind
    return attrgetter(".".join(map(_attribute, names)))


def _attribute(name: str) -> str:
    # A valid Python name, whatever the field is called.
    return "f" + name.encode().hex()


def struct_of(tree: _Tree) -> type[Struct]:
    """Define a struct by field names: str is required, Raw is empty if absent, a dict nests."""
    renamed = {_attribute(name): name for name in tree}
    members = [_member(_attribute(name), kind) for name, kind in tree.items()]
    return msgspec.defstruct("EventFields", members, rename=renamed, kw_only=True, gc=False)


def _member(attribute: str, kind: Any) -> tuple[str, Any] | tuple[str, Any, Any]:
    if kind is str:
        return attribute, str
    if kind is Raw:
        return attribute, Raw, Raw(b"")
    struct = struct_of(kind)
    if any(field.required for field in msgspec.structs.fields(struct)):
        return attribute, struct
    return attribute, struct, msgspec.field(default_factory=struct)


def _key(value: bytes) -> bytes | None:
    if value in (b"", b"null"):
        return None
    if not value.startswith(b'"'):
        return value
    try:
        return msgspec.json.decode(value, type=str).encode()
    except DECODE_ERRORS:
        return value


def parse_times(texts: Sequence[str], kind: TimeFormat) -> tuple[Times, NDArray[np.bool_]]:
    """Parse instants to epoch milliseconds, truncated; also return which are valid."""
    if kind == "sql":
        texts = [f"{t[:10]}T{t[11:]}Z" if _SQL.fullmatch(t) else "" for t in texts]
    if set(map(len, texts)) <= {CANONICAL_LENGTH}:
        millis, good = parse_canonical(texts)
    else:
        millis, good = parse_canonical([canonical(text) for text in texts])
    for index in np.flatnonzero(~good):
        instant = _instant(texts[index])
        if instant is not None:
            millis[index], good[index] = instant, True
    return millis, good


def _instant(text: str) -> int | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if instant.tzinfo is None else (instant - EPOCH) // MILLISECOND
