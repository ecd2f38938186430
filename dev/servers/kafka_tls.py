"""The local broker's encrypted listener: a certificate and one user with a password, all throw-away
(SASL_SSL with SCRAM-SHA-512)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from connectors.errors import UserError

USERNAME = "etl"
PASSWORD = "local-secret"
MECHANISM = "SCRAM-SHA-512"
ALIAS = "broker"

CONFIGURATION = """\
sasl.enabled.mechanisms={mechanism}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PKCS12
ssl.keystore.location={keystore}
ssl.keystore.password={password}
"""


def configuration(folder: Path) -> str:
    """Return the lines of server.properties for this listener."""
    return CONFIGURATION.format(mechanism=MECHANISM, keystore=keystore(folder), password=PASSWORD)


def user() -> str:
    """Return the user as Kafka's StorageTool takes it when it formats the data folder."""
    return f"{MECHANISM}=[name={USERNAME},password={PASSWORD}]"


def environment(folder: Path, port: int) -> dict[str, str]:
    """Return what a client needs to connect to this listener."""
    return {
        "KAFKA_TLS_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "KAFKA_CA_FILE": str(ca_file(folder)),
        "KAFKA_USERNAME": USERNAME,
        "KAFKA_PASSWORD": PASSWORD,
    }


def keystore(folder: Path) -> Path:
    """Return the path of the broker's key and certificate."""
    return folder / "broker.p12"


def ca_file(folder: Path) -> Path:
    """Return the path of what clients trust: the self-signed certificate."""
    return folder / "ca.pem"


def make_certificate(folder: Path) -> None:
    """Make key and certificate unless they exist; ca.pem comes last, so its presence means both."""
    if ca_file(folder).exists():
        return
    keystore(folder).unlink(missing_ok=True)
    unfinished = folder / "ca.pem.unfinished"
    keytool(
        folder,
        *("-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-validity", "3650"),
        *("-dname", "CN=streaming-etl local Kafka", "-ext", "SAN=IP:127.0.0.1,DNS:localhost"),
    )
    keytool(folder, "-exportcert", "-rfc", "-file", str(unfinished))
    unfinished.replace(ca_file(folder))


def keytool(folder: Path, *arguments: str) -> None:
    """Run the JDK's keytool on the keystore; UserError with its output on failure."""
    program = shutil.which("keytool")
    if program is None:
        raise UserError("keytool was not found on PATH: apt install openjdk-17-jdk-headless")
    store = ("-alias", ALIAS, "-storetype", "PKCS12", "-storepass", PASSWORD)
    done = subprocess.run(
        [program, *arguments, *store, "-keystore", str(keystore(folder))],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UserError(f"keytool could not make a certificate:\n{done.stdout}{done.stderr}")
