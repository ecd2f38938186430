"""The dry run says what a run will give, and changes nothing."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.ops.compact.run import Report
from tests.ops.compact.lakes import GREEN, TRIPS, Lakes


def planned_and_done(lakes: Lakes, **asked: object) -> tuple[Report, Report]:
    before = {stored.path: lakes.store.read(stored.path) for stored in lakes.store.everything()}
    planned = lakes.compaction(**asked).plan()
    assert before == {
        stored.path: lakes.store.read(stored.path) for stored in lakes.store.everything()
    }
    return planned, lakes.run(**asked)


def counts(report: Report) -> tuple[int, ...]:
    return (
        report.partitions, report.files_before, report.files_after, report.replaced_files,
        report.merged_files, report.merged_rows, report.bytes_before,
    )  # fmt: skip


@pytest.mark.parametrize("rows", [3, 50, 2000])
def test_what_a_run_gives_is_known_before(either: Lakes, rows: int) -> None:
    for number in range(80):
        first = 1000 + number * rows
        either.write(f"more-{number:02d}", range(first, first + rows))
        either.write(f"part-{number:02d}", range(first, first + rows // 2), partition=GREEN)
    planned, done = planned_and_done(either)
    assert counts(planned) == pytest.approx(counts(done), rel=0.2)
    assert (planned.files_after, planned.replaced_files) == (2, 164)
    assert planned.bytes_after == pytest.approx(done.bytes_after, rel=0.3)


def test_files_of_another_schema_are_merged_among_themselves(lakes: Lakes) -> None:
    for number in range(4, 7):
        more = {"extra": pa.array([0] * 3)}
        lakes.write(f"part-{number}", range(3 * number, 3 * number + 3), more)
    planned, done = planned_and_done(lakes)
    assert counts(planned) == counts(done)
    assert done.merged_files == 2


def test_a_merged_file_ends_at_the_target(lakes: Lakes) -> None:
    size = max(stored.size for stored in lakes.lake.listing())
    for number in (4, 5):
        lakes.write(f"part-{number}", range(3 * number, 3 * number + 3))
    planned, done = planned_and_done(lakes, target_bytes=2 * size + 100)
    assert counts(planned) == counts(done)
    assert done.merged_files == 2


def test_files_that_cannot_be_merged_with_each_other_stay(lakes: Lakes) -> None:
    (partition,) = lakes.lake.partitions(TRIPS)
    for stored in partition.current()[1:]:
        lakes.store.delete(stored.path)
    lakes.write("part-9", [100], {"extra": pa.array([0])})
    planned, done = planned_and_done(lakes)
    assert counts(planned) == counts(done)
    assert (done.merged_files, planned.bytes_after) == (0, planned.bytes_before)
