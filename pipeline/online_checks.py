"""Check the outside systems of a configuration one by one; no failure hides the next one.

These are the checks of `streaming-etl run`. Nothing is made or changed, but that a probe is written
below each path and deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from connectors.errors import UserError
from connectors.flink.rest import Cluster
from connectors.kafka.brokers import Brokers
from connectors.kafka.options import Kafka
from connectors.opensearch import client as opensearch
from connectors.opensearch.options import Index, index_name
from connectors.opensearch.templates import look_at_index
from pipeline import preflight, room
from pipeline.config.model import Config
from pipeline.events.derive import mapping
from pipeline.events.event_types import EventTypes


class Outcome(NamedTuple):
    """What a check found: `state` is ok, failed or not checked; `detail` is why, or a remark."""

    check: str
    state: str
    detail: str = ""


def outcomes(
    config: Config, types: EventTypes, environment: Mapping[str, str]
) -> Iterator[Outcome]:
    """Check one system after the other, and yield each outcome as soon as it is known.

    Flink's planner, which needs a JVM, is asked about filters where FLINK_HOME is set.
    """
    told: set[str] = set()
    for name, look in _checks(config, types, environment):
        try:
            detail = look()
        except UserError as error:
            # A cluster that does not answer is the reason of many failures, and told once.
            state = "not checked" if str(error) in told else "failed"
            detail = str(error).removeprefix(f"{name.partition(' ')[0]}: ")
            yield Outcome(name, state, "" if str(error) in told else detail)
            told.add(str(error))
        else:
            yield Outcome(name, "ok", detail)


def _checks(
    config: Config, types: EventTypes, environment: Mapping[str, str]
) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield the name of each check and what raises UserError, or returns a remark."""
    if url := environment.get("FLINK_REST_URL"):
        yield f"Flink at {url}", partial(_flink, config, url)
    interval = _checkpoint_seconds(config)
    for check in preflight.checks(config, types, interval, _connect):
        yield check.name, partial(_first_problem, check)
    for key, path in preflight.written(config).items():
        yield f"{key} {path}", partial(_path, key, path, environment)
    if config.index:
        yield f"index.url {config.index.url}", partial(_indices, config.index, types)
    if "FLINK_HOME" in environment and any(each.filter for each in config.replicate.values()):
        yield "filters, by Flink's planner", partial(_plan, config, types)


def _connect(cluster: Kafka) -> Brokers:
    # Imported here: a job without Kafka needs no librdkafka.
    from connectors.kafka import admin

    return admin.connect(cluster)


def _first_problem(check: preflight.Check) -> str:
    for problem in check.problems():
        raise UserError(problem)
    return ""


def _flink(config: Config, url: str) -> str:
    cluster = Cluster(url)
    jobs = [job for job in cluster.jobs() if not job.has_ended]
    warning = room.refuse_too_little(config, cluster)
    return "; ".join([f"{len(jobs)} jobs have not ended", *filter(None, [warning])])


def _path(key: str, path: str, environment: Mapping[str, str]) -> str:
    preflight.probe(key, path, environment)
    return ""


def _indices(settings: Index, types: EventTypes) -> str:
    client = opensearch.client(settings)
    new = [
        index_name(settings.prefix, event_type.name)
        for event_type in types
        if not look_at_index(client, event_type.name, mapping(event_type), settings)
    ]
    return f"the job makes {', '.join(new)}" if new else ""


def _plan(config: Config, types: EventTypes) -> str:
    # Imported here: PyFlink takes a second.
    from pipeline.plan import explain

    explain(config, types)
    return ""


def _checkpoint_seconds(config: Config) -> float:
    """Return the job's own interval; 0 where the cluster decides, which the start looks up."""
    return config.job.checkpoint_seconds or 0.0
