"""Progress and reports for people: bars and tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_LINE_EVERY_SECONDS = 10.0


class Steps:
    """Shows the steps of one run, one after the other."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(text, highlight=False)

    @contextmanager
    def step(
        self, what: str, *, unit: str = "", total: int | None = None
    ) -> Iterator[Callable[[int], None]]:
        """Show a step that takes time; call the yielded function with the number done."""
        shown = self._bar if self.console.is_terminal else self._lines
        started = time.monotonic()
        with shown(what, unit, total) as update:
            yield update
        self.say(f"{what}: done in {time.monotonic() - started:.1f} s")

    @contextmanager
    def _bar(self, what: str, unit: str, total: int | None) -> Iterator[Callable[[int], None]]:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} {task.fields[unit]}" if unit else ""),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(what, total=total, unit=unit)
            yield lambda done: progress.update(task, completed=done)

    @contextmanager
    def _lines(self, what: str, unit: str, total: int | None) -> Iterator[Callable[[int], None]]:
        spoken = time.monotonic()

        def update(done: int) -> None:
            nonlocal spoken
            if time.monotonic() - spoken >= _LINE_EVERY_SECONDS:
                spoken = time.monotonic()
                self.say(f"{what}: {done:,} {f'of {total:,} ' if total else ''}{unit}")

        yield update
