"""An index step over an index in memory, with a clock that only sleeping moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from connectors.opensearch.bulk import (
    Answer,
    Document,
    Limits,
    Outcome,
    Rejected,
    Send,
    Unreachable,
)
from pipeline.index.indexer import Indexer, RetryPolicy
from tests.connectors.memory_index import Fault, MemoryIndex

FIELDS = {"n": "integer"}
REFUSED = Unreachable("no connection")
RESET = Unreachable("the connection was broken off", reset=True)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@dataclass
class Bench:
    """An indexer over an index in memory, with every request body that was sent."""

    memory: MemoryIndex
    time: Time
    bodies: list[bytes]
    indexer: Indexer

    def index(self, *documents: Document) -> list[Outcome]:
        return self.indexer.index(documents)

    def ids(self) -> list[list[str]]:
        return [ids_of(body) for body in self.bodies]


def bench(
    *faults: Fault | None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
    random: Callable[[], float] = lambda: 1.0,
) -> Bench:
    memory = MemoryIndex({"trip": FIELDS, "green": FIELDS}, deque(faults))
    time, bodies = Time(), list[bytes]()
    indexer = Indexer(
        recording(memory, bodies),
        limits=limits or Limits(),
        retry=retry or RetryPolicy(),
        clock=time.clock,
        sleep=time.sleep,
        random=random,
    )
    return Bench(memory, time, bodies, indexer)


def recording(send: Send, bodies: list[bytes]) -> Send:
    def record(body: bytes) -> Answer:
        bodies.append(body)
        return send(body)

    return record


def ids_of(body: bytes) -> list[str]:
    return [msgspec.json.decode(line)["index"]["_id"] for line in body.split(b"\n")[:-1:2]]


def trip(key: object, version: int = 1, body: bytes = b'{"n":1}', index: str = "trip") -> Document:
    return Document(index, str(key), version, body)


def reasons(outcomes: Sequence[Outcome]) -> list[str]:
    return [o.reason if isinstance(o, Rejected) else o.value for o in outcomes]
