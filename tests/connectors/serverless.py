"""The real OpenSearch behind a front that lets through only what OpenSearch Serverless documents.

AWS's page "Supported operations and plugins in Amazon OpenSearch Serverless" lists the operations,
"Using PIT with Amazon OpenSearch Serverless" those of points in time.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_NAME = "/[a-z0-9][^/_]*[^/]*"
SUPPORTED = re.compile(
    rf"(PUT|GET|HEAD|DELETE) {_NAME}"
    rf"|GET {_NAME}/_(mapping|settings|count|search|mget)"
    rf"|PUT {_NAME}/_mapping"
    r"|POST /_(bulk|search)"
    r"|(GET|PUT|HEAD|DELETE) /_index_template(/[^/]+)?"
    rf"|POST {_NAME}/_search/point_in_time"
    r"|DELETE /_search/point_in_time"
)
NO_IDS = "Document ID is not supported in create/index operation request"


@contextmanager
def serverless(url: str, *, ids: bool = True) -> Iterator[tuple[str, list[str]]]:
    """Serve on a free loopback port; yield its URL and the list of refused requests.

    Without `ids` each `_bulk` item is answered as by time-series and vector search collections.
    """
    refused: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.partition("?")[0]
            request = f"{self.command} {path}"
            if not SUPPORTED.fullmatch(request) or "scroll=" in self.path:
                refused.append(request)
                self._answer(404, b"{}")
            elif path == "/_bulk" and not ids:
                self._answer(200, _without_ids(body))
            else:
                self._answer(*self._forward(body))

        do_GET = do_PUT = do_DELETE = do_HEAD = do_POST

        def _forward(self, body: bytes) -> tuple[int, bytes]:
            headers = {"content-type": self.headers.get("content-type") or "application/json"}
            request = urllib.request.Request(
                url + self.path, body or None, headers, method=self.command
            )
            try:
                with urllib.request.urlopen(request) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", refused
        finally:
            server.shutdown()
            thread.join()


def _without_ids(body: bytes) -> bytes:
    error = {"type": "illegal_argument_exception", "reason": NO_IDS}
    items = [{"index": {"status": 400, "error": error}} for _ in body.splitlines()[::2]]
    return json.dumps({"took": 0, "errors": True, "items": items}).encode()
