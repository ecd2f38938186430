"""The generated tables of docs/cost.md, by the code of `streaming-etl estimate`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from pipeline.deploy.cost.estimate import NOT_INCLUDED, Estimate, estimate
from pipeline.deploy.cost.load import Files, Load, Settings, settings_of
from pipeline.deploy.cost.measured import FIGURES
from pipeline.deploy.cost.prices import BY_NAME, PRICES
from pipeline.deploy.cost.stack import Stack

RATES: Final = (1_000, 10_000, 46_700)
"""Events a second of the page's tables; the last is the headline load of the original."""

_DEFAULT: Final = settings_of(None)
_TEN_MINUTES: Final = Settings(Files(600, 24 << 20), _DEFAULT.archive)
_VARIANTS: Final[tuple[tuple[str, dict[str, str], dict[str, int], Settings], ...]] = (
    ("the template's defaults", {}, {}, _DEFAULT),
    ("`SourceStreamMode=PROVISIONED`", {"SourceStreamMode": "PROVISIONED"}, {}, _DEFAULT),
    ("the same, 20 events a record (`--events-per-record 20`)",
     {"SourceStreamMode": "PROVISIONED"}, {"events_per_record": 20}, _DEFAULT),
    ("on demand, 20 events a record", {}, {"events_per_record": 20}, _DEFAULT),
    ("`Source=msk` with 3 brokers of 1,000 GB (`--brokers 3 --broker-gib 1000`)",
     {"Source": "msk"}, {"brokers": 3, "broker_gib": 1000}, _DEFAULT),
    ("`OpenSearch=none`", {"OpenSearch": "none"}, {}, _DEFAULT),
    ("`lake.file_seconds: 600`", {}, {}, _TEN_MINUTES),
    ("`SourceRetentionHours=24`", {"SourceRetentionHours": "24"}, {}, _DEFAULT),
    ("in the first month (`--month 1`)", {}, {"month": 1}, _DEFAULT),
)  # fmt: skip


def page(path: Path) -> str:
    """Return the page with its tables renewed.

    Raises:
        UserError: the page lacks the marks of a table.
    """
    text = path.read_text(encoding="utf-8")
    for name, table in _TABLES.items():
        marks = re.compile(rf"(?ms)^(<!-- <{name}> -->\n).*?^(<!-- </{name}> -->\n)")
        made = table()
        text, count = marks.subn(lambda found, made=made: found[1] + made + found[2], text)  # type: ignore[misc]
        if count != 1:
            raise UserError(
                f"{path}: needs the marks <{name}> and </{name}> once; restore it from git."
            )
    return text


def groups_table() -> str:
    """Render what each group costs at each rate."""
    found = [_estimate(rate) for rate in RATES]
    groups = [each.groups() for each in found]
    rows = [("USD a month", *(f"{rate:,} events/s" for rate in RATES))]
    rows += [(name, *(f"{each[name]:,.0f}" for each in groups)) for name in groups[0]]
    rows.append(("**sum**", *(f"**{each.usd:,.0f}**" for each in found)))
    rows.append(("a million events", *(f"{each.usd_per_million:,.3f}" for each in found)))
    return _table(rows)


def lines_table() -> str:
    """Render each line at the highest rate, with its arithmetic."""
    rows = [("what", "quantity", "price", "USD a month", "how the quantity comes about")]
    rows += [
        (
            f"{line.group}: {line.name}", f"{line.quantity:,.2f} {line.price.unit}",
            f"`{line.price.name}` {line.price.usd:g}", f"{line.usd:,.2f}", line.formula,
        )
        for line in _estimate(RATES[-1]).lines
    ]  # fmt: skip
    return _table(rows)


def variants_table() -> str:
    """Render the sums of other parameters."""
    rows = [("USD a month", *(f"{rate:,} events/s" for rate in RATES))]
    for name, parameters, others, settings in _VARIANTS:
        sums = (_estimate(rate, parameters, others, settings).usd for rate in RATES)
        rows.append((name, *(f"{usd:,.0f}" for usd in sums)))
    return _table(rows)


def prices_table() -> str:
    """Render all prices with their sources."""
    rows = [("name", "USD", "unit", "basis", "source", "date")]
    rows += [
        (f"`{each.name}`", f"{each.usd:g}", each.unit, each.basis, each.source,
         each.as_of or "undated")
        for each in PRICES
    ]  # fmt: skip
    return _table(rows)


def figures_table() -> str:
    """Render all measured and assumed figures with their sources."""
    rows = [("name", "value", "unit", "basis", "source")]
    rows += [
        (f"`{each.name}`", f"{each.value:,}", each.unit, each.basis, each.source)
        for each in FIGURES
    ]
    return _table(rows)


def not_included() -> str:
    """Render what an estimate leaves out."""
    return "".join(f"- {each}\n" for each in NOT_INCLUDED)


_TABLES: Final[dict[str, Callable[[], str]]] = {
    "groups": groups_table,
    "variants": variants_table,
    "lines": lines_table,
    "not-included": not_included,
    "prices": prices_table,
    "figures": figures_table,
}


def _estimate(
    rate: float,
    parameters: dict[str, str] | None = None,
    others: dict[str, int] | None = None,
    settings: Settings = _DEFAULT,
) -> Estimate:
    load = Load(events_per_second=rate, **(others or {}))
    return estimate(load, Stack(parameters or {}), settings, BY_NAME)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines) + "\n"
