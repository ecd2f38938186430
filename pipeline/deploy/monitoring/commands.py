"""The command `streaming-etl alarms`."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from pipeline.options import LOCAL, ConfigOption, JsonOption


def add_to(main: typer.Typer) -> None:
    """Add the command to the main program."""
    main.command(epilog="Example: streaming-etl alarms --period 10 --json")(alarms)


def alarms(
    config: ConfigOption = LOCAL,
    period: Annotated[
        float, typer.Option(min=2, help="Seconds that replace each alarm's period.")
    ] = 10,
    as_json: JsonOption = False,
) -> None:
    """Evaluate the deployment's alarms on the metrics of the local servers. Exit 1 if one fires.

    Measures for one period more than the longest alarm needs.
    """
    import yaml

    from pipeline.deploy.monitoring.judge import datapoints, verdict
    from pipeline.deploy.monitoring.local import measure, measured_here
    from pipeline.ops.systems import systems

    local = systems(config)
    chosen = measured_here(local.config)
    end = time.monotonic() + period * (1 + max(alarm.periods for alarm in chosen))
    samples = [measure(local.config, local.environment)]
    while time.monotonic() < end:
        time.sleep(period / 2)
        samples.append(measure(local.config, local.environment))
    evaluations = [
        {
            "alarm": alarm.name,
            "verdict": verdict(alarm, samples, period_seconds=period),
            "values": datapoints(alarm, samples, period),
            "fires_if": f"{alarm.comparison} {alarm.threshold:g}",
            "meaning": alarm.meaning,
        }
        for alarm in chosen
    ]
    print(json.dumps(evaluations) if as_json else yaml.safe_dump(evaluations, sort_keys=False))
    raise typer.Exit(any(evaluation["verdict"] == "alarm" for evaluation in evaluations))
