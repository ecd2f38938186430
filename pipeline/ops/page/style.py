"""Colours and layout of the page, for light and dark, wide and narrow windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LIGHT: Final = {
    "page": "#f4f6f9",
    "surface": "#ffffff",
    "text": "#1b2430",
    "muted": "#566172",
    "line": "#d5dce5",
    "first": "#0a5fb4",
    "second": "#a34a00",
    "good": "#17713a",
    "bad": "#b3261e",
    "even": "#edf2f8",
    "odd": "#e2ebf5",
}
DARK: Final = {
    "page": "#0e131a",
    "surface": "#171e27",
    "text": "#e7edf4",
    "muted": "#9fabba",
    "line": "#344051",
    "first": "#74b6ff",
    "second": "#ffb069",
    "good": "#5fcb87",
    "bad": "#ff938a",
    "even": "#1d2632",
    "odd": "#243040",
}

_LAYOUT: Final = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", "Open Sans", sans-serif; overflow-wrap: anywhere; }
main { max-width: 1120px; margin: 0 auto; padding: 20px 16px 40px; display: grid; gap: 16px; }
main > *, .halves > *, .pair > * { min-width: 0; }
h1 { font-size: 24px; line-height: 1.2; margin: 0; }
h2 { font-size: 17px; margin: 0 0 10px; }
h3 { font-size: 14px; margin: 0 0 6px; font-weight: 600; }
p { margin: 4px 0; }
.quiet, header p { color: var(--muted); }
section { background: var(--surface); border: 1px solid var(--line); border-radius: 10px;
  padding: 16px; }
.pair { display: grid; gap: 16px; align-items: start; }
@media (min-width: 900px) { .pair { grid-template-columns: 2fr 3fr; } }
.halves { display: grid; gap: 20px 28px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.verdict { border-left: 6px solid var(--good); }
.verdict.wrong { border-left-color: var(--bad); }
.verdict strong { font-size: 17px; color: var(--good); }
.verdict.wrong strong { color: var(--bad); }
.facts { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr));
  margin: 0; }
.facts > div { background: var(--surface); border: 1px solid var(--line); border-radius: 10px;
  padding: 10px 14px; }
dt, .facts small { color: var(--muted); font-size: 13px; }
dd { margin: 0; font-size: 22px; font-weight: 700; line-height: 1.3; }
dd small { display: block; font-weight: 400; }
ul { margin: 8px 0 0; padding-left: 20px; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { white-space: nowrap; color: var(--muted); font-size: 13px; font-weight: 600; }
tbody th { font-weight: 400; }
tbody tr:last-child > * { border-bottom: 0; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.bad { color: var(--bad); font-weight: 700; }
.steps { min-width: 860px; }
.steps thead th:not(:first-child):not(:last-child) { text-align: right; }
.steps tbody th { font-weight: 600; }
.besides { color: var(--muted); font-size: 13px; min-width: 200px; padding-left: 8px; }
.scroll + .scroll { margin-top: 14px; }
.bars .track { width: 28%; vertical-align: middle; }
.bars thead th:nth-child(n + 3) { text-align: right; }
svg { display: block; }
svg.bar { width: 100%; height: 12px; }
.bar.first { fill: var(--first); } .bar.second { fill: var(--second); }
svg text { font-family: inherit; fill: var(--text); }
.flow { width: 100%; } .flow.narrow { display: none; max-width: 420px; }
svg.sign { fill: none; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.sign.good { stroke: var(--good); } .sign.bad { stroke: var(--bad); }
.verdict > strong { display: flex; gap: 10px; align-items: baseline; }
strong .sign { flex: none; }
td .sign { display: inline-block; margin: 0 4px -1px 0; }
.box rect { fill: var(--even); stroke: var(--line); stroke-width: 1.2; }
.box.wrong rect { stroke: var(--bad); stroke-width: 2; }
.name { font-size: 14px; font-weight: 600; }
.flow .state, .flow .unit { font-size: 12px; fill: var(--muted); }
.wrong .state { fill: var(--bad); font-weight: 600; }
.on-arrow { font-size: 13px; font-weight: 600; }
.arrow { fill: none; stroke: var(--first); stroke-width: 1.6; }
.head { fill: var(--first); }
.chart { width: 100%; }
.chart text { font-size: 13px; }
.chart .tick, .chart .phase-name { fill: var(--muted); font-size: 12px; }
.grid { stroke: var(--line); } .axis { stroke: var(--muted); }
.phase.even { fill: var(--even); } .phase.odd { fill: var(--odd); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.first { stroke: var(--first); }
.line.second { stroke: var(--second); stroke-dasharray: 6 3; }
.dot.first, .chart .end.first { fill: var(--first); }
.dot.second, .chart .end.second { fill: var(--second); }
.chart .end { font-weight: 600; }
.hint { fill: transparent; }
details { margin-top: 8px; } summary { cursor: pointer; }
@media (max-width: 720px) { .flow.wide { display: none; } .flow.narrow { display: block; } }
@media (max-width: 520px) { h1 { font-size: 20px; } section { padding: 12px; }
  .facts { grid-template-columns: 1fr 1fr; } dd { font-size: 18px; }
  .chart text { font-size: 15px; }
  .chart .tick, .chart .phase-name { font-size: 15px; } .bars .track { width: 22%; } }
"""


def style_sheet() -> str:
    """Return the page's CSS."""
    return (
        f":root {{ color-scheme: light dark; {_variables(LIGHT)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}\n{_LAYOUT}"
    )


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())
