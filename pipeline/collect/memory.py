"""Memory of a process that closes buckets: much for a second, and then little for long."""

from __future__ import annotations

import ctypes
from contextlib import suppress

import pyarrow as pa


def use_system_allocator() -> None:
    """Take Arrow's memory from the system's allocator, which gives it all back when asked."""
    pa.set_memory_pool(pa.system_memory_pool())


def release() -> None:
    """Give freed memory back to the system."""
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
