"""The checksum of a row: the same whatever carries the row, another for any other value."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from connectors import checksums as content

ROW: dict[str, Any] = {
    "trip_id": 4_071_441,
    "pickup_datetime": "2018-01-01T00:21:05.000Z",
    "fare_amount": 4.5,
    "tolls_amount": 0.0,
    "flag": "N",
    "base": None,
}


def of(row: dict[str, Any]) -> int:
    return int(content.of_documents([row])[0])


def test_arrays_tables_and_documents_agree() -> None:
    at = datetime(2018, 1, 1, 0, 21, 5, tzinfo=UTC)
    arrays = {
        "trip_id": np.array([4_071_441]),
        "pickup_datetime": np.array([int(at.timestamp() * 1000)]),
        "fare_amount": np.array([4.5]),
        "tolls_amount": np.array([0.0]),
        "flag": np.array(["N"], dtype=object),
    }
    table = pa.table(
        {
            "flag": pa.array(["N"]).dictionary_encode(),
            "trip_id": pa.array([4_071_441], pa.int32()),
            "pickup_datetime": pa.array([at], pa.timestamp("us", tz="UTC")),
            "fare_amount": [4.5],
            "tolls_amount": [-0.0],
            "base": pa.array([None], pa.string()),
            "padding": [""],
        }
    )
    assert content.of_arrays(arrays)[0] == content.of_table(table)[0] == of(ROW)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trip_id", 4_071_442),
        ("trip_id", "4071441"),
        ("trip_id", None),
        ("pickup_datetime", "2018-01-01T00:21:05.001Z"),
        ("pickup_datetime", 1_514_766_065_000),
        ("pickup_datetime", "yesterday"),
        ("fare_amount", 4.500000000000001),
        ("fare_amount", True),
        ("tolls_amount", None),
        ("flag", "Y"),
        ("flag", ""),
        ("base", "B02512"),
        ("more", 1),
    ],
)
def test_any_other_value_gives_another_checksum(name: str, value: object) -> None:
    assert of({**ROW, name: value}) != of(ROW)


def test_swapped_values_give_another_checksum() -> None:
    assert of({**ROW, "fare_amount": 0.0, "tolls_amount": 4.5}) != of(ROW)


def test_documents_of_mixed_kinds_are_told_apart_one_by_one() -> None:
    rows = [ROW, {**ROW, "trip_id": "4071441"}]
    assert content.of_documents(rows)[0] != content.of_documents(rows)[1]


def test_the_digest_tells_a_tombstone_from_an_empty_value() -> None:
    assert content.digest(None) != content.digest(b"")
    assert content.digests([b"a", None]).tolist() == [content.digest(b"a"), 0]


def test_a_row_is_judged_alike_among_others() -> None:
    rows = [json.loads(json.dumps({**ROW, "trip_id": number})) for number in range(50)]
    assert content.of_documents(rows).tolist() == [of(row) for row in rows]
