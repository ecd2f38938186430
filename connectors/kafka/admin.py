"""Topics and settings of a Kafka cluster, by its admin interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from connectors.errors import UserError
from connectors.kafka.brokers import (
    ATTEMPTS_SECONDS,
    TIMEOUT_SECONDS,
    Brokers,
    unanswered,
    unreadable,
)
from connectors.kafka.errors import kafka_error, reason, reported
from connectors.kafka.options import Kafka
from connectors.kafka.security import librdkafka_options

_CREATE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Admin(Brokers):
    """A cluster that answered, and a client that can make and delete topics.

    Methods raise UserError if the brokers refuse or do not answer.
    """

    client: AdminClient

    def partitions(self, topic: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> list[int]:
        """Return the numbers of a topic's partitions."""
        return sorted(self._described(topic, timeout_seconds))

    def create(self, topic: str, partitions: int, settings: Mapping[str, str]) -> None:
        """Create a topic with the brokers' default number of replicas."""
        requested = NewTopic(topic, partitions, config=dict(settings))
        with reported(f"create the topic {topic} on {self.servers}"):
            self.client.create_topics([requested])[topic].result()

    def delete(self, topic: str) -> None:
        """Delete a topic and its records."""
        with reported(f"delete the topic {topic} on {self.servers}"):
            self.client.delete_topics([topic])[topic].result()

    def ensure_compacted(self, topic: str, *, replicas_of: str) -> None:
        """Create a compacted topic of one partition, unless there is one.

        It gets as many replicas as the topic `replicas_of`.

        Raises:
            UserError: it cannot be created, or there is a topic of that name with another
                cleanup.policy, which would delete records.
        """
        if topic in self.topics:
            self._check_compacted(topic)
            return
        partitions = self._described(replicas_of, TIMEOUT_SECONDS)
        replicas = len(partitions[min(partitions)].replicas)
        requested = NewTopic(topic, 1, replicas, config={"cleanup.policy": "compact"})
        created = self.client.create_topics([requested], operation_timeout=_CREATE_SECONDS)
        try:
            created[topic].result()
        except KafkaException as error:
            if kafka_error(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise UserError(
                    f"cannot create the topic {topic} on {self.servers}: {reason(error)}. Allow"
                    " it, or create the topic with 1 partition and cleanup.policy=compact."
                ) from error

    def _check_compacted(self, topic: str) -> None:
        policy = self.settings.of_topic(topic, "cleanup.policy")
        if policy != "compact":
            raise UserError(
                f"the topic {topic} on {self.servers} has cleanup.policy={policy} and would delete"
                " records that must be kept; set cleanup.policy=compact."
            )

    def _described(self, topic: str, timeout_seconds: float) -> dict[int, Any]:
        with reported(f"describe the topic {topic} on {self.servers}"):
            topics = self.client.list_topics(topic, timeout=timeout_seconds).topics
        return dict(topics[topic].partitions)


@dataclass(frozen=True, slots=True)
class _Settings:
    """Settings as librdkafka reads them; `broker` is the id of the one that is asked."""

    servers: str
    broker: str
    client: AdminClient

    def of_topic(self, topic: str, setting: str) -> str | None:
        try:
            return self._read(ConfigResource(ConfigResource.Type.TOPIC, topic), setting)
        except KafkaException as error:
            raise unreadable(setting, self.servers, reason(error), topic=topic) from error

    def of_brokers(self, setting: str) -> str | None:
        try:
            return self._read(ConfigResource(ConfigResource.Type.BROKER, self.broker), setting)
        except KafkaException as error:
            raise unreadable(setting, self.servers, reason(error)) from error

    def _read(self, resource: ConfigResource, setting: str) -> str | None:
        described = self.client.describe_configs([resource], request_timeout=TIMEOUT_SECONDS)
        entry = described[resource].result().get(setting)
        return None if entry is None else str(entry.value)


def connect(cluster: Kafka) -> Admin:
    """Connect to a cluster and list its topics; see `connectors.kafka.brokers.Connect`.

    Raises:
        UserError: no broker answers, or it denies access.
    """
    problems: list[KafkaError] = []
    options: dict[str, Any] = {"error_cb": problems.append}
    client = AdminClient(librdkafka_options(cluster) | options)
    try:
        metadata = _metadata(client, problems)
    except KafkaException as error:
        raise unanswered(cluster, _why(problems, error)) from error
    servers, broker = cluster.bootstrap_servers, str(next(iter(metadata.brokers)))
    settings = _Settings(servers, broker, client)
    return Admin(servers, frozenset(metadata.topics), settings, client)


def _metadata(client: AdminClient, problems: list[KafkaError]) -> Any:
    try:
        return client.list_topics(timeout=ATTEMPTS_SECONDS)
    except KafkaException:
        client.poll(0)  # calls error_cb
        if any(problem.code() == KafkaError._ALL_BROKERS_DOWN for problem in problems):
            raise
        return client.list_topics(timeout=TIMEOUT_SECONDS - ATTEMPTS_SECONDS)


def _why(problems: Sequence[KafkaError], error: KafkaException) -> str:
    """Return what a broker said last; the exception says but that there is no connection."""
    silent = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)
    said = [problem.str() for problem in problems if problem.code() not in silent]
    return said[-1] if said else reason(error)
