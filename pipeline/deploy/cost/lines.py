"""The lines of an estimate: each a quantity, times a price, with how the quantity comes about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.deploy.cost.load import GB, MONTH_DAYS, MONTH_HOURS, MONTH_SECONDS, Plan, stored_gb
from pipeline.deploy.cost.measured import figure
from pipeline.deploy.cost.prices import Price
from pipeline.deploy.cost.stack import ENCRYPTED_STREAMS, LETTER_RETENTION_HOURS

_FREE_HOURS: Final = 24
_EXTENDED_HOURS: Final = 168
"""Up to here a stream's retention is extended; beyond, it is long-term."""
_ENDLESS: Final = 1e9


@dataclass(frozen=True, slots=True)
class Line:
    """What one thing costs in the month: `quantity` units at `price`."""

    group: str
    name: str
    quantity: float
    price: Price
    formula: str

    @property
    def usd(self) -> float:
        """US dollars a month, to the cent, so that what is shown adds up."""
        return round(self.quantity * self.price.usd, 2)


Prices = Mapping[str, Price]


def lines(plan: Plan, prices: Prices) -> list[Line]:
    """Return the lines of all that costs anything."""
    parts = (_flink, _source, _brokers, _letters, _files, _domain, _monitoring, _keys)
    found = (line for part in parts for line in part(plan, prices))
    return [line for line in found if line.quantity]


def source_lines(plan: Plan, prices: Prices, *, provisioned: bool) -> list[Line]:
    """Return what the source stream costs in one of its modes."""
    return list((_provisioned if provisioned else _on_demand)(plan, prices))


def _flink(plan: Plan, prices: Prices) -> Iterator[Line]:
    group, kpus = "Managed Flink", plan.kpus
    yield Line(
        group, "KPUs", (kpus + 1) * MONTH_HOURS, prices["kpu_hour"],
        f"({kpus:,} of {plan.events_per_kpu:,.0f} events/s each + 1 that orchestrates) x 730 hours",
    )  # fmt: skip
    yield Line(
        group, "running storage", kpus * figure("kpu_storage"), prices["flink_storage"],
        f"{kpus:,} KPUs x 50 GB",
    )  # fmt: skip
    snapshots = figure("snapshots")
    yield Line(
        group, "snapshots", snapshots * plan.open_bytes / GB, prices["flink_backup"],
        f"{snapshots:.0f} snapshots x {_short(plan.open_bytes / 1e6)} MB of collected rows",
    )  # fmt: skip


def _source(plan: Plan, prices: Prices) -> Iterator[Line]:
    if plan.stack.has("MakesStream"):
        yield from source_lines(plan, prices, provisioned=plan.stack.has("IsProvisioned"))


def _on_demand(plan: Plan, prices: Prices) -> Iterator[Line]:
    group, gb = "Source stream", plan.stream_bytes * MONTH_SECONDS / GB
    each = plan.stream_bytes / plan.records / 1024
    sent = f"{_short(plan.records)} records/s, each billed as {each:,.0f} KB"
    yield Line(group, "stream", MONTH_HOURS, prices["stream_hour"], "1 stream x 730 hours")
    yield Line(group, "data in", gb, prices["stream_in"], sent)
    yield Line(group, "data out", gb, prices["stream_out"], "what came in, read once")
    hours = plan.stack.number("SourceRetentionHours")
    yield from _retention(group, plan.stream_bytes, hours, prices)


def _provisioned(plan: Plan, prices: Prices) -> Iterator[Line]:
    group, shards = "Source stream", plan.shards
    hours = plan.stack.number("SourceRetentionHours")
    yield Line(
        group, "shards", shards * MONTH_HOURS, prices["shard_hour"],
        f"{shards:,} shards, for 1,000 records/s or 1 MB/s each, x 730 hours",
    )  # fmt: skip
    yield Line(
        group, "PUT payload units", plan.put_units * MONTH_SECONDS / 1e6, prices["put_units"],
        f"{_short(plan.put_units)} units/s of up to 25 KB, at least one a record",
    )  # fmt: skip
    if hours > _FREE_HOURS:
        yield Line(
            group, "extended retention", shards * MONTH_HOURS, prices["shard_extended"],
            f"{shards:,} shards x 730 hours",
        )  # fmt: skip
    held = plan.rate * plan.load.bytes_per_event
    yield _long_term(group, held, hours, prices)


def _retention(group: str, held: float, hours: int, prices: Prices) -> Iterator[Line]:
    """Yield what a stream on demand costs beyond the first day."""
    until = min(hours, _EXTENDED_HOURS)
    yield Line(
        group, "extended retention", stored_gb(held, hours, _EXTENDED_HOURS, _FREE_HOURS),
        prices["stream_extended"], f"what came in between 24 and {until} hours ago",
    )  # fmt: skip
    yield _long_term(group, held, hours, prices)


def _long_term(group: str, held: float, hours: int, prices: Prices) -> Line:
    return Line(
        group, "long-term retention", stored_gb(held, hours, _ENDLESS, _EXTENDED_HOURS),
        prices["stream_long_term"], f"what came in between 168 and {hours} hours ago",
    )  # fmt: skip


def _brokers(plan: Plan, prices: Prices) -> Iterator[Line]:
    group, brokers, each = "MSK, not of the template", plan.load.brokers, plan.load.broker_gib
    yield Line(
        group, "brokers", brokers * MONTH_HOURS, prices["broker_hour"],
        f"{brokers:,} brokers, as you gave, x 730 hours",
    )  # fmt: skip
    yield Line(
        group, "broker storage", brokers * each, prices["broker_storage"],
        f"{brokers:,} brokers x {each:,} GB, as you gave",
    )  # fmt: skip


def _letters(plan: Plan, prices: Prices) -> Iterator[Line]:
    group, held = "Dead letters", plan.letter_bytes
    each = held / plan.rejected / 1024 if plan.rejected else 0
    yield Line(group, "stream", MONTH_HOURS, prices["stream_hour"], "1 stream x 730 hours")
    yield Line(
        group, "data in", held * MONTH_SECONDS / GB, prices["stream_in"],
        f"{_short(plan.rejected)} letters/s, each billed as {each:,.0f} KB; read only by tools",
    )  # fmt: skip
    yield from _retention(group, held, LETTER_RETENTION_HOURS, prices)


def _files(plan: Plan, prices: Prices) -> Iterator[Line]:
    group, requests = "S3", figure("requests_per_file")
    made = {"lake": plan.lake_files, "archive": plan.archive_files}
    for name, files in made.items():
        yield Line(
            group, f"requests, {name}", files * MONTH_SECONDS * requests / 1000, prices["s3_put"],
            f"{_short(files)} files/s x {requests:.0f} requests",
        )  # fmt: skip
    all_files = sum(made.values())
    yield Line(
        group, "events of files", all_files * MONTH_SECONDS / 1e6, prices["s3_event"],
        f"{_short(all_files)} files/s, each an event for the alarm LakeStalled",
    )  # fmt: skip
    for name, written, months in (
        ("lake", plan.lake_bytes, plan.lake_months),
        ("archive", plan.archive_bytes, plan.archive_months),
    ):
        gb = written * MONTH_SECONDS / GB
        yield Line(
            group, f"storage, {name}", gb * months, prices["s3_storage"],
            f"{_short(gb)} GB a month x {months:,.1f} months, in month {plan.load.month}",
        )  # fmt: skip


def _domain(plan: Plan, prices: Prices) -> Iterator[Line]:
    if not plan.stack.has("MakesDomain"):
        return
    group, nodes = "OpenSearch", plan.stack.number("DomainNodes")
    each, kind = plan.stack.number("DomainVolumeGiB"), plan.stack["DomainInstanceType"]
    yield Line(
        group, "nodes", nodes * MONTH_HOURS, prices["search_node_hour"],
        f"{nodes} x {kind} x 730 hours, whatever the load",
    )  # fmt: skip
    yield Line(
        group, "disks", nodes * each, prices["search_gp3"], f"{nodes} x {each:,} GB, gp3"
    )  # fmt: skip


def _monitoring(plan: Plan, prices: Prices) -> Iterator[Line]:
    group, stack = "CloudWatch", plan.stack
    direct, queried = stack.alarm_metrics()
    yield Line(
        group, "counters of the job", stack.own_metrics(archive=plan.settings.archive is not None),
        prices["metric"], "each as a custom metric; those of the platform are free",
    )  # fmt: skip
    yield Line(
        group, "requests of S3", figure("s3_metrics"), prices["metric"],
        "request metrics of the bucket, billed as custom metrics",
    )  # fmt: skip
    yield Line(
        group, "metrics of logs", stack.log_metrics(), prices["metric"], "metric filters of the log"
    )  # fmt: skip
    yield Line(group, "alarms", direct, prices["alarm_metric"], "metrics that alarms read")
    yield Line(
        group, "alarms by query", queried, prices["query_metric"],
        "metrics that alarms read by Metrics Insights, at least one each",
    )  # fmt: skip
    yield Line(group, "dashboard", 1, prices["dashboard"], "1 dashboard")
    logs, days = figure("log_gb"), stack.number("LogRetentionDays")
    yield Line(group, "logs in", logs, prices["log_in"], "assumed")
    yield Line(
        group, "logs stored", logs * days / MONTH_DAYS, prices["log_storage"], f"kept {days} days"
    )  # fmt: skip


def _keys(plan: Plan, prices: Prices) -> Iterator[Line]:
    group, streams = "KMS", ENCRYPTED_STREAMS if plan.stack.has("MakesStream") else 1
    each = figure("kms_requests")
    yield Line(
        group, "requests of streams", streams * each / 10_000, prices["kms_requests"],
        f"{streams} streams x {each:,.0f} requests",
    )  # fmt: skip
    if plan.stack.has("HasKey"):
        yield Line(group, "your key", 1, prices["kms_key"], "1 key; requests of S3 are few")


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
