"""Read `partitionBy` of a schema: how the lake's folders follow from an event's fields.

Transforms are those of Iceberg's specification, by its names:
https://iceberg.apache.org/spec/#partition-transforms
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, cast

from pipeline.events.folders import HIVE_NULL, LONGEST_FOLDER, unfit
from pipeline.events.model import TIME_TRANSFORMS, Field, Kind, PartitionField, Transform

MOST_FIELDS: Final = 8
_KEYS: Final = ("name", "from", "transform", "format")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TRANSFORM: Final = re.compile(
    r"(identity|year|month|day|hour)|(truncate|bucket)\[([1-9]\d{0,8})\]"
)
_NUMBER_FORMAT: Final = re.compile(r"%(0[1-9]\d?)?d")
_TIME_FORMAT: Final = re.compile(r"(?:%[YmdH]|[-_])+")
_TIME_PARTS: Final = {"year": "Y", "month": "Ym", "day": "Ymd", "hour": "YmdH"}
_TIME_FORMATS: Final = {
    "year": "%Y",
    "month": "%Y-%m",
    "day": "%Y-%m-%d",
    "hour": "%Y-%m-%d-%H",
}
"""The form of a time in Iceberg's paths."""
_KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "identity": ("int32", "int64", "string", "boolean"),
    "truncate": ("int32", "int64", "string"),
    "bucket": ("int32", "int64", "string", "timestamp"),
    **dict.fromkeys(TIME_TRANSFORMS, ("timestamp",)),
}
_MOST_BUCKETS: Final = 10_000
_LONGEST_NAME: Final = 700
"""Bytes of all folders: S3 takes keys of 1,024, and the lake's path and file names need room."""
_DIGITS: Final = 20
_LEAST: Final = -(2**63)

Fault = Callable[[str, object, str], NoReturn]


def read_partition_spec(
    declared: object, fields: Mapping[str, Field], taken: frozenset[str], fault: Fault
) -> tuple[PartitionField, ...]:
    """Return the partition fields of a schema.

    `taken` are names of other columns of the files. `fault(where, value, allowed)` raises.
    """
    if not isinstance(declared, list) or not 1 <= len(declared) <= MOST_FIELDS:
        fault("partitionBy", declared, f"a list of 1 to {MOST_FIELDS} objects with name and from")
    found = tuple(_Entry(number, each, fault).read(fields) for number, each in enumerate(declared))
    _refuse_taken(found, {*fields, *taken}, fault)
    longest = sum(1 + _longest(partition, fields[partition.source]) for partition in found)
    if longest > _LONGEST_NAME:
        allowed = (
            f"folders of {_LONGEST_NAME} bytes together; a maxLength, truncate or bucket helps"
        )
        fault("partitionBy", f"{longest} bytes at most", allowed)
    return found


def _longest(partition: PartitionField, source: Field) -> int:
    """Return the most bytes of a partition field's folder; a character has four at most."""
    key = len(partition.name) + 1
    if source.kind != "string" or partition.transform == "bucket":
        return key + max(_DIGITS, len(HIVE_NULL))
    lengths = [source.max_length or LONGEST_FOLDER, partition.width or LONGEST_FOLDER]
    if source.enum:
        lengths.append(max(map(len, source.enum)))
    return min(LONGEST_FOLDER, key + max(len(HIVE_NULL), 4 * min(lengths)))


def _refuse_taken(found: Sequence[PartitionField], taken: set[str], fault: Fault) -> None:
    taken = {name.lower() for name in taken}  # Athena and Spark ignore the case of names.
    for number, field in enumerate(found):
        if field.name in taken:
            allowed = "a name that no field, no other partition and no column of the job has"
            fault(f"partitionBy[{number}].name", field.name, allowed)
        taken.add(field.name)


class _Entry:
    """One object of the list."""

    def __init__(self, number: int, declared: object, fault: Fault) -> None:
        self._where = f"partitionBy[{number}]"
        self._refuse = fault
        if not isinstance(declared, dict) or not {"name", "from"} <= set(declared) <= set(_KEYS):
            self._fault(
                "", declared, f"an object of {', '.join(_KEYS)}; name and from are required"
            )
        self._declared: Mapping[str, Any] = declared

    def read(self, fields: Mapping[str, Field]) -> PartitionField:
        name = self._declared["name"]
        if not isinstance(name, str) or not _NAME.fullmatch(name) or keyword.iskeyword(name):
            self._fault("name", name, f"text like {_NAME.pattern}, no keyword")
        named = self._declared["from"]
        if not isinstance(named, str) or named not in fields:
            self._fault("from", named, f"a field: {', '.join(fields)}")
        source = fields[named]
        transform, width = self._transform(source)
        text_form = source.kind in ("string", "boolean") and transform != "bucket"
        form = "" if text_form else self._format(transform)
        if text_form and "format" in self._declared:
            self._fault("format", self._declared["format"], "only for numbers and times")
        partition = PartitionField(name, source.name, transform, width, form)
        self._refuse_values(partition, source)
        return partition

    def _refuse_values(self, partition: PartitionField, source: Field) -> None:
        """Refuse values of the schema that can name no folder."""
        if source.kind == "int64" and partition.transform == "truncate":
            least = _LEAST + -_LEAST % partition.width
            if source.minimum is not None and source.minimum < least:
                allowed = f"for a field with a minimum of {least} or more"
                self._fault("transform", self._declared["transform"], allowed)
        if source.kind == "string" and partition.transform != "bucket":
            texts = [*source.enum, *([source.default] if isinstance(source.default, str) else [])]
            for text in texts:
                if allowed := unfit(partition, text):
                    self._fault("from", text, allowed)

    def _transform(self, source: Field) -> tuple[Transform, int]:
        text = self._declared.get("transform", "identity")
        match = _TRANSFORM.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            allowed = "identity, year, month, day, hour, truncate[N], bucket[N]"
            self._fault("transform", text, allowed)
        transform, width = cast(Transform, match[1] or match[2]), int(match[3] or 0)
        if source.kind not in _KINDS[transform]:
            able = [name for name, kinds in _KINDS.items() if source.kind in kinds]
            allowed = f"for the {source.kind} {source.name}: {', '.join(able) or 'another field'}"
            self._fault("transform", text, allowed)
        if transform == "bucket" and width > _MOST_BUCKETS:
            self._fault("transform", text, f"at most {_MOST_BUCKETS:,} buckets")
        return transform, width

    def _format(self, transform: Transform) -> str:
        if transform not in TIME_TRANSFORMS:
            form = self._declared.get("format", "%d")
            if not isinstance(form, str) or not _NUMBER_FORMAT.fullmatch(form):
                self._fault("format", form, "%d, or with leading zeros such as %03d")
            return form
        form = self._declared.get("format", _TIME_FORMATS[transform])
        parts = _TIME_PARTS[transform]
        proper = isinstance(form, str) and _TIME_FORMAT.fullmatch(form)
        used = re.findall("%(.)", form) if proper else []
        if not used or len(set(used)) < len(used) or not set(used) <= set(parts):
            allowed = f"{', '.join(f'%{part}' for part in parts)}, each once, joined by - or _"
            self._fault("format", form, allowed)
        return str(form)

    def _fault(self, key: str, value: object, allowed: str) -> NoReturn:
        self._refuse(f"{self._where}.{key}" if key else self._where, value, allowed)
