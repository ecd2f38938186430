"""Tables of documentation pages, written from the code and kept equal to it by a test."""

from __future__ import annotations

from collections.abc import Sequence

from dev.servers.exposition import METRICS_TABLE
from pipeline.decode.reasons import REASONS
from pipeline.metrics import LAG_BUCKETS_MS, METRICS
from pipeline.ops.replay.old_options import OLD


def reasons_table() -> str:
    """Return the table of reason codes in docs/dead-letters.md."""
    rows = [("step", "reason", "meaning", "what to do")]
    rows += [
        (reason.step, f"`{reason.code}`", reason.meaning, reason.action)
        for reason in REASONS.values()
    ]
    return _table(rows)


def metrics_table() -> str:
    """Return the table of metrics in docs/metrics.md; the lag buckets share one row."""
    rows = [("metric", "kind", "unit", "meaning", "when it moves")]
    bounds = f"lag_le_<{', '.join(map(str, LAG_BUCKETS_MS))}, inf>"
    for metric in METRICS:
        name = f"`{metric.step}.{metric.name}`"
        if metric.name.startswith("lag_le_"):
            name = f"`{metric.step}.{bounds}`"
        row = (name, "counter", metric.unit, metric.meaning, metric.action)
        if row != rows[-1]:
            rows.append(row)
    return _table(rows)


def exposition_table() -> str:
    """Return the table of what Prometheus gets in docs/metrics.md."""
    rows = [("in Prometheus", "type", "from", "what it is")]
    rows += [(f"`{each.name}`", each.kind, f"`{each.origin}`", each.help) for each in METRICS_TABLE]
    return _table(rows)


def old_options_table() -> str:
    """Return the table of the original replay's options in docs/migration.md."""
    rows = [("old", "now", "what differs")]
    rows += [(f"`{old.name}`", f"`{old.ours}`" if old.ours else "nothing", old.note) for old in OLD]
    return _table(rows).replace("|  |", "| |")


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines) + "\n"
