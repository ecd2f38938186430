"""`streaming-etl uploads`: multipart uploads that a killed job left open.

Flink keeps the ids of uploads inside checkpoints, in a form of its own, so age decides. A
checkpoint can need the uploads that were opened since the completed one before it. So an upload may
be aborted if it is older than the oldest retained checkpoint or savepoint by `_MARGIN`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.error import URLError

import typer

from connectors.errors import UserError
from pipeline.options import LOCAL, ConfigOption, JsonOption

if TYPE_CHECKING:
    from connectors.s3.uploads import Upload, Uploads
    from pipeline.ops.systems import Systems

app = typer.Typer(no_args_is_help=True, help="Look after multipart uploads that were left open.")

_MARGIN: Final = timedelta(days=1)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_METADATA: Final = "_metadata"

OlderThanOption = Annotated[
    str, typer.Option("--older-than", metavar="DURATION", help="Such as 90s, 30m, 36h or 14d.")
]
SavepointsOption = Annotated[
    list[str] | None,
    typer.Option(help="Another folder of checkpoints or savepoints to look at; repeatable."),
]
NeededSinceOption = Annotated[
    str,
    typer.Option(
        help="Time of the oldest checkpoint or snapshot that is kept elsewhere: ISO-8601."
    ),
]


def add_to(main: typer.Typer) -> None:
    """Add the group `uploads` to the main program."""
    main.add_typer(app, name="uploads")


@app.command("list", epilog="Example: streaming-etl uploads list --older-than 14d --json")
def list_command(
    config: ConfigOption = LOCAL, older_than: OlderThanOption = "0s", as_json: JsonOption = False
) -> None:
    """List open uploads below the job's folders: age, bytes and path."""
    from pipeline.ops.systems import systems

    configured = systems(config)
    now = _now_ms()
    before = now - _duration_ms(older_than)
    _print([each for _, each in _open(configured, before)], now, as_json=as_json)


@app.command(epilog="Example: streaming-etl uploads abort --older-than 14d --config job.yaml")
def abort(
    older_than: OlderThanOption,
    config: ConfigOption = LOCAL,
    savepoints: SavepointsOption = None,
    needed_since: NeededSinceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Abort open uploads of that age, for good; `uploads list` is the dry run.

    Refuse an age that a checkpoint or savepoint may need.
    """
    from pipeline.ops.systems import systems

    configured = systems(config)
    now = _now_ms()
    before = now - _duration_ms(older_than)
    _refuse_needed(before, now, _retained(configured, savepoints or (), needed_since))
    aborted = [each for store, each in _open(configured, before) if store.abort(each)]
    _print(aborted, now, as_json=as_json)


def _open(configured: Systems, before_ms: int) -> Iterator[tuple[Uploads, Upload]]:
    """Yield the uploads that were opened before then, below each folder that the job writes to."""
    from connectors.s3.store import is_local
    from connectors.s3.uploads import Uploads
    from pipeline.config.checks import folders

    remote = {path for path in folders(configured.config).values() if not is_local(path)}
    for path in sorted(remote):
        store = Uploads(path, configured.environment)
        for upload in store.open():
            if upload.started_ms < before_ms:
                yield store, upload


def _retained(configured: Systems, savepoints: Sequence[str], needed_since: str) -> dict[str, int]:
    """Return when each known checkpoint and savepoint was taken (epoch ms), by its name."""
    from connectors.flink.rest import Cluster
    from pipeline.ops.dead_letters.letter import instant_ms

    folders = {configured.config.job.checkpoint_dir, *savepoints}
    retained = {}
    if since := instant_ms("--needed-since", needed_since):
        retained["--needed-since"] = since
    if url := configured.environment.get("FLINK_REST_URL"):
        cluster = Cluster(url)
        try:
            folders |= cluster.checkpoint_folders()
            retained |= cluster.needed_since()
        except URLError as error:
            raise UserError(
                f"FLINK_REST_URL is {url}, which does not answer ({error.reason}), so nobody knows"
                " what its jobs need; start the cluster, or unset FLINK_REST_URL if it is gone."
            ) from error
    for folder in sorted(folders - {""}):
        for each in configured.store(folder).everything():
            if each.path.rpartition("/")[2] == _METADATA and each.modified_ms is not None:
                retained[f"{folder.rstrip('/')}/{each.path}"] = each.modified_ms
    return retained


def _refuse_needed(before_ms: int, now_ms: int, retained: Mapping[str, int]) -> None:
    from pipeline.decode.timestamps import text

    if not retained:
        raise UserError(
            "no checkpoint and no savepoint is known, so nobody can say what they need; set"
            " FLINK_REST_URL or job.checkpoint_dir, or give --savepoints FOLDER, or"
            " --needed-since with the time of the oldest one."
        )
    oldest = min(retained, key=lambda name: retained[name])
    margin = _MARGIN // timedelta(milliseconds=1)
    if before_ms > retained[oldest] - margin:
        hours = -((retained[oldest] - margin - now_ms) // 3_600_000)
        raise UserError(
            f"--older-than is too short: {oldest}, of {text(retained[oldest])}, may need uploads"
            f" that were opened up to {_MARGIN.days} day before it; give {hours}h or more, or"
            " delete checkpoints and savepoints that no job will start from."
        )


def _duration_ms(duration: str) -> int:
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", duration)
    if not match:
        raise UserError(f"--older-than is {duration!r}; give such as 90s, 30m, 36h or 14d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) // timedelta(milliseconds=1)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _print(uploads: Sequence[Upload], now_ms: int, *, as_json: bool) -> None:
    from pipeline.decode.timestamps import text

    rows: list[dict[str, Any]] = [
        {
            "path": each.uri,
            "started": text(each.started_ms),
            "age_seconds": (now_ms - each.started_ms) // 1000,
            "bytes": each.bytes,
        }
        for each in uploads
    ]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        age = timedelta(seconds=row["age_seconds"])
        print(f"{age!s:>18}  {row['bytes']:>14,}  {row['path']}")
    print(f"{len(rows)} uploads, {sum(row['bytes'] for row in rows):,} bytes")
