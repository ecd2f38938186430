"""The commands that look at the configuration: `config show`, `check` and `reference`."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

import typer

from connectors.errors import Mistakes
from pipeline.options import LOCAL, ConfigOption, JsonOption
from pipeline.terminal import printable

app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)


def add_to(main: typer.Typer) -> None:
    """Add the commands to the main program."""
    main.add_typer(app, name="config")


@app.command(epilog="Example: streaming-etl config show --config conf/local.yaml")
def show(config: ConfigOption = LOCAL, as_json: JsonOption = False) -> None:
    """Print the whole configuration as the job sees it; secrets are masked."""
    import yaml

    from pipeline.config.load import load, masked

    plain = masked(load(config))
    print(json.dumps(plain) if as_json else yaml.safe_dump(plain, sort_keys=False))


@app.command(epilog="Example: streaming-etl config check --config conf/local.yaml --online")
def check(
    config: ConfigOption = LOCAL,
    online: Annotated[
        bool,
        typer.Option("--online", help="Also check topics, streams, paths, indices and Flink."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Exit 0 if the configuration is valid, else 2 with what to fix.

    Exit 1 if --online finds something that would prevent a start.
    """
    from pipeline.config.filters import replica_problems
    from pipeline.config.load import event_types, load
    from pipeline.config.yaml_file import read_yaml

    settings, mistakes = load(config), Mistakes()
    types = event_types(settings)
    problems = replica_problems(settings, types, read_yaml(config))
    mistakes.messages += [f"{config}: {problem}" for problem in problems]
    mistakes.report()
    report: dict[str, Any] = {"config": str(config), "event_types": list(types.names)}
    if not as_json:
        print(f"{config}: fine")
    found = []
    if online:
        from pipeline.online_checks import outcomes

        for outcome in outcomes(settings, types, os.environ):
            found.append(outcome)
            if not as_json:
                detail = f": {outcome.detail}" if outcome.detail else ""
                print(printable(f"{outcome.state}  {outcome.check}{detail}"), flush=True)
        report["online"] = [outcome._asdict() for outcome in found]
    if as_json:
        print(json.dumps(report))
    raise typer.Exit(any(outcome.state != "ok" for outcome in found))


@app.command("reference", epilog="Example: streaming-etl config reference")
def config_reference() -> None:
    """Print every key with its default and meaning: the text of conf/reference.yaml."""
    from pipeline.config import reference

    print(reference.config_reference(), end="")
