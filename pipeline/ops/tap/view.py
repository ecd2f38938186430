"""Shows what a tap sees until there is enough, the time is over or Ctrl-C; notes go to stderr.

What is shown came from outside: no control character of it reaches the terminal.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from pipeline.terminal import printable

_STILL_WAITING_SECONDS: Final = 10.0
_LONGEST_LINE: Final = 300
T = TypeVar("T")


class Seen(NamedTuple):
    """One thing that a tap saw: fields for JSON; words, with the content below them, for people.

    A heading comes above the words. None of the texts need be printable.
    """

    fields: dict[str, Any]
    words: tuple[str, ...]
    content: str = ""
    heading: str = ""


class Tap(Protocol):
    """Follows a topic, a stream, a lake or an index. Methods raise UserError if it cannot be read.

    What arrives after it was made is seen, as far as its class does not say otherwise.
    """

    what: str
    """What is followed, such as `the topic trips (4 partitions) from its end`."""
    waits_for: str
    """What it waits for while nothing comes, such as `records`."""

    def earlier(self) -> Iterator[Seen]:
        """Yield what was there before, the newest first, if the tap shows that at all."""

    def poll(self) -> Iterable[Seen]:
        """Return what has come since the last call; wait a moment if there is nothing."""

    def looked_at(self) -> str:
        """Return how much was looked at, such as `57 records`."""

    def close(self) -> None:
        """Close its connections."""


@dataclass(slots=True)
class View:
    """Prints to stdout until `limit` things were shown; 0 means any number."""

    limit: int
    as_json: bool
    shown: int = 0

    @property
    def is_full(self) -> bool:
        """Whether enough was shown."""
        return 0 < self.limit <= self.shown

    def show(self, seen: Iterable[Seen]) -> bool:
        """Print at once what comes, as far as the limit allows; return whether it is reached."""
        if not self.is_full:
            for one in seen:
                self.shown += 1
                print("\n".join(self._lines(one)), flush=True)
                if self.is_full:
                    break
        return self.is_full

    def _lines(self, one: Seen) -> Iterator[str]:
        if self.as_json:
            yield _json(one.fields)
            return
        if one.heading:
            yield printable(one.heading)
        yield "  ".join(printable(word) for word in one.words if word)
        if one.content:
            head = printable(one.content[:_LONGEST_LINE])
            yield f"    {head}{' ...' if len(one.content) > _LONGEST_LINE else ''}"


def run(
    open_tap: Callable[[], Tap], *, limit: int, timeout_seconds: float | None, as_json: bool
) -> int:
    """Show what a tap sees; return the exit code: 1 if the time is over and nothing was shown.

    Once it says `following` on stderr, what comes is seen, as far as the tap's class does not say
    otherwise. Ctrl-C ends it, with 0.
    """
    view = View(limit, as_json)
    try:
        with closing(open_tap()) as tap:
            if not view.show(tap.earlier()):
                note(f"following {tap.what}; waiting for {tap.waits_for}")
                _follow(tap, view, timeout_seconds)
    except KeyboardInterrupt:
        note(f"ended by Ctrl-C; {view.shown} shown")
        return 0
    return int(view.shown == 0)


def _follow(tap: Tap, view: View, timeout_seconds: float | None) -> None:
    """Show what comes; say after ten seconds without, and then ever more rarely, that it waits."""
    started = silent_since = time.monotonic()
    patience, shown = _STILL_WAITING_SECONDS, view.shown
    while not view.show(tap.poll()):
        now = time.monotonic()
        seconds, looked_at = f"{now - started:.0f} s", f"looked at {tap.looked_at()}"
        if timeout_seconds is not None and now - started >= timeout_seconds:
            wanted = f" of {view.limit}" if view.limit else ""
            note(f"{view.shown}{wanted} shown in {seconds}; {looked_at} of {tap.what}")
            return
        if view.shown > shown:
            patience, shown, silent_since = _STILL_WAITING_SECONDS, view.shown, now
        elif now - silent_since >= patience:
            patience, silent_since = 2 * patience, now
            note(f"still waiting for {tap.waits_for} after {seconds}; {looked_at}")


def _json(fields: dict[str, Any]) -> str:
    """Return fields as JSON in ASCII without control characters; NaN and infinity are null."""
    # JSON's own escapes leave only this control character as it is.
    return json.dumps(_finite(fields), allow_nan=False).replace("\x7f", "\\u007f")


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: _finite(each) for key, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case _:
            return value


def note(line: str) -> None:
    """Print a line for the user beside what is shown."""
    print(printable(line), file=sys.stderr, flush=True)


def in_turn(groups: Iterable[Iterable[T]]) -> Iterator[T]:
    """Yield one of each group in turn, so that a limit does not cut off the later groups."""
    rest = list(map(iter, groups))
    while rest:
        for group in list(rest):
            try:
                yield next(group)
            except StopIteration:
                rest.remove(group)
