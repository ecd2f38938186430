"""The load of a rehearsal: part of a generated history, replayed or sent in small pieces.

Only events of the busiest zones are sent: each lake partition gets a file at every checkpoint, and
a rehearsal does not need thousands of files.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from confluent_kafka import Producer

from connectors.errors import UserError
from dev.rehearse.tool import tool
from dev.servers import kinesis

FIELD: Final = "accessibility_fee"
"""What yellow trips have from the next version on."""
_EVENTS: Final = 60_000
_ZONES: Final = 6
_FEED_SECONDS: Final = 30


class Load:
    """The events of a history, sent once each and in order, and how many went where."""

    def __init__(self, folder: Path, topic: str, stream: str, servers: Mapping[str, str]) -> None:
        self.topic, self.stream = topic, stream
        self.on_topic = self.on_stream = 0
        self._folder, self._servers = folder, servers
        tool("generate", str(folder / "history"), "--events", str(_EVENTS))
        self._lines = itertools.chain.from_iterable(
            _lines(path) for path in sorted((folder / "history").iterdir())
        )
        self._left = iter(in_busy_zones(list(self._lines)))
        self._parts = itertools.count()
        brokers = {"bootstrap.servers": servers["KAFKA_BOOTSTRAP_SERVERS"]}
        self._producer = Producer({**brokers, "log_level": 2})  # it says the servers' end, too

    @property
    def records(self) -> int:
        """The number of raw records in both sources."""
        return self.on_topic + self.on_stream

    def replay(self, *, to_topic: int, to_stream: int, upgraded: bool = False) -> None:
        """Send the next events with `streaming-etl replay`; `upgraded` ones have the new field."""
        topic = ("--topic", self.topic, *self._option("bootstrap-servers"))
        stream = ("--stream", self.stream, *self._option("endpoint"), *self._option("region"))
        self._replay(to_topic, topic, upgraded)
        self._replay(to_stream, stream, upgraded)
        self.on_topic += to_topic
        self.on_stream += to_stream

    def feed(self, *, to_topic: int = 0, to_stream: int = 0, partition: int = -1) -> None:
        """Send the next events at once; `partition` is the topic's, -1 any."""
        self.put_on_topic(self._take(to_topic), partition)
        self.put_on_stream(self._take(to_stream))

    def feed_stale(self, count: int) -> None:
        """Send events to the topic, then an older version of each."""
        taken = self._take(count)
        self.put_on_topic(taken)
        self.put_on_topic([older(line) for line in taken])

    def feed_defective(self, count: int) -> None:
        """Send records to the topic that are no events, as if they were redriven."""
        raws = [b'{"type":"trip","trip_id":"%d"}' % number for number in range(count)]
        self.put_on_topic(raws, headers={"redrive_step": b"index"})

    def put_on_topic(
        self,
        raws: Sequence[bytes],
        partition: int = -1,
        headers: dict[str, str | bytes | None] | None = None,
    ) -> None:
        """Send raw records; UserError unless each is acknowledged."""
        for raw in raws:
            self._producer.produce(self.topic, raw, partition=partition, headers=headers)
        unsent = self._producer.flush(_FEED_SECONDS)
        if unsent:
            raise UserError(f"{self.topic}: {unsent} records were not taken; is Kafka up?")
        self.on_topic += len(raws)

    def put_on_stream(self, raws: Sequence[bytes]) -> None:
        """Send raw records; UserError unless each is acknowledged."""
        if not raws:
            return
        entries = [{"Data": raw, "PartitionKey": str(crc32(raw))} for raw in raws]
        client = kinesis.client(self._servers["KINESIS_ENDPOINT"])
        answer = client.put_records(StreamName=self.stream, Records=entries)
        if answer["FailedRecordCount"]:
            raise UserError(f"{self.stream}: {answer['FailedRecordCount']} records were refused.")
        self.on_stream += len(raws)

    def _option(self, name: str) -> tuple[str, str]:
        variables = {
            "bootstrap-servers": "KAFKA_BOOTSTRAP_SERVERS",
            "endpoint": "KINESIS_ENDPOINT",
            "region": "AWS_REGION",
        }
        return f"--{name}", self._servers[variables[name]]

    def _replay(self, count: int, target: Sequence[str], upgraded: bool) -> None:
        taken = self._take(count)
        part = self._folder / f"part-{next(self._parts)}"
        part.mkdir(parents=True)
        lines = [with_field(line) for line in taken] if upgraded else taken
        (part / "trips.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))
        state = str(part.with_suffix(".state"))
        words = (str(part), *target, "--unpaced", "--no-watermarks", "--state", state)
        tool("replay", *words, environment=self._servers)

    def _take(self, count: int) -> list[bytes]:
        taken = list(itertools.islice(self._left, count))
        if len(taken) < count:
            raise UserError(f"the history of {_EVENTS:,} events is used up; raise _EVENTS.")
        return taken


def in_busy_zones(lines: Sequence[bytes]) -> list[bytes]:
    """Yield the events of the busiest zones, in the same order."""
    zones = [json.loads(line)["pickup_location_id"] for line in lines]
    busy = {zone for zone, _ in Counter(zones).most_common(_ZONES)}
    return [line for line, zone in zip(lines, zones, strict=True) if zone in busy]


def older(line: bytes) -> bytes:
    """Return the event as it was a second before, by its version time."""
    event = json.loads(line)
    dropoff = datetime.fromisoformat(event["dropoff_datetime"]) - timedelta(seconds=1)
    event["dropoff_datetime"] = dropoff.isoformat(timespec="milliseconds")
    return json.dumps(event).encode()


def with_field(line: bytes) -> bytes:
    """Return a yellow trip as the next version's senders send it; others unchanged."""
    event = json.loads(line)
    if event["type"] != "trip":
        return line
    return json.dumps({**event, FIELD: 2.75}).encode()


def upgraded_schema(text: str) -> str:
    """Return the schema of the next version, which has one more nullable field."""
    schema: dict[str, Any] = json.loads(text)
    field = {"name": FIELD, "type": ["null", "double"], "default": None, "doc": "In US dollars."}
    return json.dumps(
        {**schema, "version": schema["version"] + 1, "fields": [*schema["fields"], field]}
    )


def _lines(path: Path) -> Iterable[bytes]:
    return path.read_bytes().splitlines()
