"""What a shared library needs of the C and C++ libraries of the machine that loads it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

MANYLINUX2014 = {
    "GLIBC": (2, 17), "GLIBCXX": (3, 4, 19), "CXXABI": (1, 3, 7), "GCC": (4, 8, 0),
}  # fmt: skip
"""The newest versions of symbols that PEP 599 allows; others are of other libraries."""
_X86_64 = 62
_VERSION_NEEDS = 0x6FFFFFFE
"""The type of the section .gnu.version_r."""


def beyond_manylinux2014(versions: Iterable[str]) -> set[str]:
    """Return those that a platform of manylinux2014 may not have.

    >>> beyond_manylinux2014(["GLIBC_2.2.5", "GLIBC_2.28", "GLIBCXX_3.4", "OPENSSL_3.0.0"])
    {'GLIBC_2.28'}
    """
    return {version for version in versions if _is_beyond(*version.rpartition("_")[::2])}


def is_x86_64(elf: bytes) -> bool:
    """Whether it is a 64-bit little-endian ELF file for x86_64."""
    return elf[:6] == b"\x7fELF\x02\x01" and struct.unpack_from("<H", elf, 18)[0] == _X86_64


def needed_versions(elf: bytes) -> Iterator[str]:
    """Yield the versions of symbols that a 64-bit little-endian ELF file needs (.gnu.version_r).

    Each entry of the section is one library, followed by its versions; offsets are from the entry.
    A library that needs nothing of others has no such section.
    """
    assert is_x86_64(elf), "no ELF file for x86_64"
    sections, size, count = (
        struct.unpack_from("<Q", elf, 0x28)[0],
        *struct.unpack_from("<HH", elf, 0x3A),
    )
    headers = [struct.unpack_from("<IIQQQQII", elf, sections + n * size) for n in range(count)]
    for needs in headers:
        if needs[1] == _VERSION_NEEDS:
            yield from _versions(elf, names=headers[needs[6]][4], entry=needs[4], count=needs[7])


def _versions(elf: bytes, *, names: int, entry: int, count: int) -> Iterator[str]:
    for _ in range(count):
        _, versions, _, first, following = struct.unpack_from("<HHIII", elf, entry)
        version = entry + first
        for _ in range(versions):
            _, _, _, name, step = struct.unpack_from("<IHHII", elf, version)
            yield elf[names + name : elf.index(b"\0", names + name)].decode()
            version += step
        entry += following


def _is_beyond(library: str, version: str) -> bool:
    newest = MANYLINUX2014.get(library)
    return newest is not None and tuple(map(int, version.split("."))) > newest
