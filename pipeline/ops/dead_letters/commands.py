"""`streaming-etl dead-letters`: list and show rejected records, and send them back."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from connectors.errors import UserError
from pipeline.decode.reasons import REASONS
from pipeline.decode.timestamps import text
from pipeline.ops.dead_letters import redrive_log
from pipeline.ops.dead_letters.letter import STEPS, Letter, chosen_by, escaped
from pipeline.ops.dead_letters.reader import read_letters, read_whole
from pipeline.ops.dead_letters.redrive import RedriveReport, redrive
from pipeline.ops.systems import systems
from pipeline.options import LOCAL, ConfigOption, DryRunOption, JsonOption
from pipeline.progress import Steps
from pipeline.report_table import print_rows

_GROUP_SAMPLES: Final = 2

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


@dataclass(slots=True)
class Group:
    """The dead letters of one reason, step and event type; `count` includes copies."""

    reason: str
    step: str
    event_type: str
    count: int = 0
    distinct: int = 0
    redriven: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    samples: list[str] = field(default_factory=list)

    def add(self, letter: Letter, *, is_redriven: bool) -> None:
        """Count a dead letter that is not a copy."""
        self.distinct += 1
        self.redriven += is_redriven
        if len(self.samples) < _GROUP_SAMPLES:
            self.samples.append(letter.where or letter.place)
        arrival = letter.arrival_ms
        if arrival is not None:
            self.first_ms = arrival if self.first_ms is None else min(self.first_ms, arrival)
            self.last_ms = arrival if self.last_ms is None else max(self.last_ms, arrival)

    def as_dict(self) -> dict[str, Any]:
        """Return the row to print, with times in ISO-8601."""
        return {
            "reason": self.reason,
            "step": self.step,
            "type": self.event_type,
            "count": self.count,
            "distinct": self.distinct,
            "redriven": self.redriven,
            "first": _time(self.first_ms),
            "last": _time(self.last_ms),
            "samples": self.samples,
        }


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
    contents = {letter.raw for letter in letters if isinstance(letter, Letter)}
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


def groups(letters: Iterable[Letter], log: Collection[bytes]) -> list[Group]:
    """Group dead letters, the largest group first; `log` has the digests of redriven ones."""
    grouped: dict[tuple[str, str, str], Group] = {}
    digests: set[bytes] = set()
    for letter in letters:
        key = (letter.reason, letter.step, letter.event_type)
        group = grouped.setdefault(key, Group(*key))
        group.count += 1
        digest = letter.digest
        if digest not in digests:
            digests.add(digest)
            group.add(letter, is_redriven=digest in log)
    return sorted(grouped.values(), key=lambda group: (-group.count, group.reason, group.step))


def letter_lines(letter: Letter) -> Iterator[str]:
    """Yield a dead letter's fields for people, safe to print."""
    for name, value in _fields(letter).items():
        if value != "":
            yield f"{name}: {escaped(str(value))}"
    for name, content in letter.headers:
        size = "" if content is None else f" ({len(content):,} bytes)"
        yield f"header {escaped(name)}{size}: {'none' if content is None else escaped(content)}"
    yield f"key: {'none' if letter.key is None else escaped(letter.key)}"
    head = f" (the first {len(letter.raw or b''):,} bytes; --raw has all)"
    raw = "none, a tombstone" if letter.raw is None else escaped(letter.raw)
    yield f"raw{head if letter.full_record else ''}: {raw}"


def letter_dict(letter: Letter) -> dict[str, Any]:
    """Return a dead letter for JSON, with its bytes as text and in base64."""
    return {
        **_fields(letter),
        "redrive_identity": letter.identity,
        "is_head": bool(letter.full_record),
        "raw": None if letter.raw is None else escaped(letter.raw),
        "raw_base64": _base64(letter.raw),
        "key_base64": _base64(letter.key),
        "headers": [
            {"name": name, "value_base64": _base64(value)} for name, value in letter.headers
        ],
    }


def _fields(letter: Letter) -> dict[str, Any]:
    """Return all fields but the bytes, with the meaning of the reason."""
    reason = REASONS.get(letter.reason)
    return {
        "position": letter.where,
        "step": letter.step,
        "reason": letter.reason,
        "detail": letter.detail,
        "meaning": reason.meaning if reason else "",
        "action": reason.action if reason else "",
        "replica": letter.replica,
        "type": letter.event_type,
        "schema_version": letter.schema_version,
        "arrival_time": _time(letter.arrival_ms),
        "place": letter.place,
        "bytes": letter.raw_bytes,
        "sha256": letter.sha256,
        "full_record": letter.full_record,
    }


def _time(millis: int | None) -> str:
    return "" if millis is None else text(millis)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
