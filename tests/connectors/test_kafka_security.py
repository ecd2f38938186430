"""What is said to Flink's Kafka client and to librdkafka about one cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from connectors.errors import UserError
from connectors.kafka.options import Kafka
from connectors.kafka.security import flink_properties, librdkafka_options
from dev.servers.setup import setup

ROOT = Path(__file__).parents[2]
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def cluster(**changed: str) -> Kafka:
    keys = {"bootstrap_servers": "broker.example:9096", **changed}
    return Kafka(**keys)  # type: ignore[arg-type]


def test_plaintext_says_so() -> None:
    assert flink_properties(cluster()) == {
        "properties.bootstrap.servers": "broker.example:9096",
        "properties.security.protocol": "PLAINTEXT",
    }


def test_tls_checks_the_host_name_and_carries_the_certificates_along(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(PEM)
    secure = cluster(security="tls", ca_file=str(tmp_path / "ca.pem"))
    found = flink_properties(secure)
    assert found["properties.security.protocol"] == "SSL"
    assert found["properties.ssl.endpoint.identification.algorithm"] == "https"
    assert found["properties.ssl.truststore.type"] == "PEM"
    assert found["properties.ssl.truststore.certificates"] == PEM
    assert librdkafka_options(secure)["ssl.ca.location"] == str(tmp_path / "ca.pem")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_is_none_is_told(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"ca.pem"):
        flink_properties(cluster(security="tls", ca_file=str(path)))


def test_scram_quotes_what_it_is_given() -> None:
    secure = cluster(security="scram", username="etl", password='a"b\\c;')
    found = flink_properties(secure)
    assert found["properties.security.protocol"] == "SASL_SSL"
    assert found["properties.sasl.mechanism"] == "SCRAM-SHA-512"
    assert found["properties.sasl.jaas.config"].endswith(
        r"""ScramLoginModule required username="etl" password="a\"b\\c;";"""
    )
    assert librdkafka_options(secure)["sasl.password"] == 'a"b\\c;'


def test_msk_iam_names_classes_that_the_jar_has() -> None:
    found = flink_properties(cluster(security="msk_iam"))
    assert found["properties.sasl.mechanism"] == "AWS_MSK_IAM"
    login = found["properties.sasl.jaas.config"].split()[0]
    handler = found["properties.sasl.client.callback.handler.class"]
    cache = setup(ROOT, say=print)
    kafka = next(cache.jars("kafka").glob("kafka-clients-*.jar"))
    jars = f"{cache.connectors_jar}:{kafka}"
    shown = subprocess.run(
        ["javap", "-cp", jars, login, handler], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert "LoginModule" in shown.stdout and "AuthenticateCallbackHandler" in shown.stdout
