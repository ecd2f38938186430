"""Trino, which Athena is built on, reads the tables and answers the page's queries.

Trino implements the same properties of partition projection, but no intervals of months. It needs
some 300 MB, so this runs where TRINO_JARS is the folder that they were fetched into:

    mvn -q package -f tests/deploy/athena/trino/pom.xml -Djars=$PWD/build/trino
    TRINO_JARS=$PWD/build/trino .venv/bin/pytest tests/deploy/athena/test_trino.py
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest

from dev.templates.tables import glue_tables
from pipeline.config.model import Source
from pipeline.events.event_types import EventTypes, of
from pipeline.events.folders import HIVE_NULL
from tests import every_kind
from tests.deploy.athena import test_columns as columns
from tests.deploy.athena import test_page as page
from tests.deploy.athena import test_projection as partitions
from tests.deploy.athena.files import Bucket

JARS: Final = os.environ.get("TRINO_JARS", "")
PROGRAM: Final = Path(__file__).parent / "trino" / "Queries.java"
USERS: Final = {**partitions.LISTED, **partitions.INJECTED}
NO_INTERVALS: Final = {name for name, field in USERS.items() if field.format == "%Y-%m"}
"""Partitions that Athena lists by months."""
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not JARS, reason="see the beginning of the file"),
]


class Trino:
    """A bucket in a folder, Glue's tables over it, and what Trino answers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tables: list[Any] = []

    def add_tables(self, types: EventTypes, *, archive: bool = False) -> None:
        for name, resource in glue_tables(types).items():
            if archive or name != "TableArchive":
                self._tables.append(_local(resource["Properties"]["TableInput"]))

    def answers(self, queries: list[str]) -> list[dict[str, Any]]:
        """For each query its `rows`, or its `error`."""
        given = self.root.with_suffix(".json")
        given.write_text(json.dumps({"tables": self._tables, "queries": queries}))
        done = subprocess.run(
            [
                *("java", "-Xmx2g", "--add-opens=java.base/java.nio=ALL-UNNAMED"),
                *("-cp", f"{JARS}/*:{JARS}/trino-hive-435/*"),
                *(str(PROGRAM), str(self.root), str(given)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
        assert len(lines) == len(queries), done.stderr[-2000:]
        return [json.loads(line.removeprefix("ANSWER ")) for line in lines]


def _local(node: Any) -> Any:
    """A table whose addresses are in the folder that stands for the bucket."""
    if isinstance(node, Mapping):
        if list(node) == ["Fn::Sub"]:
            text: str = node["Fn::Sub"]
            return text.replace("s3://${DataBucket}/", "local:///").replace("${!", "${")
        return {name: _local(value) for name, value in node.items()}
    return [_local(each) for each in node] if isinstance(node, list) else node


def test_trino_answers_the_page_s_queries(tmp_path: Path) -> None:
    trino = Trino(tmp_path / "bucket")
    trino.add_tables(page.TYPES, archive=True)
    history = page.written(tmp_path, "kinesis")
    found = trino.answers(list(page.QUERIES))
    for answer, expected in zip(found, page.EXPECTED, strict=True):
        rows = [_values(row) for row in answer["rows"]]
        assert page.rounded(rows) == page.rounded(expected(history)), expected.__name__


def _values(row: list[Any]) -> tuple[Any, ...]:
    return tuple(_time(each) if _is_time(each) else each for each in row)


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 23 and value[10] == " "


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_trino_reads_every_kind_that_is_declared(tmp_path: Path) -> None:
    root = tmp_path / "bucket"
    root.mkdir()
    _, path = columns.every_kind_s_file(root)
    trino = Trino(root)
    trip = replace(columns.TRIP, fields=(*columns.TRIP.fields, *every_kind.FIELDS))
    trino.add_tables(of([trip]))
    place = "WHERE pickup_location = '001' AND year = '2018' AND month = '01'"
    leaves = [leaf.name for leaf in every_kind.LEAVES if leaf.name != "clock_ms"]
    flat, nested, everything = trino.answers(
        [
            f"SELECT {', '.join(leaves)} FROM trip {place}",
            f"SELECT everything, all_of_it, by_key, either FROM trip {place}",
            f"SELECT * FROM trip {place}",
        ]
    )
    assert len(everything["rows"]) == len(every_kind.ROWS)
    source = pq.read_table(path).to_pylist()
    some = [_shown(name, source[0][name]) for name in leaves]
    assert flat["rows"] == [some, [None] * len(leaves), [None] * len(leaves), some]
    none = [None] * len(leaves)
    assert nested["rows"][0] == [some, [some, None, none], {"": None, "a": some}, [None, some]]
    assert nested["rows"][3] == [some, [], {}, [None, some]]


def _shown(name: str, value: Any) -> Any:
    """A value as Trino prints it; times are rounded to milliseconds."""
    if name == "clock_us":
        return every_kind.SOME[name]
    if name.startswith(("at_", "local_")):
        return "2018-01-01 00:04:25.001" if name.startswith("at_") else _rounded(name)
    if isinstance(value, bytes):
        return value.hex(" ")
    return str(value) if isinstance(value, (Decimal, date)) else value


def _rounded(name: str) -> str:
    is_milliseconds = name == "local_ms"
    return "1969-12-31 23:59:59.999" if is_milliseconds else "1970-01-01 00:00:00.000"


def test_trino_finds_every_folder_of_a_user_s_partitions(tmp_path: Path) -> None:
    trino = Trino(tmp_path / "bucket")
    queries: dict[str, tuple[str, list[int] | None]] = {}
    for number, (title, field) in enumerate(USERS.items()):
        name = f"user{number}"
        types = of([replace(partitions.user_type(field).types[0], name=name)])
        trino.add_tables(types)
        source = Source(kinesis_streams=("users",), event_type=name)
        bucket = Bucket(trino.root, types, source, partitions.millis(partitions.NOW))
        events = partitions.lines(*partitions.user_events())
        bucket.add(events, [partitions.millis(partitions.NOW)] * len(events))
        select = f'SELECT count(*), count(DISTINCT "$path") FROM {name}'
        folders = sorted(path.name for path in (trino.root / "lake" / name).iterdir())
        if title in partitions.LISTED:
            queries[select] = (title, [len(events), len(folders)])
        for folder in folders if title in partitions.INJECTED else ():
            value = folder.removeprefix("p=")
            found = None if value != HIVE_NULL else [0, 0]
            queries[f"{select} WHERE p = '{value}'"] = (title, found)
    for (title, due), answer in zip(queries.values(), trino.answers(list(queries)), strict=True):
        if title in NO_INTERVALS:
            assert "value 'Months' is invalid" in answer["error"]
            continue
        (row,) = answer["rows"]
        assert row == due if due else row[0] > 0 and row[1] == 1, title
