"""The glue: a fault of ours becomes one dead letter; only known metrics can be counted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.arrow import read_stream
from connectors.opensearch.options import Index
from pipeline import metrics
from pipeline.collect import documents
from pipeline.collect.buckets import Target, step_of
from pipeline.collect.columns import file_schema
from pipeline.collect.stream import FOLDER, unpack
from pipeline.config import model as config
from pipeline.decode.columns import objects
from pipeline.decode.decoder import Decoded, Decoder
from pipeline.decode.native import extension
from pipeline.decode.origins import Origins
from pipeline.decode.query import BATCHES
from pipeline.decode.reasons import REASONS
from pipeline.decode.records import FIELD, OWN_HEADERS, position
from pipeline.decode.redriven import Mark, content_digest, packed, sign
from pipeline.decode.reject_limit import RejectLimitExceeded
from pipeline.events.event_types import load
from pipeline.events.schema_files import RESERVED
from pipeline.metrics import StepMetrics
from pipeline.operators.claim_check import ClaimCheckFunction, claim_check_function
from pipeline.operators.decode import (
    Answer,
    DecodeFunction,
    decode_function,
    decode_guarded,
    decode_row,
)
from pipeline.operators.row_columns import RowColumns, millis
from tests.decode.corpus import TYPES, VALID, WATERMARK

ROOT = Path(__file__).parent.parent
DECODER = Decoder(load(ROOT / "schemas"), documents=True)


def faulty(raws: Sequence[bytes | None], origins: Origins) -> Decoded:
    if any(raw == b"boom" for raw in raws):
        raise ZeroDivisionError("with a value of the record in it")
    return DECODER.decode_batch(raws, origins)


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
    assert len(decoded) == len(decoded.unknown) == len(raws)


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
    assert millis(times).tolist() == [1514764800001, None]
    assert millis(times[:1]).tolist() == [1514764800001]


ARRIVAL_MS = 1514764800000
KEY = "k" * 32
SOURCE = config.Source(kafka_topics=("a",))
STREAM = config.Source(kinesis_streams=("s",))
MIXED = [VALID["trip"], None, WATERMARK, b"[]", b"[]"]


def configured(**sections: Any) -> config.Config:
    return config.Config(**{"source": SOURCE, **sections})


def opened(settings: config.Config) -> tuple[DecodeFunction, Context]:
    number = {"lake": 2, "archive": 2, "dead_letters": 1}
    targets = {
        step: Target(step, tuple(f"{step}/{i}" for i in range(keys)), 60.0, 1 << 20, "ZSTD")
        for step, keys in number.items()
        if getattr(settings, step) and getattr(settings, step).path
    }
    answer = Answer(targets, bool(settings.index), RowColumns.of(settings, TYPES))
    decode = DecodeFunction(settings.decode, settings.source, TYPES, answer, settings.redrive_key)
    context = Context()
    decode.open(context)
    return decode, context


def decoded_by(
    decode: DecodeFunction,
    raws: Sequence[bytes | None],
    marks: Sequence[str | None] | None = None,
    source: config.Source = SOURCE,
) -> pd.DataFrame:
    number = len(raws)
    none: list[None] = [None] * number
    position: list[list[Any]] = [["a"] * number, list(range(number)), list(range(60, 60 + number))]
    if source.kinesis_streams:
        # As PyFlink does: constants, here the key and the stream's name, come as they are.
        columns = [raws, [ARRIVAL_MS] * number, ["shard"] * number, ["1"] * number]
        raw, arrival_ms, shard, sequence_number = map(_series, columns)
        return decode.eval(raw, arrival_ms, None, "s", shard, sequence_number)
    columns = [raws, [ARRIVAL_MS] * number, none, *position, none, marks or none]
    return decode.eval(*map(_series, columns))


def _series(values: Sequence[Any]) -> pd.Series:
    series = pd.Series(objects(values))
    return series.infer_objects() if series.notna().all() else series


def row_of(function: Any) -> dict[str, str]:
    return {field.name: str(field.data_type) for field in function._result_type.fields}


LAKE = config.Lake(path="file:///lake")
EVERY_STEP = {
    "lake": LAKE,
    "archive": config.Archive(path="file:///archive"),
    "dead_letters": config.DeadLetters(path="file:///letters"),
}
REPLICAS = {"airport": config.Replica(kafka_topic="r", event_types=("trip",))}


NATIVE: Sequence[config.Native] = ("off", "required") if extension("auto") else ("off",)


@pytest.mark.parametrize("native", NATIVE)
def test_a_batch_for_files_is_in_its_first_row(native: config.Native) -> None:
    decode, context = opened(configured(decode=config.Decode(native=native), **EVERY_STEP))
    found = decoded_by(decode, MIXED)
    assert list(found.columns) == ["files"]
    assert found.files.notna().tolist() == [True, False, False, False, False]
    streams = {stream.key: read_stream(stream.data) for stream in unpack(found.files[0])}
    steps = {step_of(key): batch.num_rows for key, batch in streams.items()}
    assert steps == {"archive": 5, "lake": 1, "dead_letters": 3}
    assert streams["dead_letters/0"]["offset"].to_pylist() == [61, 63, 64]
    assert context.counted == {
        "in": 5,
        "bytes": sum(len(raw or b"") for raw in MIXED),
        "events": 1,
        "control": 1,
        "rejected": 3,
        "rejected_empty_payload": 1,
        "rejected_not_an_object": 2,
        **({"native": 1} if native == "required" else {}),
    }


def test_the_index_gets_its_documents_in_the_first_row() -> None:
    decode, _ = opened(configured(index=Index(url="http://localhost:9200")))
    found = decoded_by(decode, [None, VALID["trip"], VALID["fhv_trip"]])
    assert list(found.columns) == ["index_batch"]
    assert found.index_batch.notna().tolist() == [True, False, False]
    assert documents.read(found.index_batch[0]).num_rows == 2
    assert decoded_by(decode, [None]).index_batch.isna().all()


def test_batches_of_the_archive_take_turns_with_its_keys() -> None:
    decode, _ = opened(configured(archive=EVERY_STEP["archive"]))
    cells = [decoded_by(decode, MIXED).files[0] for _ in range(3)]
    keys = [[stream.key for stream in unpack(cell)] for cell in cells]
    assert keys == [["archive/0"], ["archive/1"], ["archive/0"]]


def test_a_batch_without_anything_for_files_has_no_cell() -> None:
    decode, _ = opened(configured(lake=LAKE))
    assert decoded_by(decode, [None, WATERMARK]).files.isna().all()


@pytest.mark.parametrize(
    "sections",
    [
        EVERY_STEP,
        {"dead_letters": config.DeadLetters(kafka_topic="letters")},
        {"replicate": REPLICAS, "index": Index(url="http://localhost:9200")},
        {"lake": LAKE, "job": config.Job(discard=True), "source": STREAM},
        {"replicate": {"all": config.Replica(kinesis_stream="r", value="raw", filter="extra > 1")}},
    ],
)
def test_the_row_is_declared_as_it_is_returned(sections: Mapping[str, Any]) -> None:
    settings = configured(**sections)
    decode, _ = opened(settings)
    found = decoded_by(decode, MIXED, source=settings.source)
    assert list(row_of(decode_function(settings, TYPES, {}))) == list(found.columns)


def test_columns_of_rows_are_those_that_a_filter_names() -> None:
    raw = config.Replica(kafka_topic="r", value="raw", filter="`extra` > 1 AND type <> 'x'")
    row = list(decode_row(configured(replicate={"raw": raw}), TYPES))
    common = ["event_type", "schema_version", "is_event", "redrive_replica", "document_id"]
    assert row == [*common, "raw_bytes", "field_type", "field_extra"]
    everything = config.Replica(kafka_topic="r", filter="extra > (SELECT 1)")
    row = list(decode_row(configured(replicate={"all": everything}), TYPES))
    columns = [f"field_{column.name}" for column in TYPES.columns]
    assert row == [*common, "document", "document_bytes", *columns]


def test_rows_that_no_statement_reads_have_no_texts() -> None:
    letters = config.DeadLetters(kinesis_stream="r", large_path="file:///large")
    decode, _ = opened(configured(replicate=REPLICAS, dead_letters=letters))
    found = decoded_by(decode, [VALID["trip"], VALID["green_trip"], b"[]", WATERMARK])
    assert found.event_type.tolist() == ["trip", None, "", None]
    assert found.is_event.tolist() == [True, False, False, False]
    assert found.document_id.notna().tolist() == [True, False, False, False]
    assert found.document_bytes.tolist() == [len(found.document[0]), 0, 0, 0]
    assert found.step.tolist() == [None, None, "decode", None]
    assert found.reason.tolist() == [None, None, "not_an_object", None]


@pytest.mark.parametrize("key", [KEY, ""])
def test_only_a_signed_mark_counts_and_others_are_counted(key: str) -> None:
    letters = config.DeadLetters(kafka_topic="letters", redrive_key=key)
    settings = configured(lake=LAKE, replicate={"airport": config.Replica(kafka_topic="r")},
                          dead_letters=letters)  # fmt: skip
    raws = [placed(41), placed(7), placed(41), placed(7), b"[]", placed(7), placed(41)]
    to_index = signed(placed(41), step="index", replica="")
    forged = ["index a/0/1  " + "0" * 64, signed(placed(9))]
    marks = [None, signed(placed(7)), *forged, signed(b"[]"), "decode a/0/1  ", to_index]
    decode, context = opened(settings)
    found = decoded_by(decode, raws, marks)
    genuine = bool(key)
    assert context.counted["forged_redrives"] == (2 if genuine else 5)
    assert found.redrive_replica.tolist() == [None, "airport" if genuine else None, *[None] * 5]
    assert found.is_event.tolist() == [True] * 4 + [False, True, not genuine]
    assert found.step[4] == ("replicate" if genuine else "decode")
    assert found.detail[4].startswith("replica airport: ") == genuine
    batches = [read_stream(stream.data) for stream in unpack(found.files[0])]
    offsets = sorted(offset for batch in batches for offset in batch["source_offset"].to_pylist())
    assert offsets == ([60, 62, 63, 65] if genuine else [60, 61, 62, 63, 65, 66])


def test_without_a_topic_there_are_no_marks() -> None:
    decode, context = opened(configured(source=STREAM, lake=LAKE))
    assert decoded_by(decode, MIXED, source=STREAM).files.notna()[0]
    assert "forged_redrives" not in context.counted


def signed(raw: bytes, *, step: str = "replicate", replica: str = "airport") -> str | None:
    mark = Mark("a/0/1", step, replica)
    return packed((step, "a/0/1", replica, sign(KEY, mark, content_digest(raw))))


def test_no_field_of_an_event_can_take_the_name_of_a_column_of_ours() -> None:
    every = RowColumns(letters=True, replicas=True, documents=True, raws=True)
    everywhere = config.Source(kafka_topics=("a",), kinesis_streams=("s",))
    forwarded = {"raw", "key", OWN_HEADERS, *position(everywhere)}
    ours = {*every.row(), *BATCHES} | forwarded
    assert not [name for name in ours if name.startswith(FIELD)]
    columns = set(file_schema(TYPES["trip"], everywhere, keep_unknown=True).names)
    assert columns - {field.name for field in TYPES["trip"].fields} == RESERVED


def placed(place: int) -> bytes:
    event = json.loads(VALID["trip"])
    return json.dumps({**event, "pickup_location_id": place}).encode()


def test_a_record_without_an_arrival_time_has_no_lag() -> None:
    decode, context = opened(configured(source=STREAM, dead_letters=EVERY_STEP["dead_letters"]))
    texts = [pd.Series(objects([None, None])) for _ in range(4)]
    raws = pd.Series(objects([b"[]", b"[]"]))
    found = decode.eval(raws, pd.Series([np.nan, float(ARRIVAL_MS)]), *texts)
    lags = {name: n for name, n in context.group.counts.items() if name.startswith("lag_le")}
    assert sum(lags.values()) == 1
    (letters,) = unpack(found.files[0])
    assert read_stream(letters.data)[FOLDER].to_pylist() == [
        "arrival_date=unknown",
        "arrival_date=2018-01-01",
    ]


def test_too_many_rejects_stop_the_job_after_they_were_counted() -> None:
    limited = config.Decode(reject_limit_ratio=0.5, reject_limit_records=6)
    decode, context = opened(configured(decode=limited, lake=LAKE))
    assert len(decoded_by(decode, MIXED)) == 5
    with pytest.raises(RejectLimitExceeded, match="6 of 10 .* not_an_object 4, empty_payload 2"):
        decoded_by(decode, MIXED)
    assert context.counted["rejected"] == 6


def test_without_a_limit_everything_may_be_a_reject() -> None:
    decode, context = opened(configured(lake=LAKE))
    assert decoded_by(decode, [b"["] * 2000).files.isna().all()
    assert context.counted["rejected"] == 2000


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
