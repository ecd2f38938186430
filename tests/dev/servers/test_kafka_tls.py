"""The broker's encrypted listener: the right password gets in, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.flink.rest import wait_for
from dev.servers import kafka_tls
from dev.servers.stack import Stack

Settings = dict[str, Any]


def silent(_: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    """What a client needs, from the stack's environment alone."""
    environment = stack.environment()
    return {
        "bootstrap.servers": environment["KAFKA_TLS_BOOTSTRAP_SERVERS"],
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": environment["KAFKA_USERNAME"],
        "sasl.password": environment["KAFKA_PASSWORD"],
        "ssl.ca.location": environment["KAFKA_CA_FILE"],
    }


def test_user_with_the_password_writes_and_reads_back(settings: Settings) -> None:
    admin = AdminClient(settings)
    admin.create_topics([NewTopic("encrypted", 1, 1)])["encrypted"].result(timeout=20)
    producer = Producer(settings)
    producer.produce("encrypted", b"by the encrypted way")
    assert producer.flush(20) == 0

    consumer = Consumer(
        {**settings, "group.id": "encrypted-readers", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["encrypted"])
    message = consumer.poll(20)
    consumer.close()

    assert message is not None and message.error() is None
    assert message.value() == b"by the encrypted way"


def test_wrong_password_is_refused(settings: Settings) -> None:
    assert_refused({**settings, "sasl.password": "wrong"}, KafkaError._AUTHENTICATION)


def test_client_that_does_not_trust_the_certificate_stays_out(settings: Settings) -> None:
    elsewhere = {key: value for key, value in settings.items() if key != "ssl.ca.location"}

    assert_refused(elsewhere, KafkaError._SSL)


def test_plain_protocol_is_refused(settings: Settings) -> None:
    plain = {"bootstrap.servers": settings["bootstrap.servers"]}

    with pytest.raises(KafkaException):
        AdminClient({**plain, "log_level": "0"}).list_topics(timeout=2)


def test_restart_keeps_certificate_and_user(stack: Stack, settings: Settings) -> None:
    before = Path(settings["ssl.ca.location"]).read_bytes()
    stack.stop_server("kafka", silent)

    stack.start_server("kafka", silent)

    assert AdminClient(settings).list_topics(timeout=20).brokers
    assert Path(settings["ssl.ca.location"]).read_bytes() == before


def test_certificate_is_made_again_when_its_making_was_cut_short(tmp_path: Path) -> None:
    kafka_tls.make_certificate(tmp_path)
    kafka_tls.ca_file(tmp_path).unlink()

    kafka_tls.make_certificate(tmp_path)

    assert kafka_tls.ca_file(tmp_path).read_text("ascii").startswith("-----BEGIN CERTIFICATE")
    assert {each.name for each in tmp_path.iterdir()} == {"broker.p12", "ca.pem"}


def assert_refused(settings: Settings, code: int) -> None:
    """Check that a client with these settings is refused with this error.

    librdkafka reports some failed handshakes as a lost connection first.
    """
    codes: list[int] = []

    def reported() -> bool:
        client.poll(0.1)
        return code in codes

    listening: Settings = {**settings, "error_cb": lambda error: codes.append(error.code())}
    client = AdminClient({**listening, "log_level": "0"})
    wait_for(reported, 20, "the error was not reported", every=0)
    with pytest.raises(KafkaException):
        client.list_topics(timeout=1)
