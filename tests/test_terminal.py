"""Nothing that came from outside commands the terminal."""

from __future__ import annotations

import pytest

from pipeline.terminal import printable, table


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


def test_columns_are_aligned_by_what_they_take_on_the_terminal() -> None:
    rows = [("東京", "1"), ("café", "1,000")]
    assert table(("name", "number"), rows, 20) == ["name  number", "東京       1", "café   1,000"]


def test_a_table_that_is_too_wide_becomes_blocks() -> None:
    rows = [("decode", "5", ""), ("index", "", "7")]
    assert table(("step", "in", "rejected"), rows, 19) == [
        *("decode", "  in        5"),
        *("index", "  rejected  7"),
    ]
