"""`streaming-etl top`: a running job, seen live."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from shutil import get_terminal_size
from typing import Annotated, Final

import typer

from pipeline.cluster import cluster_of
from pipeline.ops.top.fit import fitted, wrapped
from pipeline.ops.top.view import Screen
from pipeline.ops.top.watch import Show, Watch, chosen
from pipeline.options import LOCAL, ConfigOption, JsonOption

_WIDTH_OF_LINES: Final = 200
"""Where there is no terminal: wide enough for a table."""


def add_to(main: typer.Typer) -> None:
    """Add the command to the main program."""
    main.command(epilog="Example: streaming-etl top --once --json")(top)


def top(
    job_id: Annotated[str, typer.Argument(help="As `jobs` lists it; else the one that runs.")] = "",
    config: ConfigOption = LOCAL,
    once: Annotated[bool, typer.Option("--once", help="Show one picture and end.")] = False,
    every: Annotated[
        float, typer.Option("--every", min=0.5, max=3600, help="Seconds between two pictures.")
    ] = 2.0,
    as_json: JsonOption = False,
) -> None:
    """Show a running job live: records of each step, rejects, lag, checkpoints and files.

    FLINK_REST_URL says which cluster. The folders in --config, the job's own, are listed to count
    its files. Ends with Ctrl-C, and with the job; with exit code 1 if that failed or was suspended,
    or if the cluster no longer knows it.
    """
    cluster = cluster_of(os.environ)
    with suppress(KeyboardInterrupt):
        with closing(Watch(cluster, chosen(cluster, job_id), config)) as watch:
            if once:
                screen = watch.once()
                _print(screen, as_json=as_json)
            else:
                with _shown(as_json) as show:
                    screen = watch.until_it_ends(show, every)
        raise typer.Exit(screen.exit_code)


@contextmanager
def _shown(as_json: bool) -> Iterator[Show]:
    """Yield what shows pictures: in place on a terminal, else one after the other."""
    if as_json or not sys.stdout.isatty():
        yield lambda screen: _print(screen, as_json=as_json)
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        last: Screen | None = None

        def show(screen: Screen | str) -> None:
            nonlocal last
            width, height = console.size
            lines: list[tuple[str, str]] = []
            if isinstance(screen, str):
                told = wrapped(screen, width)
                if last:
                    lines = _styled(last, fitted(last, width, height - len(told)))
                lines += [(line, "yellow") for line in told]
            elif screen.reading.job.has_ended:  # below all that was known last: it may scroll now
                if last:
                    lines = [*_styled(last, last.lines(width)), ("", "")]
                lines += _styled(screen, screen.lines(width))
            else:
                last = screen
                lines = _styled(screen, fitted(screen, width, height))
            live.update(Text("\n").join(Text(*line) for line in lines), refresh=True)

        yield show


def _styled(screen: Screen, lines: Iterable[str]) -> list[tuple[str, str]]:
    """Return lines of a picture with their styles: the job's state stands in the first."""
    first, *others = lines
    return [(first, _style(screen)), *((line, "") for line in others)]


def _style(screen: Screen) -> str:
    if screen.exit_code:
        return "bold red"
    return "bold green" if screen.reading.runs else "bold yellow"


def _print(screen: Screen | str, *, as_json: bool) -> None:
    """Print a picture as a line of JSON or as lines of text; a line in its place to stderr."""
    if isinstance(screen, str):
        print(screen, file=sys.stderr)
    elif as_json:
        print(json.dumps(screen.report()), flush=True)
    else:
        width = get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_OF_LINES
        print("\n".join(screen.lines(width)), end="\n\n", flush=True)
