"""Readers query in a loop while files are written, merged and deleted: every row once each time."""

from __future__ import annotations

from connectors.flink.rest import wait_for
from tests.ops.compact.lakes import GRACE, Lakes, look_while

ROUNDS = 12


class World:
    """A lake that gets files as checkpoints make them, and a count of the readers' looks at it.

    Rows up to `done` are visible; up to `begun` they may be.
    """

    def __init__(self, lakes: Lakes) -> None:
        self.lakes = lakes
        self.begun = self.done = 12
        self.looks = 0

    def look(self) -> None:
        least = self.done
        found = self.lakes.offsets()
        assert found == list(range(len(found))), "a row is missing, or there twice"
        assert least <= len(found) <= self.begun
        self.looks += 1

    def write(self, files: int) -> None:
        for _ in range(files):
            rows = range(self.done, self.done + 5)
            self.begun = rows.stop
            self.lakes.write(f"part-{rows.start:06d}", rows)
            self.done = rows.stop

    def outlast_the_readers(self) -> None:
        """The grace period is over when whoever had listed the lake before is done with it."""
        begun = self.looks
        wait_for(lambda: self.looks >= begun + 2, 60, "the reader stopped", every=0.01)
        self.lakes.later += GRACE

    def work(self) -> None:
        for number in range(ROUNDS):
            self.write(4)
            self.lakes.run()
            if number % 3 == 2:
                self.outlast_the_readers()
                assert self.lakes.run(clean=True).deleted_files > 0


def test_readers_in_a_loop_see_every_row_once(either: Lakes) -> None:
    world = World(either)
    look_while(world.work, world.look)
    assert world.looks >= 8
    assert either.offsets() == list(range(world.done))
    assert len(either.names()) == 1
