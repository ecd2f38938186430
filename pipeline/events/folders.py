"""The names of the lake's folders: escaped as Flink does it, and bounded."""

from __future__ import annotations

from typing import Final

from pipeline.events.model import EventType, PartitionField

HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
"""The value of a null, by Hive's name, which Spark, Trino and DuckDB read as null."""

LONGEST_FOLDER: Final = 255
"""Bytes of `<name>=<value>`, as file systems allow for one name."""

_ESCAPED: Final = {
    ord(character): f"%{ord(character):02X}"
    for character in (*map(chr, range(1, 32)), *"\"#%'*/:=?\\\x7f{}[]^")
}
"""Characters that Flink's `PartitionPathUtils` escapes; Spark leaves `}` as it is, see
findings/flink_and_spark_escape_partitions_differently.sh."""


def escape(text: str) -> str:
    """Return a text as a part of a path."""
    return text.translate(_ESCAPED)


def folder(field: PartitionField, text: str) -> str:
    """Return a partition field's folder for the text of a transformed value."""
    return f"{field.name}={escape(text)}"


def unfit(field: PartitionField, value: str) -> str:
    """Return why a text can't be the value of this partition field, else an empty text."""
    text = value[: field.width] if field.transform == "truncate" else value
    if not text:
        return f"text that is not empty, for the partition {field.name}"
    if text == HIVE_NULL:
        return f"any other text: it stands for null in the partition {field.name}"
    size = len(folder(field, text).encode())
    if size > LONGEST_FOLDER:
        return f"a partition {field.name} of {LONGEST_FOLDER} bytes when escaped; this has {size}"
    return ""


def text_fields(event_type: EventType) -> tuple[PartitionField, ...]:
    """Return the partition fields that a text names, of which `unfit` judges."""
    return tuple(
        field
        for field in event_type.partition_by
        if field.transform != "bucket" and event_type.field(field.source).kind == "string"
    )
