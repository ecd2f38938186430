"""Filters of replicas are checked without a JVM; what is refused, Flink's planner refuses too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.flink import table_environment as flink
from pipeline.config import load as load_config
from pipeline.config.filters import problem, read_columns, read_fields, replica_problems
from pipeline.config.model import Config
from pipeline.events.event_types import load

FIELDS = {"a": "int32", "s": "string", "ts": "timestamp", "b": "boolean", "d": "double"}
COLUMNS = "a INT, s STRING, ts TIMESTAMP(3), b BOOLEAN, d DOUBLE"
REFUSED = {
    "a != 1": "not equal is written <>",
    "a == 1": "equal is written =",
    's = "x"': "single quotes",
    "a = 1;": "without a semicolon",
    "a = 1 && b": "write AND",
    "a <=> 1": "IS NOT DISTINCT FROM",
    "s ~ 'x'": "~ is not allowed",
    "a ^ 1 = 1": "is not allowed",
    "a | 1 = 1": "is not allowed",
    "a = 1 \u00a7": "\u00a7 is not allowed",
    "s = 'x": "no quote at its end",
    "s = 'it's'": "no quote at its end",
    "`a = 1": "no ` at its end",
    "a = 1 AND (b": "a ( has no ) after it",
    "a = 1) OR b": "a ) has no ( before it",
    "A = 1": "A is no field",
    "tss > '2018-01-01'": "did you mean ts?",
    "`lower`": "lower is no field",
    "COUNT(a) > 1": "needs several events",
    "a = 1 AND": "missing after AND",
    "a +": "missing after +",
    "a": "a alone is no condition",
    "`s`": "s alone is no condition",
    " -- a = 1": "no condition",
}
ACCEPTED = [
    "a = 1", "`a` = 1", "b", "NOT b", "a <> 1 or b", "a % 2 = 0", "a = 1 -- c", "a /* c ; */ = 1",
    "s = 'it''s'", "s = ' -- \"; '", "ts > '2018-01-01'", "ts > TIMESTAMP '2018-01-01 00:00:00'",
    "extract(DOW from ts) = 1", "CEIL(ts TO DAY) > ts", "TIMESTAMPADD(DAY, 1, ts) > ts",
    "a IS NOT DISTINCT FROM 1", "lower(s) = 'x'", "CARDINALITY(ARRAY[1]) = 1", "d = 1.5e-3",
    "s SIMILAR TO 'a'", "s || 'b' = 'c'", "s IS JSON OBJECT", "TRIM(BOTH 'x' FROM s) = 'y'",
    "JSON_VALUE(s, '$.a' RETURNING INT DEFAULT 1 ON EMPTY NULL ON ERROR) = 1", "U&'x' = s",
    "OVERLAY(s PLACING 'a' FROM 1 FOR 2) = 'x'", "POSITION('a' IN s) = 1", "a IN (1, 2, 3)",
    "s LIKE '%x' ESCAPE '!'", "a BETWEEN SYMMETRIC 2 AND 1", "ts - INTERVAL '1' DAY > ts",
    "CASE WHEN a = 1 THEN TRUE ELSE FALSE END", "CAST(a AS BIGINT) = 1", "a IS NULL",
    "TRY_CAST(s AS DECIMAL(10, 2)) > 1", "CURRENT_TIMESTAMP > TO_TIMESTAMP_LTZ(a, 3)",
    "(a = 1 AND b) IS UNKNOWN", "a = 1 // note", "a = 1 // a ) b", "U&'!0041' UESCAPE '!' = s",
    "_UTF16'a' = s", "ts > {ts '2020-01-01 00:00:00'}", "CAST(ts AS DATE) > {d '2020-01-01'}",
]  # fmt: skip


def check(replica: dict[str, Any]) -> list[str]:
    replicas = {"airport": {"kafka_topic": "airport", **replica}}
    types = load(Path(__file__).parents[2] / "schemas")
    return list(replica_problems(configured(replicas), types, {"replicate": replicas}))


def configured(replicas: dict[str, dict[str, Any]]) -> Config:
    sections: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "source": {"kafka_topics": ["t"]},
        "lake": {"path": "s3a://bucket/lake"},
        "dead_letters": {"path": "s3a://bucket/dead"},
        "replicate": replicas,
    }
    return load_config.check(sections, where="test")


def test_a_filter_is_on_the_fields_of_its_event_types() -> None:
    assert check({"filter": "pickup_location_id = 132"}) == check({"filter": ""}) == []
    assert check({"filter": "pickup_lcation_id = 132"}) == [
        "replicate.airport.filter is 'pickup_lcation_id = 132': pickup_lcation_id is no field of"
        " its event types (did you mean pickup_location_id?)."
    ]
    assert check({"filter": "fare_amount > 9", "event_types": ["trip"]}) == []
    assert len(check({"filter": "fare_amount > 9", "event_types": ["fhv_trip"]})) == 1


def test_what_a_reference_stands_for_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDEN", "it's hunter2")
    assert check({"filter": "s = ${env:HIDDEN}", "event_types": ["${env:HIDDEN}"]}) == [
        "replicate.airport.event_types: what a reference in it stands for is no event type of"
        " decode.schemas.",
        "replicate.airport.filter is 's = ${env:HIDDEN}': what a reference in it stands for is no"
        " condition on fields of its event types.",
    ]


@pytest.mark.parametrize("condition", REFUSED)
def test_what_cannot_be_right_is_refused(condition: str) -> None:
    assert REFUSED[condition] in problem(condition, FIELDS)


def test_a_bracket_does_not_end_what_the_filter_is_put_into() -> None:
    # The planner sees WHERE (a = 1) OR (b), and takes it.
    assert problem("a = 1) OR (b", FIELDS) == "a ) has no ( before it"


@pytest.mark.parametrize("condition", ACCEPTED)
def test_what_may_be_right_is_not_refused(condition: str) -> None:
    assert problem(condition, FIELDS) == ""


def test_a_filter_reads_the_columns_that_it_names() -> None:
    assert read_columns("", FIELDS) == set()
    assert read_columns("a = 1 AND `s` = 'b' -- d, ts", FIELDS) == {"a", "s"}
    assert read_columns("lower(s) = 'a' // b", FIELDS) == {"s"}
    assert read_columns("a IN (SELECT 1)", FIELDS) == set(FIELDS)
    assert read_columns("A = 1 AND TS > ts", FIELDS) == {"ts"}


def test_decode_returns_what_any_filter_reads() -> None:
    types = load(Path(__file__).parents[2] / "schemas")
    replicas = {
        "cash": {"kafka_topic": "cash", "filter": "payment_type = 2 AND type = 'trip'"},
        "airport": {"kafka_topic": "airport", "filter": "pickup_location_id = 132"},
        "all": {"kafka_topic": "all"},
    }
    config = configured(replicas)
    kinds = {"payment_type": "int32", "type": "string", "pickup_location_id": "int32"}
    assert read_fields(config, types) == kinds
    assert read_fields(configured({"all": {"kafka_topic": "all"}}), types) == {}


@pytest.mark.server
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")
def test_the_planner_says_so_too() -> None:
    _, tables = flink.environment({})
    tables.execute_sql(f"CREATE TABLE events ({COLUMNS}) WITH ('connector' = 'datagen')")
    for condition in (*REFUSED, *ACCEPTED):
        read = read_columns(condition, FIELDS) if condition in ACCEPTED else FIELDS
        events = f"(SELECT {', '.join([*read, '1 AS `one`'])} FROM events)"
        try:
            tables.sql_query(f"SELECT * FROM {events} WHERE (\n{condition}\n)")
            refused = False
        except flink.JAVA_ERRORS:
            refused = True
        assert refused == (condition in REFUSED), condition
