"""What a start asks of Kafka: librdkafka and Kafka's own client answer alike, by a real broker."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from pyflink.java_gateway import get_gateway

from connectors.errors import UserError
from connectors.flink import kafka_admin
from connectors.flink.rest import wait_for
from connectors.kafka import admin
from connectors.kafka.brokers import Connect
from connectors.kafka.options import Kafka
from dev.rehearse.as_platform import bare_checkout
from dev.servers import kafka as kafka_server
from dev.servers.cache import ServerCache
from dev.servers.setup import setup
from dev.servers.stack import Stack

# PyFlink leaves the JVM that it started to itself.
pytestmark = [pytest.mark.server, pytest.mark.filterwarnings("ignore::ResourceWarning")]

ROOT = Path(__file__).parents[2]
# Beyond the local brokers' configuration: whatever has no access control list is open.
ACLS = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
"""
LIMIT = 2_097_152
SILENT_SECONDS = 3.0
"""After which Kafka's own client gives up a silent broker here, to save time."""
CLIENTS: dict[str, Callable[[], AbstractContextManager[Connect]]] = {
    "librdkafka": lambda: nullcontext(admin.connect),
    "java": kafka_admin.clients,
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of a broker whose encrypted listener's user may not do everything."""
    setup(ROOT, say=print, servers=("kafka",))
    folder = tmp_path_factory.mktemp("broker")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kafka_server, "CONFIGURATION", kafka_server.CONFIGURATION + ACLS)
        made = Stack(ROOT, run_dir=folder, free_ports=True, servers=("kafka",))
        with made.running(print) as running:
            known = running.environment()
            prepare(known["KAFKA_BOOTSTRAP_SERVERS"], known["KAFKA_USERNAME"])
            yield known


def prepare(servers: str, user: str) -> None:
    """Make topics: of `closed` the user may read no setting, nor of the brokers; he may not even
    see `hidden`."""
    client = AdminClient({"bootstrap.servers": servers})
    config = {"max.message.bytes": str(LIMIT)}
    topics = [NewTopic(name, 1, 1, config=config) for name in ("open", "closed", "hidden")]
    for made in client.create_topics(topics).values():
        made.result()
    # What has an entry is closed to whom no entry allows it.
    allowed = [
        acl(ResourceType.TOPIC, "closed", user, AclOperation.DESCRIBE),
        acl(ResourceType.BROKER, "kafka-cluster", user, AclOperation.DESCRIBE),
        acl(ResourceType.TOPIC, "hidden", "another", AclOperation.DESCRIBE),
    ]
    for entered in client.create_acls(allowed).values():
        entered.result()


def acl(kind: ResourceType, name: str, user: str, operation: AclOperation) -> AclBinding:
    """An entry that allows a user an operation."""
    pattern, allow = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    return AclBinding(kind, name, pattern, f"User:{user}", "*", operation, allow)


@pytest.fixture(params=list(CLIENTS))
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    with CLIENTS[request.param]() as found:
        yield found


@pytest.fixture
def plain(environment: dict[str, str]) -> Kafka:
    return Kafka(bootstrap_servers=environment["KAFKA_BOOTSTRAP_SERVERS"])


def secure(environment: dict[str, str], **changed: str) -> Kafka:
    """The encrypted listener, for a user with a password."""
    keys = {
        "bootstrap_servers": environment["KAFKA_TLS_BOOTSTRAP_SERVERS"],
        "security": "scram",
        "ca_file": environment["KAFKA_CA_FILE"],
        "username": environment["KAFKA_USERNAME"],
        "password": environment["KAFKA_PASSWORD"],
        **changed,
    }
    return Kafka(**keys)  # type: ignore[arg-type]


def test_topics_and_settings(connect: Connect, plain: Kafka) -> None:
    found = connect(plain)
    assert found.servers == plain.bootstrap_servers
    assert {"open", "closed", "hidden"} <= found.topics
    assert list(found.missing("open", "source.kafka_topics")) == []
    assert list(found.missing("nowhere", "source.kafka_topics")) == [
        f"source.kafka_topics: the topic nowhere does not exist at {plain.bootstrap_servers};"
        " create it first."
    ]
    assert (found.max_message_bytes("open"), found.max_message_bytes("nowhere")) == (LIMIT, 0)
    assert found.max_transaction_millis() == 900_000


def test_a_setting_that_the_brokers_do_not_report_is_none(connect: Connect, plain: Kafka) -> None:
    settings = connect(plain).settings
    assert settings.of_topic("open", "no.such") is settings.of_brokers("no.such") is None


def test_a_setting_that_is_denied_is_told(connect: Connect, environment: dict[str, str]) -> None:
    found = connect(secure(environment))
    assert {"open", "closed"} <= found.topics and "hidden" not in found.topics
    assert found.max_message_bytes("open") == LIMIT
    asked = rf"cannot read max.message.bytes of closed on {found.servers}: .*[Aa]uthorization"
    with pytest.raises(UserError, match=rf"{asked}.*DescribeConfigs on the topic; .*DescribeTopic"):
        found.max_message_bytes("closed")
    asked = rf"cannot read transaction.max.timeout.ms on {found.servers}: .*[Aa]uthorization"
    with pytest.raises(UserError, match=rf"{asked}.*DescribeConfigs on the cluster; "):
        found.max_transaction_millis()


def test_a_wrong_password_is_told_and_never_shown(
    connect: Connect, environment: dict[str, str]
) -> None:
    with pytest.raises(UserError, match=r"over scram \(.*[Aa]uthentication") as told:
        connect(secure(environment, password="wr0ng-one"))
    assert "wr0ng-one" not in str(told.value)


def test_a_certificate_that_nobody_trusts_is_told(
    connect: Connect, environment: dict[str, str]
) -> None:
    with pytest.raises(UserError, match=r"no Kafka broker answers .* over scram \(.*SSL"):
        connect(secure(environment, ca_file=""))


def test_brokers_that_are_away_are_told_soon(connect: Connect) -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=r"no Kafka broker answers at 127\.0\.0\.1:1 over plaint"):
        connect(Kafka(bootstrap_servers="127.0.0.1:1"))
    assert time.monotonic() - began < 6


def test_a_name_that_is_none_is_told(connect: Connect) -> None:
    with pytest.raises(UserError, match=r"no Kafka broker answers at nowhere\.invalid:9092"):
        connect(Kafka(bootstrap_servers="nowhere.invalid:9092", allow_plaintext=True))


SILENT = {**CLIENTS, "java": partial(kafka_admin.clients, seconds=SILENT_SECONDS)}


@pytest.mark.parametrize("client", SILENT.values(), ids=SILENT)
def test_a_broker_that_is_silent_is_told(
    client: Callable[[], AbstractContextManager[Connect]],
) -> None:
    began = time.monotonic()
    with client() as connect, listening() as server:
        with pytest.raises(UserError, match=rf"answers at {server} over"):
            connect(Kafka(bootstrap_servers=server))
        assert SILENT_SECONDS <= time.monotonic() - began < 14


@contextmanager
def listening() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_kafkas_own_client_leaves_no_thread(environment: dict[str, str], plain: Kafka) -> None:
    before = threads()
    with kafka_admin.clients() as opened:
        opened(plain)
        with pytest.raises(UserError):
            opened(secure(environment, password="wrong"))
        assert len(threads() - before) == 2
    wait_for(lambda: not threads() - before, 30, "a thread is left")


def threads() -> set[tuple[int, str]]:
    """The JVM's threads that belong to Kafka's clients, by number and name."""
    jvm = get_gateway().jvm
    found = jvm.java.lang.Thread.getAllStackTraces().keySet()
    named = {(int(thread.getId()), str(thread.getName())) for thread in found}
    return {each for each in named if "kafka" in each[1]}


def test_kafkas_own_client_offers_msk_iam(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No broker here knows it; AWS's login module and handler are loaded before this one says so.

    `ca_file`, which MSK does not need, is for this broker's own certificate.
    """
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    servers, ca_file = environment["KAFKA_TLS_BOOTSTRAP_SERVERS"], environment["KAFKA_CA_FILE"]
    cluster = Kafka(bootstrap_servers=servers, security="msk_iam", ca_file=ca_file)
    given = kafka_admin.properties(cluster, 10)
    assert given["sasl.jaas.config"] == "software.amazon.msk.auth.iam.IAMLoginModule required;"
    assert {"request.timeout.ms", "default.api.timeout.ms"} <= given.keys()
    with (
        kafka_admin.clients() as opened,
        pytest.raises(UserError, match="over msk_iam .*'AWS_MSK_IAM' not enabled in the server"),
    ):
        opened(cluster)


def test_a_flink_without_the_jar_is_told(tmp_path: Path) -> None:
    setup(ROOT, say=print, servers=("kafka",))
    flink_home = ServerCache(bare_checkout(ROOT, tmp_path / "root")).flink_home
    program = (
        "from connectors.flink import kafka_admin; from connectors.kafka.options import Kafka\n"
        "with kafka_admin.clients() as opened: opened(Kafka(bootstrap_servers='127.0.0.1:1'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "FLINK_HOME": str(flink_home)},
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "UserError: Flink has no Kafka client: the connectors' jar is missing." in done.stderr
