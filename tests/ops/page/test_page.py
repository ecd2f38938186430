"""The HTML page: what it says, and that no text of a record can become markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from connectors.errors import UserError
from connectors.s3.store import Stored
from pipeline.ops.page.html import html, write
from pipeline.ops.page.style import DARK, LIGHT
from pipeline.ops.reconcile.inventory import inventory
from tests.ops.page.pages import REJECTS, outcome, page, step

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


class Seen(HTMLParser):
    """The text and tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def shown(**changed: Any) -> str:
    return Seen(html(page(**changed))).text


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    seen = Seen(html(page(with_course=True)))
    assert not seen.tags & {"script", "img", "link", "iframe", "object", "image", "use"}
    assert (seen.links, seen.handlers) == ([], [])
    assert "url(" not in re.sub(r"url\(#head-(wide|narrow)\)", "", html(page(with_course=True)))


def test_the_flow_has_a_count_on_every_arrow() -> None:
    text = shown()
    for count in ("208,490 records", "206,420 rows", "112,825 documents", "21,511 events"):
        assert count in text
    for refused in ("2,050 rejects", "1 of the index", "0 of replicas", "20 control events"):
        assert refused in text


def test_many_steps_of_a_kind_share_a_box() -> None:
    steps = [step("source", 900, {"control": 0, "pending": 0}), step("lake", 900)]
    steps += [step(f"index.type_{n}", 100) for n in range(9)]
    steps[-1]["missing"] = 3
    drawing = re.search(r"<svg.*?</svg>\s*<svg", html(page(steps=steps)), re.DOTALL)
    assert drawing
    text = Seen(drawing[0]).text
    assert "Index type_4" in text and "type_5" not in text
    assert "Index and 4 more" in text and "400 documents" in text and "3 missing" in text


def test_the_table_has_every_step_and_says_what_was_not_judged() -> None:
    table = shown().partition("of which, besides")[2]
    for row in outcome()["steps"]:
        assert row["step"] in table
    assert table.count("not judged") == 5


def test_a_problem_is_told_first() -> None:
    problem = "lake: 3 missing, trip events not in the lake: trips/0@5..7"
    finding = {
        "kind": "missing",
        "count": 3,
        "is_error": True,
        "meaning": "trip events not in the lake",
        "names": ["trips/0@5..7"],
    }
    changed = [*outcome()["steps"][:3], step("lake", 9, missing=3, findings=[finding])]
    text = shown(ok=False, problems=[problem], steps=changed)
    assert text.index("1 problem") < text.index(problem) < text.index("Flow")
    assert "3 missing" in text.partition("Flow")[2]
    assert "Nothing is missing" not in text


def test_a_copy_that_the_guarantee_allows_is_no_error() -> None:
    copies = {"kind": "doubled", "count": 2, "is_error": False, "meaning": "there twice"}
    letters = step("dead_letters", 9, findings=[{**copies, "names": ["trips/0@5"]}])
    text = shown(steps=[step("source", 9), letters])
    assert "Nothing is missing" in text
    assert "(the guarantee allows it)" in text


def test_rejects_are_named_with_their_step() -> None:
    text = shown()
    for reject in REJECTS:
        assert f"{reject['reason']} ({reject['step']})" in text
    assert "1,200" in text
    assert "No record was rejected." in shown(rejects=[])


def test_many_reasons_are_told_as_a_number() -> None:
    many = [{"step": "decode", "reason": f"r{n}", "count": 10} for n in range(40)]
    text = shown(rejects=many)
    assert "20 other reasons: 200 records." in text and "r20 " not in text


def test_what_is_unknown_is_not_zero() -> None:
    steps = [step("source", 10), step("archive", 10)]
    text = shown(steps=steps, rejects=None, lake_files=None)
    assert "Unknown: the configuration has no dead letters." in text
    assert "Unknown: the configuration has no lake." in text
    facts = text.partition("Flow")[0]
    # pending; rows; rejects; files, size, a partition's, partitions
    assert facts.count("unknown") == 7


def test_a_big_lake_makes_no_big_page() -> None:
    files = [Stored(f"trip/pickup_location={n:06d}/f", 1000) for n in range(100_000)]
    found = inventory(files)
    text = html(page(lake_files={**outcome()["lake_files"], **to_json(found)}))
    assert len(text) < 60_000
    assert "99,990 other partitions: 99,990 files" in Seen(text).text


def to_json(found: Any) -> dict[str, Any]:
    return dict(msgspec.to_builtins(found))


def test_hostile_text_stays_text() -> None:
    bad = step(f"index.{HOSTILE}", 1)
    finding = {"kind": "wrong", "count": 1, "is_error": True, "meaning": HOSTILE}
    bad["findings"] = [{**finding, "names": [HOSTILE]}]
    bad["figures"] = {HOSTILE: 1}
    written = html(
        page(
            steps=[step("source", 1), step("lake", 1), bad],
            bounds=[f"{HOSTILE}/0@0..1"],
            notes=[HOSTILE],
            problems=[HOSTILE],
            rejects=[{"step": HOSTILE, "reason": HOSTILE, "count": 1}],
            lake_files=to_json(inventory([Stored(f"{HOSTILE}/file", 1)])),
        )
    )
    seen = Seen(written)
    assert not seen.tags & {"script", "img"}
    assert seen.handlers == []
    assert seen.text.count(HOSTILE) >= 6


def test_the_markup_is_well_formed() -> None:
    """Every element is closed, as an XML parser demands."""
    body = html(page(with_course=True)).partition("<body>")[2].partition("</body>")[0]
    ElementTree.fromstring(f"<body>{body.replace('<wbr>', '<wbr/>')}</body>")


def test_a_sample_without_lag_is_a_gap() -> None:
    charts = html(page(with_course=True)).partition("While the job ran")[2]
    assert "10 s: mean unknown, 99 in 100 unknown" in charts
    assert "12 s: mean 13 s, 99 in 100 17 s" in charts
    assert "8 s: decoded 0, indexed unknown" in charts


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_on_every_background(colours: dict[str, str]) -> None:
    """At least 4.5 to 1, as WCAG 2.1 asks of text (AA)."""
    texts = ("text", "muted", "first", "second", "good", "bad")
    poor = {
        (text, ground): round(ratio(colours[text], colours[ground]), 2)
        for text in texts
        for ground in ("page", "surface", "even", "odd")
        if ratio(colours[text], colours[ground]) < 4.5
    }
    assert poor == {}


def ratio(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(part * share for part, share in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def test_a_file_that_cannot_be_written_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match=r"--html .*taken/page.html: cannot be written"):
        write(page(), tmp_path / "taken" / "page.html")
