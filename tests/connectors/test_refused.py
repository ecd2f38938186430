"""A refusal for want of permission says what to do, whatever form AWS gives it."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from connectors import aws
from connectors.errors import UserError
from connectors.opensearch.client import client, reported
from connectors.opensearch.options import Index


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("403", "access denied to HeadObject; give the credentials this permission"),
        ("AccessDenied", "access denied to HeadObject; give the credentials this permission"),
        ("AccessDeniedException", "or use those of the resource's account"),
        ("ExpiredToken", "the credentials are wrong or expired; renew them"),
        ("SignatureDoesNotMatch", "the credentials are wrong or expired; renew them"),
        ("RequestTimeTooSkewed", "set this machine's clock"),
    ],
)
def test_a_refused_request_says_what_to_do(code: str, remedy: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "Forbidden" * 1000}}, "HeadObject")
    with pytest.raises(UserError, match="cannot look: ") as raised, aws.reported("look"):
        raise error
    assert code in str(raised.value) and remedy in str(raised.value)
    assert len(str(raised.value)) < 800


def test_other_errors_keep_their_text() -> None:
    missing = ClientError({"Error": {"Code": "NoSuchKey", "Message": "none"}}, "GetObject")
    assert aws.explain(missing) == "NoSuchKey: none"
    assert aws.explain(NoCredentialsError()) == "Unable to locate credentials"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"Message": "User: x is not authorized"}', "403 refused: User: x is not authorized"),
        (b'{"message": "The token is expired"}', "403 refused: The token is expired"),
        (b"<html>no</html>", "403 refused: no reason given"),
        (
            b'{"error": {"type": "security_exception", "reason": "no permissions"}}',
            "403 security_exception: no permissions",
        ),
    ],
)
def test_an_index_s_refusal_in_aws_s_form_is_readable(body: bytes, reason: str) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        index = client(Index(url=f"http://127.0.0.1:{server.server_port}"))
        with pytest.raises(UserError) as raised, reported("look at the index"):
            index.indices.get(index="trip")
        server.shutdown()
    assert f"cannot look at the index: {reason}; check index.auth" in str(raised.value)


@pytest.mark.parametrize(("content", "why"), [(None, "cannot be read"), (b"x", "no certificate")])
def test_a_wrong_ca_file_of_the_index_is_reported(
    content: bytes | None, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_bytes(content)
    with pytest.raises(UserError, match=f"index.ca_file: .*{why}"):
        client(Index(url="https://127.0.0.1:1", ca_file=str(file)))
