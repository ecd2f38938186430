"""The index: events to OpenSearch by `index_step`, which returns what OpenSearch rejects."""

from __future__ import annotations

from pipeline.config.model import Source
from pipeline.decode.records import ARRIVAL_MS, OWN_HEADERS, names, position, unpacked_columns


def select(source: Source) -> str:
    """Select the events through `index_step`, with what a dead letter needs of each."""
    document = f"d_event_type, d_document_id, d_document_version, d_document, {ARRIVAL_MS}"
    origin = f"`raw`, `key`, {OWN_HEADERS}, {names(position(source))}, d_event_type AS event_type"
    columns = f"{origin}, d_schema_version AS schema_version, index_step({document}) AS i"
    return f"SELECT {columns} FROM decoded WHERE d_is_event"


def rejects_select(source: Source) -> str:
    """Select what OpenSearch rejected as rows of `dead_letters.columns`."""
    return (
        f"SELECT `raw`, `key`, {unpacked_columns(OWN_HEADERS)},"
        " 'index' AS step, i.reason AS reason, i.detail AS detail,"
        f" {names(position(source))}, event_type, schema_version"
        " FROM indexed WHERE i.reason IS NOT NULL"
    )
