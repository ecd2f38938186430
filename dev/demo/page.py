"""The demo's report as an HTML page, and the picture of it in the README."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from connectors.errors import UserError
from dev.browser import browser
from dev.servers.cache import ServerCache
from dev.servers.chromium import Chromium
from pipeline.ops.page.data import Course, Fact, Page, facts, reconciled
from pipeline.ops.page.html import write
from pipeline.ops.page.markup import count, duration
from pipeline.options import ROOT

REPORT: Final = Path("build") / "demo-report.json"
PAGE: Final = Path("build") / "demo-report.html"
PICTURE: Final = Path("docs") / "report.png"
_PICTURE_WIDTH: Final = 1080
_TABLES: Final = ".pair"
"""Where the page's tables begin, which the picture leaves out: a README is no place for them."""


def write_again() -> None:
    """Write the page of the last demo again, from its report."""
    try:
        report = json.loads((ROOT / REPORT).read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no {REPORT}: run `python -m dev demo` first") from None
    write_page(report, ROOT / PAGE)


def write_page(report: Mapping[str, Any], path: Path) -> None:
    """Write the page of a demo's report."""
    write(page_of(report), path, option="the page")


def page_of(report: Mapping[str, Any]) -> Page:
    """Return what the page shows of a demo's report."""
    outcome = reconciled(report["reconciled"])
    lag = report["lag_ms"]
    failed = report["checkpoints_failed"]
    own = [
        Fact(
            name="throughput",
            value=f"{count(report['events_per_second'])} / s",
            about="records of the backlog",
        ),
        Fact(
            name="lag, live",
            value=duration(lag.get("p50")),
            about=f"median; 99 in 100 below {duration(lag.get('p99'))}",
        ),
        Fact(
            name="checkpoints",
            value=count(report["checkpoints"]),
            about=f"{count(failed)} failed",
        ),
    ]
    return Page(
        title=f"Demo with {report['sources']}",
        about=f"{report['made_at']}, took {count(report['seconds'])} s",
        facts=[*facts(outcome), *own],
        reconciled=outcome,
        problems=report["problems"],
        course=msgspec.convert(report["course"], Course),
    )


def take_picture() -> None:
    """Take a picture of the page's upper part, its drawings, as a wide window shows it."""
    chromium = Chromium(ServerCache(ROOT).chromium)
    if not chromium.program.is_file():
        raise UserError(
            f"{chromium.program} is not there: run `python -m dev setup` where Node and npm are"
        )
    with browser(chromium) as window:
        window.open(ROOT / PAGE, width=_PICTURE_WIDTH)
        window.picture(ROOT / PICTURE, width=_PICTURE_WIDTH, above=_TABLES)
