"""`streaming-etl dead-letters`: look at rejected records, and send them back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.aws_errors import AWS_ERRORS
from connectors.errors import UserError
from connectors.kafka.errors import KAFKA_ERRORS, reason
from pipeline.ops.dead_letters import read, show
from pipeline.ops.dead_letters.choose import STEPS, Choice, choice
from pipeline.ops.dead_letters.group import Group, all_logged, groups
from pipeline.ops.dead_letters.letter import Letter, escaped
from pipeline.ops.dead_letters.redrive import redrive
from pipeline.ops.dead_letters.tally import Tally
from pipeline.ops.dead_letters.whole import Whole, whole
from pipeline.ops.systems import systems
from pipeline.options import LOCAL, ConfigOption, JsonOption
from pipeline.progress import Steps

app = typer.Typer(no_args_is_help=True, help="Look at dead letters, and send them back.")

StepOption = Annotated[
    list[str] | None, typer.Option("--step", help=f"Of {', '.join(STEPS)}; may be repeated.")
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
    str, typer.Option("--since", help="Arrived then or later: ISO-8601, UTC without an offset.")
]
UntilOption = Annotated[str, typer.Option("--until", help="Arrived before then.")]


def add_to(main: typer.Typer) -> None:
    """Add the group `dead-letters` to the main program."""
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
    chosen = _choice(step, reason, event_type, partition, since, until)
    with _reported():
        found = systems(config)
        letters = filter(chosen.takes, read.letters(found))
        _print_groups(groups(letters, all_logged(found)), as_json=as_json)


@app.command("show", epilog="Example: streaming-etl dead-letters show trips/3/1742")
def show_command(
    position: Annotated[
        str,
        typer.Argument(help="topic/partition/offset or stream/shard/sequence number."),
    ],
    config: ConfigOption = LOCAL,
    step: StepOption = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the record's exact bytes, all of them.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the dead letters of one position, with what their reason means. Exit 1 if none."""
    wanted = show.check_position(position)
    chosen = _choice(step, None, None, None, "", "")
    with _reported():
        found = systems(config)
        letters = {
            letter.identity: letter
            for letter in filter(chosen.takes, read.letters(found))
            if letter.where == wanted
        }
        if not letters:
            print(f"there is no dead letter of {wanted}", file=sys.stderr)
            raise typer.Exit(1)
        if raw:
            _write_raw({whole(letter, found.store) for letter in letters.values()}, wanted)
        else:
            _print_letters(list(letters.values()), as_json=as_json)


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
        bool, typer.Option("--all", help="Needed to redrive without any filter.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Send no more than so many.", min=1)] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Records a second; by default 1,000 to what is not local.", min=0.1),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be sent where.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask on a terminal.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters back to their source with their original bytes; each is sent once.

    The job takes up the step that refused them. Exit 1 if some could not be redriven.
    """
    chosen = _choice(step, reason, event_type, partition, since, until)
    if chosen.is_everything and not everything:
        raise UserError("redrive needs a filter, such as --reason; or --all to redrive everything.")
    with _reported():
        found = systems(config)
        if dry_run:
            _end(redrive(found, chosen, limit=limit, dry_run=True), dry_run=True, as_json=as_json)
        if sys.stdin.isatty() and not yes:
            _confirm(redrive(found, chosen, limit=limit, dry_run=True))
        steps = Steps(Console(stderr=True))
        with steps.step("redriving", unit="records") as progress:
            tally = redrive(found, chosen, limit=limit, rate=rate, progress=progress)
        _end(tally, dry_run=False, as_json=as_json)


def _choice(
    step: list[str] | None,
    reason: list[str] | None,
    event_type: list[str] | None,
    partition: list[str] | None,
    since: str,
    until: str,
) -> Choice:
    return choice(
        steps=step,
        reasons=reason,
        event_types=event_type,
        partitions=partition,
        since=since,
        until=until,
    )


@contextmanager
def _reported() -> Iterator[None]:
    """Report a refusal or failure of an outside system to the user."""
    try:
        yield
    except KAFKA_ERRORS as error:
        raise UserError(f"Kafka: {reason(error)}") from error
    except (*AWS_ERRORS, OSError) as error:
        raise UserError(f"S3 or Kinesis: {error}") from error


def _print_groups(found: list[Group], *, as_json: bool) -> None:
    """Print a table on a terminal, else tab-separated lines with the same columns."""
    console = Console()
    rows = [each.as_dict() for each in found]
    if as_json:
        print(json.dumps(rows))
    elif not rows:
        typer.echo("there are no dead letters")
    elif console.is_terminal:
        table = Table(*rows[0])
        for row in rows:
            table.add_row(*map(escape, _texts(row)))
        console.print(table)
    else:
        for row in rows:
            typer.echo("\t".join(_texts(row)))


def _texts(row: dict[str, Any]) -> list[str]:
    shown = {**row, "samples": " ".join(row["samples"])}
    return [escaped(str(value)) for value in shown.values()]


def _print_letters(found: list[Letter], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([show.as_dict(letter) for letter in found]))
        return
    typer.echo("\n\n".join("\n".join(show.lines(letter)) for letter in found))


def _write_raw(found: set[Whole | str], position: str) -> None:
    """Write the bytes unchanged, for a file or another program."""
    for each in found:
        if isinstance(each, str):
            raise UserError(f"the record of {position} can't be written: {each}.")
    contents = {each.raw for each in found if isinstance(each, Whole)}
    if len(contents) > 1:
        raise UserError(
            f"{len(contents)} different records share the position {position}, as parts of one"
            " aggregated record do; --json has each in base64."
        )
    sys.stdout.buffer.write(contents.pop() or b"")
    sys.stdout.buffer.flush()


def _confirm(plan: Tally) -> None:
    """Ask on the terminal; a refusal ends the program with 1."""
    typer.echo("\n".join(plan.lines(dry_run=True)))
    if plan.redriven:
        typer.confirm("Redrive them?", abort=True)


def _end(tally: Tally, *, dry_run: bool, as_json: bool) -> NoReturn:
    """Print the counts; exit with 1 if some could not be redriven."""
    if as_json:
        print(json.dumps(tally.as_dict(dry_run=dry_run)))
    else:
        typer.echo("\n".join(tally.lines(dry_run=dry_run)))
    raise typer.Exit(1 if tally.cannot else 0)
