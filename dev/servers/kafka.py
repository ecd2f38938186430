"""Kafka as one process: broker and controller in one JVM (KRaft combined mode), on 127.0.0.1
only."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.errors import UserError
from dev.servers import kafka_tls
from dev.servers.cache import ServerCache
from dev.servers.server import PROBE_SECONDS, Server, class_path, java

CLUSTER_ID = (
    "c3RyZWFtaW5nLWV0bC0wMQ"  # any 16 bytes in base64; fixed, so that a restart fits its data
)

REDRIVE_KEY = "local-redrive-key-for-this-machine-only"
"""Throw-away, as all keys of the local servers: what `dead_letters.redrive_key` is here."""

CONFIGURATION = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},SASL_SSL://127.0.0.1:{tls},\
CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker},SASL_SSL://127.0.0.1:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
group.initial.rebalance.delay.ms=0
# One broker: what is kept three times elsewhere is kept once here, or transactions never start.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A transaction whose producer died holds its readers back: end it soon after its time is over.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# The defaults (50 partitions each) cost a second at the start and hundreds of open files.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
"""

LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.type = Console
appender.console.name = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c{1})%n
"""

SOURCE_TOPIC = {"message.timestamp.type": "LogAppendTime"}
# A dead letter is the record and its headers: larger than the largest record there is.
DEAD_LETTER_TOPIC = {"max.message.bytes": str(2 * 1024 * 1024)}


def server(cache: ServerCache, *, folder: Path, broker: int, tls: int, controller: int) -> Server:
    """A Kafka broker with its data and configuration in `folder`; `tls` is its encrypted port."""
    jvm = java_command(cache, folder)
    properties = str(folder / "server.properties")
    return Server(
        name="kafka",
        command=(*jvm, "-Xms256m", "-Xmx512m", "kafka.Kafka", properties),
        port=broker,
        url=f"127.0.0.1:{broker}",
        is_ready=lambda: is_ready(f"127.0.0.1:{broker}"),
        prepare=lambda: prepare(
            jvm, folder, {"broker": broker, "tls": tls, "controller": controller}
        ),
    )


def java_command(cache: ServerCache, folder: Path) -> tuple[str, ...]:
    """Return the JVM's command with Kafka's jars and the serial collector, which needs least
    memory."""
    logging = f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"
    return (java(), "-cp", class_path(cache.jars("kafka")), "-XX:+UseSerialGC", logging)


def prepare(jvm: tuple[str, ...], folder: Path, ports: dict[str, int]) -> None:
    """Write the configuration; the first time, make a certificate and format the data folder."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    general = CONFIGURATION.format(**ports, data=data)
    properties.write_text(general + kafka_tls.configuration(folder), "utf-8")
    (folder / "log4j2.properties").write_text(LOGGING, "utf-8")
    with ThreadPoolExecutor(1) as beside:  # keytool takes a second, and so does the formatting
        certificate = beside.submit(kafka_tls.make_certificate, folder)
        if not (data / "meta.properties").exists():
            format_data(jvm, properties)
        certificate.result()


def format_data(jvm: tuple[str, ...], properties: Path) -> None:
    """Format the data folder, as KRaft requires before the first start, and add the first user."""
    tool = ("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties))
    done = subprocess.run(
        [*jvm, *tool, "--add-scram", kafka_tls.user()],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UserError(f"Kafka could not format its data folder:\n{done.stdout}{done.stderr}")


def is_ready(address: str) -> bool:
    """Return whether the broker answers a metadata request that includes itself."""
    client = AdminClient({"bootstrap.servers": address, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=PROBE_SECONDS).brokers)
    except KafkaException:
        return False


def create_topics(
    servers: str,
    *,
    source: str,
    dead_letters: str | None,
    partitions: int,
    replicas: int = 1,
    others: Sequence[str] = (),
) -> None:
    """Make the topics that do not exist yet; on the source topic the broker stamps the arrival.

    `others` are targets, such as of replicas, with the broker's own settings.

    Raises:
        UserError: Kafka refused one, or is unreachable.
    """
    topics = [NewTopic(source, partitions, replicas, config=SOURCE_TOPIC)]
    topics += [NewTopic(name, partitions, replicas) for name in others]
    if dead_letters:
        topics.append(NewTopic(dead_letters, partitions, replicas, config=DEAD_LETTER_TOPIC))
    admin = AdminClient({"bootstrap.servers": servers})
    for name, future in admin.create_topics(topics).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise UserError(f"cannot create the topic {name} on {servers}: {error}") from error
