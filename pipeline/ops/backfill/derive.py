"""The configuration of a backfill's job: the main job's, reading a topic of archived records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from connectors.errors import UserError
from pipeline.config.model import Config
from pipeline.ops.systems import Systems

_LIMITS: Final = ("reject_limit_ratio", "reject_limit_seconds", "reject_limit_records")


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


def refuse(systems: Systems, backfill: Backfill) -> None:
    """Refuse a configuration that cannot be backfilled.

    Raises:
        UserError: what is missing or wrong.
    """
    config, live = systems.config, systems.lake_path
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
    if backfill.into == live or backfill.into.startswith(f"{live}/"):
        raise UserError(f"--into is {backfill.into}, in the live lake {live}; give a place beside.")
    if backfill.index and not config.index:
        raise UserError("--index: the configuration has no index.")


def derived(path: Path, config: Config, backfill: Backfill) -> dict[str, Any]:
    """Return the sections of the backfill's job; references such as ${env:NAME} are kept.

    The decode section has no reject limit: the backfill reports its rejects when it is done.
    """
    given: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    source, schemas = config.source, Path(config.decode.schemas)
    if source.kafka_topics:
        cluster = source.kafka_cluster
    else:
        cluster = "" if config.kafka else next(iter(config.clusters))
    back_ends = ["kafka"] * bool(source.kafka_topics) + ["kinesis"] * bool(source.kinesis_streams)
    decode = {k: v for k, v in (given.get("decode") or {}).items() if k not in _LIMITS}
    if schemas.exists():
        decode["schemas"] = str(schemas.resolve())
    job = {**(given.get("job") or {}), "name": backfill.name}
    if backfill.parallelism:
        job["parallelism"] = backfill.parallelism
    copied = ("kafka", "clusters", "index") if backfill.index else ("kafka", "clusters")
    return {
        **{name: given[name] for name in copied if name in given},
        "source": {
            "kafka_topics": [backfill.name],
            "kafka_cluster": cluster,
            "kafka_group_id": backfill.name,
            "archived_from": list(source.archived_from) or back_ends,
        },
        "decode": decode,
        "lake": {**given["lake"], "path": backfill.into},
        "dead_letters": {"path": backfill.dead_letters},
        "job": job,
    }
