"""The real S3 server behind a proxy on 127.0.0.1 that answers one request as AWS does.

versitygw 1.8.0 answers 200 to CompleteMultipartUpload of an upload that was aborted, if the key has
any object (findings/versitygw_completes_aborted_upload.sh). AWS and this proxy answer NoSuchUpload.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.exceptions import ClientError

NO_SUCH_UPLOAD = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchUpload</Code><Message>The specified upload does not exist.</Message></Error>"""

_HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}

Upload = dict[str, str]
"""An upload as boto3's parameters: Bucket, Key, UploadId."""


class HonestS3:
    """The proxy, for the length of a `with`.

    `client` is a boto3 client of the real server.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.before: Callable[[Upload], object] = bool
        self.loses: Callable[[Upload], bool] = lambda _: False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HonestS3:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextmanager
    def hooks(
        self,
        *,
        before: Callable[[Upload], object] = bool,
        loses: Callable[[Upload], bool] = lambda _: False,
    ) -> Iterator[None]:
        """Call `before` ahead of each CompleteMultipartUpload; close the connection instead of
        answering it where `loses` says so."""
        self.before, self.loses = before, loses
        try:
            yield
        finally:
            self.before, self.loses = bool, lambda _: False

    def knows(self, upload: Upload) -> bool:
        """Return whether the real server has the upload; it is honest when it lists parts."""
        try:
            self.client.list_parts(**upload)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchUpload", error
            return False
        return True


def _handler(proxy: HonestS3) -> type[BaseHTTPRequestHandler]:
    real = urlsplit(proxy.client.meta.endpoint_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upload = self._completed_upload()
            if upload:
                proxy.before(upload)
                if not proxy.knows(upload):
                    headers = [("Content-Type", "application/xml")]
                    return self._answer(HTTPStatus.NOT_FOUND, headers, NO_SUCH_UPLOAD)
            status, headers, answer = self._passed_on(body)
            if upload and proxy.loses(upload):
                self.close_connection = True
                return None
            return self._answer(status, headers, answer)

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

        def _completed_upload(self) -> Upload | None:
            parts = urlsplit(self.path)
            found = parse_qs(parts.query).get("uploadId")
            if self.command != "POST" or not found:
                return None
            bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
            return {"Bucket": bucket, "Key": key, "UploadId": found[0]}

        def _passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            """Send the request as it is, Host included: it is signed."""
            server = HTTPConnection(str(real.hostname), real.port, timeout=30)
            server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    server.putheader(name, value)
            server.endheaders(body)
            response = server.getresponse()
            answer = response.read()
            server.close()
            return response.status, response.getheaders(), answer

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in {*_HOP_BY_HOP, "content-length"}:
                    self.send_header(name, value)
            length = {name.lower(): value for name, value in headers}.get("content-length")
            whole = length if self.command == "HEAD" and length else str(len(body))
            self.send_header("Content-Length", whole)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    return Handler
