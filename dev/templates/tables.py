"""The Glue tables over the lake and the archive, derived from the schemas.

Partition projection: Athena computes the partitions from the query and asks no catalogue, so a
new month can be read at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from dev.templates.athena_types import athena_type_of
from pipeline.collect.columns import archive_columns, arrow_schema, lake_schema
from pipeline.config.model import Source
from pipeline.decode.partition import transformed
from pipeline.decode.records import ARRIVAL_KEYS
from pipeline.events.folders import HIVE_NULL, escape
from pipeline.events.model import TIME_TRANSFORMS, EventType, EventTypes, Field, PartitionField

FIRST_YEAR: Final = 2009
"""Earlier events are rejects."""
_MOST_VALUES: Final = 1_000_000
_INJECTED: Final = {"type": "injected"}
"""Athena lists nothing: a query names the value."""
LAST_YEAR: Final = 2035
"""A query without a year looks into every month up to this year's end."""
# Columns of both back ends: Athena reads Parquet by name, and what a file lacks is null.
_ANY_SOURCE: Final = Source(kafka_topics=("any",), kinesis_streams=("any",))
_HIVE: Final = "org.apache.hadoop.hive.ql.io.parquet"


def glue_tables(types: EventTypes) -> dict[str, Any]:
    """The tables as CloudFormation resources: one per event type, and the archive's."""
    lakes = {
        f"Table{_camel(event_type.name)}": _lake_table(event_type) for event_type in types.types
    }
    return {**lakes, "TableArchive": _archive_table()}


def _lake_table(event_type: EventType) -> dict[str, Any]:
    ranges = {field.name: _range(event_type, field) for field in event_type.partition_by}
    columns = lake_schema(event_type, _ANY_SOURCE, keep_unknown=True)
    folder = f"lake/{event_type.name}"
    return _table(
        event_type.name, event_type.doc, columns, event_type.partition_names, folder, ranges
    )


def _range(event_type: EventType, partition: PartitionField) -> dict[str, str]:
    """Return what Athena must know to list the values of a partition.

    https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
    """
    source = event_type.field(partition.source)
    texts = _few_texts(partition, source)
    if texts and "," not in "".join(texts):
        return {"type": "enum", "values": ",".join([*texts, *[HIVE_NULL] * source.nullable])}
    if source.nullable or (source.kind == "string" and partition.transform != "bucket"):
        return _INJECTED
    if partition.transform in TIME_TRANSFORMS:
        return _TIMES.get(partition.format) or _dates(partition)
    digits = int(partition.format.strip("%d") or 1)
    if partition.transform == "bucket":
        return _integers(0, partition.width - 1, digits)
    assert source.minimum is not None and source.maximum is not None, "numbers have a range"
    least, most = (
        transformed(partition, source, int(end)) for end in (source.minimum, source.maximum)
    )
    if (most - least) // (partition.width or 1) > _MOST_VALUES:
        return _INJECTED
    return _integers(least, most, digits, partition.width or 1)


def _few_texts(partition: PartitionField, source: Field) -> list[str]:
    """Return all values of a partition of texts or booleans, if the schema lists them."""
    if source.kind == "boolean":
        return ["false", "true"]
    return [escape(text) for text in source.enum] if partition.transform == "identity" else []


def _dates(partition: PartitionField) -> dict[str, str]:
    """Return the range of a partition by dates; its format in Java's letters."""
    if "%Y" not in partition.format:
        return _INJECTED
    java = partition.format
    for part, letters in (("%Y", "yyyy"), ("%m", "MM"), ("%d", "dd"), ("%H", "HH")):
        java = java.replace(part, letters)
    first = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).strftime(partition.format)
    unit = {"year": "YEARS", "month": "MONTHS", "day": "DAYS", "hour": "HOURS"}[partition.transform]
    return {
        "type": "date",
        "format": java,
        "range": f"{first},NOW+1DAYS",
        "interval": "1",
        "interval.unit": unit,
    }


def _archive_table() -> dict[str, Any]:
    ranges = {
        "arrival_date": {"type": "date", "format": "yyyy-MM-dd", "range": "2009-01-01,NOW+1DAYS"},
        "arrival_hour": _integers(0, 23, 2),
    }
    columns = arrow_schema(archive_columns(_ANY_SOURCE))
    doc = "Every raw record as it came, with its position."
    return _table("archive", doc, columns, ARRIVAL_KEYS, "archive", ranges)


def _integers(first: int, last: int, digits: int, interval: int = 1) -> dict[str, str]:
    numbers = {"type": "integer", "range": f"{first},{last}", "digits": str(digits)}
    return numbers | ({"interval": str(interval)} if interval > 1 else {})


_TIMES: Final[Mapping[str, dict[str, str]]] = {
    "%Y": _integers(FIRST_YEAR, LAST_YEAR, 4),
    "%m": _integers(1, 12, 2),
    "%d": _integers(1, 31, 2),
    "%H": _integers(0, 23, 2),
}
"""The ranges of times of which a partition has one part only."""


def _table(
    name: str,
    doc: str,
    columns: pa.Schema,
    keys: Iterable[str],
    folder: str,
    ranges: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    place = {"Fn::Sub": f"s3://${{DataBucket}}/{folder}"}
    template = "/".join(f"{key}=${{!{key}}}" for key in keys)
    projection = {
        f"projection.{key}.{option}": text for key in keys for option, text in ranges[key].items()
    }
    parameters = {
        "EXTERNAL": "TRUE",
        "classification": "parquet",
        "projection.enabled": "true",
        **projection,
        "storage.location.template": {"Fn::Sub": f"s3://${{DataBucket}}/{folder}/{template}"},
    }
    stored = [column for column in columns if column.name not in ranges]
    storage = {
        "Location": place,
        "InputFormat": f"{_HIVE}.MapredParquetInputFormat",
        "OutputFormat": f"{_HIVE}.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": f"{_HIVE}.serde.ParquetHiveSerDe"},
        "Columns": [
            {"Name": column.name, "Type": athena_type_of(column.type)} for column in stored
        ],
    }
    table = {
        "Name": name,
        "Description": doc,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
        "StorageDescriptor": storage,
    }
    properties = {
        "CatalogId": {"Ref": "AWS::AccountId"},
        "DatabaseName": {"Ref": "Database"},
        "TableInput": table,
    }
    return {"Type": "AWS::Glue::Table", "Properties": properties}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
