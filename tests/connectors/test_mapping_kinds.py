"""The mapping of every kind of field against a real OpenSearch: put, index, search, extend."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from opensearchpy import OpenSearch

from connectors.errors import UserError
from connectors.opensearch.client import client
from connectors.opensearch.options import Index, index_name
from connectors.opensearch.templates import ensure_templates, look_at_index
from pipeline.events.derive import mapping
from pipeline.events.event_types import load


def _record(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def _of(name: str, declared: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": declared, "doc": "A field.", **more}


def _decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def _long(logical: str) -> dict[str, Any]:
    return {"type": "long", "logicalType": logical}


ITEM = _record("Item", _of("sku", "string"), _of("count", "int"), _of("tags", _d := {}))
_d.update({"type": "map", "values": "string"})
FIELDS: list[tuple[dict[str, Any], Any, dict[str, Any]]] = [
    (_of("flag", "boolean"), True, {"type": "boolean"}),
    (_of("count", "int"), 7, {"type": "integer"}),
    (_of("number", "long"), 2**62, {"type": "long"}),
    (_of("share", "float"), 0.5, {"type": "float"}),
    (_of("ratio", "double"), 0.1, {"type": "double"}),
    (
        _of("price", _decimal(9, 2)),
        12.5,
        {"type": "scaled_float", "scaling_factor": 100.0},
    ),
    (
        _of("fee", _decimal(15, 15), wire="string"),
        "0.000000000000001",
        {"type": "scaled_float", "scaling_factor": 1e15, "coerce": True},
    ),
    (_of("wide", _decimal(38, 3)), 12345678901234567890, {"type": "keyword"}),
    (_of("wide_text", _decimal(16, 0), wire="string"), "1234567890123456", {"type": "keyword"}),
    (_of("text", "string"), "T", {"type": "keyword"}),
    (_of("payload", "bytes"), "AAEC/w==", {"type": "binary"}),
    (_of("fixed", {"type": "fixed", "name": "F", "size": 3}), "AAEC", {"type": "binary"}),
    (_of("color", {"type": "enum", "name": "E", "symbols": ["A", "B"]}), "A", {"type": "keyword"}),
    (
        _of("day", {"type": "int", "logicalType": "date"}),
        "1970-01-01",
        {"type": "date", "format": "strict_date"},
    ),
    (
        _of("day_number", {"type": "int", "logicalType": "date"}, wire="epoch-days"),
        17_000,
        {"type": "integer"},
    ),
    (
        _of("clock", {"type": "int", "logicalType": "time-millis"}),
        "00:21:05.000",
        {"type": "keyword"},
    ),
    (
        _of("clock_ms", {"type": "int", "logicalType": "time-millis"}, wire="millis-of-day"),
        86_399_999,
        {"type": "integer"},
    ),
    (_of("clock_us", _long("time-micros"), wire="micros-of-day"), 86_399_999_999, {"type": "long"}),
    (
        _of("at", _long("timestamp-millis")),
        "2018-01-01T00:21:05.001Z",
        {"type": "date", "format": "strict_date_time"},
    ),
    (
        _of("at_us", _long("timestamp-micros")),
        "2018-01-01T00:21:05.000001Z",
        {"type": "date_nanos", "format": "strict_date_time"},
    ),
    (
        _of("at_ns", _long("timestamp-nanos")),
        "2018-01-01T00:21:05.000000001Z",
        {"type": "date_nanos", "format": "strict_date_time"},
    ),
    (
        _of("at_old", _long("timestamp-micros"), minimum="1900-01-01T00:00:00Z"),
        "1900-01-01T00:21:05.000001Z",
        {"type": "date", "format": "strict_date_time"},
    ),
    (
        _of("at_far", _long("local-timestamp-micros"), maximum="9999-01-01T00:00:00"),
        "9998-01-01T00:21:05.000001",
        {"type": "date", "format": "strict_date_hour_minute_second_fraction"},
    ),
    (
        _of("local", _long("local-timestamp-millis")),
        "2018-01-01T00:21:05.001",
        {"type": "date", "format": "strict_date_hour_minute_second_fraction"},
    ),
    (
        _of(
            "local_us",
            _long("local-timestamp-micros"),
            minimum="1970-01-01T00:00:00",
            maximum="2200-01-01T00:00:00",
        ),
        "2018-01-01T00:21:05.000001",
        {"type": "date_nanos", "format": "strict_date_hour_minute_second_fraction"},
    ),
    (
        _of("epoch_s", _long("timestamp-millis"), wire="epoch-seconds"),
        1_514_764_865,
        {"type": "date", "format": "epoch_second"},
    ),
    (
        _of("epoch_ms", _long("local-timestamp-nanos"), wire="epoch-millis"),
        1_514_764_865_001,
        {"type": "date", "format": "epoch_millis"},
    ),
    (
        _of("epoch_us", _long("timestamp-micros"), wire="epoch-micros"),
        1_514_764_865_000_001,
        {"type": "long"},
    ),
    (
        _of("epoch_ns", _long("timestamp-nanos"), wire="epoch-nanos"),
        1_514_764_865_000_000_001,
        {"type": "long"},
    ),
    (
        _of("position", _record("Position", _of("lat", "double"), _of("lon", "double"))),
        {"lat": 1.5, "lon": 2.5},
        {
            "dynamic": "strict",
            "properties": {"lat": {"type": "double"}, "lon": {"type": "double"}},
        },
    ),
    (
        _of("items", {"type": "array", "items": ITEM}),
        [
            {"sku": "a", "count": 1, "tags": {"x": "y"}},
            {"sku": "b", "count": 2, "tags": {}},
        ],
        {
            "type": "nested",
            "dynamic": "strict",
            "properties": {
                "sku": {"type": "keyword"},
                "count": {"type": "integer"},
                "tags": {"type": "flat_object"},
            },
        },
    ),
    (
        _of("grid", {"type": "array", "items": {"type": "array", "items": "int"}}),
        [[1, 2], [3]],
        {"type": "integer"},
    ),
    (
        _of("maps", {"type": "array", "items": {"type": "map", "values": "int"}}),
        [{"a": 1}, {"b": 2}],
        {"type": "flat_object"},
    ),
    (
        _of("labels", {"type": "map", "values": "string"}),
        {"team": "taxis", "a.b": "c"},
        {"type": "flat_object"},
    ),
    (_of("value", ["null", "double", "string"]), 1.5, {"type": "keyword"}),
    (
        _of("blob", ["double", "bytes"]),
        "AAAA" * 9000,
        {"type": "keyword", "ignore_above": 8191},
    ),
    (
        _of("either", ["long", {"type": "array", "items": "long"}]),
        [1, 2],
        {"type": "object", "enabled": False},
    ),
]
DOCUMENT = {declared["name"]: value for declared, value, _ in FIELDS}
SCHEMA = {
    **_record("Kinds", *(declared for declared, _, _ in FIELDS)),
    "doc": "All kinds.",
    "eventType": "kinds",
    "version": 1,
    "eventTime": "at",
    "partitionBy": [{"name": "p_day", "from": "at", "transform": "day"}],
}


def _mapping(folder: Path, schema: dict[str, Any], override: object = None) -> dict[str, Any]:
    (folder / "kinds.avsc").write_text(json.dumps(schema))
    if override is not None:
        (folder / "kinds.mapping.json").write_text(json.dumps(override))
    return mapping(load(folder)["kinds"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [(declared["name"], expected) for declared, _, expected in FIELDS],
)
def test_the_definition_of_each_kind(name: str, expected: dict[str, Any], tmp_path: Path) -> None:
    made = _mapping(tmp_path, SCHEMA)
    assert (made["dynamic"], made["properties"][name]) == ("strict", expected)


def test_a_mapping_file_overrides_nested_definitions(tmp_path: Path) -> None:
    override = {"properties": {"items": {"properties": {"sku": {"ignore_above": 9}}}}}
    made = _mapping(tmp_path, SCHEMA, override)["properties"]["items"]
    assert made["properties"]["sku"] == {"type": "keyword", "ignore_above": 9}
    assert (made["type"], made["properties"]["count"]) == ("nested", {"type": "integer"})


@pytest.fixture(scope="module")
def settings(opensearch_url: str) -> Iterator[Index]:
    """Settings with a prefix of this run's own; what is made under it is deleted at the end."""
    prefix = f"test-{uuid4().hex}-"
    made = Index(url=opensearch_url, prefix=prefix, refresh_interval="30s", timeout_seconds=60.0)
    yield made
    opensearch = client(made)
    opensearch.indices.delete(index=made.prefix + "*")
    opensearch.indices.delete_index_template(name=made.prefix + "*")


@pytest.fixture(scope="module")
def opensearch(settings: Index) -> OpenSearch:
    return client(settings)


@pytest.fixture
def event_type() -> str:
    """A name that no other test's index has."""
    return uuid4().hex


QUERIES: list[dict[str, Any]] = [
    {
        "nested": {
            "path": "items",
            "query": {
                "bool": {"filter": [{"term": {"items.sku": "b"}}, {"term": {"items.count": 2}}]}
            },
        }
    },
    {"nested": {"path": "items", "query": {"term": {"items.tags.x": "y"}}}},
    {"term": {"labels.team": "taxis"}},
    {"term": {"labels.a.b": "c"}},
    {"term": {"maps.b": "2"}},
    {"range": {"price": {"gt": 12.49, "lt": 12.51}}},
    {"range": {"fee": {"gt": 0, "lte": 0.000000000000001}}},
    {
        "range": {
            "at_us": {"gt": "2018-01-01T00:21:05.000000Z", "lt": "2018-01-01T00:21:05.000002Z"}
        }
    },
    {"term": {"at_ns": "2018-01-01T00:21:05.000000001Z"}},
    {"term": {"local_us": "2018-01-01T00:21:05.000001"}},
    {"range": {"at_old": {"lt": "1901-01-01T00:00:00.000Z"}}},
    {"range": {"epoch_s": {"gte": 1_514_764_865, "lte": 1_514_764_865}}},
    {"range": {"epoch_us": {"gte": 1_514_764_865_000_001}}},
    {"term": {"wide": "12345678901234567890"}},
    {"term": {"value": "1.5"}},
    {"term": {"grid": 3}},
    {"term": {"position.lat": 1.5}},
    {"term": {"number": 2**62}},
]
NO_QUERIES: list[dict[str, Any]] = [
    {
        "nested": {
            "path": "items",
            "query": {
                "bool": {"filter": [{"term": {"items.sku": "a"}}, {"term": {"items.count": 2}}]}
            },
        }
    },
    {"term": {"at_ns": "2018-01-01T00:21:05.000000002Z"}},
    {"range": {"price": {"gt": 12.5}}},
]


def test_a_document_of_all_kinds_is_found_by_them(
    tmp_path: Path, settings: Index, opensearch: OpenSearch, event_type: str
) -> None:
    made, index = _mapping(tmp_path, SCHEMA), index_name(settings.prefix, event_type)
    for _ in range(2):  # an index of this mapping is no other one
        ensure_templates(opensearch, {event_type: made}, settings)
    assert look_at_index(opensearch, event_type, made, settings)
    opensearch.index(index=index, id="1", body=DOCUMENT, refresh=True)
    assert opensearch.get(index=index, id="1")["_source"] == DOCUMENT

    def found(query: dict[str, Any]) -> int:
        return int(opensearch.count(index=index, body={"query": query})["count"])

    assert [query for query in QUERIES if found(query) != 1] == []
    assert [query for query in NO_QUERIES if found(query) != 0] == []


ODD: list[dict[str, Any]] = [
    dict.fromkeys(DOCUMENT),
    {name: [] for name in ("items", "grid", "maps")},
    {"maps": [None, {}], "items": [None], "labels": {}},
    {"labels": {"": "a", ".": "b", "a..b": "c", " ": "d", "n": None}},
    {"labels": {"deep": {"er": [1, {"x": None}]}, "list": [], "empty": {}}},
    {"either": None, "value": True, "blob": "", "payload": ""},
]


def test_nulls_and_odd_keys_are_indexed(
    tmp_path: Path, settings: Index, opensearch: OpenSearch, event_type: str
) -> None:
    made, index = _mapping(tmp_path, SCHEMA), index_name(settings.prefix, event_type)
    ensure_templates(opensearch, {event_type: made}, settings)
    for number, document in enumerate(ODD):
        opensearch.index(index=index, id=str(number), body=document)
        assert opensearch.get(index=index, id=str(number))["_source"] == document


def test_fields_are_added_to_nested_records(
    tmp_path: Path, settings: Index, opensearch: OpenSearch, event_type: str
) -> None:
    old, index = _mapping(tmp_path, SCHEMA), index_name(settings.prefix, event_type)
    ensure_templates(opensearch, {event_type: old}, settings)
    schema = copy.deepcopy(SCHEMA)
    by_name = {each["name"]: each["type"] for each in schema["fields"]}
    more = _of("more", ["null", "string"], default=None)
    by_name["items"]["items"]["fields"].append(more)
    by_name["position"]["fields"].append(more)
    new = _mapping(tmp_path, schema)
    assert look_at_index(opensearch, event_type, new, settings)
    ensure_templates(opensearch, {event_type: new}, settings, only_changes=True)
    actual = opensearch.indices.get_mapping(index=index)[index]["mappings"]["properties"]
    for name in ("items", "position"):
        assert actual[name] == new["properties"][name]
    ensure_templates(opensearch, {event_type: old}, settings)  # the job before still starts


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"items": {"properties": {"sku": {"type": "wildcard"}}}},
            "items.sku is .*'keyword'.*, must be .*'wildcard'",
        ),
        ({"items": {"type": "object"}}, "items is .*'nested'.*, must be .*'object'"),
        ({"position": {"dynamic": False}}, "position is .*'strict'.*, must be .*'false'"),
        ({"price": {"scaling_factor": 10}}, "price is .*'100.0'.*, must be .*'10.0'"),
    ],
)
def test_another_definition_of_a_nested_field_is_told(
    change: dict[str, Any],
    told: str,
    tmp_path: Path,
    settings: Index,
    opensearch: OpenSearch,
    event_type: str,
) -> None:
    ensure_templates(opensearch, {event_type: _mapping(tmp_path, SCHEMA)}, settings)
    other = _mapping(tmp_path, SCHEMA, {"properties": change})
    with pytest.raises(UserError, match=told):
        ensure_templates(opensearch, {event_type: other}, settings)
