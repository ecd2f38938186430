"""Connection settings of a Kafka cluster, for Flink's Java client and for librdkafka."""

from __future__ import annotations

from typing import Any

from connectors.kafka import msk
from connectors.kafka.options import Kafka
from connectors.text_files import read_certificates

_PROTOCOLS = {"plaintext": "PLAINTEXT", "tls": "SSL", "scram": "SASL_SSL", "msk_iam": "SASL_SSL"}
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_IAM = "software.amazon.msk.auth.iam"


def flink_properties(cluster: Kafka) -> dict[str, str]:
    """Return the table options of Flink's Kafka connector.

    Certificates are part of the job, as PEM text, so that no TaskManager needs the file.
    """
    properties = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "security.protocol": _PROTOCOLS[cluster.security],
    }
    if cluster.security != "plaintext":
        properties["ssl.endpoint.identification.algorithm"] = "https"
    if cluster.ca_file:
        properties["ssl.truststore.type"] = "PEM"
        properties["ssl.truststore.certificates"] = read_certificates(
            cluster.ca_file, "kafka.ca_file"
        )
    if cluster.security == "scram":
        properties["sasl.mechanism"] = cluster.scram_mechanism
        properties["sasl.jaas.config"] = (
            f"{_SCRAM} required username={_quoted(cluster.username)}"
            f" password={_quoted(cluster.password)};"
        )
    if cluster.security == "msk_iam":
        msk.region_of(cluster)  # Raises if Flink's client would sign for another region.
        properties["sasl.mechanism"] = "AWS_MSK_IAM"
        properties["sasl.jaas.config"] = f"{_IAM}.IAMLoginModule required;"
        properties["sasl.client.callback.handler.class"] = f"{_IAM}.IAMClientCallbackHandler"
    return {f"properties.{name}": value for name, value in properties.items()}


def librdkafka_options(cluster: Kafka) -> dict[str, Any]:
    """Return the same settings for `confluent_kafka`."""
    options: dict[str, Any] = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "security.protocol": _PROTOCOLS[cluster.security],
        "log_level": 0,
    }
    if cluster.ca_file:
        read_certificates(cluster.ca_file, "kafka.ca_file")
        options["ssl.ca.location"] = cluster.ca_file
    if cluster.security == "scram":
        options["sasl.mechanisms"] = cluster.scram_mechanism
        options["sasl.username"] = cluster.username
        options["sasl.password"] = cluster.password
    if cluster.security == "msk_iam":
        options["sasl.mechanisms"] = "OAUTHBEARER"
        region = msk.region_of(cluster)
        options["oauth_cb"] = lambda _: _iam_token(region)
    return options


def _quoted(text: str) -> str:
    """Quote a string for JAAS."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _iam_token(region: str) -> tuple[str, float]:
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider

    token, expires_millis = MSKAuthTokenProvider.generate_auth_token(region)
    return token, expires_millis / 1000
