"""`streaming-etl`: the command line.

Exit codes: 0 done; 1 it ran and found something wrong (a reject in `validate`, a record missing in
`demo`, a job that failed); 2 the user has something to mend, told in one message.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml

from connectors.errors import UserError
from connectors.flink.rest import JobFailed
from pipeline import validate
from pipeline.config import load as load_config
from pipeline.config import reference
from pipeline.deploy.monitoring import commands as watch_commands
from pipeline.deploy.package import commands as package_commands
from pipeline.ops import schemas as schema_commands
from pipeline.ops.backfill import commands as backfill_commands
from pipeline.ops.compact import commands as compact_commands
from pipeline.ops.dead_letters import commands as dead_letters_commands
from pipeline.ops.generate import commands as generate_commands
from pipeline.ops.reconcile import commands as reconcile_commands
from pipeline.ops.replay import commands as replay_commands

ROOT = Path(__file__).parent.parent

app = typer.Typer(
    help=(
        "Streaming ETL in PyFlink. Exit codes: 0 done, 1 something was found wrong, 2 something"
        " must be mended by the user."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")
dead_letters_commands.add_to(app)
generate_commands.add_to(app)
backfill_commands.add_to(app)
compact_commands.add_to(app)
package_commands.add_to(app)
reconcile_commands.add_to(app)
replay_commands.add_to(app)
schema_commands.add_to(app)
watch_commands.add_to(app)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
LOCAL = ROOT / "conf" / "local.yaml"


def main() -> None:
    """The console script: a mistake to mend is told and exits with 2, a failed job with 1."""
    try:
        app()
    except (UserError, JobFailed, TimeoutError) as error:
        print(f"streaming-etl: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UserError) else 1)


@app.command(epilog="Example: streaming-etl run --config conf/local.yaml")
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
    as_json: JsonOption = False,
) -> None:
    """Check the configuration and submit the job to a Flink cluster; prints the job's id.

    FLINK_REST_URL and FLINK_HOME say which cluster and which distribution submits to it.
    """
    from pipeline.submit import submit

    if allow_dropped_state and not savepoint:
        raise UserError("--allow-dropped-state needs --savepoint PATH: no state, none to drop.")
    load_config.event_types(load_config.load(config))
    job = submit(
        config,
        os.environ,
        savepoint=savepoint,
        allow_dropped_state=allow_dropped_state,
    )
    told = {"job_id": job.job_id, "url": job.url}
    print(json.dumps(told) if as_json else f"submitted as {job.job_id}; look at {job.url}")


@app.command(epilog="Example: streaming-etl stop JOB_ID --into s3a://streaming-etl/savepoints")
def stop(
    job_id: Annotated[str, typer.Argument(help="As `run` printed it.")],
    into: Annotated[str, typer.Option(help="Where to put the savepoint; s3a:// or file://.")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the savepoint.")] = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Stop the job with a savepoint, its files and transactions finished; prints where that is."""
    from pipeline.submit import stop as stop_job

    savepoint = stop_job(job_id, os.environ, into=into, timeout_seconds=timeout)
    print(json.dumps({"savepoint": savepoint}) if as_json else savepoint)


@app.command("validate", epilog="""Example: streaming-etl validate '{"type":"trip","trip_id":1}'""")
def validate_command(
    events: Annotated[list[str], typer.Argument(metavar="EVENT...", help="JSON, a file, or -")],
    config: ConfigOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Say, without a cluster, what would become of sample events. Exit 1 if one is rejected."""
    settings = load_config.load(config)
    types = load_config.event_types(settings)
    raws = validate.samples(events, sys.stdin)
    verdicts = list(validate.verdicts(raws, settings, types))
    for each in verdicts:
        print(json.dumps(each) if as_json else yaml.safe_dump(each, sort_keys=False))
    raise typer.Exit(any(each["verdict"] == "reject" for each in verdicts))


@app.command(epilog="Example: streaming-etl plan --config conf/local.yaml")
def plan(config: ConfigOption = LOCAL) -> None:
    """Print the flow and Flink's plan of it, without a cluster."""
    from pipeline.plan import explain
    from pipeline.submit import needed

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
    """Exit 0 when the configuration is whole, 2 with what to mend when it is not."""
    types = load_config.event_types(load_config.load(config))
    told = {"config": str(config), "event_types": list(types.names)}
    print(json.dumps(told) if as_json else f"{config}: fine")


@config_app.command("reference", epilog="Example: streaming-etl config reference")
def config_reference() -> None:
    """Print every key with its default and meaning: the text of conf/reference.yaml."""
    print(reference.config_reference(), end="")
