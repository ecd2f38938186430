"""The HTML page in a real browser: headless Chromium, driven by the DevTools protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from connectors.errors import UserError
from dev.browser import Browser, Scheme, browser
from dev.servers.cache import ServerCache
from dev.servers.chromium import Chromium
from pipeline.ops.page.html import write
from pipeline.ops.page.style import DARK, LIGHT
from pipeline.options import ROOT
from tests.ops.page.pages import outcome, page
from tests.ops.page.test_page import HOSTILE

CHROMIUM = Chromium(ServerCache(ROOT).chromium)
WIDTHS = (1200, 800, 400, 320)
LONG = "x" * 300

NO_CHROMIUM = "there is no Chromium: `python -m dev setup` fetches it where Node and npm are"
needs_chromium = pytest.mark.skipif(
    not CHROMIUM.program.is_file(),
    reason=NO_CHROMIUM,
)


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    if not CHROMIUM.program.is_file():
        pytest.skip(NO_CHROMIUM)
    with browser(CHROMIUM) as opened:
        yield opened


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    write(page(with_course=True), path)
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_its_text_and_has_no_problem(
    window: Browser, written: Path, scheme: Scheme
) -> None:
    window.open(written, width=1200, scheme=scheme)
    text = window.text()
    for shown in ("Nothing is missing", "208,490", "Flow", "wrong_type (decode)", "not judged"):
        assert shown in text
    assert (
        window.evaluate("document.querySelector('svg.chart').getBoundingClientRect().height") > 150
    )
    assert window.problems() == []
    assert window.requests() == [written.as_uri()]


@pytest.mark.parametrize(("scheme", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_the_colours_are_those_of_the_scheme(
    window: Browser, written: Path, scheme: Scheme, colours: dict[str, str]
) -> None:
    window.open(written, width=1200, scheme=scheme)
    found = window.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert found == [rgb(colours["page"]), rgb(colours["text"])]


def rgb(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


@pytest.mark.parametrize("width", WIDTHS)
def test_no_window_is_too_narrow(window: Browser, written: Path, width: int) -> None:
    window.open(written, width=width)
    assert window.evaluate("document.documentElement.scrollWidth") == width
    drawn = "[...document.querySelectorAll('svg.flow')].map(each => each.checkVisibility())"
    assert window.evaluate(drawn) == [width > 720, width <= 720]


def test_long_and_hostile_texts_stay_within_the_window(window: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    changed: dict[str, Any] = {
        "bounds": [f"{LONG}/0@0..1", f"{HOSTILE}/0@0..1"],
        "notes": [LONG, HOSTILE],
        "problems": [LONG, HOSTILE],
        "rejects": [{"step": "decode", "reason": text, "count": 1} for text in (LONG, HOSTILE)],
    }
    write(page(**changed), path)
    window.open(path, width=400)
    assert window.evaluate("document.documentElement.scrollWidth") == 400
    assert window.evaluate("document.querySelectorAll('script, img').length") == 0
    assert HOSTILE in window.text()
    assert window.problems() == []


def test_every_label_of_a_drawing_is_within_it(
    window: Browser, written: Path, tmp_path: Path
) -> None:
    """A text that runs over the edge of its drawing is cut off."""
    huge = tmp_path / "huge.html"
    steps = [{**each, "in": 10**13, "out": 10**13} for each in outcome()["steps"]]
    write(page(steps=steps), huge)
    script = """[...document.querySelectorAll('svg.flow, svg.chart')].flatMap(svg => {
        const frame = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text')].filter(text => {
            const box = text.getBoundingClientRect();
            return box.left < frame.left - 1 || box.right > frame.right + 1
                || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
        }).map(text => text.textContent);
    })"""
    for width in WIDTHS:
        for path in (written, huge):
            window.open(path, width=width)
            assert window.evaluate(script) == [], width


def test_what_a_page_does_wrong_is_found(window: Browser, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        "<img src='http://nowhere.invalid/x.png'>"
        "<script>console.log('said'); throw new Error('thrown')</script>"
    )
    window.open(path, width=400)
    assert "console.log: said" in window.problems()
    assert [problem for problem in window.problems() if problem.startswith("exception")]
    assert "http://nowhere.invalid/x.png" in window.requests()


@needs_chromium
def test_the_browser_leaves_no_process_and_no_file(written: Path, tmp_path: Path) -> None:
    with browser(CHROMIUM) as opened:
        opened.open(written, width=600)
        opened.picture(tmp_path / "page.png", width=600)
        pid = opened.pid
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


def test_a_browser_that_cannot_start_is_told_with_its_words(tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho libnss3.so: cannot open shared object file >&2\nexit 127\n")
    program.chmod(0o755)
    with pytest.raises(UserError, match="ended; its last lines: libnss3.so: cannot open"):
        with browser(Chromium(tmp_path)) as opened:
            opened.open(tmp_path / "page.html", width=400)


def test_a_file_that_is_not_there_is_named(window: Browser, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none.html: the browser can't open it"):
        window.open(tmp_path / "none.html", width=400)
