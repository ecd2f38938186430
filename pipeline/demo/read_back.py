"""Reads every sink of a configuration back and compares it with the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from connectors import opensearch
from pipeline import load_config
from pipeline.config import Config
from pipeline.demo import read_dead_letters
from pipeline.demo.findings import Verdict
from pipeline.demo.ledger import Ledger
from pipeline.demo.progress import Steps
from pipeline.demo.read_archive import read_archive
from pipeline.demo.read_dead_letters import DeadLetters
from pipeline.demo.read_index import IndexedDocuments, from_opensearch
from pipeline.demo.read_lake import read_lake
from pipeline.demo.storage import S3Access, Store, open_store
from pipeline.demo.verify import verify
from pipeline.index_settings import index_settings


def verdict(
    ledger: Ledger, config: Config, environment: Mapping[str, str], steps: Steps
) -> Verdict:
    """The verdict on all sinks that the configuration has."""
    event_types = list(load_config.event_types(config).names)
    with steps.step("reading the archive back"):
        archive = (
            read_archive(_store(config.archive.path, environment), ledger)
            if config.archive
            else None
        )
    with steps.step("reading the lake back"):
        lake = (
            read_lake(_store(config.lake.path, environment), ledger, event_types)
            if config.lake
            else None
        )
    with steps.step("reading the dead letters back"):
        dead_letters = _dead_letters(ledger, config, environment)
    with steps.step("reading the index back"):
        index = _index(config, event_types)
    return verify(
        ledger,
        event_types=event_types,
        archive=archive,
        lake=lake,
        dead_letters=dead_letters,
        index=index,
        exactly_once_dead_letters=bool(config.dead_letters and config.dead_letters.path),
    )


def _dead_letters(
    ledger: Ledger, config: Config, environment: Mapping[str, str]
) -> DeadLetters | None:
    settings = config.dead_letters
    if settings is None:
        return None
    if settings.path:
        found = read_dead_letters.from_parquet(_store(settings.path, environment))
    else:
        found = read_dead_letters.from_kafka(config.dead_letter_servers, settings.kafka_topic)
    return read_dead_letters.collect(found, ledger)


def _index(config: Config, event_types: list[str]) -> list[IndexedDocuments] | None:
    if config.index is None:
        return None
    client = opensearch.client(index_settings(config.index))
    prefix = config.index.prefix
    return [
        from_opensearch(client, opensearch.index_name(prefix, name), name) for name in event_types
    ]


def _store(path: str, environment: Mapping[str, str]) -> Store:
    return open_store(
        path,
        S3Access(
            endpoint=environment.get("S3_ENDPOINT"),
            access_key=environment.get("AWS_ACCESS_KEY_ID"),
            secret_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            region=environment.get("AWS_REGION"),
        ),
    )
