"""An estimate: the lines of a load, their sum, and what to know about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from connectors.errors import UserError
from pipeline.deploy.cost.lines import Line, lines, source_lines
from pipeline.deploy.cost.load import MONTH_SECONDS, Load, Plan, Settings
from pipeline.deploy.cost.prices import REGION, Price
from pipeline.deploy.cost.stack import PARAMETERS, Stack

NOT_INCLUDED: Final = (
    "data transfer: to the internet, between regions and zones, by NAT and VPC endpoints",
    "an MSK cluster, unless --brokers is given: the template makes none",
    "tasks of the tools on Fargate, their image and secret, and queries of Athena",
    "compaction, backfill, replay and redrive, when you run them",
    "e-mails of alarms (SNS) and the Glue tables, which are cents",
    "metrics of MetricsLevel=OPERATOR and TASK, which are several for each operator",
    "support plans, taxes, discounts of a commitment or volume, and the free tier",
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a load costs in one month."""

    plan: Plan
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def usd(self) -> float:
        """US dollars a month: the sum of the lines as they are shown."""
        return round(sum(line.usd for line in self.lines), 2)

    @property
    def usd_per_million(self) -> float:
        """US dollars for a million events."""
        return self.usd / (self.plan.rate * MONTH_SECONDS / 1e6)

    def groups(self) -> dict[str, float]:
        """Return the sum of each group of lines, in their order."""
        sums: dict[str, float] = {}
        for line in self.lines:
            sums[line.group] = sums.get(line.group, 0) + line.usd
        return {group: round(usd, 2) for group, usd in sums.items()}

    def report(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON."""
        used = {line.price.name: asdict(line.price) for line in self.lines}
        return {
            "region": REGION,
            "load": asdict(self.plan.load),
            "parameters": {name: self.plan.stack[name] for name in PARAMETERS},
            "kpus": self.plan.kpus,
            "shards": self.plan.shards,
            "usd_month": self.usd,
            "usd_million_events": round(self.usd_per_million, 4),
            "groups": self.groups(),
            "lines": [
                {
                    "group": line.group,
                    "name": line.name,
                    "quantity": line.quantity,
                    "unit": line.price.unit,
                    "price": line.price.name,
                    "usd_unit": line.price.usd,
                    "usd_month": line.usd,
                    "formula": line.formula,
                }
                for line in self.lines
            ],
            "notes": list(self.notes),
            "not_included": list(NOT_INCLUDED),
            "prices": list(used.values()),
        }


def estimate(load: Load, stack: Stack, settings: Settings, prices: Mapping[str, Price]) -> Estimate:
    """Return what the load costs on this stack.

    Raises:
        UserError: the domain's instance type has no price.
    """
    kind = stack["DomainInstanceType"]
    is_ours = kind == PARAMETERS["DomainInstanceType"].default
    if stack.has("MakesDomain") and not is_ours and prices["search_node_hour"].basis != "yours":
        raise UserError(
            f"the price of {kind} is unknown; give that of your region with"
            " --price search_node_hour=USD"
        )
    plan = Plan(load, stack, settings)
    return Estimate(plan, tuple(lines(plan, prices)), tuple(_notes(plan, prices)))


def _notes(plan: Plan, prices: Mapping[str, Price]) -> Iterator[str]:
    if plan.stack.has("MakesStream"):
        yield _other_mode(plan, prices)
    elif plan.stack.has("ReadsKinesis"):
        yield "The source stream is not included: SourceStreamMode=EXISTING makes none."
    yield from _too_many(plan)
    if plan.stack.has("ReadsKinesis") and plan.stack.has("ReadsKafka"):
        yield "All events are counted in the stream: estimate the share of each source by itself."
    if plan.load.brokers and not plan.stack.has("ReadsKafka"):
        yield "The brokers are counted, and Source=kinesis reads none: leave --brokers out."
    if plan.stack.has("MakesDomain") and plan.good:
        yield (
            f"The index fills the domain's disks in {_time(plan.index_hours)}, and the job deletes"
            " no document: choose DomainNodes and DomainVolumeGiB for the time that you keep, or"
            " OpenSearch=none. Whether the nodes are fast enough was not tested."
        )
    if plan.stack.has("ReadsKafka") and not plan.load.brokers:
        yield "The MSK cluster is not included: give --brokers and --broker-gib."
    if plan.load.brokers:
        yield "Whether the brokers are fast and large enough is not computed."
    if plan.stack.has("HasTaskMetrics"):
        yield "MetricsLevel adds metrics for each operator, which are not included."
    if plan.stack.has("HasTools"):
        yield "Tasks of the tools on Fargate are not included."
    used = {line.price.name: line.price for line in lines(plan, prices)}
    from_memory = [name for name, price in used.items() if price.basis == "memory"]
    if from_memory:
        yield f"Prices from memory, which you should check: {', '.join(from_memory)}."


def _too_many(plan: Plan) -> Iterator[str]:
    """Yield what a load needs more of than the template's parameters allow."""
    most = (PARAMETERS["Parallelism"].high or 0) // plan.stack.number("ParallelismPerKPU")
    if plan.kpus > most:
        yield (
            f"It needs {plan.kpus:,} KPUs, and Parallelism allows {most:,}: share the load among"
            " several stacks."
        )
    shards = PARAMETERS["SourceStreamShards"].high or 0
    if plan.stack.has("IsProvisioned") and plan.shards > shards:
        yield f"It needs {plan.shards:,} shards, and SourceStreamShards allows {shards:,}."


def _other_mode(plan: Plan, prices: Mapping[str, Price]) -> str:
    is_provisioned = plan.stack.has("IsProvisioned")
    now, other = (
        sum(line.usd for line in source_lines(plan, prices, provisioned=mode))
        for mode in (is_provisioned, not is_provisioned)
    )
    shards = f"{plan.shards:,} shards, which leaves no room for peaks"
    if is_provisioned:
        return f"On demand, the source stream would cost {other:,.2f} instead of {now:,.2f}."
    return (
        f"With SourceStreamMode=PROVISIONED the source stream would cost {other:,.2f} instead of"
        f" {now:,.2f}, with {shards}."
    )


def _time(hours: float) -> str:
    if hours < 48:
        return f"{hours:,.1f} hours"
    days = hours / 24
    return f"{days:,.0f} days" if days < 730 else f"{days / 365:,.0f} years"
