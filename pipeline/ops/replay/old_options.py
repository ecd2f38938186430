"""Translate the single-dash options of both generations of the original replay into ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from connectors.errors import UserError


class Old(NamedTuple):
    """An old option: its successor ("" if it has none), and how that differs."""

    name: str
    ours: str
    note: str = ""
    takes_value: bool = True


OLD: Final = (
    Old("-streamName", "--stream", "Use it with `--region`; an ARN contains its region."),
    Old("-streamArn", "--stream"),
    Old("-s", "--stream", "The short form of `-streamArn`."),
    Old("-streamRegion", "--region"),
    Old("-bucketName", "INPUT", "With `-objectPrefix`: s3://bucket/prefix."),
    Old(
        "-objectPrefix",
        "INPUT",
        "With `-bucketName`: s3://bucket/prefix. A folder of that name is read alone.",
    ),
    Old("-bucketRegion", "--input-region"),
    Old("-speedup", "--speedup", "The default was 6480 and is now 3600."),
    Old("-timestampAttributeName", "--timestamp-field"),
    Old("-seek", "--from"),
    Old("-statisticsFrequency", "--statistics-seconds", "Milliseconds are converted to seconds."),
    Old("-aggregate", "--aggregate", takes_value=False),
    Old("-noWatermark", "--no-watermarks", takes_value=False),
    Old("-bufferSize", "--reorder", "The number of events among which order is restored."),
    Old("-readerBufferSize", "--reorder", "The number of events among which order is restored."),
    Old("-noBackpressure", "", "There is always back-pressure.", takes_value=False),
    Old("-maxOutstandingRecords", "", "Records in flight are always bounded."),
    Old("-kinesisProducerBuffer", "", "Batches are as large as Kinesis allows."),
    Old("-kinesisSenderThreads", "", "Always four requests at once."),
    Old("-help", "--help", takes_value=False),
)
_BY_NAME: Final = {old.name: old for old in OLD}


def translate(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments with old options replaced by ours, and a note about each.

    >>> translate(["-streamName", "trips", "-noBackpressure"])[0]
    ['--stream', 'trips']

    Raises:
        UserError: an old option lacks its value, or only one of bucket and prefix is given.
    """
    ours: list[str] = []
    notes: list[str] = []
    location: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        old = _BY_NAME.get(name)
        if old is None:
            ours.append(argument)
            continue
        if old.takes_value and not equals:
            if not rest:
                raise UserError(f"{name} needs a value after it, as {old.ours or name} does.")
            value = rest.pop(0)
        notes.append(_note(old))
        if old.ours == "INPUT":
            location[name] = value
        elif old.ours:
            ours += [old.ours, _converted(old, value)] if old.takes_value else [old.ours]
    return _input(location) + ours, notes


def with_loop_count(arguments: Sequence[str]) -> list[str]:
    """Add 0 (forever) to a `--loop` without a number.

    >>> with_loop_count(["data", "--loop", "--unpaced"])
    ['data', '--loop', '0', '--unpaced']
    """
    ours: list[str] = []
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        ours.append(argument)
        if argument == "--loop" and not following.removeprefix("-").isdecimal():
            ours.append("0")
    return ours


def _note(old: Old) -> str:
    note = f" {old.note}" if old.note else ""
    if not old.ours:
        return f"{old.name} is not needed any more and changes nothing.{note}"
    return f"{old.name} is the old spelling of {old.ours}.{note}"


def _converted(old: Old, value: str) -> str:
    if old.name != "-statisticsFrequency":
        return value
    try:
        return str(int(value) / 1000)
    except ValueError:
        raise UserError(f"{old.name} is {value!r}; give milliseconds.") from None


def _input(location: dict[str, str]) -> list[str]:
    if not location:
        return []
    missing = {"-bucketName", "-objectPrefix"} - set(location)
    if missing:
        raise UserError(
            f"{missing.pop()} is missing beside {next(iter(location))}: give both, or instead of"
            " them s3://bucket/prefix. The original's own bucket is no default any more."
        )
    return [f"s3://{location['-bucketName']}/{location['-objectPrefix'].lstrip('/')}"]
