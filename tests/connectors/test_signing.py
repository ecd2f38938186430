"""Who we are to the index: AWS signatures with expiring credentials, passwords, and TLS.

A real server over real sockets recomputes each signature from what arrived.
"""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from botocore.credentials import Credentials, RefreshableCredentials

from connectors.errors import UserError
from connectors.opensearch.bulk import Document, Unreachable, encode, read_answer
from connectors.opensearch.client import bulk_sender
from connectors.opensearch.options import Index
from tests.connectors.doors import Request, door, signature_error

REGION = "eu-west-1"
BODY = encode(Document("trip", "é 1", 1, b'{"n":1}'))
KEY = Credentials("AKIDEXAMPLE", "secret", "token")


def signed(port: int, service: Literal["es", "aoss"] = "es", compress: bool = False) -> Index:
    url = f"http://127.0.0.1:{port}"
    return Index(url=url, auth="sigv4", region=REGION, service=service, compress=compress)


@pytest.mark.parametrize("service", ["es", "aoss"])
@pytest.mark.parametrize("compress", [False, True])
def test_signatures_are_right(service: Literal["es", "aoss"], compress: bool) -> None:
    def judge(request: Request) -> str | None:
        assert (request.headers.get("content-encoding") == "gzip") is compress
        return signature_error(request, KEY, REGION, service) or None

    with door(judge) as port:
        send = bulk_sender(signed(port, service, compress=compress), credentials=KEY)
        assert [send(BODY).status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(
    ("key", "region", "service"),
    [
        (Credentials("AKIDEXAMPLE", "wrong", "token"), REGION, "es"),
        (Credentials("OTHER", "secret", "token"), REGION, "es"),
        (Credentials("AKIDEXAMPLE", "secret", "old token"), REGION, "es"),
        (KEY, "us-east-1", "es"),
        (KEY, REGION, "aoss"),
    ],
)
def test_the_door_refuses_wrong_ones_and_they_are_tried_again(
    key: Credentials, region: str, service: str
) -> None:
    with door(lambda request: signature_error(request, KEY, region, service) or None) as port:
        answer = bulk_sender(signed(port), credentials=key)(BODY)
    assert answer.status == 403
    verdict = read_answer(answer, 1)
    assert "403" in str(verdict) and "Retry" in str(verdict)


def test_expired_credentials_are_renewed_before_the_next_request() -> None:
    """A role's keys last hours: time moves on between requests; only the newest key is let in."""
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    issued: list[Credentials] = []

    def issue() -> dict[str, str]:
        number = len(issued)
        issued.append(Credentials(f"KEY{number}", f"secret{number}", f"token{number}"))
        return {
            "access_key": issued[-1].access_key,
            "secret_key": issued[-1].secret_key,
            "token": issued[-1].token,
            "expiry_time": (now[0] + timedelta(hours=1)).isoformat(),
        }

    first = issue()
    role = RefreshableCredentials(
        first["access_key"],
        first["secret_key"],
        first["token"],
        datetime.fromisoformat(first["expiry_time"]),
        issue,
        "test",
        time_fetcher=lambda: now[0],
    )
    with door(lambda request: signature_error(request, issued[-1], REGION, "es") or None) as port:
        send = bulk_sender(signed(port), credentials=role)
        for hours in (0, 2, 2, 2):
            now[0] += timedelta(hours=hours)
            assert send(BODY).status == 200
    assert len(issued) == 4


def test_no_credentials_anywhere_is_the_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UserError, match="AWS_ACCESS_KEY_ID"):
        bulk_sender(signed(1))


def test_the_password_is_sent_as_basic_authorization() -> None:
    expected = "Basic " + base64.b64encode("me:pa:ss é€".encode()).decode()

    def judge(request: Request) -> str | None:
        return None if request.headers["authorization"] == expected else "wrong password"

    with door(judge) as port:
        url = f"http://127.0.0.1:{port}"
        settings = Index(url=url, auth="basic", username="me", password="pa:ss é€")
        assert bulk_sender(settings)(BODY).status == 200


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for 127.0.0.1, signed by nobody else, and its key."""
    folder: Path = tmp_path_factory.mktemp("tls")
    files = (str(folder / "certificate.pem"), str(folder / "key.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=index", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-out", files[0], "-keyout", files[1]],
        check=True,
        capture_output=True,
    )
    return files


def test_an_unknown_certificate_is_never_accepted(certificate: tuple[str, str]) -> None:
    with door(lambda _: None, certificate=certificate) as port:
        send = bulk_sender(Index(url=f"https://127.0.0.1:{port}"))
        with pytest.raises(Unreachable, match="TLS failed"):
            send(BODY)


def test_a_private_authority_is_accepted_through_its_file(certificate: tuple[str, str]) -> None:
    with door(lambda _: None, certificate=certificate) as port:
        known = Index(url=f"https://127.0.0.1:{port}", ca_file=certificate[0])
        assert bulk_sender(known)(BODY).status == 200
        other_name = Index(url=f"https://localhost:{port}", ca_file=certificate[0])
        with pytest.raises(Unreachable, match="TLS failed"):
            bulk_sender(other_name)(BODY)
