"""Ctrl-C for a program that a test starts."""

from __future__ import annotations

from typing import Final

HEARS_CTRL_C: Final = ("env", "--default-signal=INT")
"""Put before a command. A shell's background job ignores Ctrl-C, and so would its children.

A `preexec_fn` would fork this process with the threads of gRPC in it, which then write their
errors to the program's stderr.
"""
