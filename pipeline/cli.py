"""`streaming-etl`: the command line.

Exit codes: 0 done; 1 it ran and found something wrong (a reject in `validate`, a record missing in
`reconcile`, a job that failed); 2 the user has something to fix, explained in one message.

A command's module is imported when the command is called, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from connectors.errors import JobFailed, UserError
from pipeline import __version__
from pipeline.terminal import printable

_JOB: Final = "pipeline.job_commands"
_CLUSTER: Final = "pipeline.cluster_commands"
COMMANDS: Final = {
    "prepare": ("pipeline.prepare_command", "Make the topics, streams, buckets and indices."),
    "run": (_JOB, "Check the configuration and submit the job to a Flink cluster."),
    "top": (
        "pipeline.ops.top.commands",
        "Show a running job live: records of each step, rejects, lag, checkpoints and files.",
    ),
    "jobs": (_CLUSTER, "List the cluster's jobs."),
    "stop": (_CLUSTER, "Stop the job with a savepoint."),
    "cancel": (_CLUSTER, "End the job without a savepoint."),
    "plan": (_JOB, "Print the flow and Flink's plan of it, without a cluster."),
    "validate": (_JOB, "Say what the job would do with sample events, without a cluster."),
    "config": ("pipeline.config_commands", "Look at the configuration."),
    "schemas": ("pipeline.ops.schemas", "Look after the schemas of the events."),
    "generate": ("pipeline.ops.generate.commands", "Make a realistic data set of taxi trips."),
    "replay": ("pipeline.ops.replay.commands", "Send historical events to Kafka or Kinesis."),
    "dead-letters": (
        "pipeline.ops.dead_letters.commands",
        "List dead letters, and send them back.",
    ),
    "tap": ("pipeline.ops.tap.commands", "See what flows right now."),
    "backfill": ("pipeline.ops.backfill.commands", "Rebuild the lake from the archive."),
    "compact": ("pipeline.ops.compact.commands", "Merge small files of the lake."),
    "lake": ("pipeline.ops.compact.commands", "Look at the lake."),
    "query": ("pipeline.ops.query.commands", "Ask the lake in SQL."),
    "uploads": ("pipeline.ops.uploads", "Look after multipart uploads that were left open."),
    "reconcile": (
        "pipeline.ops.reconcile.commands",
        "Prove that what is in the source is in every sink once.",
    ),
    "package": (
        "pipeline.deploy.package.commands",
        "Build the zip for Managed Service for Apache Flink.",
    ),
    "alarms": (
        "pipeline.deploy.monitoring.commands",
        "Evaluate the deployment's alarms on the metrics of the local servers.",
    ),
    "estimate": (
        "pipeline.deploy.cost.commands",
        "Estimate what the AWS deployment costs a month, from its load.",
    ),
}
"""Every command: the module that adds it, and its line in the help."""


class LazyGroup(TyperGroup):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return all names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command for the help: its name and line only."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command itself, to be called."""
        name, command, rest = super().resolve_command(ctx, args)
        return (name, load(name), rest) if name else (name, command, rest)


def load(name: str) -> Any:
    """Import a command's module and return its click command."""
    program = typer.Typer()
    import_module(COMMANDS[name][0]).add_to(program)
    return typer.main.get_group(program).commands[name]


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"streaming-etl {__version__}")
        raise typer.Exit


@app.callback()
def streaming_etl(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Show the version."),
    ] = False,
) -> None:
    """Streaming ETL in PyFlink.

    Exit codes: 0 done, 1 something was found wrong, 2 something must be fixed by the user.
    """


def main() -> None:
    """Run the console script: a user's mistake exits with 2, a failed job with 1."""
    try:
        app()
    except (UserError, JobFailed, TimeoutError) as error:
        # A stack trace of Flink, from which some causes come, can quote a record.
        lines = f"streaming-etl: {error}".split("\n")
        print("\n".join(map(printable, lines)), file=sys.stderr)
        sys.exit(2 if isinstance(error, UserError) else 1)
