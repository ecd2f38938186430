"""The commands that look at the configuration: `config show`, `check` and `reference`."""

from __future__ import annotations

import json

import typer

from pipeline.options import LOCAL, ConfigOption, JsonOption

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


@app.command(epilog="Example: streaming-etl config check --config conf/local.yaml")
def check(config: ConfigOption = LOCAL, as_json: JsonOption = False) -> None:
    """Exit 0 if the configuration is valid, else 2 with what to fix."""
    from pipeline.config.load import event_types, load

    types = event_types(load(config))
    report = {"config": str(config), "event_types": list(types.names)}
    print(json.dumps(report) if as_json else f"{config}: fine")


@app.command("reference", epilog="Example: streaming-etl config reference")
def config_reference() -> None:
    """Print every key with its default and meaning: the text of conf/reference.yaml."""
    from pipeline.config import reference

    print(reference.config_reference(), end="")
