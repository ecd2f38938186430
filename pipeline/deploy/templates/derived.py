"""Files that are partly written from the code: the template, the boards, the page of alarms.

What is derived stands between two marks, `<name>` and `</name>`, each in a comment of its file.
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
    """What each file under `root` should hold, by its path below it.

    Raises:
        UserError: a file has lost its marks.
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
    """A section for each alarm: when it fires, what it means, what to do."""
    return "".join(f"\n## {each.name}\n\n{_told(each)}\n" for each in ALARMS) + "\n"


def condition(alarm: Alarm) -> str:
    """When it fires, in words.

    >>> from pipeline.deploy.monitoring.alarms import alarm
    >>> condition(alarm("Down"))
    '`downtime` > 0 for 1 x 60 s'
    """
    watched = {
        "level": f"`{alarm.signal}`",
        "growth": f"growth of `{alarm.signal}` in a period",
        "ratio": f"growth of `{alarm.signal}` / `{alarm.per}`",
        "stalled": f"`{alarm.signal}` stands still while `{alarm.per}` grows:",
    }[alarm.form]
    limit = f"{alarm.threshold:,}"
    limit = f"`{alarm.parameter}` ({limit})" if alarm.parameter else limit
    return f"{watched} {alarm.comparison} {limit} for {alarm.periods} x {alarm.period_seconds:,} s"


def _told(alarm: Alarm) -> str:
    only = f" Only if `{alarm.when}`." if alarm.when else ""
    return (
        f"{alarm.severity.capitalize()}: {condition(alarm)}; missing data: {alarm.missing}.{only}\n"
        f"\n{alarm.meaning}\n\n**Do:** {alarm.action}"
    )


class _Dumper(yaml.SafeDumper):
    """Without anchors, which CloudFormation does not know."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(resources: Mapping[str, Any]) -> str:
    text = yaml.dump(dict(resources), Dumper=_Dumper, sort_keys=False, width=1000)
    return "".join(f"  {line}\n" for line in text.splitlines())


def _with(path: Path, sections: Mapping[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    for name, section in sections.items():
        marks = rf"(?ms)^([^\n]*<{name}>[^\n]*\n).*?^([^\n]*</{name}>[^\n]*\n)"
        found = re.search(marks, text)
        if not found:
            raise UserError(f"{path}: has no marks <{name}> and </{name}>; restore it from git.")
        text = text[: found.end(1)] + section + text[found.start(2) :]
    return text
