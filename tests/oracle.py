"""What must become of the records that were sent, and whether a finished job's sinks hold that.

The expectation is the generator's (`Made`); the sinks are read by `tests.oracle_read`. No code of
the job or of an operator's tool takes part, so that no mistake of theirs can hide itself.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from dev.demo.made import EVENT, Made

Aspects = dict[str, Any]
"""What is compared of a record, by name: bytes, values, folder and so on."""

Records = list[tuple[str, Aspects]]
"""The records of a sink, each under the key that it is known by there: usually its position."""

_NAMED = 5


class Sent(NamedTuple):
    """A record and its position: `topic/partition@offset` or `stream/shard@sequence number`."""

    position: str
    made: Made


Chosen = Callable[[Sent], bool]
"""Tells whether an event belongs in a replica."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """A sink's records; `copies` tells that its guarantee allows a record more than once."""

    records: Records
    copies: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sinks:
    """What the sinks hold; None: there is no such sink.

    Aspects: archive `bytes` and `hour` (None in the right folder), lake `values` and `folder`,
    dead letters `step`, `replica`, `reason` and `bytes`, index `version` and `values` by type and
    id, replicas `key` and `values`. Events of a replica in a stream have no position: "".
    """

    archive: Sink | None = None
    lake: Sink | None = None
    dead_letters: Sink | None = None
    index: Sink | None = None
    replicas: Mapping[str, Sink] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many records each sink holds, and the keys of those that are wrong, by what is wrong."""

    counts: dict[str, int]
    wrong: dict[str, list[str]]

    def problems(self) -> list[str]:
        """Return a sentence for each kind of error, with the first keys."""
        return [
            f"{what} {len(keys)}: {', '.join(key[:200] for key in keys[:_NAMED])}"
            for what, keys in self.wrong.items()
        ]


def judge(
    sent: Sequence[Sent], sinks: Sinks, chosen: Mapping[str, Chosen] | None = None
) -> Verdict:
    """Compare every sink with what was sent; `chosen` names the filters of replicas."""
    assert sent, "nothing was sent, so nothing can be judged"
    assert len({record.position for record in sent}) == len(sent), "a position was given twice"
    verdict = Verdict({}, {})
    events = {record.position: _Event.of(record) for record in sent if record.made.expect == EVENT}
    refused = _refused(sinks.dead_letters)
    if sinks.archive:
        due: Records = [
            (record.position, {"bytes": record.made.raw, "hour": None}) for record in sent
        ]
        _compare(verdict, "archive", due, sinks.archive)
    if sinks.lake:
        due = [
            (at, {"values": event.values, "folder": event.folder}) for at, event in events.items()
        ]
        _compare(verdict, "lake", due, sinks.lake)
    if sinks.dead_letters:
        _judge_letters(verdict, sent, events, sinks.dead_letters)
    if sinks.index:
        held = {key: aspects["version"] for key, aspects in sinks.index.records}
        _compare(verdict, "index", _documents(events, refused["index", ""], held), sinks.index)
    for name, sink in sinks.replicas.items():
        choose = (chosen or {}).get(name)
        mine = {at: event for at, event in events.items() if not choose or choose(event.sent)}
        _judge_replica(verdict, name, mine, refused["replicate", name], sink)
    return verdict


def values_of(row: Mapping[str, Any]) -> Aspects:
    """Return a row's values in one form, whether JSON or Parquet held them.

    A null and an empty text count as absent: they are the defaults of the fields that have one.
    """
    return {name: _value(name, value) for name, value in row.items() if value not in (None, "")}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return repr(value)  # true is not 1
    if name.endswith("_datetime") and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


@dataclass(frozen=True, slots=True)
class _Event:
    """A valid event, its values and where the lake must have it."""

    sent: Sent
    values: Aspects
    folder: str

    @staticmethod
    def of(sent: Sent) -> _Event:
        values = values_of(json.loads(sent.made.raw or b""))
        pickup = values["pickup_datetime"]
        place = f"pickup_location={values['pickup_location_id']:03d}"
        folder = f"{values['type']}/{place}/year={pickup:%Y}/month={pickup:%m}"
        return _Event(sent, values, folder)

    @property
    def document(self) -> str:
        return f"{self.values['type']} {self.values['trip_id']}"


def _compare(verdict: Verdict, name: str, due: Records, sink: Sink) -> None:
    """Note what is missing, doubled, unexpected, and each aspect that differs."""
    expected, times = Counter(key for key, _ in due), Counter(key for key, _ in sink.records)
    wrong: dict[str, list[str]] = defaultdict(list)
    wrong["missing"] += (expected - times).elements()
    surplus = list((times - expected).elements())
    wrong["unexpected"] += [key for key in surplus if key not in expected]
    if not sink.copies:
        wrong["doubled"] += [key for key in surplus if key in expected]
    aspects = dict(due)
    for key, observed in sink.records:
        for aspect, value in aspects.get(key, {}).items():
            if observed[aspect] != value:
                wrong[aspect].append(key)
    verdict.counts[name] = len(sink.records)
    verdict.wrong.update({f"{name} {what}": sorted(keys) for what, keys in wrong.items() if keys})


def _refused(letters: Sink | None) -> dict[tuple[str, str], set[str]]:
    """Return the positions of dead letters by step and replica."""
    refused: dict[tuple[str, str], set[str]] = defaultdict(set)
    for position, aspects in letters.records if letters else ():
        refused[aspects["step"], aspects["replica"]].add(position)
    return refused


def _judge_letters(
    verdict: Verdict, sent: Sequence[Sent], events: Mapping[str, _Event], sink: Sink
) -> None:
    """Each reject must be there; an event may be, if index or a replica refused it."""
    due: dict[str, Aspects] = {
        f"{record.position} decode": {"reason": record.made.expect, "bytes": record.made.raw}
        for record in sent
        if record.made.is_reject
    }
    records: Records = []
    for position, aspects in sink.records:
        key = " ".join(filter(None, (position, aspects["step"], aspects["replica"])))
        records.append((key, aspects))
        if aspects["step"] in ("index", "replicate") and position in events:
            due[key] = {"bytes": events[position].sent.made.raw}
    _compare(verdict, "dead_letters", list(due.items()), Sink(records=records, copies=sink.copies))


def _documents(events: Mapping[str, _Event], refused: set[str], held: Mapping[str, int]) -> Records:
    """Return each id's document: its newest version, refused ones apart.

    A refused version may have been indexed all the same (its request timed out): then it is due.
    """
    versions: dict[str, dict[int, Aspects]] = defaultdict(dict)
    newest: dict[str, int] = {}
    for position, event in events.items():
        key, version = event.document, event.sent.made.version_ms
        versions[key][version] = event.values
        if position not in refused:
            newest[key] = max(version, newest.get(key, version))
    for key, version in held.items():
        if version in versions.get(key, ()) and version > newest.get(key, -1):
            newest[key] = version
    return [(k, {"version": v, "values": versions[k][v]}) for k, v in newest.items()]


def _judge_replica(
    verdict: Verdict, name: str, events: Mapping[str, _Event], refused: set[str], sink: Sink
) -> None:
    """Each event must be there unless this replica refused it; without a position by its values."""
    by_position = any(position for position, _ in sink.records)
    records = sink.records if by_position else [(_text(a), a) for _, a in sink.records]
    present = {key for key, _ in records}
    due: Records = []
    for position, event in events.items():
        aspects = {"key": str(event.values["trip_id"]), "values": event.values}
        key = position if by_position else _text(aspects)
        if position not in refused or key in present:
            due.append((key, aspects))
    _compare(verdict, f"replica {name}", due, Sink(records=records, copies=sink.copies))


def _text(aspects: Aspects) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(aspects["values"].items()))


def events_in(sent: Iterable[Sent]) -> list[Sent]:
    """Return the records that must reach the lake."""
    return [record for record in sent if record.made.expect == EVENT]
