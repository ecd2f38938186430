"""Holds the metrics that Flink's processes push and gives them back to whoever asks.

Flink 1.20's pull reporter for Prometheus listens on every address and has no option against it (its
PrometheusReporter opens `new InetSocketAddress(port)`). Its push reporter does not listen at all:
it sends the same text to this server. `GET /metrics/job/<name>` returns what that process last
pushed, `GET /metrics` what `dev.servers.exposition` makes of all processes, which Prometheus reads.

    python -m dev.servers.metrics_server PORT [ADDRESS]

It listens on 127.0.0.1 unless another address is given, as in a container.
"""

from __future__ import annotations

import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from dev.servers import exposition
from dev.servers.server import Server, answers

PREFIX = "/metrics/job/"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LARGEST_BODY = 16 * 1024 * 1024
# Flink pushes every two seconds; a process that has not for this long is gone or unreachable.
SILENT_SECONDS = 30.0

_pushed: dict[str, tuple[float, bytes]] = {}
"""When and what each process pushed last, by path."""


class Handler(BaseHTTPRequestHandler):
    """PUT and POST replace what a path holds, GET returns it, DELETE forgets it.

    GET /metrics translates all of them together, GET / lists the paths.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """One process's metrics in Prometheus' text format, those of all, or the list."""
        if self.path == "/":
            self.answer(HTTPStatus.OK, "\n".join(sorted(_pushed)).encode())
        elif self.path == "/metrics":
            self.answer(HTTPStatus.OK, exposition.translate(recent(time.monotonic())))
        elif self.path in _pushed:
            self.answer(HTTPStatus.OK, _pushed[self.path][1])
        else:
            self.answer(HTTPStatus.NOT_FOUND, b"nothing was pushed to this path\n")

    def do_PUT(self) -> None:
        """Replace a process's metrics."""
        length = int(self.headers.get("Content-Length") or 0)
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if not self.path.startswith(PREFIX) or length > LARGEST_BODY:
            self.close_connection = True
            self.answer(HTTPStatus.BAD_REQUEST, b"push to /metrics/job/<name>, 16 MiB at most\n")
            return
        body = self.read_chunks() if chunked else self.rfile.read(length)
        _pushed[self.path] = (time.monotonic(), body)
        self.answer(HTTPStatus.ACCEPTED, b"")

    do_POST = do_PUT

    def do_DELETE(self) -> None:
        """Forget a process that has shut down."""
        _pushed.pop(self.path, None)
        self.answer(HTTPStatus.ACCEPTED, b"")

    def read_chunks(self) -> bytes:
        """A chunked body: each chunk has its size in hexadecimal before it, 0 ends it."""
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            if len(body) + size > LARGEST_BODY:
                self.close_connection = True
                break
            body += self.rfile.read(size)
            self.rfile.readline()
        else:
            self.rfile.readline()
        return bytes(body)

    def answer(self, status: HTTPStatus, body: bytes) -> None:
        """Send a whole response."""
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: a push every few seconds is no news."""


def recent(now: float) -> list[str]:
    """Return what the processes that still push told last; `now` is a time of the same clock."""
    return [
        body.decode("utf-8", "replace")
        for at, body in list(_pushed.values())
        if now - at <= SILENT_SECONDS
    ]


def server(*, port: int) -> Server:
    """The metrics server as one of the stack's processes."""
    url = f"http://127.0.0.1:{port}"
    return Server(
        name="metrics",
        command=(sys.executable, "-m", __name__, str(port)),
        port=port,
        url=url,
        is_ready=lambda: answers(url),
        prepare=lambda: None,
        environment={"PYTHONPATH": str(Path(__file__).parents[2])},
        patience=30.0,
    )


def process_url(url: str, name: str) -> str:
    """Where one process's metrics can be read."""
    return f"{url}{PREFIX}{name}"


def main(port: int, address: str = "127.0.0.1") -> None:
    """Serve until ended by a signal."""
    ThreadingHTTPServer((address, port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:3])
