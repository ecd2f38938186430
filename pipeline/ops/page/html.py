"""Write a reconciliation, or a run of the demo, as one HTML page.

The page is whole in itself: it has no script and loads nothing. Its policy forbids both, so that a
text from a record could do nothing even if it weren't escaped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from connectors.errors import UserError
from connectors.local_files import write_whole
from pipeline.ops.page import tables
from pipeline.ops.page.charts import Line, logarithmic, over_time
from pipeline.ops.page.data import Course, Page, Reconciled
from pipeline.ops.page.flow import flow
from pipeline.ops.page.markup import Markup, duration, element, join, sign
from pipeline.ops.page.style import style_sheet
from pipeline.terminal import counted

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_BOUNDS: Final = 40
"""Ranges of positions that are named."""


def html(page: Page) -> str:
    """Return the whole page as text."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", page.title),
        element("style", Markup(style_sheet())),
    )
    return f"<!doctype html>\n{element('html', head, element('body', _main(page)), lang='en')}\n"


def write(page: Page, path: Path, option: str = "--html") -> None:
    """Write the page into a file; UserError that names the option if that's impossible."""
    try:
        write_whole(path, html(page).encode())
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror})") from error


def _main(page: Page) -> Markup:
    reconciled = page.reconciled
    return element(
        "main",
        element("header", element("h1", page.title), element("p", page.about)),
        _verdict(page),
        _facts(page),
        _section("Flow", flow(reconciled)),
        _over_time(page.course) if page.course else None,
        element(
            "div",
            _section("Rejects by reason", tables.rejects(reconciled.rejects)),
            _section("Files of the lake", *tables.files(reconciled.lake_files)),
            class_="pair",
        ),
        _section("Reconciliation", tables.steps(reconciled), _details(reconciled)),
    )


def _verdict(page: Page) -> Markup:
    if not page.problems:
        text = element(
            "strong", sign(True), "Nothing is missing, doubled, misplaced, wrong or unexpected"
        )
        return element("section", text, class_="verdict")
    items = (element("li", problem) for problem in page.problems)
    title = element("strong", sign(False), counted(len(page.problems), "problem"))
    return element("section", title, element("ul", *items), class_="verdict wrong")


def _facts(page: Page) -> Markup:
    facts = (
        element(
            "div",
            element("dt", fact.name),
            element("dd", fact.value, element("small", fact.about) if fact.about else None),
        )
        for fact in page.facts
    )
    return element("dl", *facts, class_="facts")


def _over_time(course: Course) -> Markup:
    samples = course.samples
    lines = [
        Line("decoded", "first", [sample.decoded for sample in samples]),
        Line("indexed", "second", [sample.indexed for sample in samples]),
    ]
    lags = [
        Line("mean", "first", [sample.lag_mean for sample in samples]),
        Line("99 in 100", "second", [sample.lag_p99 for sample in samples]),
    ]
    charts = (
        ("Records decoded, and events indexed, a second", over_time("Throughput", course, lines)),
        (
            f"Lag, from arrival to {course.lag_until} (logarithmic)",
            over_time("Lag", course, lags, duration, logarithmic),
        ),
    )
    drawn = (element("div", element("h3", title), chart) for title, chart in charts)
    return _section("While the job ran", element("div", *drawn, class_="halves"))


def _details(reconciled: Reconciled) -> Markup:
    bounds = [*reconciled.bounds[:_BOUNDS]]
    if rest := len(reconciled.bounds) - _BOUNDS:
        bounds += [f"and {rest:,} more"] if rest > 0 else []
    return join(
        tables.findings(reconciled),
        *(element("p", f"Note: {note}", class_="quiet") for note in reconciled.notes),
        element(
            "details",
            element("summary", f"Judged: {counted(len(reconciled.bounds), 'range')} of positions"),
            element("p", element("code", ", ".join(bounds) or "every position")),
        ),
    )


def _section(title: str, *parts: Markup | None) -> Markup:
    return element("section", element("h2", title), *parts)
