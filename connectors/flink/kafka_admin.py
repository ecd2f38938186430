"""Topics and settings of a Kafka cluster, as Kafka's own client in Flink's JVM reads them.

It is the client of Flink's Kafka connector and gets the same properties: what it may do, the job
may do. The program that Flink runs uses it, because librdkafka's wheel needs glibc 2.28 or newer,
which the managed service may not have.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from py4j.java_gateway import JavaPackage
from py4j.protocol import Py4JJavaError
from pyflink.java_gateway import get_gateway

from connectors.errors import UserError
from connectors.kafka.brokers import (
    ATTEMPTS_SECONDS,
    TIMEOUT_SECONDS,
    Brokers,
    Connect,
    unanswered,
    unreachable,
    unreadable,
)
from connectors.kafka.options import Kafka, host_of
from connectors.kafka.security import flink_properties

_CLOSE_SECONDS: Final = 5
# A future is waited for so much longer than its client's own timeout: its thread may have died.
_SPARE_SECONDS: Final = 5


@contextmanager
def clients(*, seconds: float = TIMEOUT_SECONDS) -> Iterator[Connect]:
    """Yield what connects to clusters; end its clients and their threads with the block.

    A question that no broker answers within `seconds` fails.
    """
    with ExitStack() as opened:
        yield partial(_connect, opened, seconds)


def properties(cluster: Kafka, seconds: float) -> dict[str, str]:
    """Return the properties of an AdminClient: those of Flink's connector, and its timeouts."""
    prefix, millis = "properties.", str(round(seconds * 1000))
    given = {key.removeprefix(prefix): text for key, text in flink_properties(cluster).items()}
    return {
        **given,
        "request.timeout.ms": millis,
        "default.api.timeout.ms": millis,
        "enable.metrics.push": "false",  # a few questions are not worth brokers' telemetry
    }


def _connect(opened: ExitStack, seconds: float, cluster: Kafka) -> Brokers:
    """Connect to a cluster and list its topics, as `connectors.kafka.brokers.Connect`."""
    servers = cluster.bootstrap_servers
    try:
        client = _Client(_admin(properties(cluster, seconds)), seconds)
        opened.callback(client.close)
        topics = client.topics(servers)
    except Py4JJavaError as error:
        raise unanswered(cluster, _reason(error, seconds)) from error
    except ConnectionError as error:
        raise unanswered(cluster, str(error)) from error
    return Brokers(servers, topics, _Settings(servers, client))


def _admin(given: dict[str, str]) -> Any:
    """Return an AdminClient (Java), which has a thread of its own until it is closed."""
    jvm = get_gateway().jvm
    admin_client = jvm.org.apache.kafka.clients.admin.AdminClient
    if isinstance(admin_client, JavaPackage):
        raise UserError(
            "Flink has no Kafka client: the connectors' jar is missing. Give it to Flink, as"
            " `jarfile` of the application or in lib/ of the cluster; `streaming-etl package` and"
            " `make setup` make it."
        )
    java_properties = jvm.java.util.Properties()
    for key, text in given.items():
        java_properties.setProperty(key, text)
    return admin_client.create(java_properties)


@dataclass(frozen=True, slots=True)
class _Client:
    """An AdminClient (Java); methods raise Py4JJavaError if the brokers refuse or do not answer."""

    admin: Any
    seconds: float

    def topics(self, servers: str) -> frozenset[str]:
        """Return the cluster's topics; ConnectionError as soon as every address refuses."""
        try:
            return self._topics(ATTEMPTS_SECONDS)
        except Py4JJavaError as error:
            if not _is_timeout(error):
                raise
        # The client tries again until its time is over, and does not say that it is in vain.
        if refusals := _refusals(servers):
            raise ConnectionError(refusals)
        return self._topics(self.seconds - ATTEMPTS_SECONDS)

    def _topics(self, seconds: float) -> frozenset[str]:
        jvm = get_gateway().jvm
        options = jvm.org.apache.kafka.clients.admin.ListTopicsOptions()
        options.timeoutMs(round(seconds * 1000)).listInternal(True)
        names = self._result(self.admin.listTopics(options).names())
        joined = str(jvm.java.lang.String.join(",", names))  # One call; no name has a comma.
        return frozenset(joined.split(",")) - {""}

    def any_broker(self) -> str:
        """Return the id of a broker."""
        nodes = self._result(self.admin.describeCluster().nodes())
        return str(nodes.iterator().next().idString())

    def setting(self, kind: str, name: str, setting: str) -> str | None:
        """Return a setting of a TOPIC or BROKER; None if the brokers do not report it."""
        jvm = get_gateway().jvm
        config_resource = jvm.org.apache.kafka.common.config.ConfigResource
        resource = config_resource(config_resource.Type.valueOf(kind), name)
        asked = jvm.java.util.Collections.singleton(resource)
        described = self._result(self.admin.describeConfigs(asked).all())
        entry = described[resource].get(setting)
        return None if entry is None else str(entry.value())

    def close(self) -> None:
        """End the client's thread and connections."""
        self.admin.close(get_gateway().jvm.java.time.Duration.ofSeconds(_CLOSE_SECONDS))

    def _result(self, future: Any) -> Any:
        unit = get_gateway().jvm.java.util.concurrent.TimeUnit.SECONDS
        return future.get(round(self.seconds) + _SPARE_SECONDS, unit)


@dataclass(frozen=True, slots=True)
class _Settings:
    """Settings as Kafka's own client reads them."""

    servers: str
    client: _Client

    def of_topic(self, topic: str, setting: str) -> str | None:
        try:
            return self.client.setting("TOPIC", topic, setting)
        except Py4JJavaError as error:
            raise self._problem(error, setting, topic) from error

    def of_brokers(self, setting: str) -> str | None:
        try:
            return self.client.setting("BROKER", self.client.any_broker(), setting)
        except Py4JJavaError as error:
            raise self._problem(error, setting) from error

    def _problem(self, error: Py4JJavaError, setting: str, topic: str = "") -> UserError:
        reason = _reason(error, self.client.seconds)
        if _is_timeout(error):
            return unreachable(setting, self.servers, reason)
        return unreadable(setting, self.servers, reason, topic=topic)


def _reason(error: Py4JJavaError, seconds: float) -> str:
    """Return what the client says, from the general to the cause, each once."""
    if _is_timeout(error):
        return f"no answer within {seconds:g} s"
    said: list[str] = []
    for name, message in _causes(error):
        text = message or name
        if not name.startswith("java.util.concurrent.") and not any(text in each for each in said):
            said.append(text)
    return ": ".join(said)


def _is_timeout(error: Py4JJavaError) -> bool:
    return any(name.endswith(".TimeoutException") for name, _ in _causes(error))


def _causes(error: Py4JJavaError) -> Iterator[tuple[str, str]]:
    """Yield the class and the message of a Java exception, then those of its causes."""
    throwable = error.java_exception
    while throwable is not None:
        yield str(throwable.getClass().getName()), str(throwable.getMessage() or "")
        throwable = throwable.getCause()


def _refusals(servers: str) -> str:
    """Return why no address can be connected to; empty if one can, or does not say."""
    said: list[str] = []
    for server in servers.split(","):
        port = int(server.rpartition(":")[2])
        try:
            socket.create_connection((host_of(server), port), timeout=1).close()
        except TimeoutError:
            return ""
        except OSError as error:
            said.append(f"{server.strip()}: {error.strerror}")
        else:
            return ""
    return "; ".join(said)
