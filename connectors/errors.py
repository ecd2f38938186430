"""Errors that are reported in one message; everything else is a bug and shows its traceback."""

from __future__ import annotations


class UserError(Exception):
    """The user, or whoever runs an outside system, can fix this.

    The message says what is wrong, where, the value, what is allowed and what to do. The command
    line prints the message alone and exits with 2. Clients of outside systems raise it, too,
    instead of their libraries' own exceptions, which stay its `__cause__`.
    """


class JobFailed(Exception):
    """A job ended by itself, or its savepoint failed; the message is Flink's root cause.

    The command line prints the message alone and exits with 1.
    """
