"""Send dead letters back to where the step that rejected them takes them up again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from pipeline.config.model import Config
from pipeline.ops.dead_letters import read
from pipeline.ops.dead_letters.choose import Choice
from pipeline.ops.dead_letters.letter import Letter, log_key
from pipeline.ops.dead_letters.redrive_target import Pace, Ready
from pipeline.ops.dead_letters.redrive_targets import RedriveTargets
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
    default 1,000 unless all targets are on this machine.  A dry run sends and logged nothing.

    Raises:
        UserError: a system stays away, or another redrive took over; running again goes on.
    """
    tally = Tally(progress=progress)
    pace = Pace(None if dry_run else rate or default_rate(systems.config))
    targets = RedriveTargets(systems, pace, tally, dry_run)
    try:
        _hand_over(filter(choice.takes, read.letters(systems)), systems, targets, tally, limit)
        targets.flush()
    finally:
        targets.close()
    return tally


def _hand_over(
    letters: Iterable[Letter],
    systems: Systems,
    targets: RedriveTargets,
    tally: Tally,
    limit: int | None,
) -> None:
    seen: set[bytes] = set()
    handed = 0
    for letter in letters:
        key = log_key(letter.identity)
        if key in seen:
            tally.copies += 1
        elif handed == limit:
            return
        else:
            seen.add(key)
            tally.selected += 1
            handed += _goes(letter, systems, targets, tally)


def _goes(letter: Letter, systems: Systems, targets: RedriveTargets, tally: Tally) -> bool:
    """Hand a dead letter over to its target, or count why not; return which."""
    target = targets.of(letter)
    if isinstance(target, str):
        tally.refuse(letter, target)
        return False
    if target.is_redriven(letter):
        tally.already += 1
        return False
    found = whole(letter, systems.store)
    if isinstance(found, str):
        tally.refuse(letter, found)
        return False
    target.add(Ready(letter, found))
    return True


def default_rate(config: Config) -> float | None:
    """Return records per second; None, unbounded, where all targets are on this machine."""
    return None if _hosts(config) <= _LOOPBACK else RATE_BEYOND_LOOPBACK


def _hosts(config: Config) -> set[str | None]:
    """Return the hosts of the targets: the source's brokers or streams, and the index."""
    found: set[str | None] = set()
    if config.source.kafka_topics:
        servers = config.cluster(config.source.kafka_cluster).bootstrap_servers.split(",")
        found |= {server.strip().rpartition(":")[0].strip("[]") for server in servers}
    if config.source.kinesis_streams:
        found.add(urlsplit(config.kinesis.endpoint).hostname)
        found |= {urlsplit(config.index.url).hostname} if config.index else set()
    return found
