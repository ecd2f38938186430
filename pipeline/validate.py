"""What the job would do with sample events, found out without a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from connectors.errors import UserError
from connectors.opensearch.options import index_name
from connectors.text_files import cut
from pipeline.config.model import Config
from pipeline.decode.decoder import Control, Decoded, Event, Reject, decoder_of
from pipeline.decode.origins import Origins
from pipeline.decode.type_rule import TypeRule
from pipeline.events.event_types import EventTypes

STANDARD_INPUT: Final = "-"
ITS_POSITION: Final = "(the record's position)"
"""The id of an event whose type has none."""
_BATCH: Final = 1000


class Sample(NamedTuple):
    """A raw event; `at` is its file and line, empty for an argument."""

    raw: bytes
    at: str = ""


@dataclass(slots=True)
class Summary:
    """How many events there were, and of each verdict; rejects are counted by their reason."""

    records: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: dict[str, Any]) -> int:
        """Count a verdict; return how many there were."""
        reason = verdict.get("reason", "")
        self.counts[f"reject {reason}" if reason else verdict["verdict"]] += 1
        self.records += 1
        return self.records

    @property
    def has_rejects(self) -> bool:
        """Whether an event was rejected."""
        return any(name.startswith("reject") for name in self.counts)

    def as_dict(self) -> dict[str, int]:
        """Return the counts, the most frequent first."""
        return {"records": self.records, **dict(self.counts.most_common())}


def samples(
    arguments: Sequence[str], files: Sequence[Path], standard_input: BinaryIO
) -> Iterator[Sample]:
    """Yield each argument, JSON, then the lines of each file; `-` is standard input.

    An argument that is the name of a file is a file, too.

    Raises:
        UserError: a file cannot be read.
    """
    for argument in arguments:
        if argument == STANDARD_INPUT or is_file(argument):
            yield from _events(argument, standard_input)
        else:
            yield Sample(argument.encode("utf-8", "surrogateescape"))
    for file in files:
        yield from _events(str(file), standard_input)


def is_file(argument: str) -> bool:
    """Return whether an argument names a file; JSON and texts too long for a name do not."""
    try:
        return not is_json(argument) and Path(argument).is_file()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def is_json(argument: str) -> bool:
    """Return whether an argument was meant as JSON."""
    return argument.lstrip().startswith(("{", "["))


def verdicts(
    given: Iterable[Sample], config: Config, types: EventTypes, told: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield what the job would do with each event: folder, index and id, or the reject's reason.

    `told` is what the events' header says, or the topic or stream they are in.

    Raises:
        UserError: the configuration tells types by header or topic, and `told` is empty.
    """
    # Any machine can validate, whatever the job's has.
    settings = replace(config.decode, native="off")
    deciding, remaining = decoder_of(settings, config.source, types), iter(given)
    origins = _origins(config, told)
    while batch := list(islice(remaining, _BATCH)):
        decoded = deciding.decode_batch([sample.raw for sample in batch], origins(len(batch)))
        for row, sample in enumerate(batch):
            outcome = _outcome(decoded, row) or deciding.decode(sample.raw, origins(1))
            yield {**({"at": sample.at} if sample.at else {}), **verdict(outcome, config)}


def _origins(config: Config, told: str) -> Callable[[int], Origins]:
    """Return a function for the origins of so many events, which are all from one place."""
    rule = TypeRule.of(config.source)
    if (rule.header or rule.topics) and not told:
        where = f"the header {rule.header}" if rule.header else "the topic or stream"
        raise UserError(
            f"the configuration tells an event's type by {where}; give --told with what it is."
        )
    if rule.topics and told not in rule.topics:
        raise UserError(f"--told is {cut(told)!r}; give one of {', '.join(rule.topics)}.")
    text = rule.topics.get(told, told)
    asked = bool(rule.header or rule.topics)

    def origins(rows: int) -> Origins:
        versions = np.zeros(rows, np.int64)
        return Origins([text] * rows if asked else None, [ITS_POSITION] * rows, versions)

    return origins


def verdict(outcome: Event | Control | Reject, config: Config) -> dict[str, Any]:
    """Return what the job does with a decoded record."""
    if isinstance(outcome, Event):
        return _destinations(outcome, config)
    if isinstance(outcome, Control):
        return {"verdict": "control", "event_type": outcome.event_type, **outcome.values}
    why = {"reason": outcome.reason, "detail": outcome.detail}
    return {"verdict": "reject", "step": "decode", **why}


def _events(name: str, standard_input: BinaryIO) -> Iterator[Sample]:
    if name == STANDARD_INPUT:
        yield from _lines(standard_input, "standard input")
        return
    try:
        with Path(name).open("rb") as file:
            yield from _lines(file, name)
    except (OSError, ValueError) as error:  # ValueError: the name has a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"{cut(name, 300)}: cannot be read ({reason}); give a file with an event in each line,"
            " or - for standard input."
        ) from error


def _lines(file: BinaryIO, name: str) -> Iterator[Sample]:
    for number, line in enumerate(file, 1):
        yield Sample(line.removesuffix(b"\n").removesuffix(b"\r"), f"{name}:{number}")


def _outcome(decoded: Decoded, row: int) -> Event | Reject | None:
    """Return a row without the event's values; None for a control, of which a batch keeps none."""
    event_type, version = decoded.event_type[row], int(decoded.schema_version[row])
    if decoded.kind[row] == "reject":
        return Reject(decoded.reason[row], decoded.detail[row], event_type, version)
    if decoded.kind[row] == "control":
        return None
    return Event(
        event_type=event_type,
        schema_version=version,
        values={},
        partition=decoded.partitions[decoded.partition[row]],
        document_id=decoded.document_id[row],
        document_version=int(decoded.document_version[row]),
        document=decoded.document[row],
    )


def _destinations(event: Event, config: Config) -> dict[str, Any]:
    where: dict[str, Any] = {"verdict": "event", "event_type": event.event_type}
    if config.lake:
        where["lake"] = f"{config.lake.path}/{event.partition}/"
    if config.index:
        where["index"] = index_name(config.index.prefix, event.event_type)
        where["id"] = event.document_id
        where["version"] = event.document_version
        where["document"] = msgspec.json.decode(event.document or b"null")
    return where
