"""`python -m dev.bench.slow_index`: the effect of a slow OpenSearch on the lake.

The job with lake and index drains one topic three times: with the real node behind a proxy on
127.0.0.1 that delays each bulk request, with the same proxy without delay, and without an index.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from dev.bench.contenders import Bench, Contender, Figures, configured, servers
from dev.bench.run import run_contender
from dev.bench.topic import Topic, fill

_OWN = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Forwarder(BaseHTTPRequestHandler):
    """Forwards each request to the node; before a bulk request it calls `wait`."""

    protocol_version = "HTTP/1.1"

    def __init__(self, node: str, wait: Callable[[], object], *rest: Any) -> None:
        self._node, self._wait = node, wait
        super().__init__(*rest)

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if urlsplit(self.path).path.endswith("/_bulk"):
            self._wait()
        connection = http.client.HTTPConnection(self._node, timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            self._answer(answer, answer.read())
        finally:
            connection.close()

    def _answer(self, answer: http.client.HTTPResponse, body: bytes) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward

    def log_message(self, *words: Any) -> None:
        """Log nothing."""


@contextmanager
def slowed(url: str, wait: Callable[[], object]) -> Iterator[str]:
    """Start a proxy that calls `wait` before each bulk request; return its address."""
    handler = partial(Forwarder, urlsplit(url).netloc, wait)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def ours(**sections: dict[str, Any]) -> Any:
    """Return our job with a lake and other sections as a contender."""

    def run(bench: Bench, topic: Topic, output: Path) -> Figures:
        return configured(bench, topic, output, bench.config(topic.name, output, **sections))

    return run


def main(
    events: Annotated[int, typer.Option(help="Records in the topic.", min=10_000)] = 200_000,
    delay: Annotated[int, typer.Option(help="Of each bulk request, in ms.", min=0)] = 200,
) -> None:
    """Measure. Example: python -m dev.bench.slow_index --delay 200"""
    speeds = {}
    with servers("kafka", "opensearch") as (bench, stack):
        url = stack.environment()["OPENSEARCH_URL"]
        topic = fill(bench.servers, "indexed", events)
        for number, wait in enumerate((delay, 0)):
            with slowed(url, partial(time.sleep, wait / 1000)) as slow:
                run = ours(index={"url": slow, "prefix": f"d{wait}-"})
                run = run_contender(bench, Contender(f"index-{wait}-ms", "", run), topic, number)
            typer.echo(run.line())
            speeds[f"{wait} ms a bulk"] = round(run.events_per_second)
        run = run_contender(bench, Contender("without-index", "", ours()), topic, 2)
        speeds["without an index"] = round(run.events_per_second)
    typer.echo(json.dumps({"events": events, "events_per_second": speeds}))


if __name__ == "__main__":
    typer.run(main)
