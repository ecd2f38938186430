"""`python -m dev.bench.sustained`: the job at a steady rate, reading a growing topic.

Archive, lake and dead letters, 1 % of the events invalid. Every five seconds it records the lag
(arrival to decoded), the checkpoints and the processes' memory; at the end the lake is read back.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import psutil
import typer
from confluent_kafka import Producer

from connectors.flink.rest import Cluster, wait_for
from dev.bench.check import written
from dev.bench.contenders import Bench, finish, servers, submit_ours
from dev.bench.gauge import family
from dev.bench.parts import kind_of
from dev.bench.topic import BAD, PARTITIONS, Topic, new_topic, raws
from dev.servers.stack import Stack
from pipeline.cluster import cluster_of
from pipeline.lag import lag_of

_SAMPLE_SECONDS: Final = 5.0
_A_MINUTE: Final = 12
_POOL: Final = 100_000
_BAD_EVERY: Final = 100
_TICK_SECONDS: Final = 0.02
_CATCH_UP_MS: Final = 3_000


@dataclass(slots=True)
class Feeder:
    """Sends records at a rate in its own thread until stopped."""

    producer: Producer
    topic: str
    rate: float
    sent: int = 0
    bad: int = 0
    size: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send; a late tick is made up for by the next."""
        pool, began = cycle(list(raws(_POOL))), time.monotonic()
        while not self.stop.wait(_TICK_SECONDS):
            due = int((time.monotonic() - began) * self.rate) - self.sent
            for _ in range(due):
                self._send(next(pool))
            self.producer.poll(0)
        assert self.producer.flush(60) == 0

    def _send(self, raw: bytes) -> None:
        if self.sent % _BAD_EVERY == 0:
            raw, self.bad = BAD, self.bad + 1
        self.producer.produce(self.topic, raw, partition=self.sent % PARTITIONS)
        self.sent, self.size = self.sent + 1, self.size + len(raw)


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: our metrics, and resident bytes by kind of process."""

    at_ms: int
    metrics: Mapping[str, float]
    resident: Mapping[str, int]


def sample(cluster: Cluster, roots: Sequence[int]) -> Sample:
    """Take a sample."""
    resident: dict[str, int] = {}
    for process in family(roots):
        with suppress(psutil.NoSuchProcess):
            kind = kind_of(process)
            resident[kind] = resident.get(kind, 0) + process.memory_info().rss
    return Sample(round(time.time() * 1000), cluster.step_metrics(), resident)


def main(
    rate: Annotated[int, typer.Option(help="Events a second.", min=1)] = 46_700,
    minutes: Annotated[float, typer.Option(help="How long.", min=1, max=120)] = 10,
    warm_minutes: Annotated[float, typer.Option(help="Not counted at first.", min=0)] = 1,
) -> None:
    """Measure. Example: python -m dev.bench.sustained --rate 20000 --minutes 30"""
    with servers("kafka") as (bench, _), bench.cluster() as flink:
        output = bench.folder / "sustained"
        feeder = Feeder(new_topic(bench.servers, "growing"), "growing", rate)
        job_id, cluster = _start(bench, output, flink)
        roots = [started.pid for started in flink.started().values()]
        thread = threading.Thread(target=feeder.run)
        thread.start()
        try:
            samples, checkpoints = _watch(cluster, job_id, roots, minutes)
        finally:
            feeder.stop.set()
            thread.join()
        finish(cluster, job_id, feeder.sent, output)
        topic = Topic("growing", feeder.sent, feeder.bad, feeder.size)
        rows = written(output, topic).rows
    report = figures(samples, checkpoints, warm_minutes)
    typer.echo(json.dumps({"rate": rate, "minutes": minutes, "rows": rows, **report}, indent=1))


def _start(bench: Bench, output: Path, flink: Stack) -> tuple[str, Cluster]:
    job_id = submit_ours(flink, bench.whole("growing", output))
    cluster = cluster_of(flink.environment())
    wait_for(lambda: cluster.running(job_id), 120, "the job did not run")
    return job_id, cluster


def _watch(
    cluster: Cluster, job_id: str, roots: Sequence[int], minutes: float
) -> tuple[list[Sample], list[tuple[int, int]]]:
    """Collect samples, and the start and end (epoch ms) of each checkpoint."""
    samples = [sample(cluster, roots)]
    checkpoints: dict[int, tuple[int, int]] = {}
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        time.sleep(_SAMPLE_SECONDS)
        assert cluster.running(job_id), "the job does not run"
        samples.append(sample(cluster, roots))
        if len(samples) % _A_MINUTE == 0:
            checkpoints |= _checkpoints(cluster, job_id)  # Flink keeps the last ten
            lag = lag_of(samples[-_A_MINUTE].metrics, samples[-1].metrics, "decode")
            typer.echo(f"{len(samples) // _A_MINUTE} min: lag of the last one {lag}")
    return samples, list((checkpoints | _checkpoints(cluster, job_id)).values())


def _checkpoints(cluster: Cluster, job_id: str) -> dict[int, tuple[int, int]]:
    history = cluster.get(f"/jobs/{job_id}/checkpoints")["history"]
    return {
        entry["id"]: (start := entry["trigger_timestamp"], start + entry["end_to_end_duration"])
        for entry in history
    }


def figures(
    samples: Sequence[Sample], checkpoints: Sequence[tuple[int, int]], warm_minutes: float
) -> dict[str, Any]:
    """Return the lag at and apart from checkpoints, and the memory in ten periods."""
    start = samples[0].at_ms + warm_minutes * 60_000
    counted = [sample for sample in samples if sample.at_ms >= start]
    windows = [(_at(pair, checkpoints), _mean(pair)) for pair in pairwise(counted)]
    quiet = [mean for at, mean in windows if not at]
    tenth = max(1, len(counted) // 10)
    return {
        "events_per_second": round(_rate(counted[0], counted[-1])),
        "lag_ms": lag_of(counted[0].metrics, counted[-1].metrics, "decode"),
        "lag_ms_mean_apart_from_checkpoints": round(statistics.mean(quiet)) if quiet else None,
        "lag_ms_worst_five_seconds": round(max(mean for _, mean in windows)),
        "checkpoints": len(checkpoints),
        "checkpoint_ms": sorted(end - start for start, end in checkpoints),
        "resident_mib": {
            kind: [round(sample.resident.get(kind, 0) / 2**20) for sample in counted[::tenth]]
            for kind in sorted({kind for sample in counted for kind in sample.resident})
        },
    }


def _at(pair: tuple[Sample, Sample], checkpoints: Sequence[tuple[int, int]]) -> bool:
    """Return whether a checkpoint, or catching up after it, fell into these five seconds."""
    start, end = pair[0].at_ms, pair[1].at_ms
    return any(begun < end and ended + _CATCH_UP_MS > start for begun, ended in checkpoints)


def _mean(pair: tuple[Sample, Sample]) -> float:
    return _grown(pair, "decode.lag_ms") / max(1.0, _grown(pair, "decode.in"))


def _rate(first: Sample, last: Sample) -> float:
    return _grown((first, last), "decode.in") * 1000 / (last.at_ms - first.at_ms)


def _grown(pair: tuple[Sample, Sample], name: str) -> float:
    return pair[1].metrics.get(name, 0) - pair[0].metrics.get(name, 0)


if __name__ == "__main__":
    typer.run(main)
