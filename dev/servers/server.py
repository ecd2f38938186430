"""What a local server is to those who start it, and how it is asked whether it is ready."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from connectors.errors import UserError

PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server: how to start it and how to see that it is ready.

    `prepare` makes its folders and files, once before each start. `is_ready` asks the server
    itself, waits no longer than a few seconds and raises nothing. `port` is the one it must hold
    itself to count as ready: another server on that port may answer just as well. `patience` is how
    many seconds a start may take.
    """

    name: str
    command: tuple[str, ...]
    port: int
    url: str
    is_ready: Callable[[], bool]
    prepare: Callable[[], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    patience: float = 120.0


def fetch(url: str) -> bytes | None:
    """The body of a GET, or None when the server is not there or not ready yet."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as response:
            return bytes(response.read())
    except (OSError, HTTPException):
        return None


def answers(url: str) -> bool:
    """Whether anything that speaks HTTP answers, be it with a refusal."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, HTTPException):
        return False


def java() -> str:
    """The JVM's path; a UserError where there is none."""
    java = shutil.which("java")
    if java is None:
        raise UserError("java was not found on PATH: apt install openjdk-17-jdk-headless")
    return java


def class_path(jars: Path) -> str:
    """Every jar of a folder, as `java -cp` takes it."""
    if not jars.is_dir():
        raise UserError(f"{jars} is not there: run streaming-etl setup first")
    return f"{jars}/*"
