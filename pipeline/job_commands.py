"""The commands of the job itself: `run`, `validate` and `plan`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.errors import UserError
from connectors.text_files import shown
from pipeline.options import LOCAL, ConfigOption, JsonOption
from pipeline.report_table import blocks, lines


def add_to(main: typer.Typer) -> None:
    """Add the commands to the main program."""
    main.command(epilog="Example: streaming-etl run --config conf/local.yaml")(run)
    example = """Example: streaming-etl validate '{"type":"trip","id":1}'"""
    main.command("validate", epilog=example)(validate_command)
    main.command(epilog="Example: streaming-etl plan --config conf/local.yaml")(plan)


def run(
    config: ConfigOption = LOCAL,
    savepoint: Annotated[str, typer.Option(help="Start from this savepoint.")] = "",
    allow_dropped_state: Annotated[
        bool,
        typer.Option(
            "--allow-dropped-state",
            help="With --savepoint or --resume: forget the state of what the job lost. With"
            " --fresh: give up rows that wait to be written to files.",
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
    from pipeline.run import run as run_job

    if (savepoint != "") + resume + fresh > 1:
        raise UserError("--savepoint, --resume and --fresh exclude each other; give one of them.")
    if allow_dropped_state and not (savepoint or resume or fresh):
        raise UserError(
            "--allow-dropped-state needs --savepoint PATH, --resume or --fresh: no state, none to"
            " drop."
        )
    job = run_job(
        config,
        os.environ,
        "resume" if resume else "fresh" if fresh else "",
        savepoint=savepoint,
        allow_dropped_state=allow_dropped_state,
    )
    report = {"job_id": job.job_id, "url": job.url}
    print(json.dumps(report) if as_json else f"submitted as {job.job_id}; look at {job.url}")


def validate_command(
    events: Annotated[
        list[str] | None,
        typer.Argument(metavar="EVENT", help="JSON, - for standard input, or a file."),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", help="A file with an event in each line; may be repeated."),
    ] = None,
    config: ConfigOption = LOCAL,
    told: Annotated[
        str,
        typer.Option(help="What the events' header says of their type; or their topic or stream."),
    ] = "",
    rejects: Annotated[
        bool, typer.Option("--rejects", help="Print the rejected events only.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what the job would do with sample events, without a cluster.

    Of several events, a summary goes to standard error. Exit 1 if one is rejected.
    """
    from pipeline import validate
    from pipeline.config.load import event_types, load

    arguments = events or []
    if not arguments and not files:
        raise UserError("nothing to validate: give EVENT as JSON, --file FILE, or - for lines.")
    for argument in arguments:
        if not (argument == "-" or validate.is_json(argument) or validate.is_file(argument)):
            about = f"{shown(argument)} is taken for an event: there is no file of that name"
            print(f"note: {about}", file=sys.stderr)
    settings = load(config)
    given = validate.samples(arguments, files or [], sys.stdin.buffer)
    summary = validate.Summary()
    with _validating(bool(files)) as progress:
        for verdict in validate.verdicts(given, settings, event_types(settings), told):
            progress(summary.add(verdict))
            if not rejects or verdict["verdict"] == "reject":
                print(json.dumps(verdict) if as_json else f"{blocks([_texts(verdict)])}\n")
    if summary.records > 1:
        for name, text in lines(summary.as_dict()):
            print(f"{name}: {text}", file=sys.stderr)
    raise typer.Exit(summary.has_rejects)


def _texts(verdict: dict[str, Any]) -> dict[str, str]:
    """Return what is printed: numbers of an event as they are, its document as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in verdict.items()
    }


@contextmanager
def _validating(has_files: bool) -> Iterator[Callable[[int], None]]:
    """Show progress if what is printed does not show it already."""
    if has_files and not sys.stdout.isatty():
        from rich.console import Console

        from pipeline.progress import Steps

        with Steps(Console(stderr=True)).step("validating", unit="events") as progress:
            yield progress
    else:
        yield lambda done: None


def plan(config: ConfigOption = LOCAL) -> None:
    """Print the flow and Flink's plan of it, without a cluster."""
    from pipeline.cluster import home_of
    from pipeline.config import load as load_config

    home_of(os.environ)
    from pipeline.plan import explain  # Here: it imports all of PyFlink.

    settings = load_config.load(config)
    print(explain(settings, load_config.event_types(settings)))
