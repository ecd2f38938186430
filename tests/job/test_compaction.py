"""The lake is compacted while the real job writes it and a reader queries it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from connectors import positions
from connectors.positions import Positions
from connectors.s3.parquet import pages
from dev.demo.generate import Recipe, generate
from dev.servers.stack import Stack
from pipeline.ops.compact.run import Compaction, Report, wall_clock_ms
from tests.job.harness import Harness
from tests.ops.compact.lakes import GRACE, Lakes, look_while
from tests.oracle import Sent, events_in

RECIPE = Recipe(events=4_000, seed=77)
RATE = 100.0


@dataclass
class World:
    """The job with a producer, runs of compaction meanwhile, and what a reader saw last."""

    harness: Harness
    sent: list[Sent] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    seen: Positions = field(default_factory=lambda: np.zeros(0, np.int64))
    looks: int = 0

    @property
    def lakes(self) -> Lakes:
        return Lakes(f"s3a://{self.harness.name}/lake", self.harness.stack.environment())

    def work(self) -> None:
        harness = self.harness
        producer = threading.Thread(
            target=lambda: self.sent.extend(harness.produce(generate(RECIPE), rate=RATE))
        )
        producer.start()
        while producer.is_alive():
            self.reports.append(self.compaction().run())
        producer.join()
        harness.drain()

    def compaction(self, *, later: float = 0.0, clean: bool = False) -> Compaction:
        made = self.lakes.compaction(clean=clean)
        return replace(made, clock_ms=lambda: wall_clock_ms() + int(later * 1000))

    def look(self) -> None:
        """Every row that was there is there still, and none is there twice."""
        lake = self.lakes.lake
        columns = [f"source_{name}" for name in ("topic", "partition", "offset")]
        parts = [
            positions.numbers(table, [self.harness.topic], "source_")
            for batch in pages(lake, lake.listing(), columns)
            for _, table in batch
        ]
        found = np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))
        assert len(np.unique(found)) == len(found), "a row is there twice"
        assert np.isin(self.seen, found).all(), "a row is missing"
        self.seen = found
        self.looks += 1


def test_nothing_is_missing_or_doubled_while_the_job_runs(stack: Stack, tmp_path: Path) -> None:
    # Without index and replicas an event's bytes are left behind at decode; a reject keeps its own.
    without: dict[str, Any] = {"index": None}
    with Harness(stack=stack, name="compaction", folder=tmp_path, overrides=without) as harness:
        harness.start()
        world = World(harness)
        look_while(world.work, world.look)
        harness.stop(drain=True)
    assert world.looks >= 3
    assert sum(report.merged_files for report in world.reports) > 0
    assert [text for report in world.reports for text in report.problems + report.left] == []
    assert len(world.seen) <= len(events_in(world.sent))
    assert any(record.made.is_reject for record in world.sent)
    assert harness.verdict(world.sent).problems() == []

    last = world.compaction().run()
    assert last.files_after < last.files_before
    assert world.compaction(later=GRACE, clean=True).run().deleted_files > 0
    assert harness.verdict(world.sent).problems() == []
