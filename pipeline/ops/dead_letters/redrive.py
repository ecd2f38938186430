"""Sends dead letters back, so that the step that rejected them is repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from pipeline.config.model import Config
from pipeline.ops.dead_letters.choice import Choice
from pipeline.ops.dead_letters.letter import Letter
from pipeline.ops.dead_letters.reader import read_letters, read_original
from pipeline.ops.dead_letters.report import RedriveReport
from pipeline.ops.dead_letters.senders import Pending
from pipeline.ops.dead_letters.targets import Pace, RedriveTargets
from pipeline.ops.systems import Systems

REMOTE_RATE: Final = 1_000.0
"""Default rate, in records a second, if a target is not on this machine."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def redrive(
    systems: Systems,
    choice: Choice,
    *,
    limit: int | None = None,
    rate: float | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> RedriveReport:
    """Redrive at most `limit` of the chosen dead letters, without those in the redrive log.

    To Kafka exactly once, whatever ends this program; of two at a time the earlier is fenced off.
    To Kinesis at least once; into the index effectively once. `rate` is in records a second, by
    default 1,000 unless all targets are on this machine. A dry run sends and logs nothing.

    Raises:
        UserError: a system stays unreachable, or another redrive took over; run again to continue.
    """
    report = RedriveReport(progress=progress)
    pace = Pace(None if dry_run else rate or default_rate(systems.config))
    targets = RedriveTargets(systems, pace, report, dry_run)
    try:
        _dispatch(filter(choice.matches, read_letters(systems)), systems, targets, report, limit)
        targets.flush()
    finally:
        targets.close()
    return report


def _dispatch(
    letters: Iterable[Letter],
    systems: Systems,
    targets: RedriveTargets,
    report: RedriveReport,
    limit: int | None,
) -> None:
    digests: set[bytes] = set()
    dispatched = 0
    for letter in letters:
        digest = letter.digest
        if digest in digests:
            report.copies += 1
        elif dispatched == limit:
            return
        else:
            digests.add(digest)
            report.selected += 1
            dispatched += _add_to_target(letter, digest, systems, targets, report)


def _add_to_target(
    letter: Letter,
    digest: bytes,
    systems: Systems,
    targets: RedriveTargets,
    report: RedriveReport,
) -> bool:
    """Return whether a target took the dead letter; otherwise report why not."""
    target = targets.of(letter)
    if isinstance(target, str):
        report.add_refused(letter, target)
        return False
    if digest in target.log:
        report.already += 1
        return False
    original = read_original(letter, systems.store)
    if isinstance(original, str):
        report.add_refused(letter, original)
        return False
    target.add(Pending(letter, original))
    return True


def default_rate(config: Config) -> float | None:
    """Return records a second; None, without a limit, if all targets are on this machine."""
    return None if _hosts(config) <= _LOOPBACK else REMOTE_RATE


def _hosts(config: Config) -> set[str | None]:
    """Return the hosts of all targets: the source's brokers or streams, and the index."""
    hosts: set[str | None] = set()
    if config.source.kafka_topics:
        servers = config.cluster(config.source.kafka_cluster).bootstrap_servers.split(",")
        hosts |= {server.strip().rpartition(":")[0].strip("[]") for server in servers}
    if config.source.kinesis_streams:
        hosts.add(urlsplit(config.kinesis.endpoint).hostname)
        hosts |= {urlsplit(config.index.url).hostname} if config.index else set()
    return hosts
