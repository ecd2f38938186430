"""Send dead letters back, so that the step that rejected them is repeated."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from connectors.errors import UserError
from connectors.kafka.options import host_of
from connectors.kinesis.table import stream_of
from connectors.options import LOOPBACK
from pipeline.config.model import Config
from pipeline.decode.reasons import STEPS
from pipeline.decode.redriven import UNSIGNED_STEP
from pipeline.ops.dead_letters.letter import Letter, Matches
from pipeline.ops.dead_letters.reader import read_letters, read_whole
from pipeline.ops.dead_letters.redrive_log import StoredLog, log_path, read_topic_log
from pipeline.ops.dead_letters.senders import Deliver, IndexSender, StreamSender, TopicSender
from pipeline.ops.systems import Systems

_NO_KEY: Final = (
    "dead_letters.redrive_key is not set, so the dead letter of {letter.where} can't be sent back"
    " to the step {letter.step}: the job ignores redrive headers without a signature and would"
    " write the event to the lake again. Set the key (at least 32 characters, such as the output of"
    " `openssl rand -hex 32`) here and in the job's configuration, restart the job, and run again;"
    " or redrive the others alone with --step decode, which needs no key."
)
REMOTE_RATE: Final = 1_000.0
"""Default rate, in records a second, if a target is not on this machine."""

NO_HEADERS: Final = "a stream can't carry the mark of a replica"

_SAMPLES: Final = 3
_BATCH_RECORDS: Final = 500
_BATCH_BYTES: Final = 8 * 1024 * 1024


@dataclass(slots=True)
class RedriveReport:
    """Counts of a redrive; without an error, `selected` = `redriven` + `already` + `cannot`.

    Copies of a dead letter, which a crash of the job leaves, are counted separately.
    """

    selected: int = 0
    copies: int = 0
    already: int = 0
    redriven: int = 0
    by_reason: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_target: Counter[str] = field(default_factory=Counter)
    cannot: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[str]] = field(default_factory=dict)
    progress: Callable[[int], None] = lambda _: None

    def add_redriven(self, letter: Letter, target: str) -> None:
        """Count a dead letter that was sent to a target, or would be in a dry run."""
        self.redriven += 1
        self.by_reason[letter.step, letter.reason] += 1
        self.by_target[target] += 1
        self.progress(self.redriven)

    def add_refused(self, letter: Letter, why: str) -> None:
        """Count a dead letter that cannot be redriven."""
        self.cannot[why] += 1
        samples = self.samples.setdefault(why, [])
        if len(samples) < _SAMPLES:
            samples.append(letter.where or letter.place)

    def as_dict(self, *, dry_run: bool) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {
            "dry_run": dry_run,
            "selected": self.selected,
            "copies": self.copies,
            "already_redriven": self.already,
            "would_redrive" if dry_run else "redriven": self.redriven,
            "by_reason": [
                {"step": step, "reason": reason, "count": count}
                for (step, reason), count in sorted(self.by_reason.items())
            ],
            "by_target": dict(sorted(self.by_target.items())),
            "cannot_be_redriven": {
                why: {"count": count, "samples": self.samples[why]}
                for why, count in sorted(self.cannot.items())
            },
        }

    def lines(self, *, dry_run: bool) -> list[str]:
        """Return the counts for people."""
        verb = "would be redriven" if dry_run else "redriven"
        lines = [f"{self.redriven:,} of {self.selected:,} {verb}"]
        lines += [f"  to {target}: {count:,}" for target, count in sorted(self.by_target.items())]
        lines += [
            f"  {step} {reason}: {count:,}"
            for (step, reason), count in sorted(self.by_reason.items())
        ]
        if self.already:
            lines.append(f"{self.already:,} already redriven")
        if self.copies:
            lines.append(f"{self.copies:,} copies skipped")
        for why, count in sorted(self.cannot.items()):
            lines.append(f"{count:,} cannot be redriven: {why}; {', '.join(self.samples[why])}")
        return lines


def redrive(
    systems: Systems,
    matches: Matches,
    *,
    limit: int | None = None,
    rate: float | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> RedriveReport:
    """Redrive at most `limit` of the chosen dead letters, except those in the redrive log.

    Guarantee: exactly once to Kafka, whatever ends this program (of two concurrent ones the earlier
    is fenced off); at least once to Kinesis; effectively once into the index. `rate` is in records
    a second, by default 1,000 unless all targets are on this machine. A dry run sends nothing.

    Raises:
        UserError: a system stays unreachable, or another redrive took over; run again to continue.
            Or there is no `dead_letters.redrive_key` for records that go back to a later step.
    """
    report = RedriveReport(progress=progress)
    pace = Pace(None if dry_run else rate or default_rate(systems.config))
    targets = _Targets(systems, pace, report, dry_run)
    try:
        targets.send(filter(matches, read_letters(systems)), limit)
    finally:
        targets.close()
    return report


def default_rate(config: Config) -> float | None:
    """Return the rate in records a second; None (no limit) if all targets are on this machine."""
    hosts: set[str | None] = set()
    if config.source.kafka_topics:
        servers = config.cluster(config.source.kafka_cluster).bootstrap_servers.split(",")
        hosts |= set(map(host_of, servers))
    if config.source.kinesis_streams:
        hosts.add(urlsplit(config.kinesis.endpoint).hostname)
        hosts |= {urlsplit(config.index.url).hostname} if config.index else set()
    return None if hosts <= LOOPBACK else REMOTE_RATE


class Pace:
    """Limits the rate, in records a second, over all targets; None means no limit."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next = time.monotonic()
        self.batch = _BATCH_RECORDS if rate is None else max(1, min(_BATCH_RECORDS, int(rate)))
        """The maximum number of records in a batch."""

    def wait(self, records: int) -> None:
        """Wait until that many records may be sent."""
        if self._rate is not None:
            time.sleep(max(0.0, self._next - time.monotonic()))
            self._next = max(self._next, time.monotonic()) + records / self._rate


@dataclass(slots=True)
class _Target:
    """Where dead letters go; in a dry run `deliver` does nothing.

    `log` has the digests of what was redriven before. `stored` is written after each delivery.
    """

    name: str
    log: Collection[bytes]
    deliver: Deliver = lambda batch: [None] * len(batch)
    close: Callable[[], None] = lambda: None
    stored: StoredLog | None = None
    batch: list[Letter] = field(default_factory=list)
    bytes: int = 0


@dataclass
class _Targets:
    """Opens each target for its first dead letter. A dry run reads the redrive log only."""

    systems: Systems
    pace: Pace
    report: RedriveReport
    dry_run: bool
    _open: dict[str, _Target] = field(default_factory=dict)

    def send(self, letters: Iterable[Letter], limit: int | None) -> None:
        """Send at most `limit` dead letters, not counting copies and those in the log."""
        digests: set[bytes] = set()
        sent = 0
        for letter in letters:
            digest = letter.digest
            if digest in digests:
                self.report.copies += 1
            elif sent == limit:
                break
            else:
                digests.add(digest)
                self.report.selected += 1
                sent += self._add(letter, digest)
        for target in self._open.values():
            self._flush(target)

    def close(self) -> None:
        """Close the connections."""
        for target in self._open.values():
            target.close()

    def _add(self, letter: Letter, digest: bytes) -> bool:
        target = self._target(letter)
        if isinstance(target, str):
            self.report.add_refused(letter, target)
            return False
        if digest in target.log:
            self.report.already += 1
            return False
        whole = read_whole(letter, self.systems.store)
        if isinstance(whole, str):
            self.report.add_refused(letter, whole)
            return False
        if target.bytes + whole.size > _BATCH_BYTES:
            self._flush(target)
        target.batch.append(whole)
        target.bytes += whole.size
        if len(target.batch) >= self.pace.batch:
            self._flush(target)
        return True

    def _flush(self, target: _Target) -> None:
        if not target.batch:
            return
        batch, target.batch, target.bytes = target.batch, [], 0
        self.pace.wait(len(batch))
        outcomes = list(zip(batch, target.deliver(batch), strict=True))
        if target.stored:
            target.stored.append([letter.identity for letter, refusal in outcomes if not refusal])
        for letter, refusal in outcomes:
            if refusal is None:
                self.report.add_redriven(letter, target.name)
            else:
                self.report.add_refused(letter, refusal)

    def _target(self, letter: Letter) -> _Target | str:
        """Return the target, or why the dead letter cannot be redriven."""
        config, topic, stream = self.systems.config, letter.position.topic, letter.position.stream
        names = config.source.kinesis_streams
        streams: dict[str | None, str] = {stream_of(n, config.kinesis).name: n for n in names}
        on_kafka = topic in config.source.kafka_topics
        if not letter.where or not (on_kafka or stream in streams):
            return "not a source of this configuration"
        if letter.step not in STEPS:
            return "it names no step of the job"
        if letter.step == "index" and not config.index:
            return "this configuration has no index"
        if letter.step == "replicate" and not on_kafka:
            return NO_HEADERS
        if letter.step == "replicate" and letter.replica not in config.replicate:
            return "this configuration has no such replica"
        if on_kafka and letter.step != UNSIGNED_STEP and not config.redrive_key:
            raise UserError(_NO_KEY.format(letter=letter))
        name = "the index" if letter.step == "index" else f"the stream {stream}"
        if topic is not None:
            name = f"the topic {topic}"
        if name not in self._open:
            self._open[name] = self._opened(name, letter, streams.get(stream, ""))
        return self._open[name]

    def _opened(self, name: str, letter: Letter, stream: str) -> _Target:
        systems, topic = self.systems, letter.position.topic
        if topic is not None:
            cluster = systems.config.cluster(systems.config.source.kafka_cluster)
            if self.dry_run:
                return _Target(name, read_topic_log(cluster, topic))
            to_topic = TopicSender(cluster, topic, systems.config.redrive_key)
            return _Target(name, to_topic.log, to_topic.deliver, to_topic.close)
        stored, log = self._stored
        if self.dry_run:
            return _Target(name, log)
        if letter.step == "index":
            return _Target(name, log, IndexSender(systems).deliver, stored=stored)
        to_stream = StreamSender(systems, stream)
        return _Target(name, log, to_stream.deliver, to_stream.close, stored)

    @cached_property
    def _stored(self) -> tuple[StoredLog, set[bytes]]:
        path = log_path(self.systems.config)
        if not path:
            raise UserError(
                "the redrive log of Kinesis streams and of the index is kept on S3, and the"
                " configuration has no path for it; set dead_letters.large_path or archive.path."
            )
        log = StoredLog(path, self.systems.environment)
        return log, log.read()
