"""What the start of a job asks of a Kafka cluster, whichever client asks.

Two clients do: librdkafka for the tools (`connectors.kafka.admin`), and Kafka's own, in Flink's JVM
(`connectors.flink.kafka_admin`), for the program that Flink runs, whose package has no librdkafka.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from connectors.errors import UserError
from connectors.kafka.options import Kafka

TIMEOUT_SECONDS: Final = 10.0
# Long enough for some attempts at every address: `localhost` may have one that nobody listens on.
ATTEMPTS_SECONDS: Final = 2.0


class Settings(Protocol):
    """Reads the settings of a cluster; None for a setting that the brokers do not report.

    Raises UserError if they refuse, or do not answer within `TIMEOUT_SECONDS`.
    """

    def of_topic(self, topic: str, setting: str) -> str | None: ...
    def of_brokers(self, setting: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Brokers:
    """A cluster that answered: the topics it had then, and a reader of its settings.

    Methods raise UserError if the brokers refuse or do not answer.
    """

    servers: str
    topics: frozenset[str]
    settings: Settings

    def missing(self, topic: str, key: str) -> Iterator[str]:
        """Yield the problem that a topic, named by the configuration's `key`, does not exist."""
        if topic not in self.topics:
            yield f"{key}: the topic {topic} does not exist at {self.servers}; create it first."

    def max_message_bytes(self, topic: str) -> int:
        """Return the topic's max.message.bytes; 0 if there is no such topic."""
        if topic not in self.topics:
            return 0
        limit = self.settings.of_topic(topic, "max.message.bytes")
        if limit is None:
            raise UserError(
                f"the brokers {self.servers} do not report max.message.bytes of {topic}; allow the"
                " operation DescribeConfigs on the topic."
            )
        return int(limit)

    def max_transaction_millis(self) -> int | None:
        """Return the brokers' transaction.max.timeout.ms; None if, as Redpanda, they tell none."""
        limit = self.settings.of_brokers("transaction.max.timeout.ms")
        return None if limit is None else int(limit)


Connect = Callable[[Kafka], Brokers]
"""Connects to a cluster and lists its topics.

Fails after `ATTEMPTS_SECONDS` if every broker refuses the connection, after `TIMEOUT_SECONDS` if
one is silent: UserError in the words of `unanswered`.
"""


def unanswered(cluster: Kafka, reason: str) -> UserError:
    """Return the error that no broker answers, or that the brokers deny access."""
    return UserError(
        f"no Kafka broker answers at {cluster.bootstrap_servers} over {cluster.security}"
        f" ({reason}); is it up, and are security, username and password right?"
    )


def unreachable(setting: str, servers: str, reason: str) -> UserError:
    """Return the error that a broker answers at first, and then not at its own address."""
    return UserError(
        f"cannot read {setting} on {servers}: {reason}. The address that a broker advertises"
        " (advertised.listeners) must be reachable from here."
    )


def unreadable(setting: str, servers: str, reason: str, *, topic: str = "") -> UserError:
    """Return the error that a setting of a topic, or of the brokers, cannot be read.

    The actions of IAM are those of MSK's guide, "Semantics of IAM authorization policy actions and
    resources", which stand for DescribeConfigs.
    """
    of, on = (f" of {topic}", "the topic") if topic else ("", "the cluster")
    action = "DescribeTopicDynamicConfiguration" if topic else "DescribeClusterDynamicConfiguration"
    return UserError(
        f"cannot read {setting}{of} on {servers}: {reason}. Allow the operation DescribeConfigs on"
        f" {on}; with msk_iam it is kafka-cluster:{action}."
    )
