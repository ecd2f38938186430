"""The examples of docs/query.md do what the page says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from connectors.opensearch.client import client
from connectors.opensearch.options import Index
from connectors.opensearch.templates import ensure_templates
from dev.servers import layout, s3
from pipeline.events.derive import mapping
from tests.ops.compact.lakes import Lakes
from tests.ops.query.command import PROGRAM, TYPES, Query, rows
from tests.ops.query.page import ROOT, SPARK, blocks, python

WRITTEN_BY_FLINK = ROOT / "tests" / "data" / "golden" / "savepoint-0.1.0" / "lake"
TRIPS = {"040": 1, "057": 1, "116": 1, "117": 1, "122": 1, "147": 1, "152": 1, "161": 1, "227": 1,
         "249": 1}  # fmt: skip


@pytest.fixture
def filled(lakes: Lakes) -> Lakes:
    """The lake that a job of version 0.1.0 wrote."""
    for path in WRITTEN_BY_FLINK.rglob("part-*"):
        lakes.store.write(str(path.relative_to(WRITTEN_BY_FLINK)), path.read_bytes())
    return lakes


def test_the_lake_answers_the_page_s_queries(filled: Lakes) -> None:
    earned, by_hour, doubled, delay = [rows(filled, sql) for sql in blocks("Ask the lake", "sql")]
    assert earned[0] == {"pickup_location": "147", "trips": 1, "revenue": 17.9}
    assert len(earned) == 5
    assert sum(row["trips"] for row in by_hour) == 10
    assert {"hour": 10, "trips": 1} in by_hour, "15:34 UTC in February"
    assert doubled == []
    assert [row["type"] for row in sorted(delay, key=lambda row: str(row["type"]))] == [
        "fhv_trip",
        "trip",
    ]


def test_an_event_that_was_sent_twice_is_found(lakes: Lakes) -> None:
    for name in ("part-0", "part-1"):
        lakes.write(name, [7])
    assert rows(lakes, blocks("Ask the lake", "sql")[2]) == [
        {"trip_id": 10**15 + 7, "times": 2, "positions": ["0/7", "0/7"]}
    ]


def test_duckdb_reads_local_files_by_itself() -> None:
    sql = blocks("DuckDB", "sql")[0].replace("/data/lake", str(WRITTEN_BY_FLINK))
    found = duckdb.connect().execute(sql).fetchall()
    assert {zone: trips for zone, trips, _ in found} == TRIPS


def test_duckdb_reads_either_store_through_our_client(filled: Lakes, query: Query) -> None:
    (program,) = blocks("DuckDB", "python")
    done = python(program.replace("s3a://my-bucket/lake", filled.uri), query)
    assert done == "[(10,)]\n"


def test_duckdb_parses_what_its_own_client_is_given() -> None:
    sql = blocks("DuckDB", "sql")[1]
    kinds = [statement.type.name for statement in duckdb.connect().extract_statements(sql)]
    assert kinds == ["LOAD", "LOAD", "SET", "CREATE", "SELECT"]
    for given in (s3.ACCESS_KEY, s3.SECRET_KEY, s3.REGION):
        assert f"'{given}'" in sql
    assert f"127.0.0.1:{layout.PREFERRED_PORTS['s3']['s3']}" in sql


@pytest.mark.server
@pytest.mark.skipif(not SPARK.exists(), reason="`make bench` installs Spark")
def test_spark_reads_what_counts(local: Lakes, local_query: Query) -> None:
    for number in range(4):
        local.write(f"part-{number}", range(3 * number, 3 * number + 3))
    assert local.run().replaced_files == 4
    local.write("part-9", [50], partition="trip/pickup_location=132/year=2018/month=02")
    (program,) = blocks("Spark", "python")
    local_query.environment |= {
        "PATH": f"{Path(PROGRAM).parent}:{local_query.environment['PATH']}",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    assert python(program, local_query, SPARK) == "[('041', 12), ('132', 1)]\n"


@pytest.fixture
def index_url(opensearch_url: str) -> Iterator[str]:
    """The address of an index of trips, without `trip` at its end."""
    settings = Index(url=opensearch_url, prefix=f"page-{uuid4().hex}-")
    opensearch = client(settings)
    ensure_templates(opensearch, {"trip": mapping(TYPES["trip"])}, settings)
    index = f"{settings.prefix}trip"
    for event in examples():
        opensearch.index(index=index, id=str(event["trip_id"]), body=event, refresh=True)
    yield f"{opensearch_url}/{settings.prefix}"
    opensearch.indices.delete(index=index)
    opensearch.indices.delete_index_template(name=index)


def examples() -> list[dict[str, Any]]:
    lines = (ROOT / "schemas" / "trip.examples.ndjson").read_text().splitlines()
    first = json.loads(lines[0])["event"]
    return [first, {**first, "trip_id": 4071442, "pickup_location_id": 132, "total_amount": 60.0}]


def test_opensearch_answers_curl(index_url: str) -> None:
    one, newest, zones = [
        curl(command.replace("$OPENSEARCH_URL/", index_url))
        for command in blocks("OpenSearch", "sh")
    ]
    assert one["_source"] == examples()[0]
    assert [hit["_id"] for hit in newest["hits"]["hits"]] == ["4071441"]
    buckets = zones["aggregations"]["zones"]["buckets"]
    assert [(each["key"], each["revenue"]["value"]) for each in buckets] == [(132, 60.0), (41, 5.8)]


def curl(command: str) -> Any:
    done = subprocess.run(
        ["bash", "-ec", command],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)
