"""A report of figures: one `name: value` line each for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def print_report(report: Mapping[str, Any], *, as_json: bool) -> None:
    """Print to stdout: one line of JSON, or one `name: value` a line."""
    if as_json:
        print(json.dumps(report))
        return
    for name, text in lines(report):
        print(f"{name}: {text}")


def lines(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each figure's name and text; a nested figure's name is `outer.inner`."""
    for name, value in report.items():
        if isinstance(value, Mapping):
            yield from lines({f"{name}.{inner}": number for inner, number in value.items()})
        else:
            yield name, _text(value)


def _text(value: object) -> str:
    """Format one figure: thousands separated, one decimal, None as `not looked at`."""
    if value is None:
        return "not looked at"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return json.dumps(value) if isinstance(value, list | tuple) else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
