"""Events come in the order of their time across files, in bounded memory, the same every time."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ops.replay import lines, order
from pipeline.ops.replay.history import History
from pipeline.ops.replay.order import LOWEST, Part, Rows, merged, objects
from pipeline.ops.replay.selection import Selection
from tests.ops.replay.input_data import START, history, raws, seconds, trip, trips, write


def rows(times: list[int], name: str = "") -> Rows:
    texts = [f"{name}{at}".encode() for at in range(len(times))]
    raws = objects(texts, len(texts))
    return Rows(np.array(times, np.int64), raws, raws)


def part(batches: list[list[int]], name: str = "", first: int | None = None) -> Part:
    def read() -> Iterator[Rows]:
        for at, batch in enumerate(batches):
            yield rows(batch, f"{name}{at}.")

    return Part(min(chain.from_iterable(batches)) if first is None else first, read)


def times(batches: Iterator[Rows]) -> list[int]:
    return [time for rows in batches for time in rows.times.tolist()]


def names(batches: Iterator[Rows]) -> list[str]:
    return [raw.decode() for rows in batches for raw in rows.raws.tolist()]


def test_disorder_within_the_buffer_is_mended() -> None:
    shaken = list(range(10_000))
    for start in range(0, 10_000, 50):
        span = shaken[start : start + 50]
        random.Random(start).shuffle(span)
        shaken[start : start + 50] = span
    batches = [shaken[at : at + 30] for at in range(0, 10_000, 30)]
    assert times(merged([part(batches)], 50)) == list(range(10_000))


def test_what_the_buffer_cannot_reorder_goes_out_at_once(tmp_path: Path) -> None:
    written = [*range(100, 20_000), 7, *range(20_000, 40_000)]
    write(tmp_path / "a.json", trips(written))
    source = history(tmp_path, reorder=1_000)
    come = seconds(source.blocks())
    assert sorted(come) == sorted(written)
    assert [second for second in come if second != 7] == [
        second for second in written if second != 7
    ]
    assert source.counts.out_of_order == 1
    before = max(come[: come.index(7)])
    assert source.counts.largest_lateness_ms == (before - 7) * 1000
    assert before < 20_000 + 1_000


def test_files_that_follow_one_another_are_opened_one_at_a_time() -> None:
    opened: list[int] = []
    ended: list[int] = []
    largest = 0

    def following(at: int) -> Part:
        def read() -> Iterator[Rows]:
            nonlocal largest
            opened.append(at)
            largest = max(largest, len(opened) - len(ended))
            for start in range(at * 1_000, at * 1_000 + 1_000, 100):
                yield rows(list(range(start, start + 100)))
            ended.append(at)

        return Part(at * 1_000, read)

    parts = [following(at) for at in (3, 0, 2, 1)]
    assert times(merged(parts, 10)) == list(range(4_000))
    assert opened == [0, 1, 2, 3]
    assert largest <= 2


def test_overlapping_files_are_merged(tmp_path: Path) -> None:
    for at, name in enumerate(["yellow.json", "green.json", "fhv.json.gz"]):
        write(tmp_path / name, trips(range(at, 9_000, 3)), "gzip" if ".gz" in name else None)
    source = history(tmp_path, reorder=100)
    assert seconds(source.blocks()) == list(range(9_000))
    assert (source.counts.out_of_order, source.counts.files) == (0, 3)


def test_ties_keep_the_order_of_files_and_lines() -> None:
    parts = [part([[5, 5], [5, 5], [5, 6]], name) for name in "abc"]
    fives = [f"{name}{at}.{line}" for name in "abc" for at in range(3) for line in range(2)]
    last = [f"{name}2.1" for name in "abc"]
    wanted = [name for name in fives if name not in last] + last
    for reorder in (0, 1, 2, 100):
        assert names(merged(parts, reorder)) == wanted


def test_a_file_whose_first_time_is_not_known_is_opened_at_once() -> None:
    parts = [part([[1, 2], [3]], "a"), part([[2, 4]], "b", first=LOWEST)]
    assert times(merged(parts, 0)) == [1, 2, 2, 3, 4]


def test_more_files_than_may_be_open_lose_their_order_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(order, "MOST_OPEN", 2)
    parts = [part([[at, at + 10], [at + 20]], str(at)) for at in range(5)]
    assert sorted(times(merged(parts, 0))) == sorted(
        at + more for at in range(5) for more in (0, 10, 20)
    )


def test_start_is_inclusive_and_end_exclusive(tmp_path: Path) -> None:
    write(tmp_path / "a.json", trips(range(100)))
    source = history(tmp_path, start_ms=START + 10_000, end_ms=START + 20_000)
    assert seconds(source.blocks()) == list(range(10, 20))
    assert (source.counts.outside, source.counts.events) == (90, 10)


def test_reading_ends_where_only_later_events_can_be_expected(tmp_path: Path) -> None:
    write(tmp_path / "a.json", trips(range(50_000)))
    write(tmp_path / "b.json", trips(range(50_000, 50_100)))
    source = history(tmp_path, end_ms=START + 10_000, reorder=1_000)
    assert seconds(source.blocks()) == list(range(10))
    assert source.counts.files_outside == 1
    assert source.counts.lines < 10_000


@pytest.mark.parametrize("limit", [0, 1, 2_500, 9_000, 20_000])
def test_a_limit_ends_the_selection(tmp_path: Path, limit: int) -> None:
    write(tmp_path / "a.json", trips(range(9_000)))
    source = history(tmp_path, limit=limit)
    assert seconds(source.blocks()) == list(range(min(limit, 9_000)))
    assert source.counts.events == min(limit, 9_000)


files = st.lists(st.lists(st.integers(0, 60), max_size=40), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(
    files,
    st.integers(0, 30),
    st.integers(0, 150),
    st.none() | st.integers(0, 150),
    st.none() | st.integers(0, 60),
    st.none() | st.integers(0, 60),
)
def test_skipping_is_a_slice_of_the_whole(
    files: list[list[int]],
    reorder: int,
    skip: int,
    limit: int | None,
    start: int | None,
    end: int | None,
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_READ_BYTES", 2_000)  # So that there are batches to be merged.
        for at, times in enumerate(files):
            path = Path(folder) / f"{at}.json"
            write(path, [trip(time, at * 1_000 + line) for line, time in enumerate(times)])
        selection = Selection(
            reorder=reorder,
            limit=limit,
            start_ms=None if start is None else START + start * 1_000,
            end_ms=None if end is None else START + end * 1_000,
        )
        whole = raws(History(folder, selection, {}).blocks())
        resumed = History(folder, selection, {})
        assert raws(resumed.blocks(skip)) == list(islice(whole, skip, None))
        counts = resumed.counts
        assert (counts.skipped, counts.events) == (min(skip, len(whole)), max(0, len(whole) - skip))
        if limit is None and end is None:
            wanted = [time for times in files for time in times if time >= (start or 0)]
            assert len(whole) == len(wanted)
            assert counts.lines == counts.events + counts.skipped + counts.outside


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=60), max_size=5))
def test_with_a_buffer_as_large_as_the_files_all_is_in_order(files: list[list[int]]) -> None:
    parts = [
        part([times[at : at + 7] for at in range(0, len(times), 7)], f"{n}:")
        for n, times in enumerate(files)
    ]
    wanted = sorted(
        (time, n, line) for n, times in enumerate(files) for line, time in enumerate(times)
    )
    pairs = [
        (int(time), raw.decode())
        for rows in merged(parts, 100)
        for time, raw in zip(rows.times, rows.raws, strict=True)
    ]
    assert pairs == [(time, f"{n}:{line // 7}.{line % 7}") for time, n, line in wanted]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=60), max_size=5),
    st.integers(0, 40),
)
def test_nothing_is_lost_or_doubled(files: list[list[int]], reorder: int) -> None:
    parts = [
        part([times[at : at + 5] for at in range(0, len(times), 5)], f"{n}:", first=times[0])
        for n, times in enumerate(files)
    ]
    merged_names = names(merged(parts, reorder))
    assert len(set(merged_names)) == len(merged_names) == sum(map(len, files))


def test_the_fingerprint_follows_files_and_selection(tmp_path: Path) -> None:
    write(tmp_path / "a.json", [trip(1)])
    first = history(tmp_path).fingerprint()
    assert history(tmp_path).fingerprint() == first
    assert history(tmp_path, limit=5).fingerprint() != first
    write(tmp_path / "a.json", [trip(1), trip(2)])
    longer = history(tmp_path).fingerprint()
    write(tmp_path / "b.json", [trip(3)])
    assert len({first, longer, history(tmp_path).fingerprint()}) == 3
