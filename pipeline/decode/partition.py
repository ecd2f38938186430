"""The lake partition of an event, by its type's `partitionBy`: a pure rule, and for whole columns.

Transforms and hashes are Iceberg's: https://iceberg.apache.org/spec/#partition-transforms. Folders
are escaped as Flink escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import unquote

import mmh3
import numpy as np

from pipeline.decode.columns import Array
from pipeline.decode.timestamps import EPOCH, MILLISECOND
from pipeline.events.folders import HIVE_NULL, escape, folder
from pipeline.events.instants import FRACTIONS
from pipeline.events.model import TIME_TRANSFORMS, EventType, Field, PartitionField

_UNITS: Final = {"year": "Y", "month": "M", "day": "D", "hour": "h"}
_CACHED: Final = 100_000
_LARGE_SPAN: Final = 2**31
_LARGEST: Final = 2**62
_TABLE: Final = 2**16
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_MICROS: Final = 1_000_000
_POSITIVE: Final = 2**31 - 1


def partition(event_type: EventType, values: Mapping[str, Any]) -> str:
    """Return the name of an event's partition, such as `orders/day=2018-01-31`.

    `values` are the event's by field, timestamps as numbers of their unit since 1970. They have no
    value that `unfit` tells of.
    """
    texts = [
        _text(field, transformed(field, event_type.field(field.source), values[field.source]))
        for field in event_type.partition_by
    ]
    return _name(event_type, texts)


def transformed(field: PartitionField, source: Field, value: Any) -> Any:
    """Return Iceberg's transform of a value of `source`.

    Of times, it counts years, months, days or hours since 1970.
    """
    if value is None or field.transform == "identity":
        return value
    if field.transform == "truncate":
        return value[: field.width] if source.kind == "string" else value - value % field.width
    if field.transform == "bucket":
        return _bucket(field, source, value)
    moment = EPOCH + value // (FRACTIONS[source.unit] // 1000) * MILLISECOND
    return int(np.datetime64(moment.replace(tzinfo=None), _UNITS[field.transform]).astype(np.int64))


def is_partition(event_type: EventType, name: str) -> bool:
    """Return whether the event type can have a partition of this name."""
    own, *folders = name.split("/")
    if own != event_type.name or len(folders) != len(event_type.partition_by):
        return False
    return all(map(_has_form, folders, event_type.partition_by))


def _has_form(name: str, field: PartitionField) -> bool:
    key, _, escaped = name.partition("=")
    text = unquote(escaped)
    if key != field.name or escape(text) != escaped or not text:
        return False
    if not field.format or text == HIVE_NULL:
        return True
    try:
        if field.transform in TIME_TRANSFORMS:
            # In a leap year, where the format has no year.
            moment = datetime.strptime(f"2000 {text}", _any_year(field.format)).replace(tzinfo=UTC)
            return _formatted(moment, field.format) == text
        return field.format % int(text) == text
    except ValueError:
        return False


def _formatted(moment: datetime, form: str) -> str:
    """Return the time in this form; a year has four digits, as in SQL."""
    return moment.strftime(form.replace("%Y", f"{moment.year:04d}"))


def _any_year(form: str) -> str:
    return f"2000 {form}" if "%Y" in form else f"%Y {form}"


class Partitioner:
    """Names the partitions of events of one type, for whole columns."""

    def __init__(self, event_type: EventType) -> None:
        self._event_type = event_type
        self._fields = event_type.partition_by
        self._sources = tuple(dict.fromkeys(field.source for field in self._fields))
        self._names: dict[tuple[Any, ...], str] = {}

    def partitions(self, columns: Callable[[str], Array]) -> tuple[Array, list[str]]:
        """Return each event's place in the list of names, and this list, each name once.

        `columns` returns a field's column as `Decoded` has it.
        """
        column_of = {source: columns(source) for source in self._sources}
        if not len(column_of[self._sources[0]]):
            return np.zeros(0, np.int64), []
        coded = [self._coded(field, column_of[field.source]) for field in self._fields]
        firsts, places = _distinct(*_combined([codes for codes, _ in coded]))
        values = zip(*(of(codes[firsts]) for codes, of in coded), strict=True)
        if len(self._names) > _CACHED:
            self._names.clear()
        return _each_once(places, [self._name_of(key) for key in values])

    def _coded(self, field: PartitionField, column: Array) -> tuple[Array, _ValuesOf]:
        """Return numbers that are equal where the transformed values are, and these values."""
        source = self._event_type.field(field.source)
        is_whole = column.dtype.kind == "i" or (
            column.dtype.kind == "M" and not np.isnat(column).any()
        )
        if is_whole and not _wraps(field, column):
            return _numbers(field, source, column), _same
        of_value = {value: transformed(field, source, value) for value in set(_values(column))}
        values = list(dict.fromkeys(of_value.values()))
        code_of = {value: code for code, value in enumerate(values)}
        codes = (code_of[of_value[value]] for value in _values(column))
        of_codes = np.fromiter(codes, np.int64, len(column))
        return of_codes, lambda chosen: [values[code] for code in chosen.tolist()]

    def _name_of(self, key: tuple[Any, ...]) -> str:
        name = self._names.get(key)
        if name is None:
            texts = [_text(field, value) for field, value in zip(self._fields, key, strict=True)]
            name = self._names[key] = _name(self._event_type, texts)
        return name


_ValuesOf = Callable[[Array], list[Any]]


def _same(codes: Array) -> list[Any]:
    return cast(list[Any], codes.tolist())


def _values(column: Array) -> list[Any]:
    """Return the values; times as numbers of their unit, null as None."""
    if column.dtype.kind != "M":
        return cast(list[Any], column.tolist())
    return [
        None if is_null else count
        for is_null, count in zip(
            np.isnat(column).tolist(), column.view(np.int64).tolist(), strict=True
        )
    ]


def _wraps(field: PartitionField, column: Array) -> bool:
    """Return whether a number less its rest is below 64 bits; then Python counts."""
    if field.transform != "truncate" or not len(column):
        return False
    return int(column.astype(np.int64).min()) < field.width - 2 * _LARGEST


def _numbers(field: PartitionField, source: Field, column: Array) -> Array:
    """Return the transformed values of a column of integers or times without null."""
    if field.transform in TIME_TRANSFORMS:
        return _times(field, column.view(np.int64) // (FRACTIONS[source.unit] // 1000))
    numbers = column.view(np.int64) if column.dtype.kind == "M" else column.astype(np.int64)
    if field.transform == "truncate":
        return numbers - numbers % field.width
    if field.transform == "bucket":
        buckets = (_bucket(field, source, value) for value in numbers.tolist())
        return np.fromiter(buckets, np.int64, len(numbers))
    return numbers


def _times(field: PartitionField, millis: Array) -> Array:
    """Return years, months, days or hours since 1970."""
    if field.transform == "hour":
        return millis // _HOUR_MS
    days = millis // _DAY_MS
    if field.transform == "day":
        return days
    first, last = int(days.min()), int(days.max())
    if last - first > len(days):  # few events of a long time
        return days.astype("M8[D]").astype(f"M8[{_UNITS[field.transform]}]").astype(np.int64)
    calendar: Array = np.arange(first, last + 1).astype("M8[D]")
    calendar = calendar.astype(f"M8[{_UNITS[field.transform]}]").astype(np.int64)
    ordinals: Array = calendar[days - first]
    return ordinals


def _combined(columns: Iterable[Array]) -> tuple[Array, int]:
    """Return one number for each row, equal where all columns are, and the end of the numbers."""
    combined, size = np.zeros(1, np.int64), 1
    for codes in columns:
        least, span = int(codes.min()), int(codes.max()) - int(codes.min()) + 1
        if span > _LARGE_SPAN:
            codes, span = _dense(codes)
            least = 0
        if size * span > _LARGEST:
            combined, size = _dense(combined)
        combined = combined * span + (codes - least)
        size *= span
    return combined, size


def _distinct(numbers: Array, end: int) -> tuple[Array, Array]:
    """Return a row of each number, and each row's place in these."""
    if end > _TABLE:
        _, rows, places = np.unique(numbers, return_index=True, return_inverse=True)
        return rows, places
    row_of = np.full(end, -1)  # a table is quicker than sorting
    row_of[numbers] = np.arange(len(numbers))
    rows = row_of[row_of >= 0]
    place_of = np.cumsum(row_of >= 0) - 1
    return rows, place_of[numbers]


def _each_once(places: Array, names: list[str]) -> tuple[Array, list[str]]:
    """Join the same names: with `%m` alone, January of each year has one."""
    first = {name: number for number, name in enumerate(dict.fromkeys(names))}
    if len(first) == len(names):
        return places, names
    return np.array([first[name] for name in names])[places], list(first)


def _dense(codes: Array) -> tuple[Array, int]:
    distinct, places = np.unique(codes, return_inverse=True)
    return places, len(distinct)


def _bucket(field: PartitionField, source: Field, value: Any) -> int:
    """Return Iceberg's bucket: 32-bit Murmur3 (x86), of an integer as a long, of a text as UTF-8.

    A timestamp is hashed as microseconds, whatever its unit.
    """
    if source.kind == "string":
        data = value.encode()
    else:
        number = value
        if source.kind == "timestamp":
            number = value * _MICROS // FRACTIONS[source.unit]
        data = number.to_bytes(8, "little", signed=True)
    return (mmh3.hash(data) & _POSITIVE) % field.width


def _text(field: PartitionField, value: Any) -> str:
    """Return the text of a transformed value, not escaped."""
    if value is None:
        return HIVE_NULL
    if field.transform in TIME_TRANSFORMS:
        moment = np.datetime64(value, _UNITS[field.transform]).astype("M8[s]").astype(datetime)
        return _formatted(cast(datetime, moment), field.format)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else field.format % value


def _name(event_type: EventType, texts: Sequence[str]) -> str:
    folders = map(folder, event_type.partition_by, texts)
    return "/".join((event_type.name, *folders))
