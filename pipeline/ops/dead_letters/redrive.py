"""Sends dead letters back to where they can take up the step that refused them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from pipeline.config.model import Config
from pipeline.ops.dead_letters import read
from pipeline.ops.dead_letters.choose import Choice
from pipeline.ops.dead_letters.lane import Pace, Ready
from pipeline.ops.dead_letters.lanes import Lanes
from pipeline.ops.dead_letters.letter import Letter, mark_of
from pipeline.ops.dead_letters.tally import Tally
from pipeline.ops.dead_letters.whole import whole
from pipeline.ops.systems import Systems

RATE_BEYOND_LOOPBACK: Final = 1_000.0

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def redrive(
    systems: Systems,
    choice: Choice,
    *,
    limit: int | None = None,
    rate: float | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Redrive the chosen dead letters that have not been, at most `limit` of them; the counts.

    To Kafka each exactly once, whatever ends this program, and of two at a time one is fenced off.
    To Kinesis at least once; into the index effectively once. `rate` is in records a second, by
    default 1,000 unless all targets are on this machine.  A dry run sends and marks nothing.

    Raises:
        UserError: a system stays away, or another redrive took over; running again goes on.
    """
    tally = Tally(progress=progress)
    pace = Pace(None if dry_run else rate or default_rate(systems.config))
    lanes = Lanes(systems, pace, tally, dry_run)
    try:
        _hand_over(filter(choice.takes, read.letters(systems)), systems, lanes, tally, limit)
        lanes.flush()
    finally:
        lanes.close()
    return tally


def _hand_over(
    letters: Iterable[Letter], systems: Systems, lanes: Lanes, tally: Tally, limit: int | None
) -> None:
    seen: set[bytes] = set()
    handed = 0
    for letter in letters:
        mark = mark_of(letter.identity)
        if mark in seen:
            tally.copies += 1
        elif handed == limit:
            return
        else:
            seen.add(mark)
            tally.selected += 1
            handed += _goes(letter, systems, lanes, tally)


def _goes(letter: Letter, systems: Systems, lanes: Lanes, tally: Tally) -> bool:
    """Whether it was handed over to a lane; else it is counted as what it is."""
    lane = lanes.of(letter)
    if isinstance(lane, str):
        tally.refuse(letter, lane)
        return False
    if lane.is_marked(letter):
        tally.already += 1
        return False
    found = whole(letter, systems.store)
    if isinstance(found, str):
        tally.refuse(letter, found)
        return False
    lane.add(Ready(letter, found))
    return True


def default_rate(config: Config) -> float | None:
    """Records a second; None, without a bound, where all targets are on this machine."""
    return None if _hosts(config) <= _LOOPBACK else RATE_BEYOND_LOOPBACK


def _hosts(config: Config) -> set[str | None]:
    """Where redriven records go: the source's brokers or streams, and the index."""
    found: set[str | None] = set()
    if config.source.kafka_topics:
        servers = config.cluster(config.source.kafka_cluster).bootstrap_servers.split(",")
        found |= {server.strip().rpartition(":")[0].strip("[]") for server in servers}
    if config.source.kinesis_streams:
        found.add(urlsplit(config.kinesis.endpoint).hostname)
        found |= {urlsplit(config.index.url).hostname} if config.index else set()
    return found
