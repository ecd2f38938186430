"""Swaps of partitions that compaction has been at: the record goes with the files."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console

from connectors.errors import UserError
from connectors.positions import unpacked
from connectors.s3.store import open_store
from pipeline.ops.backfill.swap import rows
from pipeline.ops.compact.rules import Request
from pipeline.ops.compact.run import Compaction, Report
from pipeline.ops.lake.records import Records
from pipeline.progress import Steps
from tests.ops.backfill.test_swap import TRIPS, Lakes, write

BEFORE = [1, 2, 3, 3, 7, 100, 101]
AFTER = [1, 2, 3, 4, 5, 6, 7, 100, 101]


@pytest.fixture
def lakes(tmp_path: Path) -> Lakes:
    """The two older files are one; the newer came later."""
    made = Lakes(tmp_path)
    write(made.live, f"{TRIPS}/part-1.parquet", [1, 2, 3])
    write(made.live, f"{TRIPS}/part-2.parquet", [3, 7])
    assert compact(made).merged_files == 1
    write(made.live, f"{TRIPS}/part-9.parquet", [100, 101])
    write(made.rebuilt, f"{TRIPS}/part-1.parquet", [1, 2, 3, 4])
    write(made.rebuilt, f"{TRIPS}/part-2.parquet", [5, 6, 7])
    return made


def compact(lakes: Lakes, folder: str = "live", **asked: object) -> Report:
    uri = f"file://{getattr(lakes, folder)}"
    return Compaction(
        lake=lakes.systems.lake(uri),
        store=open_store(uri),
        types=lakes.systems.types,
        request=Request(min_files=2, older_than_seconds=0, **asked),  # type: ignore[arg-type]
        steps=Steps(Console(quiet=True)),
    ).run()


def seen(lakes: Lakes) -> list[int]:
    """What a reader sees that knows the rule."""
    lake = lakes.systems.lake(f"file://{lakes.live}")
    return sorted(unpacked(each)[2] for each in rows(lake, TRIPS, ["trips"]).positions.tolist())


def visible(lakes: Lakes) -> list[str]:
    return sorted(path.name for path in (lakes.live / TRIPS).iterdir())


def test_a_swap_takes_the_merged_file_and_its_sources_away(lakes: Lakes) -> None:
    assert seen(lakes) == BEFORE
    assert lakes.switch(TRIPS) == []
    assert seen(lakes) == AFTER
    assert visible(lakes) == ["one-part-1.parquet", "one-part-2.parquet", "part-9.parquet"]


def test_an_undo_brings_both_back(lakes: Lakes) -> None:
    before = visible(lakes)
    lakes.switch(TRIPS)
    lakes.swap().undo()
    assert seen(lakes) == BEFORE
    assert visible(lakes) == before


def test_a_rebuilt_lake_may_be_compacted_before_it_is_swapped_in(lakes: Lakes) -> None:
    assert compact(lakes, "rebuilt").merged_files == 1
    assert lakes.switch(TRIPS) == []
    assert seen(lakes) == AFTER


def test_a_swap_of_rows_that_were_merged_with_newer_ones_is_refused(lakes: Lakes) -> None:
    compact(lakes)
    problems = lakes.switch(TRIPS)
    assert (
        "2 rows of files to be replaced were not rebuilt: trips/0@100, trips/0@101" in problems[0]
    )
    assert seen(lakes) == BEFORE


def test_an_undo_of_what_was_merged_since_is_refused(lakes: Lakes) -> None:
    lakes.switch(TRIPS)
    compact(lakes)
    with pytest.raises(UserError, match="merged 2 files that the swap one put in"):
        lakes.swap().undo()
    assert seen(lakes) == AFTER
    assert lakes.swap().confirm() == 3


def test_compaction_leaves_alone_where_a_swap_is_at_work(lakes: Lakes) -> None:
    records = Records(open_store(f"file://{lakes.live}"))
    records.change(TRIPS, lambda record: replace(record, held="other"))
    assert "the swap other is at work there" in compact(lakes).left[0]
    with pytest.raises(UserError, match="the swap other is at work there"):
        lakes.switch(TRIPS)
    assert seen(lakes) == BEFORE
    records.change(TRIPS, lambda record: replace(record, held=""))
    assert lakes.switch(TRIPS, name="two") == []
    assert seen(lakes) == AFTER


def test_a_swap_refuses_what_was_compacted_since_it_compared(lakes: Lakes) -> None:
    swap = lakes.swap()
    compared = [swap.compare(f"file://{lakes.rebuilt}", TRIPS)]
    compact(lakes)
    with pytest.raises(UserError, match="changed it meanwhile"):
        swap.switch(f"file://{lakes.rebuilt}", compared)
    assert seen(lakes) == BEFORE
    assert swap.journal() is None


@pytest.mark.parametrize("at", range(13))
def test_a_swap_broken_off_anywhere_goes_on_or_is_undone(
    lakes: Lakes, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    lakes.switch_broken_off(monkeypatch, steps=("copy", "delete", "write"), after=at)
    assert set(seen(lakes)) >= set(BEFORE), "a row was gone for a while"
    assert compact(lakes).problems == []
    swap = lakes.swap()
    if swap.journal() is None:
        return
    if at == 1:  # between the journal and the hold, where compaction comes first
        with pytest.raises(UserError, match="nothing was swapped"):
            swap.go_on()
    elif at % 2:
        assert swap.go_on() == []
        assert seen(lakes) == AFTER
    swap.undo()
    assert seen(lakes) == BEFORE
