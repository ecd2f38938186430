"""The glue: a fault of ours becomes one dead letter; only known metrics can be counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import metrics
from pipeline.config import model as config
from pipeline.decode.columns import objects
from pipeline.decode.decoder import Decoded, Decoder
from pipeline.decode.query import forwarded_columns
from pipeline.decode.reasons import REASONS
from pipeline.decode.redriven import Mark, content_digest, packed, sign
from pipeline.decode.reject_limit import RejectLimitExceeded
from pipeline.events.event_types import load
from pipeline.events.schema_files import RESERVED
from pipeline.metrics import StepMetrics
from pipeline.operators import (
    ClaimCheckFunction,
    DecodeFunction,
    claim_check_function,
    decode_function,
    decode_guarded,
)
from pipeline.operators.decode import _DOCUMENT, _REDRIVE, _VERDICT, _plain
from tests.decode.corpus import TYPES, VALID, WATERMARK

ROOT = Path(__file__).parent.parent
DECODER = Decoder(load(ROOT / "schemas"), documents=True)


def faulty(raws: Sequence[bytes | None]) -> Decoded:
    if any(raw == b"boom" for raw in raws):
        raise ZeroDivisionError("with a value of the record in it")
    return DECODER.decode_batch(raws)


def test_a_fault_of_ours_rejects_only_the_record_that_met_it() -> None:
    raws = [b"{}", b"boom", None, b"[]", b"boom"]
    decoded = decode_guarded(faulty, raws)
    assert decoded.reason.tolist() == [
        DECODER.decode_batch([b"{}"]).reason[0],
        "internal_error",
        "empty_payload",
        "not_an_object",
        "internal_error",
    ]
    assert decoded.detail[1] == "decode failed with ZeroDivisionError"
    assert all(len(values) == len(raws) for values in decoded.columns.values())


class Group:
    """Flink's metric group, as far as we use it."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add_group(self, *names: str) -> Group:
        return self

    def counter(self, name: str) -> Counter:
        return Counter(self.counts, name)


class Context:
    """Flink's function context, as far as we use it."""

    def __init__(self) -> None:
        self.group = Group()

    def get_metric_group(self) -> Group:
        return self.group

    @property
    def counted(self) -> dict[str, int]:
        """The counters that moved, without the lag."""
        moved = {name: count for name, count in self.group.counts.items() if count}
        return {name: count for name, count in moved.items() if not name.startswith("lag_")}


class Counter:
    def __init__(self, counts: dict[str, int], name: str) -> None:
        self.counts, self.name = counts, name
        counts[name] = 0

    def inc(self, by: int) -> None:
        self.counts[self.name] += by


@pytest.mark.parametrize("step", ["decode", "index", "claim_check"])
def test_every_reason_has_its_counter(step: str) -> None:
    known = metrics.names(step)
    for reason in REASONS.values():
        assert (f"rejected_{reason.code}" in known) == (reason.step == step)


def test_lag_is_sorted_into_buckets() -> None:
    group = Group()
    StepMetrics("decode", group).lag(np.array([1000, 990, 0]), 1001)
    counted = {name: count for name, count in group.counts.items() if count}
    assert counted == {"lag_le_25": 2, "lag_le_1500": 1, "lag_ms": 1 + 11 + 1001}


def test_counters_are_shown_before_they_grow() -> None:
    counted: list[tuple[str, int]] = []

    class Seen(Group):
        def counter(self, name: str) -> Counter:
            counter = super().counter(name)
            counter.inc = lambda by: counted.append((name, by))  # type: ignore[method-assign]
            return counter

    step = StepMetrics("decode", Seen())
    step.count("in", 0)
    assert counted == [(name, 0) for name in metrics.names("decode")]
    step.count("in", 2)
    assert counted[-1] == ("in", 2)
    assert len(counted) == len(metrics.names("decode")) + 1


def test_an_unknown_metric_cannot_be_counted() -> None:
    with pytest.raises(KeyError):
        StepMetrics("decode", Group()).count("no_such_metric")


def test_timestamps_become_millis() -> None:
    times = np.array(["2018-01-01T00:00:00.001", "NaT"], dtype="datetime64[ms]")
    assert _plain(times).tolist() == [1514764800001, None]
    assert _plain(times[:1]).tolist() == [1514764800001]


ARRIVAL_MS = 1514764800000
MIXED = [VALID["trip"], None, WATERMARK, b"[]", b"[]"]


def decoded_by(decode: DecodeFunction, raws: Sequence[bytes | None]) -> pd.DataFrame:
    return decode.eval(pd.Series(objects(raws)), pd.Series([ARRIVAL_MS] * len(raws)))


def opened(settings: config.Decode, *, documents: bool = True) -> tuple[DecodeFunction, Context]:
    decode, context = DecodeFunction(settings, TYPES, documents=documents), Context()
    decode.open(context)
    return decode, context


def row_of(function: Any) -> dict[str, str]:
    return {field.name: str(field.data_type) for field in function._result_type.fields}


@pytest.mark.parametrize("documents", [True, False])
def test_decode_tells_the_sizes(documents: bool) -> None:
    decode, context = opened(config.Decode(), documents=documents)
    found = decoded_by(decode, MIXED)
    assert ("document" in found) == ("raw_bytes" in found) == documents
    if documents:
        assert found.raw_bytes.tolist() == [len(raw or b"") for raw in MIXED]
        assert found.document_bytes.tolist() == [len(found.document[0]), 0, 0, 0, 0]
        assert (found.raw_bytes.dtype, found.document_bytes.dtype) == (np.int32, np.int32)
    assert context.counted == {
        "in": 5,
        "bytes": sum(len(raw or b"") for raw in MIXED),
        "events": 1,
        "control": 1,
        "rejected": 3,
        "rejected_empty_payload": 1,
        "rejected_not_an_object": 2,
    }


def test_the_row_is_declared_as_it_is_returned() -> None:
    decode, _ = opened(config.Decode())
    row = row_of(decode_function(config.Decode(), TYPES, documents=True))
    assert list(row) == list(decoded_by(decode, MIXED).columns)
    assert (row["document_bytes"], row["raw_bytes"]) == ("INT", "INT")


def test_rows_of_a_partition_come_together_and_bring_what_was_given_with_them() -> None:
    forwarded = forwarded_columns(config.Source(kafka_topics=("a",)))
    decode = DecodeFunction(config.Decode(), TYPES, documents=False, forwarded=forwarded)
    decode.open(Context())
    raws = [placed(41), b"[]", placed(7), placed(41), None, placed(7)]
    keys = pd.Series(objects([b"%d" % at for at in range(6)]))
    beside = (keys, pd.Series(["a"] * 6), pd.Series(range(6)), pd.Series(range(60, 66)))
    headers = pd.Series(objects([b"h%d" % at for at in range(6)]))
    arrived = pd.Series([ARRIVAL_MS] * 6)
    found = decode.eval(pd.Series(objects(raws)), arrived, *beside, headers)
    assert found.pickup_location.tolist() == ["", "", "007", "007", "041", "041"]
    assert found.partition.tolist() == [1, 4, 2, 5, 0, 3]
    assert found.offset.tolist() == [61, 64, 62, 65, 60, 63]
    assert found.raw.tolist() == [b"[]", *[None] * 5]
    assert found.key.tolist() == [b"1", b"4", *[None] * 4]
    assert found.own_headers.tolist() == [b"h1", b"h4", *[None] * 4]
    assert found.reason.tolist()[:2] == ["not_an_object", "empty_payload"]
    declared = decode_function(config.Decode(), TYPES, documents=False, forwarded=forwarded)
    assert list(row_of(declared)) == list(found.columns)


KEY = "k" * 32


@pytest.mark.parametrize("grouped", [False, True])
def test_only_a_signed_mark_is_returned_and_others_are_counted(grouped: bool) -> None:
    source = config.Source(kafka_topics=("a",), kinesis_streams=("s",))
    forwarded = forwarded_columns(source) if grouped else ()
    raws = [placed(41), placed(7), placed(41), placed(7), b"[]", placed(7), placed(41)]
    to_index = signed(placed(41), step="index", replica="")
    forged = ["index a/0/1  " + "0" * 64, signed(placed(9))]
    marks = [None, signed(placed(7)), *forged, signed(b"[]"), "decode a/0/1  ", to_index]
    genuine: list[tuple[str | None, str | None]] = [
        (None, None), ("replicate", "airport"), (None, None), (None, None),
        ("replicate", "airport"), (None, None), ("index", ""),
    ]  # fmt: skip
    by_partition = [4, 1, 3, 5, 0, 2, 6]
    for key, expected, count in ((KEY, genuine, 2), ("", [(None, None)] * 7, 5)):
        decode = DecodeFunction(
            config.Decode(), TYPES, documents=not grouped, forwarded=forwarded, redrive_key=key
        )
        context = Context()
        decode.open(context)
        beside = [pd.Series(objects([None] * 7)) for _ in forwarded[2:]]
        arrivals = pd.Series([ARRIVAL_MS] * 7)
        found = decode.eval(pd.Series(objects(raws)), arrivals, *beside, pd.Series(objects(marks)))
        rows = list(zip(found.redrive_step, found.redrive_replica, strict=True))
        assert rows == [expected[row] for row in by_partition] if grouped else rows == expected
        assert context.counted["forged_redrives"] == count
        assert found.is_event.sum() == 6, "whatever a header says"
        declared = decode_function(config.Decode(), TYPES, not grouped, forwarded, key)
        assert list(row_of(declared)) == list(found.columns)


def test_without_a_topic_there_are_no_marks() -> None:
    decode, context = opened(config.Decode())
    assert not set(_REDRIVE) & set(decoded_by(decode, MIXED).columns)
    assert "forged_redrives" not in context.counted


def signed(raw: bytes, *, step: str = "replicate", replica: str = "airport") -> str | None:
    mark = Mark("a/0/1", step, replica)
    return packed((step, "a/0/1", replica, sign(KEY, mark, content_digest(raw))))


def test_no_field_of_an_event_can_take_the_name_of_a_column_of_ours() -> None:
    own = set(_VERDICT) | set(_DOCUMENT) | set(_REDRIVE)
    everywhere = config.Source(kafka_topics=("a",), kinesis_streams=("s",))
    assert own | {column.name for column in forwarded_columns(everywhere)} <= RESERVED


def placed(place: int) -> bytes:
    event = json.loads(VALID["trip"])
    return json.dumps({**event, "pickup_location_id": place}).encode()


def test_a_record_without_an_arrival_time_has_no_lag() -> None:
    decode, context = opened(config.Decode())
    decode.eval(pd.Series(objects([b"[]", b"[]"])), pd.Series([np.nan, float(ARRIVAL_MS)]))
    lags = {name: n for name, n in context.group.counts.items() if name.startswith("lag_le")}
    assert sum(lags.values()) == 1


def test_too_many_rejects_stop_the_job_after_they_were_counted() -> None:
    settings = config.Decode(reject_limit_ratio=0.5, reject_limit_records=6)
    decode, context = opened(settings)
    assert len(decoded_by(decode, MIXED)) == 5
    with pytest.raises(RejectLimitExceeded, match="6 of 10 .* not_an_object 4, empty_payload 2"):
        decoded_by(decode, MIXED)
    assert context.counted["rejected"] == 6


def test_without_a_limit_everything_may_be_a_reject() -> None:
    decode, _ = opened(config.Decode())
    assert not decoded_by(decode, [b"["] * 2000).is_event.any()


def test_claim_check_tells_large_from_small() -> None:
    settings = config.DeadLetters(max_bytes=1000, head_bytes=3)
    function, context = ClaimCheckFunction(settings), Context()
    function.open(context)
    found = function.eval(
        pd.Series(objects([b"x" * 1001, b"x" * 1000, None, b"x", b"x", b"x"])),
        pd.Series(objects([b"k" * 9, None, None, b"k" * 1000, None, None])),
        pd.Series([None, [], ["a"], None, ["a", "b", "a"], ["n" * 999]], dtype=object),
        pd.Series([None, [], [None], None, [b"h" * 500, None, b"h" * 500], [None]], dtype=object),
    )
    assert row_of(claim_check_function(settings)) == {
        "large": "BOOLEAN",
        "head": "VARBINARY",
        "bytes": "INT",
        "sha256": "VARCHAR",
    }
    assert list(found.columns) == ["large", "head", "bytes", "sha256"]
    assert found.large.tolist() == [True, False, False, True, True, True]
    assert found["head"].tolist() == [b"xxx", None, None, b"x", b"x", b"x"]
    assert found["bytes"].tolist() == [1001, 1000, 0, 1, 1, 1]
    assert context.counted == {"in": 6, "large": 4}
