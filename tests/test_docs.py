"""Pages that are written from the code are equal to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import reference

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("dead-letters.md", reference.reasons_table()),
        ("metrics.md", reference.metrics_table()),
    ],
)
def test_the_table_is_in_the_page(page: str, table: str) -> None:
    assert table in (DOCS / page).read_text()
