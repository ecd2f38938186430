"""The claim check's tables: the head goes to the target, the whole record to `large_path`.

`large_path` has one folder for each content, written exactly once; see `decode.claim_check`.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.kinesis.table import envelope_table, stream_of
from connectors.sql import literal
from pipeline.config.model import Archive, Config, DeadLetters
from pipeline.decode.records import ARRIVAL_DATE, HEADERS, names, position_text
from pipeline.flow import Flow, Sink
from pipeline.operators.claim_check import claim_check_function

POINTER = {"raw_bytes": "INT", "sha256": "STRING", "full_record": "STRING"}
"""The columns that lead from a record's head to the whole of it; null where nothing was cut."""

_CHECKED = {"large": "is_large", "head": "head", "bytes": "raw_bytes", "sha256": "sha256"}


def write_large(
    flow: Flow,
    name: str,
    view: str,
    columns: Mapping[str, str],
    settings: Archive | DeadLetters,
) -> str:
    """Write large records whole to `large_path`; return the view that has their heads instead.

    Without a `large_path` the view is returned as it is.
    """
    if not settings.large_path:
        return view
    flow.function(f"claim_check_{name}", claim_check_function(settings))
    measured = names(("raw", "key", *HEADERS))
    # `f0` is the planner's own name where it has to split the query: with it, it calls once.
    call = f"SELECT *, claim_check_{name}({measured}) AS f0 FROM {view}"
    results = ", ".join(f"f0.`{field}` AS `{column}`" for field, column in _CHECKED.items())
    flow.view(f"checked_{name}", f"SELECT *, {results} FROM ({call})")
    partition = {"arrival_date": ARRIVAL_DATE, "sha256": "sha256"}
    whole = Sink.files(f"large_{name}", columns, settings.large_path, partition)
    flow.insert(f"large_{name}", whole, f"checked_{name} WHERE is_large")
    flow.view(f"heads_{name}", f"SELECT {_heads(columns, settings)} FROM checked_{name}")
    return f"heads_{name}"


def headers(settings: Archive | DeadLetters, prefix: str = "") -> dict[str, str]:
    """Return the pointer's columns as expressions of Kafka headers."""
    pointer = POINTER if settings.large_path else ()
    return {f"{prefix}{name}": f"CAST({name} AS STRING)" for name in pointer}


def envelope(
    name: str, columns: Mapping[str, str], config: Config, settings: Archive | DeadLetters
) -> Sink:
    """Return a Kinesis stream's table: JSON objects of these columns, the pointer and position."""
    stream = stream_of(settings.kinesis_stream, config.kinesis)
    written = {**columns, **POINTER}
    keyed = {**written, "position": "STRING"}
    create = envelope_table(name, keyed, "position", stream, config.kinesis)
    return Sink(create, f"{names(written)}, {position_text(config.source)}")


def _heads(columns: Mapping[str, str], settings: Archive | DeadLetters) -> str:
    """Select `columns` with the head in place of a large record's bytes, and its pointer."""
    folder = literal(f"{settings.large_path}/arrival_date=")
    full_record = f"CONCAT({folder}, {ARRIVAL_DATE}, '/sha256=', sha256)"
    cut = {
        "raw": "CASE WHEN is_large THEN head ELSE `raw` END",
        "key": "CASE WHEN NOT is_large THEN `key` END",
        "full_record": f"CASE WHEN is_large THEN {full_record} END",
    }
    for name in HEADERS:  # A CASE would cast them, and Flink's cast of ARRAY<BYTES> isn't Java
        first = f"CASE WHEN is_large THEN CARDINALITY({name}) + 1 ELSE 1 END"
        cut[name] = f"ARRAY_SLICE({name}, {first})"
    selected = {**columns, **POINTER}
    return ", ".join(f"{cut.get(name, f'`{name}`')} AS `{name}`" for name in selected)
