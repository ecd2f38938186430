"""The real S3 server behind a proxy on 127.0.0.1 that answers one request as AWS does.

versitygw 1.8.0 answers 200 to CompleteMultipartUpload of an upload that was aborted, if the key has
any object (findings/versitygw_completes_aborted_upload.sh). AWS and this proxy answer NoSuchUpload.
The proxy also refuses requests as AWS does when it is overloaded, and tells when an upload begins.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.exceptions import ClientError

from connectors.s3.client import s3_client
from dev.servers.stack import Stack

NO_SUCH_UPLOAD = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchUpload</Code><Message>The specified upload does not exist.</Message></Error>"""
SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""

_HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}

_XML = [("Content-Type", "application/xml")]

Upload = dict[str, str]
"""An upload as boto3's parameters: Bucket, Key, UploadId."""


def _no(_: str) -> bool:
    return False


class HonestS3:
    """The proxy, for the length of a `with`.

    `client` is a boto3 client of the real server.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.before: Callable[[Upload], object] = bool
        self.loses: Callable[[Upload], bool] = lambda _: False
        self.begins: Callable[[str], object] = bool
        self.refuses: Callable[[str], bool] = _no
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
        begins: Callable[[str], object] = bool,
        refuses: Callable[[str], bool] = _no,
    ) -> Iterator[None]:
        """Call `before` ahead of each CompleteMultipartUpload; close the connection instead of
        answering it where `loses` says so.

        Call `begins` with the key ahead of each CreateMultipartUpload; answer 503 to any request
        whose key `refuses` picks out.
        """
        self.before, self.loses, self.begins, self.refuses = before, loses, begins, refuses
        try:
            yield
        finally:
            self.before, self.loses = bool, lambda _: False
            self.begins, self.refuses = bool, _no

    def knows(self, upload: Upload) -> bool:
        """Return whether the real server has the upload; it is honest when it lists parts."""
        try:
            self.client.list_parts(**upload)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchUpload", error
            return False
        return True


@contextmanager
def before_buckets(stack: Stack, *buckets: str) -> Iterator[HonestS3]:
    """Let the TaskManager reach some buckets through the proxy, by S3A's settings of a bucket."""
    with HonestS3(s3_client(stack.environment())) as made:
        conf = Path(stack.environment()["FLINK_CONF_DIR"], "config.yaml")
        with conf.open("a") as file:
            file.writelines(f"fs.s3a.bucket.{name}.endpoint: {made.url}\n" for name in buckets)
        stack.restart_task_manager(1, print)
        yield made


def _handler(proxy: HonestS3) -> type[BaseHTTPRequestHandler]:
    real = urlsplit(proxy.client.meta.endpoint_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if proxy.refuses(self._place()[1]):
                return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, _XML, SLOW_DOWN)
            if self.command == "POST" and "uploads" in self._query():
                proxy.begins(self._place()[1])
            upload = self._completed_upload()
            if upload:
                proxy.before(upload)
                if not proxy.knows(upload):
                    return self._answer(HTTPStatus.NOT_FOUND, _XML, NO_SUCH_UPLOAD)
            status, headers, answer = self._passed_on(body)
            if upload and proxy.loses(upload):
                self.close_connection = True
                return None
            return self._answer(status, headers, answer)

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

        def _query(self) -> dict[str, list[str]]:
            return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

        def _place(self) -> tuple[str, str]:
            """Return bucket and key."""
            bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
            return bucket, key

        def _completed_upload(self) -> Upload | None:
            found = self._query().get("uploadId")
            if self.command != "POST" or not found:
                return None
            bucket, key = self._place()
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
