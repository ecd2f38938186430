"""The program that Flink runs: load the configuration, check, build the flow, execute.

`streaming-etl run` submits this file. On Managed Service for Apache Flink there is no `--config`:
the configuration is the application's property groups.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from connectors.errors import UserError
from connectors.flink import kafka_admin
from connectors.flink import table_environment as flink
from pipeline import job, preflight
from pipeline.config import load as load_config
from pipeline.config.flink_settings import flink_settings
from pipeline.config.model import Config
from pipeline.decode import native
from pipeline.events.event_types import EventTypes
from pipeline.flow import Flow


def main(arguments: list[str]) -> int:
    """Submit the job; return 0, or 2 when the user has something to fix."""
    try:
        submit(_configuration(arguments))
    except UserError as error:
        print(f"streaming-etl: {error}", file=sys.stderr)
        return 2
    return 0


def submit(config: Config) -> None:
    """Plan the job, create its indices and hand it to Flink."""
    types = load_config.event_types(config)
    native.extension(config.decode.native)  # refuses to start without what is required
    stream = planned(config, types)
    preflight.indices(config, types, may_be_away=True)
    stream.execute_async(config.job.name)


def planned(config: Config, types: EventTypes) -> Any:
    """Build the job, check what it needs and name its operators; return its stream environment.

    Nothing is changed outside of this process.
    """
    stream, tables = flink.environment(flink_settings(config.job))
    with kafka_admin.clients() as connect:
        preflight.outside(config, types, flink.checkpoint_seconds(stream), connect)
    job.build(Flow.of(stream, tables, config), config, types).attach(stream, config)
    return stream


def _configuration(arguments: list[str]) -> Config:
    parser = argparse.ArgumentParser(prog="pipeline/main.py")
    parser.add_argument("--config", type=Path)
    path = parser.parse_args(arguments).config
    return load_config.load(path) if path else load_config.load_property_groups()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
