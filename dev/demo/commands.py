"""The commands `python -m dev demo` and `page`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from pipeline.options import ROOT, JsonOption


def demo(
    source: Annotated[
        str | None,
        typer.Option(help="kafka (the default), kinesis, or both at once.", show_default=False),
    ] = None,
    aws: Annotated[
        str | None,
        typer.Option(
            help="localstack: S3, Kinesis and the template's known part in one LocalStack.",
            show_default=False,
        ),
    ] = None,
    events: Annotated[
        int | None, typer.Option(help="How many events to make; the source has its own.", min=1000)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the generator.")] = 2018,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the servers up.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the main job on real servers, read every sink back, print and write the report.

    Exit 1 if anything is missing, doubled or misplaced.
    """
    from dev.demo.page import REPORT
    from dev.demo.run import demo as run_demo
    from dev.demo.variants import variant

    console = Console(stderr=as_json)
    chosen = variant(source, aws)
    code = run_demo(ROOT, chosen, events=events, seed=seed, keep=keep, console=console)
    if as_json:
        print((ROOT / REPORT).read_text(), end="")
    raise typer.Exit(code)


def page(
    picture: Annotated[
        bool, typer.Option("--picture", help="Take its picture for the README, docs/report.png.")
    ] = False,
) -> None:
    """Write the page of the last demo again, from its report in build/demo-report.json."""
    from dev.demo.page import PAGE, PICTURE, take_picture, write_again

    write_again()
    print(f"the page is {PAGE}")
    if picture:
        take_picture()
        print(f"its picture is {PICTURE}")
