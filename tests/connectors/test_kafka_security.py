"""What is said to Flink's Kafka client and to librdkafka about one cluster."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.errors import UserError
from connectors.kafka.msk import region_of
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


def msk(*hosts: str) -> Kafka:
    return cluster(security="msk_iam", bootstrap_servers=",".join(f"{host}:9098" for host in hosts))


MSK = "b-1.demo.abc123.c2.kafka.us-west-2.amazonaws.com"
MISLEADING = "b-1.demo-us-west-1-app.abc123.c2.kafka.us-west-2.amazonaws.com"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        (MSK, "us-west-2"),
        ("boot-abc.c1.kafka-serverless.us-east-1.amazonaws.com", "us-east-1"),
        ("b-1.demo-us-west-2.abc123.c2.kafka.us-west-2.amazonaws.com", "us-west-2"),
        ("b-1.demo.abc123.c2.kafka.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("b-1.demo.abc123.c2.kafka.ap-southeast-5.amazonaws.com", "ap-southeast-5"),
        ("b-1.demo.abc123.c2.kafka.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("vpce-0123.kafka.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        ("kafka.internal", "sa-east-1"),
    ],
)
def test_the_region_is_that_of_the_endpoint_or_of_the_environment(host: str, region: str) -> None:
    assert region_of(msk(host), {"AWS_REGION": "sa-east-1"}) == region


def test_the_jar_signs_for_the_same_region(tmp_path: Path) -> None:
    probe = tmp_path / "Region.java"
    probe.write_text(
        "public class Region { public static void main(String[] hosts) { for (var host : hosts)"
        " System.out.println(software.amazon.msk.auth.iam.internals.utils.RegionUtils"
        ".extractRegionFromHost(host)); } }"
    )
    hosts = [MSK, "kafka.internal", MISLEADING]
    cache = setup(ROOT, say=print)
    shown = subprocess.run(
        ["java", "-cp", f"{cache.connectors_jar}:{cache.jars('kafka')}/*", str(probe), *hosts],
        env={"AWS_REGION": "sa-east-1", "PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = [region_of(msk(host), {"AWS_REGION": "sa-east-1"}) for host in hosts[:2]]
    assert shown.stdout.split() == [*ours, "us-west-1"], "the last one is why it is refused"


@pytest.mark.parametrize("build", [flink_properties, librdkafka_options])
def test_a_cluster_for_which_the_jar_would_sign_elsewhere_is_refused(
    build: Callable[[Kafka], object],
) -> None:
    with pytest.raises(UserError, match=r"is in us-west-2, but its name holds us-west-1"):
        build(msk(MSK, MISLEADING))


def test_a_domain_of_ones_own_needs_a_region() -> None:
    with pytest.raises(UserError, match=r"kafka\.internal.*set AWS_REGION"):
        region_of(msk("kafka.internal"), {})


def test_msk_iam_names_classes_that_the_jar_has() -> None:
    found = flink_properties(msk(MSK))
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
