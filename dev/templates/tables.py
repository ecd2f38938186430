"""The Glue tables over the lake and the archive, derived from the schemas.

Partition projection: Athena computes the partitions from the query and asks no catalogue, so a
new month can be read at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pipeline.collect.columns import LAKE_KEYS, archive_columns, lake_columns
from pipeline.config.model import Source
from pipeline.decode.records import ARRIVAL_KEYS
from pipeline.events.model import EventType, EventTypes

FIRST_YEAR: Final = 2009
"""Earlier events are rejects."""
LAST_YEAR: Final = 2035
"""A query without a year looks into every month up to this year's end."""
_ATHENA: Final[Mapping[str, str]] = {
    "INT": "int",
    "BIGINT": "bigint",
    "DOUBLE": "double",
    "STRING": "string",
    "BOOLEAN": "boolean",
    "BYTES": "binary",
    "TIMESTAMP_LTZ(3)": "timestamp",
    "ARRAY<STRING>": "array<string>",
    "ARRAY<BYTES>": "array<binary>",
}
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
    place = event_type.field(event_type.place)
    assert place.minimum is not None and place.maximum is not None, "numbers have a range"
    ranges = {
        "pickup_location": _integers(int(place.minimum), int(place.maximum), 3),
        "year": _integers(FIRST_YEAR, LAST_YEAR, 4),
        "month": _integers(1, 12, 2),
    }
    columns = lake_columns(event_type, _ANY_SOURCE, keep_unknown=True)
    folder = f"lake/{event_type.name}"
    return _table(event_type.name, event_type.doc, columns, LAKE_KEYS, folder, ranges)


def _archive_table() -> dict[str, Any]:
    ranges = {
        "arrival_date": {"type": "date", "format": "yyyy-MM-dd", "range": "2009-01-01,NOW+1DAYS"},
        "arrival_hour": _integers(0, 23, 2),
    }
    columns = archive_columns(_ANY_SOURCE)
    doc = "Every raw record as it came, with its position."
    return _table("archive", doc, columns, ARRIVAL_KEYS, "archive", ranges)


def _integers(first: int, last: int, digits: int) -> dict[str, str]:
    return {"type": "integer", "range": f"{first},{last}", "digits": str(digits)}


def _table(
    name: str,
    doc: str,
    columns: Mapping[str, str],
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
    plain = {column: kind for column, kind in columns.items() if column not in ranges}
    storage = {
        "Location": place,
        "InputFormat": f"{_HIVE}.MapredParquetInputFormat",
        "OutputFormat": f"{_HIVE}.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": f"{_HIVE}.serde.ParquetHiveSerDe"},
        "Columns": [{"Name": column, "Type": _ATHENA[kind]} for column, kind in plain.items()],
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
