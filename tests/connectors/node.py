"""An OpenSearch node of a test's own, which it may starve, stop and start again."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from dev.servers import process
from dev.servers.cache import ServerCache
from dev.servers.opensearch import server
from dev.servers.ports import is_free, unused

ROOT = Path(__file__).parents[2]
QUICK_START = "-XX:TieredStopAtLevel=1"  # less compiling: the node lives for seconds
_PORTS = range(9240, 9299)  # the runner refuses ports above 9299


class Node:
    """A single node in `folder` with further `settings` (lines of opensearch.yml)."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        http = next(port for port in _PORTS if is_free(port))
        self._folder = folder
        self._server = server(ServerCache(ROOT), folder=folder, http=http, transport=unused(1)[0])
        prepare = self._server.prepare
        self._server = replace(self._server, prepare=lambda: self._prepare(prepare, settings))
        self.url = self._server.url

    def _prepare(self, prepare: object, settings: dict[str, str]) -> None:
        assert callable(prepare)
        prepare()
        file = self._folder / "config" / "opensearch.yml"
        kept = [
            line
            for line in file.read_text("utf-8").splitlines()
            if line.partition(":")[0] not in settings
        ]
        added = [f"{name}: {value}" for name, value in settings.items()]
        file.write_text("\n".join([*kept, *added, ""]), "utf-8")

    def start(self) -> None:
        """Starts the node and waits until it is ready; AssertionError with its log if it is not."""
        self._server.prepare()
        log = self._folder / "node.log"
        self._started = process.start(
            self._server.command,
            environment={**self._server.environment, "JDK_JAVA_OPTIONS": QUICK_START},
            log=log,
            pid_file=self._folder / "node.pid",
        )
        deadline = time.monotonic() + self._server.patience
        while not self._server.is_ready():
            assert process.is_alive(self._started), process.log_tail(log)
            assert time.monotonic() < deadline, process.log_tail(log)
            time.sleep(0.2)

    def stop(self) -> None:
        """Stops exactly this node; harmless when it is not running."""
        process.stop(self._started, patience=30.0)
