"""The text of records of Avro and JSON, and the checksums of both."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from pipeline.events.event_types import load
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.record_text import RecordText
from pipeline.ops.reconcile.values import Values
from tests.config.test_config import check

SCHEMAS = Path(__file__).parents[3] / "examples" / "readings" / "schemas"
WRITER: dict[str, Any] = json.loads((SCHEMAS / "reading.avsc").read_text())
SAMPLE = (SCHEMAS.parent / "sample.jsonl").read_bytes().splitlines()[0]


@pytest.fixture
def duck() -> Iterator[Database]:
    opened = Database()
    yield opened
    opened.close()


def test_avro_and_json_have_the_same_checksum(duck: Database, tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    folder.mkdir()
    (folder / "1.avsc").write_text(json.dumps(WRITER))
    source = {"kafka_topics": ["a", "j"], "avro": ["a"], "event_type": "reading"}
    config = check(source=source, schema_registry={"folder": str(folder)})
    text, values = RecordText(config, load(SCHEMAS)), Values(load(SCHEMAS))
    text.prepare(duck)
    avro = framed(1)
    rows = [("a", avro), ("j", SAMPLE), ("a", framed(2)), ("a", SAMPLE), ("j", avro), ("a", b"")]
    duck.present(
        "rows",
        pa.table(
            {
                "source": [place for place, _ in rows],
                "raw": pa.array([raw for _, raw in rows], pa.binary()),
                "told": pa.nulls(len(rows), pa.string()),
                "event_type": ["reading"] * len(rows),
                "number": range(len(rows)),
            }
        ),
    )
    sql = values.members("FROM rows", text=text.sql("told"))
    found = [
        row[0]
        for row in duck.rows(f"SELECT {values.of_json('event_type')} FROM ({sql}) ORDER BY number")
    ]
    assert found[0] == found[1]
    assert len(set(found[2:])) == 1
    assert found[2] != found[0]


def framed(schema_id: int) -> bytes:
    """The first event of the sample in Avro; numbers as fastavro takes them."""
    event = json.loads(SAMPLE, parse_float=str)
    event["at"] = 1_748_736_000_190_069
    event["measured"] = [
        {**each, "value": int(each["value"].replace(".", "")).to_bytes(4, "big")}
        for each in event["measured"]
    ]
    position = {name: float(value) for name, value in event["position"].items()}
    record = {"tags": [], **event, "position": position}
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(WRITER), record)
    return b"\0" + schema_id.to_bytes(4, "big") + body.getvalue()
