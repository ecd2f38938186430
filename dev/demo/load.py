"""The demo's load: the data set, replayed to each source, and the ledger of what they hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock

from rich.console import Console

from connectors.errors import UserError
from connectors.kafka.options import Kafka
from connectors.kafka.producer import KafkaProducer
from connectors.kinesis.producer import KinesisProducer
from connectors.producer import Producer
from dev.demo import data_set
from dev.demo.generate import Recipe, generate
from dev.demo.ledger import Ledger
from dev.demo.variants import STREAM, TOPIC
from dev.demo.writer import Facts
from dev.servers import kinesis
from pipeline.ops.replay.history import History, Selection
from pipeline.ops.replay.report import Show, Standing, Summary
from pipeline.ops.replay.rounds import Rounds
from pipeline.ops.replay.run import Plan, Replay, Source, Stop
from pipeline.ops.replay.state import State

Progress = Callable[[int], None]


class Load:
    """Makes the data set once for each source, each with an even part of it, and replays them.

    The whole set is made for each source, and every second record, say, taken: so memory stays
    flat, and the set stays the same whatever the sources.
    """

    def __init__(
        self, sources: tuple[str, ...], recipe: Recipe, folder: Path, environment: Mapping[str, str]
    ) -> None:
        count = len(sources)
        self._feeds = [
            Feed(name, folder / name, environment, recipe, part=(number, count))
            for number, name in enumerate(sources)
        ]

    def send(
        self, records: int | None = None, *, rate: float | None = None, progress: Progress
    ) -> int:
        """Replays so many of the records that remain (None: all), at most `rate` a second."""
        count = len(self._feeds)
        told = _Sum(count, progress)
        with ThreadPoolExecutor(count) as pool:
            running = [
                pool.submit(
                    feed.send,
                    None if records is None else records // count,
                    rate=rate / count if rate else None,
                    progress=partial(told.update, number),
                )
                for number, feed in enumerate(self._feeds)
            ]
            return sum(each.result() for each in running)

    def ledger(self) -> Ledger:
        """What the sources hold, read back from them."""
        return Ledger.of([feed.ledger() for feed in self._feeds])


class Feed:
    """One source, its part of the data set, and how much of that was sent."""

    def __init__(
        self,
        name: str,
        folder: Path,
        environment: Mapping[str, str],
        recipe: Recipe,
        *,
        part: tuple[int, int],
    ) -> None:
        self._name, self._folder, self._environment = name, folder, environment
        number, count = part
        made = itertools.islice(generate(recipe), number, None, count)
        self._facts: Facts = data_set.write(made, folder, nulls=name == "kafka")
        self._sent = 0

    def send(self, records: int | None, *, rate: float | None, progress: Progress) -> int:
        """Replays that many more; raises UserError unless each was acknowledged."""
        limit = None if records is None else self._sent + records
        selection = Selection(archive=True, limit=limit)
        history = History(str(self._folder), selection, self._environment)
        target = self._target()
        try:
            summary = self._replay(history, selection, target, rate, progress)
        finally:
            target.close()
        if summary.exit_code:
            raise UserError(f"the replay to {target.name} is not whole: {summary.lines()}")
        self._sent += summary.events
        return summary.events

    def ledger(self) -> Ledger:
        """Where the source has each record."""
        if self._name == "kafka":
            return data_set.on_kafka(self._facts, self._cluster, TOPIC)
        return data_set.on_kinesis(self._facts, self._client, STREAM)

    def _replay(
        self,
        history: History,
        selection: Selection,
        target: Producer,
        rate: float | None,
        progress: Progress,
    ) -> Summary:
        state = State(
            input=str(self._folder),
            fingerprint=history.fingerprint(),
            selection=str(selection),
            targets=(target.name,),
            sent=self._sent,
        )
        return Replay(
            Source(rounds=Rounds(history), counts=history.counts, selection=selection),
            [target],
            Plan(speedup=None, rate=rate, watermarks=False),
            state,
            save=lambda state: None,
            show=_Told(progress),
            stop=Stop(),
        ).run()

    def _target(self) -> Producer:
        if self._name == "kafka":
            return KafkaProducer(self._cluster, TOPIC)
        return KinesisProducer(self._client, STREAM)

    @property
    def _cluster(self) -> Kafka:
        return Kafka(bootstrap_servers=self._environment["KAFKA_BOOTSTRAP_SERVERS"])

    @property
    def _client(self) -> object:
        return kinesis.client(self._environment["KINESIS_ENDPOINT"])


class _Told(Show):
    """Tells a step's progress how many events are sent, and prints nothing itself."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(Console(quiet=True))
        self._progress = progress

    def wants(self, now: float) -> bool:
        """Always: a step shows no more than it needs."""
        return True

    def draw(self, standing: Standing, now: float, seconds: float) -> None:
        """Passes the number on."""
        self._progress(standing.events)


class _Sum:
    """Progress of several as one."""

    def __init__(self, count: int, progress: Progress) -> None:
        self._done = [0] * count
        self._progress = progress
        self._lock = Lock()

    def update(self, number: int, done: int) -> None:
        """Notes how far one of them is."""
        with self._lock:
            self._done[number] = done
            self._progress(sum(self._done))
