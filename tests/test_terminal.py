"""Nothing that came from outside commands the terminal."""

from __future__ import annotations

import pytest

from pipeline.terminal import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café 東京 🚕", "café 東京 🚕"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\r\nb\tc\0", "a\\r\\nb\\tc\\x00"),
        ("\x7f\x9b31m", "\\x7f\\x9b31m"),
        ("a\u202eb\u2066c\u200f", "a\\u202eb\\u2066c\\u200f"),
        ("\u2028\ufeff\U000e0001", "\\u2028\\ufeff\\U000e0001"),
        ("\udcff", "\\udcff"),
        ("C:\\new", "C:\\new"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown
    assert shown.isprintable()
