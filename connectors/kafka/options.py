"""Options of a Kafka cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from connectors.options import Brokers, OptionalLine, OptionalLocalPath, Section, doc


class Kafka(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Kafka cluster and how to connect to it."""

    bootstrap_servers: Annotated[Brokers, doc("Kafka brokers: host:port, comma separated.")]
    security: Annotated[
        Literal["plaintext", "tls", "scram", "msk_iam"],
        doc(
            "plaintext: no encryption, for 127.0.0.1. tls: TLS. scram: SASL_SSL with user and "
            "password. msk_iam: AWS IAM, for MSK."
        ),
    ] = "plaintext"
    allow_plaintext: Annotated[
        bool,
        doc(
            "Allow plaintext to brokers beyond 127.0.0.1. Anyone on the network can read the "
            "traffic."
        ),
    ] = False
    ca_file: Annotated[
        OptionalLocalPath,
        doc("For tls and scram: PEM file of CA certificates to trust instead of Java's."),
    ] = ""
    scram_mechanism: Annotated[
        Literal["SCRAM-SHA-512", "SCRAM-SHA-256"],
        doc("For scram: the mechanism that the brokers use."),
    ] = "SCRAM-SHA-512"
    username: Annotated[OptionalLine, doc("For scram.")] = ""
    password: Annotated[
        OptionalLine, doc("For scram. Use ${env:NAME} or ${file:/path}, never the password itself.")
    ] = ""


def host_of(server: str) -> str:
    """Return the host of `host:port`, of an IPv6 address without its brackets."""
    return server.strip().rpartition(":")[0].strip("[]")
