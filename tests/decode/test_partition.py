"""Where in the lake an event belongs: literals at the edges, Iceberg's vectors, columns agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.decoder import Decoder, Event, Reject
from pipeline.decode.partition import Partitioner, is_partition, partition, transformed
from pipeline.decode.timestamps import parse
from pipeline.events.event_types import of
from pipeline.events.folders import HIVE_NULL, escape, unfit
from pipeline.events.model import EventType, Field, Kind, PartitionField
from tests.decode.corpus import NOW, TYPES, line
from tests.decode.specs import TIMES, events, typed

_PATH = re.compile(
    r"trip/pickup_location=[0-9]{3}/year=(?:20[0-9]{2}|21[0-9]{2})/month=(?:0[1-9]|1[0-2])"
)
_PLACES = st.integers(0, 999)


@pytest.mark.parametrize(
    ("place", "text", "path"),
    [
        (41, "2018-01-01T00:21:05.000Z", "pickup_location=041/year=2018/month=01"),
        (161, "2017-12-31T23:59:59.999Z", "pickup_location=161/year=2017/month=12"),
        (161, "2018-01-01T00:00:00.000Z", "pickup_location=161/year=2018/month=01"),
        (1, "2018-02-01T04:30:00.000Z", "pickup_location=001/year=2018/month=02"),
        (1, "2018-01-31T23:30:00.000-05:00", "pickup_location=001/year=2018/month=02"),
        (1, "2018-02-01T00:30:00.000+02:00", "pickup_location=001/year=2018/month=01"),
        (265, "2020-02-29T23:59:59.999Z", "pickup_location=265/year=2020/month=02"),
        (265, "2020-03-01T00:00:00.000Z", "pickup_location=265/year=2020/month=03"),
        (0, "2009-01-01T00:00:00.000Z", "pickup_location=000/year=2009/month=01"),
        (999, "2019-11-30T23:59:59.999Z", "pickup_location=999/year=2019/month=11"),
        (1000, "2019-12-01T00:00:00.000Z", "pickup_location=1000/year=2019/month=12"),
    ],
)
def test_the_paths_of_trips(place: int, text: str, path: str) -> None:
    assert trips(place, millis(text)) == f"trip/{path}"


@given(_PLACES, TIMES)
def test_a_path_has_one_form(place: int, at: int) -> None:
    assert _PATH.fullmatch(trips(place, at))


def trips(place: int, at: int) -> str:
    return partition(TYPES["trip"], {"pickup_location_id": place, "pickup_datetime": at})


def millis(text: str) -> int:
    found = parse(text)
    assert isinstance(found, int)
    return found


AT = millis("2017-11-16T22:31:08.000Z")


@pytest.mark.parametrize(
    ("kind", "value", "hashed"),
    [
        ("int32", 34, 2017239379),
        ("int64", 34, 2017239379),
        ("timestamp", AT, -2047944441),
        ("string", "iceberg", 1210000089),
    ],
)
def test_buckets_are_icebergs(kind: Kind, value: Any, hashed: int) -> None:
    """The hashes are those of Appendix B of Iceberg's specification."""
    for buckets in (1, 16, 10_000, 2**31 - 1):
        field = PartitionField("b", "f", "bucket", buckets, "%d")
        assert transformed(field, Field("f", kind), value) == (hashed & (2**31 - 1)) % buckets


@pytest.mark.parametrize(
    ("field", "kind", "value", "text"),
    [
        (PartitionField("p", "f", "truncate", 10, "%d"), "int32", 1, "0"),
        (PartitionField("p", "f", "truncate", 10, "%d"), "int64", -1, "-10"),
        (PartitionField("p", "f", "truncate", 3), "string", "iceberg", "ice"),
        (PartitionField("p", "f", "truncate", 3), "string", "ab", "ab"),
        (PartitionField("p", "f", "truncate", 2), "string", "🚕é!", "🚕é"),
        (PartitionField("p", "f", "year", 0, "%Y"), "timestamp", AT, "2017"),
        (PartitionField("p", "f", "month", 0, "%Y-%m"), "timestamp", AT, "2017-11"),
        (PartitionField("p", "f", "day", 0, "%Y-%m-%d"), "timestamp", AT, "2017-11-16"),
        (PartitionField("p", "f", "hour", 0, "%Y-%m-%d-%H"), "timestamp", AT, "2017-11-16-22"),
        (PartitionField("p", "f", "hour", 0, "%H"), "timestamp", AT, "22"),
        (PartitionField("p", "f"), "boolean", True, "true"),
        (PartitionField("p", "f"), "boolean", False, "false"),
        (PartitionField("p", "f", format="%03d"), "int32", -7, "-07"),
        (PartitionField("p", "f"), "string", "a/b=c%", "a%2Fb%3Dc%25"),
        (PartitionField("p", "f"), "string", "..", ".."),
        (PartitionField("p", "f"), "string", None, HIVE_NULL),
        (PartitionField("p", "f", "bucket", 4, "%d"), "int32", None, HIVE_NULL),
        (PartitionField("p", "f", "day", 0, "%Y-%m-%d"), "timestamp", None, HIVE_NULL),
    ],
)
def test_a_folder_is_the_transform_of_a_value(
    field: PartitionField, kind: Kind, value: Any, text: str
) -> None:
    assert partition(typed((field,), f=kind), {"f": value}) == f"e/p={text}"


@pytest.mark.parametrize("least", [-(2**63), -(2**63) + 9, -(2**63) + 10, 0])
def test_truncated_numbers_may_be_below_64_bits(least: int) -> None:
    event_type = typed((PartitionField("p", "f", "truncate", 10, "%d"),), f="int64")
    values = np.array([5, least, -1])
    places, names = Partitioner(event_type).partitions(lambda _: values)
    expected = [partition(event_type, {"f": value}) for value in values.tolist()]
    assert [names[place] for place in places] == expected


def test_texts_are_escaped_as_flink_escapes_them() -> None:
    texts = [chr(code) for code in (*range(1, 256), 0x20AC, 0xFFFD)] + ["a=b/c:d", "100 %", "…🚕"]
    done = subprocess.run(
        [sys.executable, "-c", _FLINK], input=json.dumps(texts), capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [f"p={escape(text)}/" for text in texts]


_FLINK = """
import json, sys
from pyflink.java_gateway import get_gateway

jvm, paths = get_gateway().jvm, []
for text in json.load(sys.stdin):
    spec = jvm.java.util.LinkedHashMap()
    spec.put("p", text)
    paths.append(jvm.org.apache.flink.table.utils.PartitionPathUtils.generatePartitionPath(spec))
print(json.dumps(paths))
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not empty"),
        (HIVE_NULL, "stands for null"),
        ("x" * 254, "this has 256"),
        ("/" * 85, "this has 257"),
        ("é" * 127, "this has 256"),
        ("x" * 253, ""),
        ("🚕" * 63, ""),
    ],
)
def test_a_text_that_can_name_no_folder(text: str, why: str) -> None:
    found = unfit(PartitionField("p", "f"), text)
    assert (why in found) and bool(found) == bool(why)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("e/n=041/m=2018-01/t=a%2Fb", True),
        ("e/n=-41/m=2018-01/t=..", True),
        (f"e/n={HIVE_NULL}/m={HIVE_NULL}/t={HIVE_NULL}", True),
        ("e/n=41/m=2018-01/t=a", False),
        ("e/n=041/m=2018-1/t=a", False),
        ("e/n=041/m=2018-13/t=a", False),
        ("e/n=0x1/m=2018-01/t=a", False),
        ("e/n=041/m=2018-01/t=", False),
        ("e/n=041/m=2018-01/t=a:b", False),
        ("e/n=041/m=2018-01/t=a%2fb", False),
        ("e/n=041/m=2018-01", False),
        ("e/m=2018-01/n=041/t=a", False),
        ("f/n=041/m=2018-01/t=a", False),
        ("e/n=041/m=2018-01/t=a/..", False),
        ("d/md=02-29", True),
        ("d/md=02-30", False),
    ],
)
def test_names_of_partitions(name: str, is_one: bool) -> None:
    spec = (
        PartitionField("n", "n", format="%03d"),
        PartitionField("m", "m", "month", 0, "%Y-%m"),
        PartitionField("t", "t"),
    )
    event_type = typed(spec, n="int32", m="timestamp", t="string")
    if name.startswith("d/"):
        by_day = typed((PartitionField("md", "m", "day", 0, "%m-%d"),), m="timestamp")
        event_type = replace(by_day, name="d")
    assert is_partition(event_type, name) == is_one


def test_a_long_text_may_be_truncated() -> None:
    assert unfit(PartitionField("p", "f", "truncate", 9), "x" * 1000) == ""


@settings(deadline=None)
@given(events())
def test_columns_agree_with_the_rule(made: tuple[EventType, list[dict[str, Any]]]) -> None:
    event_type, rows = made

    def column(name: str) -> Any:
        field = event_type.field(name)
        values = [row[name] for row in rows]
        if field.kind == "timestamp":
            return np.array(values, "M8[ms]")
        if field.nullable or field.kind == "string":
            return np.fromiter(values, object, len(values))
        kinds = {"int32": np.int32, "int64": np.int64, "boolean": np.bool_}
        return np.array(values, kinds[field.kind])

    partitioner = Partitioner(event_type)
    for _ in range(2):  # the second time from its cache
        places, names = partitioner.partitions(column)
        assert [names[place] for place in places] == [partition(event_type, row) for row in rows]
        assert len(names) == len(set(names))


def test_a_text_that_names_no_folder_is_a_reject() -> None:
    trip = replace(
        TYPES["trip"],
        partition_by=(PartitionField("flag", "store_and_fwd_flag"), PartitionField("p", "padding")),
        fields=tuple(replace(field, enum=()) for field in TYPES["trip"].fields),
    )
    kept = [replace(field, enum=("trip",)) if field.name == "type" else field
            for field in trip.fields]  # fmt: skip
    decoder = Decoder(of([replace(trip, fields=tuple(kept))]), now=lambda: NOW)
    flags = ("N", "", "Y" * 200, "a/b", HIVE_NULL)
    raws = [line(store_and_fwd_flag=flag, padding="x") for flag in flags]
    outcomes = [decoder.decode(raw) for raw in raws]
    batch = decoder.decode_batch(raws)
    reasons = [each.reason if isinstance(each, Reject) else None for each in outcomes]
    assert reasons == [None, "invalid_partition", None, None, "invalid_partition"]
    assert batch.reason.tolist() == reasons
    names = [each.partition for each in outcomes if isinstance(each, Event)]
    assert names == ["trip/flag=N/p=x", f"trip/flag={'Y' * 200}/p=x", "trip/flag=a%2Fb/p=x"]
    assert [batch.partitions[place] for place in batch.partition[[0, 2, 3]]] == names
