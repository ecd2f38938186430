"""The command `streaming-etl estimate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipeline.options import JsonOption

if TYPE_CHECKING:
    from pipeline.deploy.cost.estimate import Estimate


_WIDE: Final = 1000
"""Never blocks in place of rows: a wide table can be scrolled."""


def add_to(main: typer.Typer) -> None:
    """Add the command to the main program."""
    main.command(
        epilog="Example: streaming-etl estimate --events-per-second 46700"
        " --parameter SourceStreamMode=PROVISIONED --price kpu_hour=0.12"
    )(estimate)


Rate = Annotated[float, typer.Option(help="Events a second, day and night.")]
Size = Annotated[float, typer.Option(help="Size of an event, in bytes.")]
PerRecord = Annotated[
    int, typer.Option(help="Events that the producer aggregates into a record of Kinesis.")
]
Partitions = Annotated[
    int, typer.Option(help="Partitions of the lake that get rows within lake.file_seconds.")
]
Rejected = Annotated[float, typer.Option(help="Records in a hundred that become dead letters.")]
Month = Annotated[int, typer.Option(help="Month of operation: lake and archive grow.")]
PerKpu = Annotated[
    float | None, typer.Option(help="Events a second for each KPU, as you measured.")
]
OptionalConfig = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="A YAML file, for the settings of lake and archive."),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(help="NAME=VALUE of the template, such as OpenSearch=none; repeatable."),
]
Brokers = Annotated[int, typer.Option(help="Brokers of your MSK cluster.")]
BrokerDisk = Annotated[int, typer.Option(help="Disk of each broker, in GB.")]
OwnPrices = Annotated[
    list[str] | None,
    typer.Option(help="NAME=USD in place of a price of docs/cost.md; repeatable."),
]
PriceFile = Annotated[
    Path | None, typer.Option(help="A JSON file of prices: an object of names and USD.")
]


def estimate(
    events_per_second: Rate,
    bytes_per_event: Size = 415,
    events_per_record: PerRecord = 1,
    partitions: Partitions = 265,
    rejected_percent: Rejected = 1.0,
    month: Month = 12,
    events_per_kpu: PerKpu = None,
    config: OptionalConfig = None,
    parameter: Parameters = None,
    brokers: Brokers = 0,
    broker_gib: BrokerDisk = 0,
    price: OwnPrices = None,
    prices: PriceFile = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate what the AWS deployment costs a month, from its load.

    Prices are of us-east-1, and were read in no account: docs/cost.md has their sources. The
    throughput of a KPU was measured on another machine.
    """
    from pipeline.config.load import load
    from pipeline.deploy.cost.estimate import estimate as of
    from pipeline.deploy.cost.load import Load, settings_of
    from pipeline.deploy.cost.prices import read_file, with_own
    from pipeline.deploy.cost.stack import Stack, named

    own = read_file(prices) if prices else {}
    own |= {name: _usd(name, text) for name, text in named(price or (), "--price")}
    found = of(
        Load(
            events_per_second=events_per_second,
            bytes_per_event=bytes_per_event,
            events_per_record=events_per_record,
            partitions=partitions,
            rejected_percent=rejected_percent,
            month=month,
            events_per_kpu=events_per_kpu,
            brokers=brokers,
            broker_gib=broker_gib,
        ),
        Stack(dict(named(parameter or (), "--parameter"))),
        settings_of(load(config) if config else None),
        with_own(own),
    )
    print(json.dumps(found.report()) if as_json else "\n".join(text(found)))


def text(found: Estimate) -> list[str]:
    """Return the lines of the report for people."""
    from pipeline.deploy.cost.estimate import NOT_INCLUDED
    from pipeline.deploy.cost.prices import REGION
    from pipeline.terminal import printable, table

    header = ("", "quantity", "unit", "price", "USD a unit", "USD a month")
    rows = [
        (
            f"{line.group}: {line.name}", f"{line.quantity:,.2f}", line.price.unit,
            line.price.name, f"{line.price.usd:g}", f"{line.usd:,.2f}",
        )
        for line in found.lines
    ]  # fmt: skip
    rows.append(("sum", "", "", "", "", f"{found.usd:,.2f}"))
    names = max(len(row[0]) for row in rows)
    formulas = zip(rows, found.lines, strict=False)
    return [
        *(printable(line) for line in table(header, rows, _WIDE)),
        "",
        f"USD a million events: {found.usd_per_million:,.2f}",
        "",
        "How each quantity comes about:",
        *(f"  {row[0]:<{names}}  {line.formula}" for row, line in formulas),
        "",
        *(f"- {note}" for note in found.notes),
        "",
        f"Prices of {REGION} or given; --json has each price's source and date. Not included:",
        *(f"- {each}" for each in NOT_INCLUDED),
    ]


def _usd(name: str, text: str) -> float:
    from connectors.errors import UserError
    from connectors.text_files import shown

    try:
        return float(text)
    except ValueError:
        raise UserError(f"--price {name} is {shown(text)}; give US dollars: 0.11") from None
