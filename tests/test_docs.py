"""Pages that are written from the code are equal to it."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        found = (page.parent / target) if target else page
        assert found.exists(), target
        titles = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in [each.lower().replace(" ", "-") for each in titles]
