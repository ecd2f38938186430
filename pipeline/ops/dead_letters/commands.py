"""`streaming-etl dead-letters`: list and show rejected records, and send them back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.errors import UserError
from pipeline.decode.reasons import STEPS
from pipeline.options import LOCAL, ConfigOption, DryRunOption, JsonOption
from pipeline.report_table import print_rows

if TYPE_CHECKING:
    from pipeline.ops.dead_letters.groups import Group
    from pipeline.ops.dead_letters.letter import Letter
    from pipeline.ops.dead_letters.redrive import RedriveReport

app = typer.Typer(no_args_is_help=True, help="List dead letters, and send them back.")

StepOption = Annotated[
    list[str] | None, typer.Option("--step", help=f"{', '.join(STEPS)}; may be repeated.")
]
ReasonOption = Annotated[
    list[str] | None, typer.Option("--reason", help="A reason code; may be repeated.")
]
TypeOption = Annotated[
    list[str] | None, typer.Option("--type", help="An event type; may be repeated.")
]
PartitionOption = Annotated[
    list[str] | None,
    typer.Option("--partition", help="topic/partition or stream/shard; may be repeated."),
]
SinceOption = Annotated[
    str, typer.Option("--since", help="Arrived at this time or later: ISO-8601, UTC by default.")
]
UntilOption = Annotated[str, typer.Option("--until", help="Arrived before this time.")]


def add_to(main: typer.Typer) -> None:
    """Add these commands to the main program as the group `dead-letters`."""
    main.add_typer(app, name="dead-letters")


@app.command("list", epilog="Example: streaming-etl dead-letters list --step decode --json")
def list_command(
    config: ConfigOption = LOCAL,
    step: StepOption = None,
    reason: ReasonOption = None,
    event_type: TypeOption = None,
    partition: PartitionOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    as_json: JsonOption = False,
) -> None:
    """Count dead letters by reason, step and event type, and those already redriven."""
    from pipeline.ops.dead_letters import redrive_log
    from pipeline.ops.dead_letters.groups import groups
    from pipeline.ops.dead_letters.letter import chosen_by
    from pipeline.ops.dead_letters.reader import read_letters
    from pipeline.ops.systems import systems

    matches = chosen_by(step, reason, event_type, partition, since, until)
    with _os_errors_reported():
        configured = systems(config)
        letters = filter(matches, read_letters(configured))
        grouped = groups(letters, redrive_log.read_all(configured))
    _print_groups(grouped, as_json=as_json)


@app.command("show", epilog="Example: streaming-etl dead-letters show trips/3/1742")
def show_command(
    position: Annotated[
        str,
        typer.Argument(help="topic/partition/offset or stream/shard/sequence number."),
    ],
    config: ConfigOption = LOCAL,
    step: StepOption = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the whole record, byte for byte.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the dead letters of a position, with the meaning of their reasons. Exit 1 if none."""
    from pipeline.ops.dead_letters.letter import chosen_by
    from pipeline.ops.dead_letters.reader import read_letters, read_whole
    from pipeline.ops.dead_letters.view import letter_dict, letter_lines
    from pipeline.ops.systems import systems

    if position.count("/") != 2 or "" in position.split("/"):
        raise UserError(
            f"{position!r} is not a position: give topic/partition/offset or stream/shard/sequence"
            " number, as `dead-letters list` prints them."
        )
    matches = chosen_by(step)
    with _os_errors_reported():
        configured = systems(config)
        letters = {
            letter.identity: letter
            for letter in filter(matches, read_letters(configured))
            if letter.where == position
        }
        if not letters:
            print(f"there is no dead letter of {position}", file=sys.stderr)
            raise typer.Exit(1)
        if raw:
            whole = {read_whole(letter, configured.store) for letter in letters.values()}
            _write_raw(whole, position)
        elif as_json:
            print(json.dumps([letter_dict(letter) for letter in letters.values()]))
        else:
            typer.echo("\n\n".join("\n".join(letter_lines(letter)) for letter in letters.values()))


@app.command(
    "redrive", epilog="Example: streaming-etl dead-letters redrive --reason index_unavailable"
)
def redrive_command(
    config: ConfigOption = LOCAL,
    step: StepOption = None,
    reason: ReasonOption = None,
    event_type: TypeOption = None,
    partition: PartitionOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Required to redrive without any filter.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Maximum number of records.", min=1)] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Records a second; by default 1,000 to a remote target.", min=0.1),
    ] = None,
    dry_run: DryRunOption = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask for confirmation on a terminal.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters back to their source with their original bytes; each is sent once.

    The job repeats the step that rejected them. Exit 1 if some could not be redriven.
    """
    from rich.console import Console

    from pipeline.ops.dead_letters.letter import chosen_by
    from pipeline.ops.dead_letters.redrive import redrive
    from pipeline.ops.systems import systems
    from pipeline.progress import Steps

    matches = chosen_by(step, reason, event_type, partition, since, until)
    if not (everything or step or reason or event_type or partition or since or until):
        raise UserError("redrive needs a filter, such as --reason; or --all to redrive everything.")
    with _os_errors_reported():
        configured = systems(config)
        if dry_run:
            report = redrive(configured, matches, limit=limit, dry_run=True)
        else:
            if sys.stdin.isatty() and not yes:
                _confirm(redrive(configured, matches, limit=limit, dry_run=True))
            with Steps(Console(stderr=True)).step("redriving", unit="records") as progress:
                report = redrive(configured, matches, limit=limit, rate=rate, progress=progress)
    lines = "\n".join(report.lines(dry_run=dry_run))
    typer.echo(json.dumps(report.as_dict(dry_run=dry_run)) if as_json else lines)
    raise typer.Exit(bool(report.cannot))


@contextmanager
def _os_errors_reported() -> Iterator[None]:
    """Raise UserError instead of the OSError of a file or object store."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot read or write files or S3: {error}") from error


def _print_groups(grouped: list[Group], *, as_json: bool) -> None:
    """Print the groups; for people, the samples are one text."""
    rows = [group.as_dict() for group in grouped]
    if not as_json:
        rows = [{**row, "samples": " ".join(row["samples"])} for row in rows]
    print_rows(rows, as_json=as_json, none="there are no dead letters")


def _write_raw(letters: set[Letter | str], position: str) -> None:
    for letter in letters:
        if isinstance(letter, str):
            raise UserError(f"the record of {position} can't be written: {letter}.")
    contents = {letter.raw for letter in letters if not isinstance(letter, str)}
    if len(contents) > 1:
        raise UserError(
            f"{len(contents)} different records share the position {position}, as those of one KPL"
            " aggregate do; --json has each in base64."
        )
    sys.stdout.buffer.write(contents.pop() or b"")
    sys.stdout.buffer.flush()


def _confirm(plan: RedriveReport) -> None:
    """Ask for confirmation on the terminal; without it the program exits with 1."""
    typer.echo("\n".join(plan.lines(dry_run=True)))
    if plan.redriven:
        typer.confirm("Redrive them?", abort=True)
