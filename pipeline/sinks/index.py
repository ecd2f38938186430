"""The index: batches of documents to OpenSearch by `index_step`, which returns the rejects."""

from __future__ import annotations

from pipeline.collect.documents import reject_columns
from pipeline.config.model import Config, Source
from pipeline.decode.records import ARRIVAL_TIME, OWN_HEADERS, names, position, unpacked_columns


def select(config: Config) -> str:
    """Select what `index_step` rejects of each batch: rows, or batches for dead letters' files."""
    is_file = config.dead_letters and config.dead_letters.path
    columns = names(["files"] if is_file else reject_columns(config.source))
    batches = "SELECT index_batch FROM decoded WHERE index_batch IS NOT NULL"
    call = f"LATERAL TABLE(index_step(index_batch)) AS rejected({columns})"
    return f"SELECT {columns} FROM ({batches}), {call}"


def rejects_select(source: Source) -> str:
    """Select what OpenSearch rejected as rows of `letter_columns`."""
    times = dict.fromkeys(ARRIVAL_TIME, "TO_TIMESTAMP_LTZ(arrival_ms, 3)")
    places = ", ".join(f"{times.get(name, f'`{name}`')} AS `{name}`" for name in position(source))
    return (
        f"SELECT `raw`, `key`, {unpacked_columns(OWN_HEADERS)},"
        f" 'index' AS step, reason, detail, {places}, event_type, schema_version FROM indexed"
    )
