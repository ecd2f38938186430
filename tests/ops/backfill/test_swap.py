"""Rebuilt partitions take the place of live ones: nothing is lost, and nothing is there twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.errors import UserError
from connectors.s3.store import FolderStore
from pipeline.config import load as load_config
from pipeline.ops.backfill.swap import Swap
from pipeline.ops.lake.content import checked
from pipeline.ops.systems import Systems
from tests.decode.corpus import TYPES

TRIPS = "trip/pickup_location=041/year=2018/month=01"
GREEN = "green_trip/pickup_location=007/year=2018/month=02"


def write(root: Path, path: str, offsets: Sequence[int]) -> None:
    """A Parquet file of rows from those offsets."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    count = len(offsets)
    columns = {
        "pickup_datetime": pa.array([1_514_764_800_000] * count, pa.timestamp("ms")),
        "fare_amount": pa.array([float(offset) for offset in offsets]),
        "source_topic": pa.array(["trips"] * count),
        "source_partition": pa.array([0] * count, pa.int32()),
        "source_offset": pa.array(list(offsets), pa.int64()),
    }
    pq.write_table(pa.table(columns), file)


def offsets(root: Path, partition: str) -> list[int]:
    """What a reader of the partition sees."""
    files = sorted((root / partition).glob("[!_.]*"))
    found = [pq.read_table(file)["source_offset"].to_pylist() for file in files]
    return sorted(each for one in found for each in one)


class Lakes:
    """A live lake and a rebuilt one in local folders."""

    def __init__(self, folder: Path) -> None:
        self.live, self.rebuilt = folder / "lake", folder / "rebuilt"
        sections = {
            "kafka": {"bootstrap_servers": "127.0.0.1:9092"},
            "source": {"kafka_topics": ["trips"]},
            "lake": {"path": f"file://{self.live}"},
            "dead_letters": {"path": f"file://{folder}/dead"},
        }
        config = load_config.check(sections, where="test")
        self.systems = Systems(config, load_config.event_types(config), {})

    def swap(self, name: str = "one") -> Swap:
        return Swap(self.systems, name)

    def switch(self, *partitions: str, name: str = "one") -> list[str]:
        swap, beside = self.swap(name), f"file://{self.rebuilt}"
        compared = [swap.compare(beside, partition) for partition in partitions]
        problems = [text for each in compared for text in each.problems(swap.topics)]
        return problems or swap.switch(beside, compared)

    def switch_broken_off(
        self, monkeypatch: pytest.MonkeyPatch, *, steps: Sequence[str], after: int
    ) -> None:
        """Break a switch off when so many of those changes to the lake were made."""
        done: list[str] = []
        real = {name: getattr(FolderStore, name) for name in steps}

        def counted(name: str) -> object:
            def step(store: object, *paths: object, **options: object) -> None:
                if len(done) == after:
                    raise KeyboardInterrupt
                done.append(name)
                real[name](store, *paths, **options)

            return step

        with monkeypatch.context() as patched:
            for name in real:
                patched.setattr(FolderStore, name, counted(name))
            with pytest.raises(KeyboardInterrupt):
                self.switch(TRIPS)


@pytest.fixture
def lakes(tmp_path: Path) -> Lakes:
    made = Lakes(tmp_path)
    write(made.live, f"{TRIPS}/part-1.parquet", [1, 2, 3])
    write(made.live, f"{TRIPS}/part-2.parquet", [3, 7])
    write(made.live, f"{TRIPS}/part-9.parquet", [100, 101])
    write(made.live, f"{GREEN}/part-1.parquet", [50])
    write(made.rebuilt, f"{TRIPS}/part-1.parquet", [1, 2, 3, 4])
    write(made.rebuilt, f"{TRIPS}/part-2.parquet", [5, 6, 7])
    return made


def test_a_swap_mends_what_was_lost_and_doubled_and_keeps_what_is_newer(lakes: Lakes) -> None:
    assert lakes.switch(TRIPS) == []
    assert offsets(lakes.live, TRIPS) == [1, 2, 3, 4, 5, 6, 7, 100, 101]
    assert offsets(lakes.live, GREEN) == [50]


def test_an_undo_puts_back_the_very_files(lakes: Lakes) -> None:
    before = {path: path.read_bytes() for path in lakes.live.rglob("*.parquet")}
    lakes.switch(TRIPS)
    lakes.swap().undo()
    after = {p: p.read_bytes() for p in lakes.live.rglob("*.parquet") if "_replaced" not in str(p)}
    assert after == before
    with pytest.raises(UserError, match="undone already"):
        lakes.swap().confirm()


def test_the_old_files_go_when_it_is_confirmed(lakes: Lakes) -> None:
    lakes.switch(TRIPS)
    kept = sorted(path.name for path in (lakes.live / "_replaced").rglob("*.parquet"))
    assert kept == ["part-1.parquet", "part-2.parquet"]
    assert lakes.swap().confirm() == 2
    assert list((lakes.live / "_replaced").rglob("*.parquet")) == []
    with pytest.raises(UserError, match="confirmed already"):
        lakes.swap().undo()


def test_a_swap_that_would_lose_a_row_is_refused_and_changes_nothing(lakes: Lakes) -> None:
    write(lakes.live, f"{TRIPS}/part-3.parquet", [6, 200])
    problems = lakes.switch(TRIPS)
    assert len(problems) == 1
    assert "1 rows of files to be replaced were not rebuilt: trips/0@200" in problems[0]
    assert 200 in offsets(lakes.live, TRIPS)
    assert not (lakes.live / "_replaced").exists()


def test_doubled_or_absent_rebuilt_rows_are_refused(lakes: Lakes) -> None:
    write(lakes.rebuilt, f"{TRIPS}/part-3.parquet", [7])
    assert "1 rebuilt rows are doubled" in lakes.switch(TRIPS)[0]
    assert "nothing was rebuilt" in lakes.switch(GREEN)[0]


def test_a_partition_that_vanished_is_put_back(lakes: Lakes) -> None:
    write(lakes.rebuilt, f"{GREEN}/part-1.parquet", [50, 51])
    (lakes.live / GREEN / "part-1.parquet").unlink()
    assert lakes.switch(GREEN) == []
    assert offsets(lakes.live, GREEN) == [50, 51]


@pytest.mark.parametrize("copies", range(6))
def test_a_swap_that_broke_off_anywhere_goes_on(
    lakes: Lakes, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    swap = lakes.swap()
    lakes.switch_broken_off(monkeypatch, steps=("copy", "delete"), after=copies)
    assert set(offsets(lakes.live, TRIPS)) >= {1, 2, 3, 7, 100, 101}, "a row was gone for a while"
    assert swap.go_on() == []
    assert offsets(lakes.live, TRIPS) == [1, 2, 3, 4, 5, 6, 7, 100, 101]
    swap.undo()
    assert offsets(lakes.live, TRIPS) == [1, 2, 3, 3, 7, 100, 101]


def test_a_name_is_used_once(lakes: Lakes) -> None:
    lakes.switch(TRIPS)
    with pytest.raises(UserError, match="another --name"):
        lakes.switch(TRIPS)
    with pytest.raises(UserError, match="there is no swap two"):
        lakes.swap("two").undo()


@pytest.mark.parametrize(
    "partition",
    ["trip", "trip/pickup_location=41/year=2018/month=01", "../x/year=2018/month=01", TRIPS + "/"],
)
def test_what_is_no_partition_is_refused(partition: str) -> None:
    with pytest.raises(UserError, match="--partition is"):
        checked(partition, TYPES)
