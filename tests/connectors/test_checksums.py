"""The digest of a record's bytes."""

from __future__ import annotations

from connectors.checksums import digest


def test_the_digest_tells_a_tombstone_from_an_empty_value() -> None:
    assert digest(None) == 0
    assert digest(None) != digest(b"")
