"""What a Kafka cluster is asked before the job starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from connectors.errors import UserError
from connectors.kafka.options import Kafka
from connectors.kafka.security import librdkafka_options

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Brokers:
    """A cluster that answered: its topics, and a client to ask for settings."""

    servers: str
    topics: frozenset[str]
    broker: str
    client: AdminClient

    def missing(self, topic: str, key: str) -> Iterator[str]:
        """The problem that a topic isn't there."""
        if topic not in self.topics:
            yield f"{key}: the topic {topic} does not exist at {self.servers}; make it first."

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return len(self.client.list_topics(topic, timeout=_SECONDS).topics[topic].partitions)

    def create(self, topic: str, partitions: int, settings: Mapping[str, str]) -> None:
        """Makes a topic, with the brokers' own number of replicas."""
        made = NewTopic(topic, partitions, config=dict(settings))
        self._done(self.client.create_topics([made]), f"cannot create the topic {topic}")

    def create_compacted(self, topic: str, *, like: str) -> None:
        """Create a compacted topic of one partition, with as many replicas as another topic.

        Raises:
            UserError: it can't be created, or the existing one is not compacted.
        """
        if topic in self.topics:
            policy = self._setting(ConfigResource.Type.TOPIC, topic, "cleanup.policy")
            if policy != "compact":
                raise UserError(
                    f"the topic {topic} has cleanup.policy={policy}, so it would forget what was"
                    " redriven; set it to compact."
                )
            return
        partitions = self.client.list_topics(like, timeout=_SECONDS).topics[like].partitions
        replicas = len(partitions[min(partitions)].replicas)
        wanted = NewTopic(topic, 1, replicas, config={"cleanup.policy": "compact"})
        try:
            self.client.create_topics([wanted], operation_timeout=30.0)[topic].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise UserError(
                    f"cannot create the topic {topic} ({error.args[0].str()}); allow it, or create"
                    " it: 1 partition, cleanup.policy=compact."
                ) from error

    def delete(self, topic: str) -> None:
        """Deletes a topic and what is in it."""
        self._done(self.client.delete_topics([topic]), f"cannot delete the topic {topic}")

    def _done(self, futures: Mapping[str, Any], what: str) -> None:
        for future in futures.values():
            try:
                future.result()
            except KafkaException as error:
                raise UserError(f"{what} on {self.servers}: {error.args[0].str()}") from error

    def max_message_bytes(self, topic: str) -> int:
        """The topic's largest message in bytes; 0 when there is no such topic."""
        if topic not in self.topics:
            return 0
        return int(self._setting(ConfigResource.Type.TOPIC, topic, "max.message.bytes"))

    def max_transaction_millis(self) -> int:
        """The brokers' transaction.max.timeout.ms."""
        kind = ConfigResource.Type.BROKER
        return int(self._setting(kind, self.broker, "transaction.max.timeout.ms"))

    def _setting(self, kind: ResourceType, name: str, setting: str) -> str:
        asked = ConfigResource(kind, name)
        try:
            found = self.client.describe_configs([asked], request_timeout=_SECONDS)[asked].result()
        except KafkaException as error:
            raise UserError(
                f"{self.servers} does not tell {setting} of {name} ({error.args[0].str()}); allow"
                " DescribeConfigs."
            ) from error
        return str(found[setting].value)


def connect(cluster: Kafka) -> Brokers:
    """Ask the brokers for their topics.

    Raises:
        UserError: no broker answers, or it refuses us.
    """
    client = AdminClient(librdkafka_options(cluster))
    try:
        metadata = client.list_topics(timeout=_SECONDS)
    except KafkaException as error:
        raise UserError(
            f"no Kafka broker answers at {cluster.bootstrap_servers} over {cluster.security}"
            f" ({error.args[0].str()}); is it up, and are security, username and password right?"
        ) from error
    broker = str(next(iter(metadata.brokers)))
    return Brokers(cluster.bootstrap_servers, frozenset(metadata.topics), broker, client)
