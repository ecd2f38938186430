"""Drive a headless Chromium by the DevTools protocol: load a page, read it, take its picture.

Its messages are JSON, each ended by a zero byte, over a pair of pipes: no port is opened.
The browser resolves no host name, so that a page can load nothing from a network.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

from connectors.errors import UserError
from dev.servers.chromium import Chromium

Scheme = Literal["light", "dark"]

PATIENCE_SECONDS: Final = 60.0
_READ_BYTES: Final = 1 << 20
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # It loads our own page only, and needs no privilege that way.
    "--disable-gpu",
    "--no-zygote",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-pings",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
_EXECUTE: Final = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_ENDED: Final = "the browser ended; its last lines: "


class Browser:
    """A browser that runs; `open` loads one page after the other."""

    def __init__(self, process: subprocess.Popen[bytes], to: int, answers: int, log: Path) -> None:
        self.pid = process.pid
        self._to, self._answers, self._log = to, answers, log
        self._buffer = b""
        self._calls = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        """What the browser reported of the page that is open, oldest first."""

    def open(self, path: Path, *, width: int, height: int = 900, scheme: Scheme = "light") -> None:
        """Load a file as a window of that size with that colour scheme shows it.

        Raises:
            UserError: the browser can't open the file, or ended.
            TimeoutError: it did not load in time.
        """
        if self._session is None:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
            self._session = str(attached["sessionId"])
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        self._size(width, height)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.events = []
        answer = self.call("Page.navigate", url=path.resolve().as_uri())
        if reason := answer.get("errorText"):
            raise UserError(f"{path}: the browser can't open it ({reason})")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive(deadline)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise ValueError(f"{expression}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def text(self) -> str:
        """Return the text that the page shows."""
        return str(self.evaluate("document.body.innerText"))

    def problems(self) -> list[str]:
        """Return what the page wrote to the console and what failed in it."""
        found = []
        for event in self.events:
            parameters = event.get("params", {})
            if event["method"] == "Runtime.consoleAPICalled":
                values = [str(value.get("value")) for value in parameters["args"]]
                found.append(f"console.{parameters['type']}: {' '.join(values)}")
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(f"exception: {parameters['exceptionDetails']['text']}")
            elif event["method"] == "Log.entryAdded":
                found.append(f"{parameters['entry']['level']}: {parameters['entry']['text']}")
        return found

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for, its own first."""
        sent = (event for event in self.events if event["method"] == "Network.requestWillBeSent")
        return [str(event["params"]["request"]["url"]) for event in sent]

    def picture(self, path: Path, *, width: int, above: str = "") -> None:
        """Write the page as PNG: all of it, or what is above the first element of a selector."""
        bottom = "document.documentElement.scrollHeight"
        if above:
            bottom = f"document.querySelector({json.dumps(above)}).getBoundingClientRect().top"
        height = int(self.evaluate(bottom))
        self._size(width, height)
        answer = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command of the protocol and return its result."""
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": parameters}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        try:
            os.write(self._to, json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise UserError(_ENDED + self._last_lines()) from None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (answer := self._receive(deadline)).get("id") != self._calls:
            continue
        if "error" in answer:
            raise ValueError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def _receive(self, deadline: float) -> dict[str, Any]:
        """Return the next message; keep it if it is an event."""
        while b"\0" not in self._buffer:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([self._answers], [], [], remaining)[0]:
                raise TimeoutError(f"the browser did not answer within {PATIENCE_SECONDS:g} s")
            received = os.read(self._answers, _READ_BYTES)
            if not received:
                raise UserError(_ENDED + self._last_lines())
            self._buffer += received
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message

    def _last_lines(self) -> str:
        return " / ".join(self._log.read_text("utf-8", "replace").splitlines()[-5:])


@contextmanager
def browser(chromium: Chromium) -> Iterator[Browser]:
    """Run a browser for the block; no process and no file of it remains."""
    with tempfile.TemporaryDirectory(prefix="streaming-etl-browser-") as folder:
        log = Path(folder) / "log"
        reads, to = _pipe()
        answers, writes = _pipe()
        process = _start(chromium, Path(folder), reads, writes)
        os.close(reads)
        os.close(writes)
        try:
            yield Browser(process, to, answers, log)
        finally:
            # It keeps nothing, so it need not be asked to end; its children are in its group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE_SECONDS)
            os.close(to)
            os.close(answers)


def _pipe() -> tuple[int, int]:
    """Return a pipe's ends, both of them above 4."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high[0], high[1]


def _start(chromium: Chromium, folder: Path, reads: int, writes: int) -> subprocess.Popen[bytes]:
    """Start the browser in a group of its own; it reads from file 3 and writes to file 4."""
    command = [str(chromium.program), *_FLAGS, f"--user-data-dir={folder / 'profile'}"]
    with (folder / "log").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-c", _EXECUTE, str(reads), str(writes), *command],
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **chromium.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(reads, writes),
            start_new_session=True,
        )
