"""Errors that are reported in one message; everything else is a bug and shows its traceback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

_LONGEST: Final = 4000


class UserError(Exception):
    """The user, or whoever runs an outside system, can fix this.

    The message says what is wrong, where, the value, what is allowed and what to do. The command
    line prints the message alone and exits with 2. Clients of outside systems raise it, too,
    instead of their libraries' own exceptions, which stay its `__cause__`.
    """


class UserErrors(UserError):
    """Several mistakes that the user can fix at once: a line for each of the first ones.

    Those that make the message longer than `longest` are only counted.
    """

    def __init__(self, messages: Sequence[str], longest: int = _LONGEST) -> None:
        self.messages = tuple(messages)
        lines = [f"{len(messages):,} problems:"]
        for message in messages:
            if len(lines) > 1 and sum(map(len, lines)) + len(message) > longest:
                break
            lines.append(f"- {message}")
        if more := len(messages) - len(lines) + 1:
            lines.append(f"- and {more:,} more")
        super().__init__("\n".join(lines))


class Mistakes:
    """Collects the mistakes of parts that can be checked one by one."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def add(self, error: UserError) -> None:
        """Add one mistake, or several."""
        self.messages += error.messages if isinstance(error, UserErrors) else [str(error)]

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Add the mistakes of a part in place of raising them."""
        try:
            yield
        except UserError as error:
            self.add(error)

    def report(self) -> None:
        """Raise UserError if there are any: the message of the only one, or all of them."""
        if len(self.messages) == 1:
            raise UserError(self.messages[0])
        if self.messages:
            raise UserErrors(self.messages)


class JobFailed(Exception):
    """A job ended by itself, or its savepoint failed; the message is Flink's root cause.

    The command line prints the message alone and exits with 1.
    """
