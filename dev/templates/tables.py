"""The Glue tables over the lake and the archive, derived from the schemas.

Partition projection: Athena computes the partitions from the query and asks no catalogue, so a
new month can be read at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pyarrow as pa

from connectors.errors import UserError
from dev.templates.athena_types import athena_type_of
from dev.templates.projection import A_DAY_AHEAD, FIRST_YEAR, Projection, integers, projection
from pipeline.collect.columns import archive_columns, arrow_schema, lake_schema
from pipeline.config.model import Source
from pipeline.decode.records import ARRIVAL_KEYS
from pipeline.events.event_types import EventType, EventTypes

_ARCHIVE: Final = "archive"
_LONGEST_DOC: Final = 2048
"""Characters of a description: Glue's `DescriptionString`."""
# Columns of both back ends: Athena reads Parquet by name, and what a file lacks is null.
_ANY_SOURCE: Final = Source(kafka_topics=("any",), kinesis_streams=("any",))
_HIVE: Final = "org.apache.hadoop.hive.ql.io.parquet"


def glue_tables(types: EventTypes) -> dict[str, Any]:
    """Return the tables as CloudFormation resources: one per event type, and the archive's.

    Raises:
        UserError: two tables would be one resource of the stack.
    """
    tables: dict[str, Any] = {}
    owners = {_resource(_ARCHIVE): _ARCHIVE}
    for event_type in types.types:
        resource = _resource(event_type.name)
        if resource in owners:
            raise UserError(
                f"the tables of {owners[resource]} and of the event type {event_type.name} are both"
                f" the stack's resource {resource}; name the event type differently"
            )
        owners[resource] = event_type.name
        tables[resource] = _lake_table(event_type)
    return {**tables, _resource(_ARCHIVE): _archive_table()}


def _lake_table(event_type: EventType) -> dict[str, Any]:
    ranges = {field.name: projection(event_type, field) for field in event_type.partition_by}
    columns = lake_schema(event_type, _ANY_SOURCE, keep_unknown=True)
    folder = f"lake/{event_type.name}"
    return _table(
        event_type.name, event_type.doc, columns, event_type.partition_names, folder, ranges
    )


def _archive_table() -> dict[str, Any]:
    ranges = {
        "arrival_date": {
            "type": "date",
            "format": "yyyy-MM-dd",
            "range": f"{FIRST_YEAR}-01-01,{A_DAY_AHEAD}",
        },
        "arrival_hour": integers(0, 23, digits=2),
    }
    columns = arrow_schema(archive_columns(_ANY_SOURCE))
    doc = "Every raw record as it came, with its position."
    return _table(_ARCHIVE, doc, columns, ARRIVAL_KEYS, "archive", ranges)


def _table(
    name: str,
    doc: str,
    columns: pa.Schema,
    keys: Iterable[str],
    folder: str,
    ranges: Mapping[str, Projection],
) -> dict[str, Any]:
    # Both end with a slash: an address is a prefix, and without one p=1 has the files of p=10.
    place = f"s3://${{DataBucket}}/{folder}/"
    template = place + "".join(f"{key}=${{!{key}}}/" for key in keys)
    projected = {
        f"projection.{key}.{option}": text for key in keys for option, text in ranges[key].items()
    }
    parameters = {
        "EXTERNAL": "TRUE",
        "classification": "parquet",
        "projection.enabled": "true",
        **projected,
        "storage.location.template": {"Fn::Sub": template},
    }
    stored = {
        column.name.lower(): athena_type_of(column.type)
        for column in columns
        if column.name not in ranges
    }
    storage = {
        "Location": {"Fn::Sub": place},
        "InputFormat": f"{_HIVE}.MapredParquetInputFormat",
        "OutputFormat": f"{_HIVE}.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": f"{_HIVE}.serde.ParquetHiveSerDe"},
        "Columns": [{"Name": name, "Type": kind} for name, kind in stored.items() if kind],
    }
    table = {
        "Name": name,
        "Description": doc[:_LONGEST_DOC],
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


def _resource(table: str) -> str:
    """Return the name of a table in the stack, of letters and digits only."""
    return "Table" + "".join(part.capitalize() for part in table.split("_"))
