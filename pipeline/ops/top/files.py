"""How many files a job's sinks have made: their folders are listed, for Flink counts none."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from connectors.errors import UserError
from connectors.flink.rest import Job

_EVERY_SECONDS: Final = 15.0
_SHARE: Final = 10
"""A listing that takes a second is repeated after ten: a tenth of the time is spent on it."""


class Files(NamedTuple):
    """Files, and their bytes together."""

    number: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Made:
    """What is visible of a job since its start, by step; the sinks in `counted` have been listed.

    `problem` says why nothing is known; empty if something is.
    """

    counted: tuple[str, ...] = ()
    by_step: Mapping[str, Files] | None = None
    problem: str = ""

    def of(self, step: str) -> Files | None:
        """Return a step's files; None if it has none to count, or they are not known."""
        if step not in self.counted or self.by_step is None:
            return None
        return self.by_step.get(step, Files(0, 0))


class Counter:
    """Counts files beside everything else, again and again; `made` is the newest count."""

    def __init__(self, config: Path, environment: Mapping[str, str], job: Job) -> None:
        self.made = Made(problem="not counted yet")
        self._counted, self._closed = threading.Event(), threading.Event()
        self._arguments = (config, environment, job)
        threading.Thread(target=self._run, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait until files have been counted once, but not longer."""
        self._counted.wait(seconds)

    def close(self) -> None:
        """Do not count again; a listing that runs ends by itself."""
        self._closed.set()

    def _run(self) -> None:
        pause = 0.0
        while not self._closed.wait(pause):
            began = time.monotonic()
            try:
                self.made = count(*self._arguments)
            except UserError as error:
                self.made = Made(problem=str(error))
            self._counted.set()
            pause = max(_EVERY_SECONDS, _SHARE * (time.monotonic() - began))


def count(config: Path, environment: Mapping[str, str], job: Job) -> Made:
    """Count the files that were written since a job's start below its configuration's folders.

    Raises:
        UserError: the configuration is wrong or of another job, or a folder cannot be listed.
    """
    from connectors.s3.store import open_store
    from pipeline.config import load

    settings = load.load(config, environment)
    if settings.job.name != job.name:
        raise UserError(
            f"{config} is of the job {settings.job.name!r}; give this job's as --config."
        )
    sinks = (("archive", settings.archive), ("lake", settings.lake))
    folders = {name: sink.path for name, sink in sinks if sink and sink.path}
    if settings.dead_letters and settings.dead_letters.path:
        folders["dead_letters"] = settings.dead_letters.path
    numbers: dict[str, Files] = defaultdict(lambda: Files(0, 0))
    since = job.started_ms // 1000 * 1000  # S3 tells whole seconds
    for sink, folder in folders.items():
        for stored in open_store(folder, environment).listing():
            if (stored.modified_ms or 0) >= since:
                number, size = numbers[sink]
                numbers[sink] = Files(number + 1, size + stored.size)
    return Made(tuple(folders), numbers)


def all_of(made: Made, steps: Mapping[str, object]) -> Iterator[tuple[str, Files]]:
    """Yield every step that makes files, and its files."""
    for step in steps:
        if (files := made.of(step)) is not None:
            yield step, files
