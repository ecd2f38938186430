"""Topics and settings of a Kafka cluster, by its admin interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from connectors.errors import UserError
from connectors.kafka.errors import kafka_error, reason, reported
from connectors.kafka.options import Kafka
from connectors.kafka.security import librdkafka_options

_TIMEOUT_SECONDS: Final = 10.0
# Long enough for some attempts at every address: `localhost` may have one that nobody listens on.
_ATTEMPTS_SECONDS: Final = 2.0
_CREATE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Brokers:
    """A cluster that answered: the topics it had then, and a client for more questions.

    Methods raise UserError if the brokers refuse or do not answer.
    """

    servers: str
    topics: frozenset[str]
    broker: str
    client: AdminClient

    def missing(self, topic: str, key: str) -> Iterator[str]:
        """Yield the problem that a topic, named by the configuration's `key`, does not exist."""
        if topic not in self.topics:
            yield f"{key}: the topic {topic} does not exist at {self.servers}; create it first."

    def partitions(self, topic: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> list[int]:
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
        partitions = self._described(replicas_of, _TIMEOUT_SECONDS)
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

    def max_message_bytes(self, topic: str) -> int:
        """Return the topic's max.message.bytes; 0 if there is no such topic."""
        if topic not in self.topics:
            return 0
        limit = self._setting(ConfigResource.Type.TOPIC, topic, "max.message.bytes")
        if limit is None:
            raise UserError(
                f"the brokers {self.servers} do not report max.message.bytes of {topic}; allow the"
                " operation DescribeConfigs on the topic."
            )
        return int(limit)

    def max_transaction_millis(self) -> int | None:
        """Return the brokers' transaction.max.timeout.ms; None if, as Redpanda, they tell none."""
        limit = self._setting(ConfigResource.Type.BROKER, self.broker, "transaction.max.timeout.ms")
        return None if limit is None else int(limit)

    def _check_compacted(self, topic: str) -> None:
        policy = self._setting(ConfigResource.Type.TOPIC, topic, "cleanup.policy")
        if policy != "compact":
            raise UserError(
                f"the topic {topic} on {self.servers} has cleanup.policy={policy} and would delete"
                " records that must be kept; set cleanup.policy=compact."
            )

    def _described(self, topic: str, timeout_seconds: float) -> dict[int, Any]:
        with reported(f"describe the topic {topic} on {self.servers}"):
            topics = self.client.list_topics(topic, timeout=timeout_seconds).topics
        return dict(topics[topic].partitions)

    def _setting(self, kind: ResourceType, name: str, setting: str) -> str | None:
        """Return a setting's value; None if the brokers do not report the setting."""
        resource = ConfigResource(kind, name)
        described = self.client.describe_configs([resource], request_timeout=_TIMEOUT_SECONDS)
        try:
            entry = described[resource].result().get(setting)
        except KafkaException as error:
            raise UserError(
                f"cannot read {setting} of {name} on {self.servers}: {reason(error)}. Allow the"
                " operation DescribeConfigs."
            ) from error
        return None if entry is None else str(entry.value)


def connect(cluster: Kafka) -> Brokers:
    """Connect to a cluster and list its topics.

    Fails after two seconds if every broker refuses the connection, after ten if one is silent.

    Raises:
        UserError: no broker answers, or it denies access.
    """
    problems: list[KafkaError] = []
    options: dict[str, Any] = {"error_cb": problems.append}
    client = AdminClient(librdkafka_options(cluster) | options)
    try:
        metadata = _metadata(client, problems)
    except KafkaException as error:
        raise UserError(
            f"no Kafka broker answers at {cluster.bootstrap_servers} over {cluster.security}"
            f" ({reason(error)}); is it up, and are security, username and password right?"
        ) from error
    broker = str(next(iter(metadata.brokers)))
    return Brokers(cluster.bootstrap_servers, frozenset(metadata.topics), broker, client)


def _metadata(client: AdminClient, problems: list[KafkaError]) -> Any:
    try:
        return client.list_topics(timeout=_ATTEMPTS_SECONDS)
    except KafkaException:
        client.poll(0)  # calls error_cb
        if any(problem.code() == KafkaError._ALL_BROKERS_DOWN for problem in problems):
            raise
        return client.list_topics(timeout=_TIMEOUT_SECONDS - _ATTEMPTS_SECONDS)
