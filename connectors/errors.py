"""The mistakes a user can make and mend; everything else is a fault of ours and shows its trace."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what the user gave us: the message says what, where, the value and what to do.

    The command line prints the message alone and exits with 2.
    """
