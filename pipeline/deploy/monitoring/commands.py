"""The command `streaming-etl alarms`."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
import yaml

from pipeline.deploy.monitoring.alarms import Alarm
from pipeline.deploy.monitoring.judge import Sample, datapoints, verdict
from pipeline.deploy.monitoring.local import measure, measured_here
from pipeline.ops.systems import systems
from pipeline.options import LOCAL, ConfigOption, JsonOption


def add_to(main: typer.Typer) -> None:
    """Make the command the main program's own."""
    main.command(epilog="Example: streaming-etl alarms --period 10 --json")(alarms)


def alarms(
    config: ConfigOption = LOCAL,
    period: Annotated[
        float, typer.Option(min=2, help="Seconds that stand in for each alarm's own period.")
    ] = 10,
    as_json: JsonOption = False,
) -> None:
    """Evaluate the deployment's alarms on the local servers' metrics. Exit 1 if one fires.

    Watches for as many periods as the longest alarm needs, and one more.
    """
    found = systems(config)
    chosen = measured_here(found.config)
    end = time.monotonic() + period * (1 + max(each.periods for each in chosen))
    samples = [measure(found.config, found.environment)]
    while time.monotonic() < end:
        time.sleep(period / 2)
        samples.append(measure(found.config, found.environment))
    told = [_told(each, samples, period) for each in chosen]
    print(json.dumps(told) if as_json else yaml.safe_dump(told, sort_keys=False))
    raise typer.Exit(any(each["verdict"] == "alarm" for each in told))


def _told(alarm: Alarm, samples: list[Sample], period: float) -> dict[str, Any]:
    return {
        "alarm": alarm.name,
        "verdict": verdict(alarm, samples, period_seconds=period),
        "values": datapoints(alarm, samples, period),
        "fires_if": f"{alarm.comparison} {alarm.threshold:g}",
        "meaning": alarm.meaning,
    }
