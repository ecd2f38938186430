"""All of Avro's types: both decoders agree, and columns have the values of the events."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decode.arrow_types import arrow_type
from pipeline.decode.decoder import Decoder
from pipeline.decode.fault import Fault
from pipeline.decode.reference import Rule, examine
from pipeline.decode.type_rule import TypeRule
from pipeline.events.event_types import of
from pipeline.events.model import PLAIN, EventType
from tests.decode.kinds import Pair, encoded, schemas

NOW = 1_600_000_000_000
RULE = TypeRule(field="", constant="event")


def _decoder(event_type: EventType) -> Decoder:
    return Decoder(of([event_type]), type_rule=RULE, documents=True, now=lambda: NOW)


def _rule(event_type: EventType) -> Rule:
    return Rule(of([event_type]), 1_000_000, "refuse", NOW, RULE)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_columns_have_the_values_of_the_events(data: st.DataObject) -> None:
    event_type, events = data.draw(schemas())
    rows: list[Pair] = data.draw(st.lists(events, min_size=1, max_size=5))
    raws = [encoded(event) for event, _ in rows]
    decoder, rule = _decoder(event_type), _rule(event_type)
    decoded = decoder.decode_batch(raws)
    assert set(decoded.kind.tolist()) == {"event"}, decoded.detail.tolist()
    assert not [verdict for raw in raws if isinstance(verdict := examine(raw, rule), Fault)]
    for field in event_type.fields:
        expected = pa.array([row[field.name] for _, row in rows], arrow_type(field))
        found: Any = (
            pa.array(decoded.columns[field.name], arrow_type(field))
            if field.kind in PLAIN
            else decoded.others["event"].columns[field.name]
        )
        found.validate(full=True)
        assert found.to_pylist() == expected.to_pylist()
    again = decoder.decode_batch(decoded.document.tolist())
    assert again.document.tolist() == decoded.document.tolist()
    if decoded.others:
        for name, column in decoded.others["event"].columns.items():
            assert again.others["event"].columns[name].to_pylist() == column.to_pylist()


_ODD = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 1.5, 2**31, 2**63, -(2**63) - 1, 1e300, -0.0, 1e-50),
        *("", "x", "A", "1.5", "2018-01-01", "00:00:00", "2018-01-01T00:00:00Z", "QQ==", "QQ"),
        *("2018-01-01T00:00:00", "2018-01-01T00:00:00.0000000001Z", "9999-12-31T23:59:59Z"),
        *([], [None], [1, "x"], {}, {"a": 1}, {"x": None}),
    ]
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below: list[tuple[Any, ...]] = []
    pairs: list[tuple[Any, Any]] = list(value.items()) if isinstance(value, dict) else []
    pairs = list(enumerate(value)) if isinstance(value, list) else pairs
    for key, inner in pairs:
        below += [(*path, key), *_places(inner, (*path, key))]
    return below


@st.composite
def _changed(draw: st.DrawFn, event: Any) -> bytes:
    """Return an event with one value changed, left out or added."""
    copied = msgspec.json.decode(encoded(event))
    path = draw(st.sampled_from(_places(copied)))
    inner = copied
    for key in path[:-1]:
        inner = inner[key]
    what = draw(st.sampled_from(["set", "delete", "add", "twice"]))
    if what == "delete":
        del inner[path[-1]]
    elif what == "add" and isinstance(inner, dict):
        inner["unknown"] = copy.deepcopy(draw(_ODD))
    else:
        inner[path[-1]] = copy.deepcopy(draw(_ODD))
    raw = json.dumps(copied).encode()
    if what == "twice" and isinstance(path[-1], str):
        key = json.dumps(path[-1]).encode() + b": "
        raw = raw.replace(key, key + b"1, " + key, 1)
    return raw


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_both_decoders_agree_on_changed_events(data: st.DataObject) -> None:
    event_type, events = data.draw(schemas())
    raws = [data.draw(_changed(data.draw(events)[0])) for _ in range(4)]
    raws += [encoded(data.draw(events)[0])]
    rule = _rule(event_type)
    decoded = _decoder(event_type).decode_batch(raws)
    for row, raw in enumerate(raws):
        verdict = examine(raw, rule)
        if isinstance(verdict, Fault):
            assert (decoded.reason[row], decoded.detail[row]) == (verdict.reason, verdict.detail)
        else:
            assert decoded.kind[row] == "event", (raw, decoded.detail[row])
