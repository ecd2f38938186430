"""The commands that set up, start, show and stop the local servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from connectors.flink.rest import Cluster, Job
from dev.servers import layout
from dev.servers import setup as installation
from dev.servers.layout import CHOICES, SERVERS
from dev.servers.stack import ServerStatus, Stack
from pipeline.report_table import print_rows
from pipeline.terminal import instant

ROOT = Path(__file__).parents[2]  # the checkout: the project is installed editable

app = typer.Typer(
    no_args_is_help=True,
    help="Local servers as plain processes: Kafka, S3, OpenSearch, Flink; and others on request.",
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
            help="One more than usual: kinesis (needs Node), localstack (Node; replaces S3 and"
            " Kinesis), registry or dashboards (Prometheus, needs apt); may be repeated.",
        ),
    ] = None,
) -> None:
    """Set up if needed, start the servers, and wait until all of them answer.

    Kafka (plain on 9092, SASL_SSL on 9094), S3, OpenSearch and Flink; Kinesis, LocalStack, the
    schema registry and Prometheus on request.
    """
    say = speaker()
    servers = layout.chosen(only or SERVERS, also or ())
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
    """Print the servers for people."""
    rows = [
        {
            "server": status.name,
            "state": state(status),
            "pid": str(status.pid),
            "address": status.url,
            "log": status.log,
        }
        for status in statuses
    ]
    print_rows(rows, as_json=False, none="nothing is up", style=_style)


def jobs_of(statuses: Sequence[ServerStatus]) -> list[Job] | None:
    """Return the jobs of the Flink among these servers; None if it cannot be asked."""
    urls = [each.url for each in statuses if each.name == "jobmanager" and each.ready]
    return Cluster(urls[0]).jobs() if urls else None


def plain(job: Job) -> dict[str, str]:
    """Return a job as it is shown: name, state, start and id."""
    return {
        "job": job.name,
        "state": job.state,
        "started": instant(job.started_ms),
        "job_id": job.job_id,
    }


def show_jobs(jobs: Sequence[Job] | None) -> None:
    """Print the jobs for people."""
    if jobs is not None:
        print_rows(list(map(plain, jobs)), as_json=False, none="no jobs")


def _style(name: str, value: str) -> str | None:
    return ("green" if value == "ready" else "red") if name == "state" else None


def state(status: ServerStatus) -> str:
    """Return a server's state in one word."""
    if status.ready:
        return "ready"
    return "starting" if status.alive else "dead"
