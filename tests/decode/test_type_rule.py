"""Which type a record is: by a field, a path, a header, its topic or stream, or by nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.errors import UserError
from connectors.kafka.headers import OWN_HEADER
from pipeline.collect.inputs import NO_TIME, Inputs
from pipeline.collect.record_origins import RecordOrigins
from pipeline.config.event_type_keys import type_problems
from pipeline.config.model import Source
from pipeline.decode.columns import objects
from pipeline.decode.decoder import Control, Decoder, Event, Reject
from pipeline.decode.fault import Fault
from pipeline.decode.origins import Origins
from pipeline.decode.redriven import Mark
from pipeline.decode.reference import Rule, examine
from pipeline.decode.type_rule import TypeRule
from pipeline.events.event_types import EventTypes, of
from pipeline.events.schema_files import event_type_of
from tests.config.test_config import check
from tests.decode.corpus import NOW

TIME = {"type": "long", "logicalType": "timestamp-millis"}
KIND = {"name": "kind", "type": "string"}
FROM = {"name": "from", "type": "string", "default": ""}
N = {"name": "n", "type": "long"}
META = {"type": "record", "name": "Meta", "fields": [KIND, FROM]}
AT = "2018-01-01T00:00:00.000Z"


def made(name: str, *fields: Any, **more: Any) -> Any:
    """An event type, or a control type, with a time `at` and these fields."""
    of_event = {"eventTime": "at", "partitionBy": [{"name": "d", "from": "at", "transform": "day"}]}
    record = {
        "type": "record", "name": name.capitalize(), "doc": "x", "eventType": name, "version": 3,
        **({} if more.get("control") else of_event), **more,
        "fields": [
            {"name": "at", "type": TIME, "doc": "x"},
            *({"doc": "x", **field} for field in fields),
        ],
    }  # fmt: skip
    return event_type_of(Path(f"{name}.avsc"), record)


ORDER = made("order", KIND, N, id="n")
NOTE = made("note", KIND, {"name": "text", "type": "string"})
TICK = made("tick", KIND, control=True)
TYPES = of([ORDER, NOTE], [TICK])
TEXTS = {"order": "OrderPlaced"}


def decoded(
    types: EventTypes, rule: TypeRule, raws: list[bytes | None], origins: Origins
) -> list[Event | Control | Reject]:
    """What both decoders, a batch and each alone, agree on."""
    decoder = Decoder(types, type_rule=rule, documents=True, now=lambda: NOW)
    known = replace(origins, ids=[f"t/0/{n}" for n in range(len(raws))],
                    versions=np.arange(len(raws)))  # fmt: skip
    batch = decoder.decode_batch(raws, known)
    outcomes = []
    for row, raw in enumerate(raws):
        outcome = decoder.decode(raw, known.part(row, row + 1))
        told = origins.names[row] if origins.names else None
        verdict = examine(raw, Rule(types, 1_000_000, "refuse", NOW, rule), told)
        assert isinstance(verdict, Fault) == isinstance(outcome, Reject)
        kind = {Event: "event", Control: "control", Reject: "reject"}[type(outcome)]
        assert (batch.kind[row], batch.event_type[row]) == (kind, outcome.event_type)
        if isinstance(outcome, Event):
            assert batch.document[row] == outcome.document
            assert batch.document_id[row] == outcome.document_id
            assert batch.document_version[row] == outcome.document_version
        outcomes.append(outcome)
    return outcomes


def event(**members: Any) -> bytes:
    return json.dumps({"at": AT, **members}).encode()


def test_a_field_of_any_name_and_other_texts() -> None:
    raws: list[bytes | None] = [
        event(kind="OrderPlaced", n=1),
        event(kind="note", text="x"),
        event(kind="tick"),
    ]
    raws += [event(kind="order", n=1), event(kind=7, n=1), event(n=1)]
    rule = TypeRule(field="kind", texts=TEXTS)
    order, note, tick, *rejects = decoded(TYPES, rule, raws, Origins())
    assert isinstance(order, Event)
    assert (order.event_type, order.document_id) == ("order", "1")
    assert order.values["kind"] == "OrderPlaced"
    assert json.loads(order.document) == json.loads(raws[0] or b"")
    assert isinstance(note, Event)
    assert (note.document_id, note.document_version) == ("t/0/1", 1)
    assert tick == Control("tick", {"at": 1_514_764_800_000})
    assert [each.reason for each in rejects if isinstance(each, Reject)] == [
        "unknown_event_type", "wrong_type", "missing_field",
    ]  # fmt: skip
    assert "OrderPlaced" in str(getattr(rejects[0], "detail", ""))


def test_a_path() -> None:
    meta = {"name": "meta", "type": META}
    types = of([made("a", meta), made("b", meta, {"name": "from", "type": "string"})])
    rule = TypeRule(field="meta.kind")
    raws: list[bytes | None] = [
        event(meta={"kind": "a"}), event(meta={"kind": "b", "from": "y"}, **{"from": "x"}),
        event(meta={"kind": "c"}), event(meta={}), event(meta="a"), event(), b"7", None,
        b'{"meta": {"kind": "a"}, "meta": {"kind": "b"}, "at": "2018-01-01T00:00:00Z"}',
    ]  # fmt: skip
    outcomes = decoded(types, rule, raws, Origins())
    assert [getattr(each, "reason", each.event_type) for each in outcomes] == [
        "a", "b", "unknown_event_type", "missing_field", "missing_field", "missing_field",
        "not_an_object", "empty_payload", "duplicate_key",
    ]  # fmt: skip
    assert getattr(outcomes[3], "detail", "").startswith("$.meta.kind: saw nothing")


def test_headers_tell_the_type_beside_the_event() -> None:
    rule = TypeRule(field="", header="event-type", texts=TEXTS)
    raws: list[bytes | None] = [*[event(kind="x", n=1)] * 4, event(kind="y", text="z"), b'"order"']
    names = ["OrderPlaced", None, "order", "trip", "note", None]
    outcomes = decoded(TYPES, rule, raws, Origins(names=names))
    assert [getattr(each, "reason", each.event_type) for each in outcomes] == [
        "order", *["unknown_event_type"] * 3, "note", "not_an_object",
    ]  # fmt: skip
    assert outcomes[0].values["kind"] == "x" if isinstance(outcomes[0], Event) else False
    assert getattr(outcomes[1], "detail", "").startswith("header event-type: saw nothing")


def test_one_type_for_all() -> None:
    rule = TypeRule(field="", constant="order")
    raws: list[bytes | None] = [event(kind="note", n=2), event(n=2)]
    outcomes = decoded(TYPES, rule, raws, Origins())
    assert [getattr(each, "reason", each.event_type) for each in outcomes] == [
        "order", "missing_field"
    ]  # fmt: skip


def records(rows: int, **columns: Any) -> Inputs:
    nothing = objects([None] * rows)
    position = {
        "topic": columns.get("topic", nothing), "partition": np.full(rows, 2),
        "offset": columns.get("offset", np.arange(rows)),
        "stream": columns.get("stream", nothing), "shard": columns.get("shard", nothing),
    }  # fmt: skip
    headers = columns.get("headers", nothing)
    return Inputs(nothing, np.full(rows, NO_TIME), nothing, position, headers)


def packed(*pairs: tuple[str, bytes | None]) -> bytes:
    """A list of headers as Kafka's record format has it."""

    def varint(number: int) -> bytes:
        zigzag = (number << 1) ^ (number >> 63)
        made = bytearray()
        while zigzag >= 0x80:
            made.append(zigzag & 0x7F | 0x80)
            zigzag >>= 7
        return bytes([*made, zigzag])

    data = varint(len(pairs))
    for name, value in pairs:
        data += varint(len(name)) + name.encode()
        data += varint(-1) if value is None else varint(len(value)) + value
    return data


def test_the_last_header_of_a_name_counts() -> None:
    source = Source(kafka_topics=("t",), event_type_header="kind")
    headers = objects([
        packed(("kind", b"a"), ("x", b""), ("kind", b"b")), packed(("x", b"kind")),
        packed(("kind", None)), None,
    ])  # fmt: skip
    found = RecordOrigins(source, TYPES).of(records(4, headers=headers), {})
    assert found.names == ["b", None, None, None]
    archived = Source(kafka_topics=("t",), archived_from=("kafka",), event_type_header="kind")
    headers = objects([packed((f"{OWN_HEADER}kind", b"a"), ("kind", b"b"))])
    assert RecordOrigins(archived, TYPES).of(records(1, headers=headers), {}).names == ["a"]


def test_topics_streams_and_positions() -> None:
    source = Source(kafka_topics=("t",), kinesis_streams=("s",),
                    event_type_by_topic=("t=order", "s=note"))  # fmt: skip
    columns = {
        "topic": objects(["t", None, "t"]), "stream": objects([None, "s", None]),
        "shard": objects([None, "shard-1", None]), "offset": np.array([7, -1, 9]),
    }  # fmt: skip
    marks = {2: Mark("t/1/5", "index", "")}
    found = RecordOrigins(source, TYPES).of(records(3, **columns), marks)
    assert found.names == ["order", "note", "order"]
    assert found.ids is not None
    assert found.ids[0] == "t/2/7"
    assert found.ids[2] == "t/1/5"
    assert found.versions.tolist() == [7, NO_TIME, 5]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"event_type": "order", "event_type_header": "h"}, "event_type and event_type_header"),
        ({"event_type": "order", "event_type_field": "kind"}, "set only one"),
        ({"event_type_header": "h", "kinesis_streams": ["s"]}, "Kinesis have no headers"),
        ({"event_type": "order", "event_type_values": ["A=order"]}, "event_type_values is for"),
        ({"event_type_by_topic": ["other=order"]}, "lacks trips"),
        ({"event_type_by_topic": ["trips=order", "other=note"]}, "has other, which is not read"),
        ({"event_type_by_topic": ["trips=a", "trips=b"]}, "has trips twice"),
        ({"event_type_values": ["A=order", "B=order"]}, "two values for order"),
        ({"event_type_by_topic": ["trips"]}, "TOPIC=TYPE"),
        ({"event_type_field": "a..b"}, "a field's name, or a path"),
        ({"avro": ["trips"]}, "no section schema_registry"),
    ],
)
def test_keys_that_contradict_each_other(keys: dict[str, Any], message: str) -> None:
    source = {"kafka_topics": ["trips"], **keys}
    with pytest.raises(UserError, match=message):
        check(source=source, kinesis={"region": "eu-west-1"})


@pytest.mark.parametrize(
    ("keys", "messages"),
    [
        ({}, ["event_type_field is type, but the schema note has no such field"]),
        ({"event_type_field": "kind"}, []),
        ({"event_type_field": "kind.x"}, ["the schema order has no such field"]),
        ({"event_type_field": "n"}, ["order has no such field that is a required string"]),
        ({"event_type": "order"}, []),
        ({"event_type": "tick"}, ["source.event_type has tick"]),
        ({"event_type": "trip"}, ["source.event_type has trip; decode.schemas has note, order"]),
        ({"event_type_by_topic": ["trips=trip"]}, ["event_type_by_topic has trip"]),
        ({"event_type_field": "kind", "event_type_values": ["x=trip"]}, ["values has trip"]),
    ],
)
def test_schemas_must_fit_the_keys(keys: dict[str, Any], messages: list[str]) -> None:
    config = check(source={"kafka_topics": ["trips"], **keys})
    found = " ".join(type_problems(config, TYPES))
    assert bool(found) == bool(messages)
    for message in messages:
        assert message in found


def test_without_an_id_or_version_an_index_takes_kafka_alone() -> None:
    index = {"url": "http://127.0.0.1:9200"}
    source = {"kinesis_streams": ["s"], "event_type_field": "kind"}
    config = check(source=source, index=index, kinesis={"region": "eu-west-1"})
    assert "the schema note has no id" in " ".join(type_problems(config, TYPES))
    both = check(source={**source, "kafka_topics": ["t"]}, index=index,
                 kinesis={"region": "eu-west-1"})  # fmt: skip
    assert "the schema order has no versionTime" in " ".join(type_problems(both, TYPES))


@pytest.mark.parametrize("unknown_fields", ["refuse", "keep"])
def test_one_schema_alone_needs_its_tag_too(unknown_fields: Any) -> None:
    types = of([ORDER])
    decoder = Decoder(types, type_rule=TypeRule("kind"), unknown_fields=unknown_fields,
                      now=lambda: NOW)  # fmt: skip
    raws = [event(n=1, typo="anything"), event(kind="order", n=1),
            b'{"at": "2018-01-01T00:00:00Z", "n": 1, "at": "2018-01-02T00:00:00Z"}']  # fmt: skip
    decoded = decoder.decode_batch(raws)
    assert decoded.reason.tolist() == ["missing_field", None, "duplicate_key"]


def test_the_field_that_tells_the_type_may_be_in_id_and_partition() -> None:
    by_kind = {"partitionBy": [{"name": "k", "from": "kind"}]}
    types = of([made("a", KIND, id="kind", **by_kind), made("b", KIND, N, id=["kind", "n"])])
    raws: list[bytes | None] = [event(kind="a"), event(kind="b", n=7)]
    one, other = decoded(types, TypeRule("kind"), raws, Origins())
    assert isinstance(one, Event)
    assert (one.document_id, one.partition) == ("a", "a/k=a")
    assert isinstance(other, Event)
    assert other.document_id == "b/7"


def test_values_and_limits_that_fit_no_type() -> None:
    limited = made("a", {**KIND, "enum": ["zzz"]})
    for types, keys, message in (
        (of([ORDER, NOTE]), {"event_type_values": ["order=note"]}, "order, which is also the name"),
        (of([limited]), {}, "with enum zzz, but records of it have a there"),
    ):
        source = {"kafka_topics": ["trips"], "event_type_field": "kind", **keys}
        assert message in " ".join(type_problems(check(source=source), types))


def test_a_control_record_lacks_what_may_be_missing() -> None:
    optional = {"name": "why", "type": ["null", "string"], "default": None}
    types = of([ORDER], [made("tick", KIND, optional, control=True)])
    (tick,) = decoded(types, TypeRule("kind"), [event(kind="tick")], Origins())
    assert tick == Control("tick", {"at": 1_514_764_800_000})
