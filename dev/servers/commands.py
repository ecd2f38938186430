"""The commands that set up, start, show and stop the local servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from dev.servers import setup as installation
from dev.servers.layout import CHOICES, SERVERS
from dev.servers.stack import ServerStatus, Stack

ROOT = Path(__file__).parents[2]  # the checkout: the project is installed editable

app = typer.Typer(
    no_args_is_help=True,
    help="Local servers as plain processes: Kafka, S3, OpenSearch, Flink; and Kinesis, Prometheus.",
)

RunDir = Annotated[
    Path, typer.Option("--run-dir", help="Where data, logs and pid files of the servers are.")
]
DEFAULT_RUN_DIR = ROOT / "build" / "run"


@app.command(epilog="Example: python -m dev setup")
def setup() -> None:
    """Fetch and build what the servers run from, into .cache; does nothing the second time."""
    installation.setup(ROOT, say=speaker())


@app.command(epilog="Example: python -m dev up --with kinesis --free-ports --task-managers 2")
def up(
    run_dir: RunDir = DEFAULT_RUN_DIR,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Take other ports where the usual ones are taken.")
    ] = False,
    task_managers: Annotated[int, typer.Option(min=1, max=4, help="Flink TaskManagers.")] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help=f"Of {', '.join(CHOICES)}; may be repeated."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            help="One more than usual: kinesis (needs Node) or dashboards (Prometheus, needs apt);"
            " may be repeated.",
        ),
    ] = None,
) -> None:
    """Set up if needed, start the servers, and wait until all of them answer.

    Kafka (plain on 9092, SASL_SSL on 9094), S3, OpenSearch and Flink; Kinesis and Prometheus on
    request.
    """
    say = speaker()
    servers = tuple(dict.fromkeys([*(only or SERVERS), *(also or [])]))
    installation.setup(ROOT, say=say, servers=servers)
    stack = Stack(
        ROOT,
        run_dir=run_dir,
        free_ports=free_ports,
        task_managers=task_managers,
        servers=servers,
    )
    stack.up(say)
    show(stack.status())


@app.command(epilog="Example: python -m dev down --wipe")
def down(
    run_dir: RunDir = DEFAULT_RUN_DIR,
    wipe: Annotated[bool, typer.Option("--wipe", help="Delete their data and logs too.")] = False,
) -> None:
    """Stop exactly the servers that `up` started; safe to repeat."""
    Stack(ROOT, run_dir=run_dir).down(speaker(), wipe=wipe)


@app.command(epilog="Example: python -m dev status --json | jq '.[] | select(.ready == false)'")
def status(
    run_dir: RunDir = DEFAULT_RUN_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Ask every server whether it is ready; exit code 1 when one is not, or none was started."""
    statuses = Stack(ROOT, run_dir=run_dir).status()
    if as_json:
        typer.echo(msgspec.json.encode([asdict(status) for status in statuses]).decode())
    else:
        show(statuses)
    if not statuses or not all(status.ready for status in statuses):
        raise typer.Exit(1)


def speaker() -> Callable[[str], None]:
    """Return how to print progress: with rich on a terminal, else as plain lines."""
    console = Console()
    if console.is_terminal:
        return lambda text: console.print(f"[dim]·[/dim] {text}", highlight=True)
    return typer.echo


def show(statuses: list[ServerStatus]) -> None:
    """Print the servers as a table on a terminal, else as tab-separated lines."""
    console = Console()
    if not statuses:
        typer.echo("nothing is up")
    elif console.is_terminal:
        console.print(table(statuses))
    else:
        for status in statuses:
            typer.echo(
                "\t".join([status.name, state(status), str(status.pid), status.url, status.log])
            )


def table(statuses: list[ServerStatus]) -> Table:
    """Return the servers as a table."""
    shown = Table("server", "state", "pid", "address", "log")
    for status in statuses:
        colour = "green" if status.ready else "red"
        shown.add_row(
            status.name, f"[{colour}]{state(status)}[/]", str(status.pid), status.url, status.log
        )
    return shown


def state(status: ServerStatus) -> str:
    """Return a server's state in one word."""
    if status.ready:
        return "ready"
    return "starting" if status.alive else "dead"
