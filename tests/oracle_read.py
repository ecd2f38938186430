"""Reads a job's sinks with pyarrow, boto3, confluent-kafka and opensearch-py alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from opensearchpy import OpenSearch
from opensearchpy.helpers import scan
from pyarrow import fs

from tests.oracle import Chosen, Sent, Sink, Sinks, Verdict, judge, values_of

Settings = Mapping[str, Any]
Row = dict[str, Any]
Objects = dict[str, Callable[[], bytes]]
"""How to read each object, by its path."""

_AT = ("topic", "partition", "offset", "stream", "shard", "sequence_number")
_ADDED = {*(f"source_{name}" for name in _AT), "arrival_time", "schema_version"}
_REPLICA = re.compile(r"replica ([a-z][a-z0-9_]*): ")
_TIMEOUT_SECONDS = 30.0


def examine(
    sent: list[Sent],
    sections: Settings,
    environment: Mapping[str, str],
    chosen: Mapping[str, Chosen] | None = None,
) -> Verdict:
    """Read all sinks that a configuration has, and compare them with what was sent.

    `chosen` tells of each replica with a filter what passes it; event types are heeded here.
    """
    filters = {}
    for name, settings in (sections.get("replicate") or {}).items():
        types, passes = settings.get("event_types"), (chosen or {}).get(name)
        assert passes or not settings.get("filter"), f"give the filter of {name}"
        filters[name] = partial(_belongs, types or (), passes)
    return judge(sent, Reader(environment).sinks(sections), filters)


def _belongs(types: Sequence[str], passes: Chosen | None, one: Sent) -> bool:
    return (not types or one.made.event_type in types) and (passes is None or passes(one))


@dataclass(frozen=True)
class Reader:
    """Reads from the servers whose addresses and keys are in the environment."""

    environment: Mapping[str, str]

    def sinks(self, sections: Settings) -> Sinks:
        """Read all sinks that a configuration has."""
        of = {name: sections.get(name) or {} for name in ("archive", "lake", "dead_letters")}
        return Sinks(
            archive=self.archive(of["archive"]) if of["archive"] else None,
            lake=self.lake(of["lake"]["path"]) if of["lake"] else None,
            dead_letters=self.letters(of["dead_letters"]) if of["dead_letters"] else None,
            index=self.index(**sections["index"]) if sections.get("index") else None,
            replicas={n: self.replica(s) for n, s in (sections.get("replicate") or {}).items()},
        )

    def archive(self, settings: Settings) -> Sink:
        """Read the archive: the bytes of each record, and its folder where that is wrong."""
        records = [
            (position(about), {"bytes": raw, "hour": misplaced(folder, about)})
            for raw, about, folder in self.carried(settings, "source.")
        ]
        return Sink(records=records, copies=bool(settings.get("kinesis_stream")))

    def letters(self, settings: Settings) -> Sink:
        """Read the dead letters."""
        found = self.carried(settings)
        return Sink(
            records=[(position(about), _letter(about, raw)) for raw, about, _ in found],
            copies=not settings.get("path"),
        )

    def lake(self, path: str) -> Sink:
        """Read the files that the lake consists of now, as compaction's records tell."""
        rows = self.rows(path)
        return Sink(
            records=[
                (position(row, "source_"), {"values": _event(row), "folder": folder})
                for folder, row in rows
            ]
        )

    def index(self, url: str, prefix: str, **_: Any) -> Sink:
        """Read every document of the indices with that prefix."""
        with OpenSearch(url, timeout=60) as client:
            client.indices.refresh(index=f"{prefix}*")
            hits = scan(client, index=f"{prefix}*", query={"version": True}, size=5_000)
            return Sink(
                records=[
                    (
                        f"{hit['_index'].removeprefix(prefix)} {hit['_id']}",
                        {"version": hit["_version"], "values": values_of(hit["_source"])},
                    )
                    for hit in hits
                ]
            )

    def replica(self, settings: Settings) -> Sink:
        """Read a replica's events; those in a stream have no position."""
        if topic := settings.get("kafka_topic"):
            found = [
                (position(about), {"key": key.decode(), "values": _document(raw)})
                for key, raw, about in self.messages(topic)
            ]
            return Sink(records=found, copies=settings.get("guarantee") == "at_least_once")
        entries = self.entries(settings["kinesis_stream"])
        unplaced = [("", {"key": key, "values": _document(raw)}) for key, raw in entries]
        return Sink(records=unplaced, copies=True)

    def carried(
        self, settings: Settings, prefix: str = ""
    ) -> Iterator[tuple[bytes | None, Row, str | None]]:
        """Yield the whole bytes of each record, its metadata, and a file's folder.

        The metadata is in columns, in headers with that prefix, or in a JSON envelope.
        """
        if path := settings.get("path"):
            yield from ((row["raw"], row, folder) for folder, row in self.rows(path))
        elif topic := settings.get("kafka_topic"):
            for _, raw, headers in self.messages(topic):
                names = [name for name in headers if name.startswith(prefix)]
                about: Row = {name.removeprefix(prefix): headers[name] for name in names}
                yield self.whole(raw, about), about, None
        else:
            for _, data in self.entries(settings["kinesis_stream"]):
                about = json.loads(data)
                text = about.pop("raw", None)
                raw = None if text is None else base64.b64decode(text, validate=True)
                yield self.whole(raw, about), about, None

    def whole(self, raw: bytes | None, about: Settings) -> bytes | None:
        """Return the bytes meant: those here, or those that a large record's pointer leads to."""
        if not (pointer := about.get("full_record")):
            return raw
        here = position(about)
        found = [row["raw"] for _, row in self.rows(pointer) if position(row) == here]
        if len(found) != 1:
            return b"a pointer to %d records" % len(found)
        told = (about.get("sha256"), str(about.get("raw_bytes")))
        right = told == (hashlib.sha256(found[0]).hexdigest(), str(len(found[0])))
        return found[0] if right and found[0].startswith(raw or b"") else b"a wrong pointer"

    def rows(self, uri: str) -> Iterator[tuple[str, Row]]:
        """Yield the rows of all Parquet files below a path, each with its folder."""
        objects = self.objects(uri)
        paths = visible(objects)
        with ThreadPoolExecutor(8) as pool:
            for path, content in zip(paths, pool.map(lambda p: objects[p](), paths), strict=True):
                folder = path.removeprefix("_compacted/").rpartition("/")[0]
                for row in _plain(pq.ParquetFile(pa.BufferReader(content)).read()).to_pylist():
                    yield folder, row

    def objects(self, uri: str) -> Objects:
        """Return what lies below `s3a://bucket/prefix` or `file:///folder`."""
        parts = urlsplit(uri)
        if parts.scheme == "file":
            paths = [path for path in Path(parts.path).rglob("*") if path.is_file()]
            return {str(path.relative_to(parts.path)): path.read_bytes for path in paths}
        endpoint, prefix = urlsplit(self.environment["S3_ENDPOINT"]), parts.path.strip("/") + "/"
        pages = self.client("s3", "S3_ENDPOINT").get_paginator("list_objects_v2")
        listing = pages.paginate(Bucket=parts.netloc, Prefix=prefix)
        keys = [each["Key"] for page in listing for each in page.get("Contents", ())]
        files = fs.S3FileSystem(
            access_key=self.environment["AWS_ACCESS_KEY_ID"],
            secret_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region=self.environment["AWS_REGION"],
            scheme=endpoint.scheme,
            endpoint_override=endpoint.netloc,
        )
        return {k.removeprefix(prefix): partial(_read, files, f"{parts.netloc}/{k}") for k in keys}

    def messages(self, topic: str) -> Iterator[tuple[bytes, bytes | None, dict[str, str]]]:
        """Yield key, value and headers of the committed messages, to the present end."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.environment["KAFKA_BOOTSTRAP_SERVERS"],
                "group.id": "oracle",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        left = set(consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions)
        assert left, f"there is no topic {topic}"
        consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in left])
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while left:
            assert time.monotonic() < deadline, f"the topic {topic} gave nothing"
            for message in consumer.consume(1_000, timeout=0.2):
                deadline = time.monotonic() + _TIMEOUT_SECONDS
                key: Any = message.key()
                value: Any = message.value()
                headers: Any = message.headers() or ()
                if (error := message.error()) is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error.str()
                    left.discard(message.partition())
                    continue
                latest = {name: v for name, v in dict(headers).items() if v is not None}
                texts = {name: bytes(v).decode(errors="replace") for name, v in latest.items()}
                yield key or b"", value, texts
        consumer.close()

    def entries(self, stream: str) -> Iterator[tuple[str, bytes]]:
        """Yield key and data of a stream's records, closed shards included, to the present end."""
        client = self.client("kinesis", "KINESIS_ENDPOINT")
        for shard in client.list_shards(StreamName=stream)["Shards"]:
            iterator = client.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator:
                page = client.get_records(ShardIterator=iterator, Limit=10_000)
                yield from ((record["PartitionKey"], record["Data"]) for record in page["Records"])
                is_end = not page["Records"] and not page["MillisBehindLatest"]
                iterator = None if is_end else page.get("NextShardIterator")

    def client(self, service: str, address: str) -> Any:
        """Return a boto3 client of a local server."""
        return boto3.client(
            service,
            endpoint_url=self.environment[address],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_REGION"],
        )


def position(row: Settings, prefix: str = "") -> str:
    """Return a record's position as text, from columns or headers."""
    topic, partition, offset, stream, shard, number = (row.get(prefix + name) for name in _AT)
    return f"{stream}/{shard}@{number}" if topic is None else f"{topic}/{partition}@{offset}"


def visible(objects: Objects) -> list[str]:
    """Return the files that count: what compaction merged, and not what it replaced.

    Its records are `_compacted/<partition>/record.json`, see docs/compaction.md.
    """
    files = {p for p in objects if not any(part[0] in "_." for part in p.split("/"))}
    for path in (p for p in objects if p.startswith("_compacted/") and p.endswith("/record.json")):
        record = json.loads(objects[path]())
        files |= {file["path"] for file in record["files"]}
        files -= {each["path"] for each in record["replaced"]}
    return sorted(files)


def misplaced(folder: str | None, row: Row) -> str | None:
    """Return a file's folder unless it is that of the arrival's hour, `unknown` if absurd."""
    if folder is None:
        return None
    arrival = np.datetime64(row["arrival_time"], "ms")
    date, hour = "unknown", "unknown"
    if np.datetime64("2009-01-01") <= arrival < np.datetime64("2100-01-01"):
        date, hour = str(arrival.astype("datetime64[h]")).split("T")
    return None if folder == f"arrival_date={date}/arrival_hour={hour}" else folder


def _read(files: fs.S3FileSystem, path: str) -> bytes:
    with files.open_input_stream(path) as stream:
        return bytes(stream.read())


def _plain(table: pa.Table) -> pa.Table:
    """Cast instants to naive ones in UTC; the arrival becomes a number, for it may be absurd."""
    for number, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            kind = pa.int64() if column.name == "arrival_time" else pa.timestamp("us")
            millis = table.column(number).cast(pa.timestamp("ms", tz=column.type.tz))
            table = table.set_column(number, column.name, millis.cast(kind))
    return table


def _event(row: Row) -> Row:
    return values_of({name: value for name, value in row.items() if name not in _ADDED})


def _letter(about: Settings, raw: bytes | None) -> Row:
    match = _REPLICA.match(about.get("detail") or "") if about["step"] == "replicate" else None
    told = {name: about[name] for name in ("step", "reason")}
    return {**told, "replica": match[1] if match else "", "bytes": raw}


def _document(raw: bytes | None) -> Row:
    try:
        return values_of(json.loads(raw or b""))
    except (ValueError, AttributeError):
        return {"no JSON object": repr(raw)}
