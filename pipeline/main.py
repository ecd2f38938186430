"""The program that Flink runs: load the configuration, check, build the flow, execute.

`streaming-etl run` submits this file. On Managed Service for Apache Flink there is no `--config`:
the configuration is the application's property groups.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

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
    """Plan the job, create its indices and hand it to Flink.

    A cluster may take no settings of a program (`execution.program-config.enabled: false`). The job
    then starts with the cluster's own, and says so.

    Raises:
        UserError: what the user has to fix.
    """
    types = load_config.event_types(config)
    native.extension(config.decode.native)  # refuses to start without what is required
    stream = planned(config, types)
    preflight.indices(config, types, may_be_away=True)
    try:
        stream.execute_async(config.job.name)
    except flink.JAVA_ERRORS as error:
        refused = flink.refused_settings(error)
        if not refused:
            raise
        stream = planned(left_to_cluster(config, refused), types)
        flink.forget_needless(stream)
        stream.execute_async(config.job.name)


def left_to_cluster(config: Config, refused: Sequence[str]) -> Config:
    """Return the configuration that leaves also the refused settings to the cluster, and say so.

    Raises:
        UserError: the cluster refuses what PyFlink needs.
    """
    own = [key for key in refused if key in flink_settings(config.job)]
    needed = [key for key in refused if key not in own and not flink.is_needless(key)]
    if needed:
        raise UserError(
            "the cluster takes no settings of a program (execution.program-config.enabled: false),"
            f" and refuses {', '.join(needed)}, which PyFlink sets in every job; allow them in"
            " execution.program-config.wildcards. On a managed service, ask its support."
        )
    if own:
        print(
            "warning: the cluster takes no settings of a program; starting with its own"
            f" {', '.join(own)}. What that changes is in docs/operate-on-aws.md; list them in"
            " job.leave_to_cluster to start without this warning",
            file=sys.stderr,
        )
    leave = (*config.job.leave_to_cluster, *own)
    return replace(config, job=replace(config.job, leave_to_cluster=leave))


def planned(config: Config, types: EventTypes) -> Any:
    """Build the job, check what it needs and name its operators; return its stream environment.

    Nothing is changed outside of this process.
    """
    stream, tables = flink.environment(flink_settings(config.job))
    flink.require_utc(tables)
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
