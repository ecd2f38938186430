"""The commands of the job itself: `run`, `validate`, `plan` and `config`."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer
import yaml

from connectors.errors import UserError
from pipeline import validate
from pipeline.config import load as load_config
from pipeline.config import reference
from pipeline.options import LOCAL, ConfigOption, JsonOption

config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)


def add_to(main: typer.Typer) -> None:
    """Add the commands to the main program."""
    main.command(epilog="Example: streaming-etl run --config conf/local.yaml")(run)
    example = """Example: streaming-etl validate '{"type":"trip","trip_id":1}'"""
    main.command("validate", epilog=example)(validate_command)
    main.command(epilog="Example: streaming-etl plan --config conf/local.yaml")(plan)
    main.add_typer(config_app, name="config")


def run(
    config: ConfigOption = LOCAL,
    savepoint: Annotated[str, typer.Option(help="Start from this savepoint.")] = "",
    allow_dropped_state: Annotated[
        bool,
        typer.Option(
            "--allow-dropped-state",
            help="With --savepoint: forget the state of sinks and sources that the job lost.",
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint or savepoint.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, though an earlier run left something.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the configuration and submit the job to a Flink cluster; print the job's id.

    Where an earlier run of the job left something, say what to start from: --resume, --savepoint or
    --fresh. FLINK_REST_URL and FLINK_HOME say which cluster and which distribution submits to it.
    """
    from pipeline import start
    from pipeline.cluster import cluster_of
    from pipeline.submit import submit

    if (savepoint != "") + resume + fresh > 1:
        raise UserError("--savepoint, --resume and --fresh exclude each other; give one of them.")
    if allow_dropped_state and not (savepoint or resume):
        raise UserError(
            "--allow-dropped-state needs --savepoint PATH or --resume: no state, none to drop."
        )
    settings, cluster = load_config.load(config), cluster_of(os.environ)
    load_config.event_types(settings)
    start.refuse_a_second(settings, cluster.jobs())
    if warning := start.checkpoints_off(settings, cluster):
        print(warning, file=sys.stderr)
    if not savepoint:
        choice: start.Choice = "resume" if resume else "fresh" if fresh else ""
        savepoint, note = start.savepoint_for(settings, cluster, os.environ, choice)
        if note:
            print(note, file=sys.stderr)
    job = submit(config, os.environ, savepoint=savepoint, allow_dropped_state=allow_dropped_state)
    report = {"job_id": job.job_id, "url": job.url}
    print(json.dumps(report) if as_json else f"submitted as {job.job_id}; look at {job.url}")
    if folder := start.checkpoint_folder(settings, cluster):
        start.remember(folder, os.environ, job.job_id, settings.job.name)


def validate_command(
    events: Annotated[list[str], typer.Argument(metavar="EVENT...", help="JSON, a file, or -")],
    config: ConfigOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Say what the job would do with sample events, without a cluster.

    Exit 1 if one is rejected.
    """
    settings = load_config.load(config)
    types = load_config.event_types(settings)
    raws = validate.samples(events, sys.stdin.buffer)
    verdicts = list(validate.verdicts(raws, settings, types))
    for verdict in verdicts:
        print(json.dumps(verdict) if as_json else yaml.safe_dump(verdict, sort_keys=False))
    raise typer.Exit(any(verdict["verdict"] == "reject" for verdict in verdicts))


def plan(config: ConfigOption = LOCAL) -> None:
    """Print the flow and Flink's plan of it, without a cluster."""
    from pipeline.cluster import needed
    from pipeline.plan import explain

    needed(os.environ, "FLINK_HOME")
    settings = load_config.load(config)
    print(explain(settings, load_config.event_types(settings)))


@config_app.command(epilog="Example: streaming-etl config show --config conf/local.yaml")
def show(config: ConfigOption = LOCAL, as_json: JsonOption = False) -> None:
    """Print the whole configuration as the job sees it; secrets are masked."""
    plain = load_config.masked(load_config.load(config))
    print(json.dumps(plain) if as_json else yaml.safe_dump(plain, sort_keys=False))


@config_app.command(epilog="Example: streaming-etl config check --config conf/local.yaml")
def check(config: ConfigOption = LOCAL, as_json: JsonOption = False) -> None:
    """Exit 0 if the configuration is valid, else 2 with what to fix."""
    types = load_config.event_types(load_config.load(config))
    report = {"config": str(config), "event_types": list(types.names)}
    print(json.dumps(report) if as_json else f"{config}: fine")


@config_app.command("reference", epilog="Example: streaming-etl config reference")
def config_reference() -> None:
    """Print every key with its default and meaning: the text of conf/reference.yaml."""
    print(reference.config_reference(), end="")
