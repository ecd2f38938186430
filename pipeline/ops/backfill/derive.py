"""The configuration of a backfill's job: the main job's, reading a topic of archived records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from connectors.errors import UserError
from pipeline.config.model import Config

_LIMITS = ("reject_limit_ratio", "reject_limit_seconds", "reject_limit_records")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """One backfill: which archived records (arrival time, epoch milliseconds), and where to.

    `name` is the name of its topic, job and consumer group. `into` is the prefix of the rebuilt
    lake. `parallelism` None: as the main job.
    """

    name: str
    into: str
    index: bool
    parallelism: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None

    @property
    def dead_letters(self) -> str:
        """Where the backfill's own rejects go."""
        return f"{self.into}-dead-letters"


def refuse(config: Config, backfill: Backfill) -> None:
    """Refuse a configuration that cannot be backfilled.

    Raises:
        UserError: what is missing or wrong.
    """
    if not config.archive or not config.archive.path:
        raise UserError(
            "a backfill reads an archive on S3 (archive.path), and this configuration has none. A"
            " job can read an archive on a Kafka topic as its source: source.archived_from."
        )
    if not config.kafka and not config.clusters:
        raise UserError(
            "a backfill goes through a Kafka topic, whose headers keep the records' positions, and"
            " this configuration names no cluster; give a section kafka."
        )
    if not config.lake:
        raise UserError("the configuration has no lake to rebuild.")
    live = config.lake.path.rstrip("/")
    if backfill.into.rstrip("/") == live or backfill.into.startswith(f"{live}/"):
        raise UserError(f"--into is {backfill.into}, in the live lake {live}; give a place beside.")
    if backfill.index and not config.index:
        raise UserError("--index: the configuration has no index.")


def derived(path: Path, config: Config, backfill: Backfill) -> dict[str, Any]:
    """Return the sections of the backfill's job; references such as ${env:NAME} are kept."""
    given: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    kept: dict[str, Any] = {name: given[name] for name in ("kafka", "clusters") if name in given}
    parallelism = {"parallelism": backfill.parallelism} if backfill.parallelism else {}
    sections: dict[str, Any] = {
        **kept,
        "source": {
            "kafka_topics": [backfill.name],
            "kafka_cluster": _cluster(config),
            "kafka_group_id": backfill.name,
            "archived_from": _back_ends(config),
        },
        "decode": _decode(given.get("decode") or {}, config),
        "lake": {**given["lake"], "path": backfill.into},
        "dead_letters": {"path": backfill.dead_letters},
        "job": {**(given.get("job") or {}), "name": backfill.name, **parallelism},
    }
    if backfill.index:
        sections["index"] = given["index"]
    return sections


def _cluster(config: Config) -> str:
    """Return the name of the topic's cluster: the source's, or the first one."""
    if config.source.kafka_topics:
        return config.source.kafka_cluster
    return "" if config.kafka else next(iter(config.clusters))


def _back_ends(config: Config) -> list[str]:
    source = config.source
    if source.archived_from:
        return list(source.archived_from)
    return ["kafka"] * bool(source.kafka_topics) + ["kinesis"] * bool(source.kinesis_streams)


def _decode(given: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Drop the reject limit: the backfill reports its rejects when it is done."""
    folder = Path(config.decode.schemas)
    schemas = {"schemas": str(folder.resolve())} if folder.exists() else {}
    return {name: each for name, each in given.items() if name not in _LIMITS} | schemas
