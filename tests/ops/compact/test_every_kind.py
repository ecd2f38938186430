"""Columns of every kind are merged as they are, and every changed value is found."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.events.event_types import of
from pipeline.ops.compact import merge
from pipeline.ops.compact.run import Compaction
from tests.every_kind import FIELDS, NONE, ROWS, SOME, columns, row
from tests.ops.compact.lakes import TRIPS, TYPES, Lakes

LOCAL = frozenset(("local_ms", "local_us", "local_ns"))
WITH_ALL = of([replace(TYPES["trip"], fields=(*TYPES["trip"].fields, *FIELDS))])
OTHER: dict[str, Any] = {
    "yes": False,
    "single": -0.5,
    "twice": 0.1 + 2**-55,
    "money": Decimal("1234567890123456789012345678.0123456788"),
    "cents": Decimal("0.05"),
    "word": "nai\u0308ve",
    "blob": b"\x00\xfe",
    "digest": b"\x00\x01\x02\x04",
}


def read(lakes: Lakes) -> pa.Table:
    return pa.concat_tables([
        pq.read_table(BytesIO(lakes.store.read(each.path))) for each in lakes.lake.listing()
    ])  # fmt: skip


def compaction(lakes: Lakes) -> Compaction:
    asked = lakes.compaction()
    return Compaction(
        lake=asked.lake,
        store=asked.store,
        types=WITH_ALL,
        request=asked.request,
        steps=asked.steps,
        clock_ms=asked.clock_ms,
    )


@pytest.fixture
def filled(lakes: Lakes) -> Lakes:
    """Two files with columns of every kind, and nothing else."""
    for number in range(4):
        lakes.store.delete(f"{TRIPS}/part-{number}")
    for number in range(2):
        offsets = range(len(ROWS) * number, len(ROWS) * (number + 1))
        lakes.write(f"part-{number}", offsets, columns(ROWS))
    return lakes


def test_files_with_columns_of_every_kind_are_merged(filled: Lakes) -> None:
    before = read(filled).sort_by("source_offset")
    plan = compaction(filled).plan()
    report = compaction(filled).run()
    assert (report.merged_files, report.merged_rows, report.problems) == (1, 2 * len(ROWS), [])
    assert (plan.merged_files, plan.merged_rows) == (1, 2 * len(ROWS))
    after = read(filled)
    times = after.column("pickup_datetime").to_pylist()
    assert times == sorted(times)
    assert after.schema.equals(before.schema)
    assert after.sort_by("source_offset").equals(before)


def test_a_changed_value_is_found_wherever_it_is(lakes: Lakes) -> None:
    expected = pa.table(columns([row(SOME), row(NONE)]))
    lakes.store.write("same", merge.encoded(expected))
    assert merge.problem(lakes.store, "same", expected) == ""
    for name, value in SOME.items():
        leaves = {**SOME, name: OTHER.get(name, value + 1 if isinstance(value, int) else None)}
        changed = columns([row(leaves), row(NONE)])
        for at, field in enumerate(FIELDS):
            if row(leaves)[field.name] == row(SOME)[field.name]:
                continue
            table = expected.set_column(at, field.name, changed[field.name])
            lakes.store.write("changed", merge.encoded(table))
            problem = merge.problem(lakes.store, "changed", expected)
            assert problem == "changed: of 2 rows, the 2 read back differ", (field.name, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"all_of_it": []},
        {"all_of_it": None},
        {"all_of_it": [SOME, NONE, None]},
        {"by_key": {}},
        {"by_key": {"a": SOME, "": NONE}},
        {"everything": NONE},
        {"everything": None},
        {"either": {"long": 0}},
    ],
)
def test_a_changed_shape_is_found(lakes: Lakes, changes: dict[str, Any]) -> None:
    expected = pa.table(columns([row(SOME)]))
    changed = pa.table(columns([{**row(SOME), **changes}]))
    lakes.store.write("changed", merge.encoded(changed))
    assert merge.problem(lakes.store, "changed", expected)


def test_unmarked_times_are_marked_unless_the_schema_says_that_they_are_local() -> None:
    schema = pa.schema([
        ("at", pa.timestamp("ms")),
        ("local_ms", pa.timestamp("ms")),
        ("inner", pa.struct([("local", pa.timestamp("ns"))])),
    ])  # fmt: skip
    marked = merge.in_utc(schema, LOCAL)
    assert marked.types == [pa.timestamp("ms", "UTC"), *schema.types[1:]]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_rows_are_in_the_order_of_times_in_any_unit(lakes: Lakes, unit: str) -> None:
    batch = merge.Batch()
    kind = pa.timestamp(unit, "UTC")
    counts = [2**62 + 2, 2**62, None, 2**62 + 1] if unit == "ns" else [3_001, 2_999, None, 3_000]
    batch.parts = [pa.table({"at": pa.array(counts, kind)})]
    found = batch.in_order("at").column("at").cast(pa.int64()).to_pylist()
    assert found == [None, *sorted(each for each in counts if each is not None)]


def test_values_that_may_repeat_have_dictionaries_wherever_they_are() -> None:
    table = pa.table(columns([row(SOME)] * 9))
    group = pq.ParquetFile(BytesIO(merge.encoded(table))).metadata.row_group(0)
    leaves = [group.column(number) for number in range(group.num_columns)]
    found = {
        leaf.path_in_schema: any("DICTIONARY" in each for each in leaf.encodings)
        for leaf in leaves
        if leaf.physical_type != "BOOLEAN"
    }
    plain = {"large", "at_ms", "at_us", "at_ns", "local_ms", "local_us", "local_ns", "long"}
    for path, has_dictionary in found.items():
        assert has_dictionary == (path.rpartition(".")[2] not in plain), path
