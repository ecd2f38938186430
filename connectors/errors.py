"""Errors that are reported in one message; everything else is a bug and shows its traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what the user gave us: the message says what, where, the value and what to do.

    The command line prints the message alone and exits with 2.
    """


class JobFailed(Exception):
    """A job ended by itself, or its savepoint failed; the message is Flink's root cause.

    The command line prints the message alone and exits with 1.
    """
