"""Options of a Kafka cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from connectors.options import Section, doc


class Kafka(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Kafka cluster and how it is reached."""

    bootstrap_servers: Annotated[str, doc("Kafka brokers, host:port, comma separated.")]
    security: Annotated[
        Literal["plaintext", "tls", "scram", "msk_iam"],
        doc("plaintext is for 127.0.0.1; scram is SASL_SSL with a password; msk_iam is for MSK."),
    ] = "plaintext"
    allow_plaintext: Annotated[
        bool, doc("Allow plaintext to brokers beyond 127.0.0.1: anyone on the way can read.")
    ] = False
    ca_file: Annotated[
        str, doc("PEM certificates to trust instead of Java's own; for tls and scram.")
    ] = ""
    scram_mechanism: Annotated[
        Literal["SCRAM-SHA-512", "SCRAM-SHA-256"], doc("What the brokers speak; for scram.")
    ] = "SCRAM-SHA-512"
    username: Annotated[str, doc("For scram.")] = ""
    password: Annotated[
        str, doc("For scram; give ${env:NAME} or ${file:/path}, never the text itself.")
    ] = ""
