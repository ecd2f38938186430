"""Files of sinks as readers see them: hidden ones, broken ones, and wholes of large records."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from connectors.errors import UserError
from connectors.s3.parquet import pages as tables
from connectors.s3.store import open_store
from dev.demo.generate import Recipe, generate
from dev.demo.made import EVENT, Made
from dev.servers.job_watch import ArchivedRecords
from pipeline.ops.readers import carried
from pipeline.ops.readers.carried import Carried
from tests.ops.reconcile import sinks as local
from tests.ops.reconcile.sinks import Record

RECORDS = local.on_kafka(generate(Recipe(events=50, seed=5, watermarks=0)))


def write(path: Path, records: list[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(local.archive_table(records), path)


def test_archived_records_are_counted_as_files_appear(tmp_path: Path) -> None:
    archived = ArchivedRecords(open_store(f"file://{tmp_path}"))
    assert archived.count() == 0
    for number, end in enumerate((10, 25)):
        write(tmp_path / f"arrival_date=2018-03-01/part-{number}.parquet", RECORDS[:end])
    (tmp_path / ".part-2.inprogress").write_bytes(b"half")
    assert archived.count() == 35
    (tmp_path / "arrival_date=2018-03-01/part-0.parquet").write_bytes(b"no longer read")
    assert archived.count() == 35


def test_hidden_files_are_ignored_and_broken_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "trip" / "part-0.parquet"
    write(path, RECORDS)
    path.with_name("_SUCCESS").write_bytes(b"")
    path.with_name(".part.inprogress").write_bytes(b"half")
    store = open_store(f"file://{tmp_path}")
    assert [each.path for each in store.listing()] == ["trip/part-0.parquet"]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"trip/part-0.parquet isn't a readable Parquet file"):
        list(tables(store, store.listing()))


@pytest.mark.parametrize("damage", ["", "none there", "other bytes", "another record's", "twice"])
def test_a_pointer_that_leads_astray_gives_no_bytes(tmp_path: Path, damage: str) -> None:
    one, other = RECORDS[:2]
    lying = {
        "": [one],
        "none there": [],
        "other bytes": [Record(Made(b"x" * 1000, None, EVENT), one.position)],
        "another record's": [other],
        "twice": [one, one],
    }
    for number, record in enumerate(lying[damage]):
        write(tmp_path / f"part-{number}.parquet", [record])
    raw = one.made.raw or b""
    at = {n: str(v) for n, v in one.position._asdict().items() if v is not None}
    said = {"raw_bytes": str(len(raw)), "sha256": hashlib.sha256(raw).hexdigest()}
    large = Carried(raw[:10], {**at, **said, "full_record": f"file://{tmp_path}"})
    assert large.is_large
    assert not Carried(raw, at).is_large
    whole = carried.whole(large, open_store)
    assert (whole and whole.raw) == (None if damage else raw)
