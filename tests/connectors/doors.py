"""A small HTTP server on the loopback interface that judges requests as AWS's front door does."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

GOOD = b'{"errors":false,"items":[{"index":{"status":201}}]}'


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came over the wire; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Judge = Callable[[Request], str | None]
"""Why a request is refused with 403; None when it is let in and answered with GOOD."""


@contextmanager
def door(judge: Judge, *, certificate: tuple[str, str] | None = None) -> Iterator[int]:
    """Serves on a free loopback port, given; with (certificate, key) files over TLS."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            refusal = judge(Request(self.command, self.path, headers, body))
            answer = GOOD if refusal is None else b'{"message":"%b"}' % refusal.encode()
            self.send_response(200 if refusal is None else 403)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def signature_error(request: Request, credentials: Credentials, region: str, service: str) -> str:
    """What AWS would find wrong with the signature; "" when it is right."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    fields = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    if scheme != "AWS4-HMAC-SHA256":
        return "not signed"
    stamp, signed = request.headers["x-amz-date"], fields["SignedHeaders"].split(";")
    scope = f"{credentials.access_key}/{stamp[:8]}/{region}/{service}/aws4_request"
    if fields["Credential"] != scope:
        return "another key, region or service"
    if hashlib.sha256(request.body).hexdigest() != request.headers["x-amz-content-sha256"]:
        return "another body than the signed one"
    if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(signed):
        return "a header that must be signed is not"
    if credentials.token and request.headers.get("x-amz-security-token") != credentials.token:
        return "no session token"
    right = fields["Signature"] == _signature(request, signed, credentials, region, service)
    return "" if right else "wrong signature"


def _signature(
    request: Request, signed: list[str], credentials: Credentials, region: str, service: str
) -> str:
    url = f"http://{request.headers['host']}{request.target}"
    headers = {name: request.headers[name] for name in signed}
    made = AWSRequest(method=request.method, url=url, headers=headers, data=request.body)
    made.context["timestamp"] = request.headers["x-amz-date"]
    auth = SigV4Auth(credentials, service, region)
    text = auth.string_to_sign(made, auth.canonical_request(made))
    return str(auth.signature(text, made))
