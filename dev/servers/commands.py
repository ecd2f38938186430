"""The commands that set up, start, show and stop the local servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors.flink.rest import Cluster, Job
from dev.servers import setup as installation
from dev.servers.layout import ALL_SERVERS, SERVERS
from dev.servers.stack import ServerStatus, Stack
from pipeline.terminal import printable

ROOT = Path(__file__).parents[2]  # the checkout: the project is installed editable

app = typer.Typer(
    no_args_is_help=True,
    help="Local servers as plain processes: Kafka, S3, OpenSearch, Flink; and Kinesis.",
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
        typer.Option("--only", help=f"Of {', '.join(ALL_SERVERS)}; may be repeated."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--with", help="One more than usual: kinesis (needs Node); may be repeated."),
    ] = None,
) -> None:
    """Set up if needed, start the servers, and wait until all of them answer.

    Kafka (plain on 9092, SASL_SSL on 9094), S3, OpenSearch and Flink; Kinesis on request.
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


@app.command(epilog="Example: python -m dev status --json | jq .jobs")
def status(
    run_dir: RunDir = DEFAULT_RUN_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Ask every server whether it is ready, and Flink for its jobs.

    Exit code 1 when a server is not ready, or none was started.
    """
    statuses = Stack(ROOT, run_dir=run_dir).status()
    jobs = jobs_of(statuses)
    if as_json:
        plain_jobs = None if jobs is None else [plain(job) for job in jobs]
        shown = {"servers": [asdict(each) for each in statuses], "jobs": plain_jobs}
        typer.echo(msgspec.json.encode(shown).decode())
    else:
        show(statuses)
        show_jobs(jobs)
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


def jobs_of(statuses: Sequence[ServerStatus]) -> list[Job] | None:
    """Return the jobs of the Flink among these servers; None if it cannot be asked."""
    urls = [each.url for each in statuses if each.name == "jobmanager" and each.ready]
    return Cluster(urls[0]).jobs() if urls else None


def plain(job: Job) -> dict[str, str]:
    """Return a job as it is shown: name, state, start and id."""
    started = datetime.fromtimestamp(job.started_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "name": printable(job.name), "state": job.state, "started": started, "job_id": job.job_id,
    }  # fmt: skip


def show_jobs(jobs: Sequence[Job] | None) -> None:
    """Print the jobs as a table on a terminal, else as tab-separated lines."""
    if jobs is None:
        return
    console = Console()
    if not jobs:
        typer.echo("no jobs")
    elif console.is_terminal:
        shown = Table("job", "state", "started", "id")
        for job in jobs:
            shown.add_row(*map(Text, plain(job).values()))
        console.print(shown)
    else:
        for job in jobs:
            typer.echo("\t".join(["job", *plain(job).values()]))


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
