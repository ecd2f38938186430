"""A run broken off anywhere, two runs at once, a reader in between: every row exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader

import pytest

from connectors.errors import UserError
from connectors.s3.store import BUFFER_BYTES, ReadableStore, Store, Stored, Version
from pipeline.ops.compact.run import Compaction
from pipeline.ops.lake.content import Lake
from tests.ops.compact.lakes import GRACE, TRIPS, Lakes

ALL = list(range(12))


class BrokenOff(BaseException):
    """What a kill is to the run."""


@dataclass
class Steps:
    """Does something before the given step, or never."""

    at: int
    what: Callable[[], object]
    done: int = -1

    def __call__(self) -> None:
        self.done += 1
        if self.done == self.at:
            self.what()


@dataclass
class SteppingReads:
    """A real store; before each listing and each read a step is taken."""

    real: ReadableStore
    step: Steps

    def listing(self) -> list[Stored]:
        return self.real.listing()

    def everything(self, below: str = "") -> list[Stored]:
        self.step()
        return self.real.everything(below)

    def read(self, path: str) -> bytes:
        self.step()
        return self.real.read(path)

    def open(self, path: str, buffer_bytes: int = BUFFER_BYTES) -> BufferedReader:
        self.step()
        return self.real.open(path, buffer_bytes)


class SteppingChanges:
    """A real store; before each change, and each read of a version, a step is taken."""

    def __init__(self, real: Store, step: Steps) -> None:
        self.real, self.step = real, step
        self.listing, self.everything = real.listing, real.everything
        self.beginning_with = real.beginning_with
        self.read, self.open, self.stat = real.read, real.open, real.stat
        self.is_empty = real.is_empty
        self.uri = real.uri

    def version(self, path: str) -> Version | None:
        self.step()
        return self.real.version(path)

    def write(self, path: str, content: bytes) -> None:
        self.step()
        self.real.write(path, content)

    def replace(self, path: str, content: bytes, expected: Version | None) -> bool:
        self.step()
        return self.real.replace(path, content, expected)

    def copy(self, path: str, target: str, into: Store | None = None) -> None:
        self.step()
        self.real.copy(path, target, into)

    def delete(self, path: str) -> None:
        self.step()
        self.real.delete(path)


def stop() -> None:
    raise BrokenOff


def stepping(lakes: Lakes, step: Steps, **asked: object) -> Compaction:
    run = lakes.compaction(**asked)
    return replace(run, store=SteppingChanges(lakes.store, step))


@contextmanager
def breaking_off() -> Iterator[None]:
    with pytest.raises(BrokenOff):
        yield


@pytest.mark.parametrize("at", range(3))
def test_a_merge_that_is_broken_off_anywhere_is_done_by_the_next_run(lakes: Lakes, at: int) -> None:
    with breaking_off():
        stepping(lakes, Steps(at, stop)).run()
    assert lakes.offsets() == ALL
    assert len(lakes.names()) == 4
    orphans = [each for each in lakes.store.everything() if "compacted-" in each.path]
    assert len(orphans) == (at == 2)

    assert lakes.run(clean=True).files_after == 1
    assert lakes.offsets() == ALL
    lakes.later = GRACE
    assert lakes.run(clean=True).deleted_files == 4 + len(orphans)
    assert [each.path for each in lakes.store.everything() if "compacted-" in each.path] == [
        each.path for each in lakes.lake.listing()
    ]
    assert lakes.offsets() == ALL


@pytest.mark.parametrize("at", range(4))
def test_a_cleaning_that_is_broken_off_anywhere_is_done_by_the_next_run(
    lakes: Lakes, at: int
) -> None:
    lakes.run()
    lakes.later = GRACE
    with breaking_off():
        stepping(lakes, Steps(at, stop), clean=True).run()
    assert lakes.offsets() == ALL
    assert lakes.run(clean=True).deleted_files == 4 - at
    assert lakes.offsets() == ALL


@pytest.mark.parametrize("at", range(2))
def test_names_that_could_not_be_dropped_are_dropped_by_the_next_run(lakes: Lakes, at: int) -> None:
    lakes.run()
    lakes.later = GRACE
    lakes.run(clean=True)
    lakes.later = 2 * GRACE
    with breaking_off():
        stepping(lakes, Steps(at, stop), clean=True).run()
    lakes.run(clean=True)
    assert lakes.lake.partitions(TRIPS)[0].record.replaced == ()
    assert lakes.offsets() == ALL


@pytest.mark.parametrize("at", range(3))
def test_of_two_runs_at_once_one_switches_and_the_other_leaves_it(either: Lakes, at: int) -> None:
    first = stepping(either, Steps(at, either.run))
    report = first.run()
    assert report.merged_files == 0
    assert report.left == [f"{TRIPS}: another run or a swap changed it meanwhile"]
    assert either.offsets() == ALL
    merged = [each for each in either.store.everything() if "compacted-" in each.path]
    assert len(merged) == 1, "the other's file was taken away"


@pytest.mark.parametrize("at", range(6))
def test_a_run_that_meets_a_cleaning_loses_nothing(lakes: Lakes, at: int) -> None:
    lakes.run()
    lakes.write("part-9", [100, 101])

    def clean() -> None:
        lakes.later = GRACE
        lakes.run(clean=True)

    stepping(lakes, Steps(at, clean)).run()
    assert lakes.offsets() == [*ALL, 100, 101]


@pytest.mark.parametrize("at", range(5))
def test_a_cleaning_never_takes_for_an_orphan_what_another_run_switched_to(
    lakes: Lakes, at: int
) -> None:
    def merge_long_ago() -> None:
        lakes.run()
        lakes.later = 2 * GRACE

    store = SteppingReads(lakes.store, Steps(at, merge_long_ago))
    run = lakes.compaction(min_files=100, older_than_seconds=600, clean=True, grace_seconds=60)
    report = replace(run, lake=Lake(store)).run()
    assert report.problems == []
    assert lakes.offsets() == ALL


@pytest.mark.parametrize("at", range(5))
def test_a_run_whose_files_are_deleted_under_it_leaves_the_partition(lakes: Lakes, at: int) -> None:
    lakes.run()
    lakes.write("part-9", [100, 101])

    def merge_and_clean_twice() -> None:
        lakes.run()
        for _ in range(2):
            lakes.later += GRACE
            lakes.run(clean=True)

    store = SteppingReads(lakes.store, Steps(at, merge_and_clean_twice))
    report = replace(lakes.compaction(), lake=Lake(store)).run()
    assert report.problems == []
    assert lakes.offsets() == [*ALL, 100, 101]


def switched(lakes: Lakes) -> None:
    lakes.run()


def switched_again(lakes: Lakes) -> None:
    lakes.run()
    lakes.write("part-8", [200])
    lakes.run()


@pytest.mark.parametrize("happens", [switched, switched_again])
@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("before", [0, 1])
def test_a_reader_that_meets_the_switch_sees_every_row_once(
    either: Lakes, happens: Callable[[Lakes], None], at: int, before: int
) -> None:
    for number in range(before):
        either.run()
        either.write(f"part-9{number}", [100 + number])
    store = SteppingReads(either.store, Steps(at, lambda: happens(either)))
    found = either.offsets(Lake(store))
    wanted = [*ALL, *(100 + number for number in range(before))]
    assert found in (wanted, [*wanted, 200])


def test_a_reader_that_is_slower_than_the_grace_period_is_told(lakes: Lakes) -> None:
    """Whatever is deleted between listing and reading: an error, or every row once."""
    lakes.run()
    lakes.write("part-9", [100])
    outcomes = set()
    for at in range(8):
        lakes.write(f"part-x{at}", [200 + at])
        wanted = [*ALL, 100, *range(200, 201 + at)]

        def pass_the_grace_period_twice() -> None:
            lakes.run()
            for _ in range(2):
                lakes.later += GRACE
                lakes.run(clean=True)

        store = SteppingReads(lakes.store, Steps(at, pass_the_grace_period_twice))
        try:
            assert lakes.offsets(Lake(store)) == wanted
            outcomes.add("right")
        except UserError as error:
            assert "is gone now" in str(error)
            outcomes.add("told")
    assert outcomes == {"right", "told"}
