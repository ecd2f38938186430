"""Whatever JSON a schema file has, what it says is refused in a message for the user."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.errors import UserError
from pipeline.events.derive import mapping
from pipeline.events.event_types import load
from tests.connectors.test_mapping_kinds import SCHEMA as KINDS
from tests.events.trip_schema import SCHEMAS, TRIP, by, changed

SEEDS: list[dict[str, Any]] = [KINDS, TRIP, json.loads((SCHEMAS / "watermark.avsc").read_text())]
WORDS = (
    "type name namespace fields items values symbols size logicalType precision scale default doc"
    " minimum maximum maxLength enum pattern wire aliases id eventTime versionTime partitionBy"
    " control version eventType from transform format null int long float double string bytes"
    " record array map fixed decimal uuid date timestamp-millis at trip_id Kinds Item E"
    " epoch-millis truncate[3] bucket[3] day ( $ .. 1e5 2018-01-01 2018-01-01T00:00:00Z"
).split()
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.sampled_from([2**31, -(2**63), 2**64, 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS),
    st.text(max_size=5),
    st.just("\ud800"),
)
VALUES = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), below, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in a JSON value, with each of its keys or indexes."""
    below = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in list(below):
        yield value, key
        if isinstance(each, dict | list):
            yield from places(each)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A valid schema with some values replaced, removed, added or taken from elsewhere in it."""
    schema: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(schema))
        container, key = found[draw(st.integers(0, len(found) - 1))]
        match draw(st.sampled_from(["replace", "remove", "add", "move"])):
            case "remove":
                del container[key]
            case "add" if isinstance(container, dict):
                container[draw(st.sampled_from(WORDS))] = draw(VALUES)
            case "move":
                other, at = found[draw(st.integers(0, len(found) - 1))]
                container[key] = copy.deepcopy(other[at])
            case _:
                container[key] = draw(VALUES)
        if not schema:
            break
    return schema


def outcome(schema: Any, override: Any = None) -> str:
    """What the files say: nothing if they are a schema."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "seed.avsc").write_text(json.dumps(TRIP | {"eventType": "seed"}))
        (Path(folder) / "x.avsc").write_text(json.dumps(schema))
        if override is not None:
            (Path(folder) / "seed.mapping.json").write_text(json.dumps(override))
        try:
            for event_type in load(Path(folder)):
                mapping(event_type)
        except UserError as error:
            assert folder in str(error)
            str(error).encode()
            return str(error)
    return ""


@settings(max_examples=400, deadline=None)
@given(mutated())
@example(changed("extra", default=10**400))
@example(changed("padding", pattern="a{9999999999}"))
@example(changed("padding", doc="\ud800"))
@example(by({"name": "p", "from": "padding"}) | {"fields": [{"name": ["padding"]}]})
def test_a_mutated_schema_is_read_or_refused(schema: dict[str, Any]) -> None:
    outcome(schema)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_any_json_is_refused(value: Any) -> None:
    assert outcome(value)


@settings(max_examples=100, deadline=None)
@given(VALUES | st.fixed_dictionaries({"properties": VALUES}))
def test_any_mapping_is_merged_or_refused(override: Any) -> None:
    outcome(TRIP, override)


def test_the_seeds_are_schemas() -> None:
    assert [outcome(seed) for seed in SEEDS] == [""] * len(SEEDS)
