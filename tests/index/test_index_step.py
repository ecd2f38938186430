"""`index_step`: a batch of documents goes to the index, and only what it rejects comes back."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.opensearch.bulk import Send
from connectors.opensearch.options import Index
from pipeline.collect import documents
from pipeline.collect.inputs import NO_TIME, Inputs
from pipeline.collect.stream import unpack
from pipeline.config.model import Source
from pipeline.decode.decoder import Event
from pipeline.operators.index import IndexFunction, index_function
from pipeline.operators.pack import PackFunction, pack_function
from tests.collect.test_rows import (
    ARRIVED,
    BOTH,
    RAWS,
    STREAM,
    TOPIC,
    Row,
    arguments,
    position,
    records,
    written,
)
from tests.connectors.memory_index import Fault, MemoryIndex
from tests.decode.corpus import DECODER, TYPES, VALID, WATERMARK
from tests.index.in_memory import REFUSED
from tests.test_operators import Context

MIXED = [b"[]", VALID["trip"], WATERMARK, VALID["green_trip"], None, VALID["fhv_trip"]]
EVENTS = [1, 3, 5]
KEYS = ("dead_letters/4",)


def index_of(*names: str, faults: Sequence[Fault | None] = ()) -> MemoryIndex:
    """An index in memory with these event types' indices."""
    mappings: dict[str, Mapping[str, str]] = {
        f"p-{each.name}": {field.name: "any" for field in each.fields}
        for each in TYPES
        if each.name in names
    }
    return MemoryIndex(mappings, deque(faults))


def opened(
    memory: MemoryIndex, source: Source = TOPIC, keys: Sequence[str] = (), **index: Any
) -> tuple[IndexFunction, Context]:
    def connect(settings: Index, mappings: Mapping[str, Any]) -> Send:
        assert set(mappings) == set(TYPES.names)
        return memory

    options = {"prefix": "p-", "retry_seconds": 0, **index}
    asked = Index(url="http://127.0.0.1:1", **options)
    function, context = IndexFunction(asked, TYPES, source, keys, connect), Context()
    function.open(context)
    return function, context


def batch_of(given: Inputs) -> bytes:
    batch = documents.batch(DECODER.decode_batch(given.raw), given)
    assert batch is not None
    return batch


def row_of(given: Inputs, row: int) -> Row:
    """What a dead letter needs of a record, but for the reason."""
    event = DECODER.decode(given.raw[row])
    assert isinstance(event, Event)
    return {
        **{name: getattr(given, name)[row] for name in ("raw", "key", "own_headers")},
        **position(given, row),
        "arrival_ms": given.arrival_ms[row],
        "event_type": event.event_type,
        "schema_version": event.schema_version,
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(RAWS, max_size=30), st.sampled_from([BOTH, TOPIC, STREAM]))
def test_a_batch_has_the_documents_of_its_events_in_order(
    raws: list[bytes | None], source: Source
) -> None:
    given_ = records(source, raws)
    batch = documents.batch(DECODER.decode_batch(given_.raw), given_)
    events = [DECODER.decode(raw) for raw in raws]
    rows = [row for row, event in enumerate(events) if isinstance(event, Event)]
    if batch is None:
        assert not rows
        return
    found = documents.read(batch)
    names = ("event_type", "document_id", "document_version", "document", "schema_version")
    for name in names:
        expected = [getattr(events[row], name) for row in rows]
        assert documents.column(found, name).tolist() == expected
    places = [{**position(given_, row), "raw": raws[row]} for row in rows]
    columns = {name: documents.column(found, name).tolist() for name in [*given_.position, "raw"]}
    assert [
        {name: None if column[at] == -1 else column[at] for name, column in columns.items()}
        for at in range(len(rows))
    ] == places


def test_events_are_indexed_and_nothing_comes_back() -> None:
    memory = index_of(*TYPES.names)
    function, context = opened(memory)
    given_ = records(TOPIC, MIXED)
    assert list(function.eval(batch_of(given_))) == []
    events = [DECODER.decode(given_.raw[row]) for row in EVENTS]
    assert set(memory.stored) == {
        (f"p-{event.event_type}", event.document_id) for event in events if isinstance(event, Event)
    }
    assert (context.counted["in"], context.counted["indexed"]) == (3, 3)
    assert context.counted["requests"] == 1


@pytest.mark.parametrize("source", [BOTH, TOPIC, STREAM])
def test_what_the_index_rejects_comes_back_as_rows(source: Source) -> None:
    function, context = opened(index_of("trip"), source)
    given_ = records(source, MIXED)
    found = [
        dict(zip(documents.reject_columns(source), row, strict=True))
        for row in function.eval(batch_of(given_))
        if isinstance(row, tuple)
    ]
    assert [row.pop("reason") for row in found] == ["index_missing"] * 2
    assert all("index_not_found" in row.pop("detail") for row in found)
    assert found == [row_of(given_, row) for row in EVENTS[1:]]
    assert context.counted["rejected_index_missing"] == 2
    types = index_function(Index(url="http://127.0.0.1:1"), TYPES, source)._result_types
    assert len(types) == len(documents.reject_columns(source))


def test_a_record_without_time_partition_and_offset_has_none_as_a_reject() -> None:
    function, context = opened(index_of(), BOTH)
    given_ = records(BOTH, MIXED, arrived=[NO_TIME] * 6)
    (row, *_) = function.eval(batch_of(given_))
    assert isinstance(row, tuple)
    found = dict(zip(documents.reject_columns(BOTH), row, strict=True))
    assert (found["arrival_ms"], found["partition"], found["offset"]) == (None, None, None)
    assert (found["stream"], found["sequence_number"]) == ("s", "1")
    assert not [name for name in context.group.counts if context.group.counts[name] < 0]


@pytest.mark.parametrize("source", [BOTH, TOPIC, STREAM])
def test_for_files_the_rejects_of_a_batch_are_one_cell(source: Source) -> None:
    function, _ = opened(index_of("trip"), source, KEYS)
    given_ = records(source, MIXED)
    (cell,) = function.eval(batch_of(given_))
    assert isinstance(cell, bytes)
    assert [stream.key for stream in unpack(cell)] == list(KEYS)
    found = written("dead_letters", unpack(cell))
    assert list(found) == ["arrival_date=2018-01-01"]
    (rows,) = found.values()
    assert [(row["step"], row["reason"]) for row in rows] == [("index", "index_missing")] * 2
    assert {(row["raw"], row["arrival_time"], row["event_type"]) for row in rows} == {
        (given_.raw[row], ARRIVED + row, name) for row, name in ((3, "green_trip"), (5, "fhv_trip"))
    }
    assert list(function.eval(batch_of(records(source, [VALID["trip"]])))) == []
    asked = Index(url="http://127.0.0.1:1")
    assert len(index_function(asked, TYPES, source, KEYS)._result_types) == 1


def test_an_index_that_is_away_rejects_the_batch_and_the_next_one_is_tried_later() -> None:
    memory = index_of(*TYPES.names, faults=[REFUSED])
    function, context = opened(memory, breaker_seconds=0)
    batch = batch_of(records(TOPIC, MIXED))
    assert [row[3] for row in function.eval(batch)] == ["index_unavailable"] * 3
    assert list(function.eval(batch)) == []
    assert (context.counted["in"], context.counted["rejected"]) == (6, 3)


def test_the_functions_travel_to_flink() -> None:
    asked = Index(url="http://127.0.0.1:1")
    made: list[Callable[[], Any]] = [
        lambda: IndexFunction(asked, TYPES, TOPIC, KEYS),
        lambda: PackFunction(TOPIC, KEYS),
    ]
    for make in made:
        assert type(pickle.loads(pickle.dumps(make()))) is type(make())
    assert not index_function(asked, TYPES, TOPIC)._deterministic


@pytest.mark.parametrize("source", [BOTH, TOPIC, STREAM])
def test_an_event_too_large_for_a_replica_is_a_cell_of_its_own(source: Source) -> None:
    function = PackFunction(source, KEYS)
    function.open(Context())
    given_ = arguments(source, [VALID["trip"], VALID["trip"]])
    record = given_[:-1] if source.kafka_topics else given_  # Without the redrive mark.
    verdict = ("replicate", "replica_too_large", "replica airport: 9 bytes", "trip", 2)
    for row in (0, 1):
        plain = [None if value[row] is None else value[row] for value in record]
        plain = [each.item() if isinstance(each, np.generic) else each for each in plain]
        (cell,) = function.eval(*plain, *verdict)
        ((found,),) = written("dead_letters", unpack(cell)).values()
        expected = position(records(source, [VALID["trip"]] * 2), row)
        assert expected.items() <= found.items()
        assert (found["raw"], found["arrival_time"]) == (VALID["trip"], ARRIVED + row)
        assert tuple(found[name] for name in ("step", "reason", "detail")) == verdict[:3]
        assert (found["event_type"], found["schema_version"]) == verdict[3:]


def test_a_reject_without_an_arrival_time_is_in_the_folder_of_unknown_ones() -> None:
    function = PackFunction(TOPIC, KEYS)
    function.open(Context())
    verdict = ("replicate", "replica_too_large", "", "trip", 2)
    (cell,) = function.eval(b"{}", None, None, "a", 0, 7, None, *verdict)
    ((found,),) = written("dead_letters", unpack(cell)).values()
    assert (found["arrival_time"], found["offset"], found["key"]) == (None, 7, None)
    assert list(written("dead_letters", unpack(cell))) == ["arrival_date=unknown"]
    assert len(pack_function(TOPIC, KEYS)._result_types) == 1
