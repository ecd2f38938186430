"""Files that are partly generated: the CloudFormation template, the dashboards, docs/alarms.md.

A generated section lies between two markers, `<name>` and `</name>`, each in a comment line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from connectors.errors import UserError
from pipeline.deploy.monitoring import grafana
from pipeline.deploy.monitoring.alarms import ALARMS, Alarm
from pipeline.deploy.templates.alarm_resources import alarm_resources
from pipeline.deploy.templates.dashboard import dashboard
from pipeline.deploy.templates.tables import glue_tables
from pipeline.events.event_types import EventTypes

TEMPLATE = Path("conf/aws/streaming-etl.yaml")
BOARD = Path("conf/grafana/streaming-etl.json")
PAGE = Path("docs/alarms.md")


def derived_files(root: Path, types: EventTypes) -> dict[Path, str]:
    """Return the expected text of each generated file, by its path below `root`.

    Raises:
        UserError: a file lacks its markers.
    """
    sections = {
        "tables": _yaml(glue_tables(types)),
        "board": _yaml({"Dashboard": dashboard()}),
        "alarms": _yaml(alarm_resources()),
    }
    return {
        TEMPLATE: _with(root / TEMPLATE, sections),
        BOARD: grafana.board(),
        PAGE: _with(root / PAGE, {"alarms": alarms_page()}),
    }


def alarms_page() -> str:
    """Render one section for each alarm: when it fires, what it means, what to do."""
    return "".join(f"\n## {each.name}\n\n{_section(each)}\n" for each in ALARMS) + "\n"


def condition(alarm: Alarm) -> str:
    """Render the condition under which the alarm fires.

    >>> from pipeline.deploy.monitoring.alarms import alarm
    >>> condition(alarm("Down"))
    '`downtime` > 0 for 60 s'
    >>> condition(alarm("Heap"))
    '`heap_percent` > 90 for 3 periods of 60 s'
    """
    duration = f"{alarm.period_seconds:,} s"
    duration = f"{alarm.periods} periods of {duration}" if alarm.periods > 1 else duration
    if alarm.form == "stalled":
        return f"`{alarm.per}` increases and `{alarm.signal}` does not, for {duration}"
    value = {
        "level": f"`{alarm.signal}`",
        "growth": f"increase of `{alarm.signal}`",
        "ratio": f"increase of `{alarm.signal}` / increase of `{alarm.per}`",
    }[alarm.form]
    limit = f"{alarm.threshold:,}"
    limit = f"`{alarm.parameter}` ({limit})" if alarm.parameter else limit
    return f"{value} {alarm.comparison} {limit} for {duration}"


def _section(alarm: Alarm) -> str:
    only = f" Exists only with `{alarm.when}`." if alarm.when else ""
    return (
        f"{alarm.meaning}\n\n"
        f"- **Fires ({alarm.severity}):** {condition(alarm)}."
        f" Missing data: `{alarm.missing}`.{only}\n"
        f"- **What to do:** {alarm.action}"
    )


class _Dumper(yaml.SafeDumper):
    """Write no anchors: CloudFormation does not support them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(resources: Mapping[str, Any]) -> str:
    text = yaml.dump(dict(resources), Dumper=_Dumper, sort_keys=False, width=1000)
    return "".join(f"  {line}\n" for line in text.splitlines())


def _with(path: Path, sections: Mapping[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    for name, section in sections.items():
        section_pattern = rf"(?ms)^([^\n]*<{name}>[^\n]*\n).*?^([^\n]*</{name}>[^\n]*\n)"
        match = re.search(section_pattern, text)
        if not match:
            raise UserError(
                f"{path}: the markers <{name}> and </{name}> are missing; restore it from git."
            )
        text = text[: match.end(1)] + section + text[match.start(2) :]
    return text
