"""The demo's load: the data set as archives that `replay --archive` sends, and its expectation.

Only an archive can hold every record there is: without a value, without a time, broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dev.demo.made import Made
from dev.demo.proof import Expectation
from dev.demo.variants import TOPIC, Place
from dev.rehearse.tool import tool

_ROWS: Final = 20_000
_FIRST_MS: Final = int(np.datetime64("2018-03-01", "ms").astype(np.int64))


class Load:
    """Records dealt evenly to the sources, written as archives below `folder` and replayed."""

    def __init__(self, sources: tuple[str, ...], folder: Path, place: Place) -> None:
        self._sources, self._folder, self._place = sources, folder, place
        self.expectation = Expectation()

    def write(self, records: Iterable[Made], part: str) -> int:
        """Write that part's archives; return how many records they hold."""
        before = self.expectation.produced
        for number, page in enumerate(_pages(records, _ROWS * len(self._sources))):
            for record in page:
                self.expectation.add(record)
            for turn, source in enumerate(self._sources):
                _write_page(page[turn :: len(self._sources)], number, self._folder / part / source)
        return self.expectation.produced - before

    def send(self, part: str, *, rate: float | None = None) -> None:
        """Replay that part to all sources at once, at most `rate` records a second in all.

        Raises:
            UserError: a replay failed; so every record is acknowledged when none is raised.
        """
        with ThreadPoolExecutor(len(self._sources)) as pool:
            list(pool.map(partial(self._replay, part, rate), self._sources))

    def _replay(self, part: str, rate: float | None, source: str) -> None:
        folder = self._folder / part / source
        target = _target(source, self._place)
        cap = ["--rate", str(rate / len(self._sources))] if rate else []
        state = ["--state", f"{folder}.state"]
        tool(
            *("replay", str(folder), "--archive", "--unpaced", *target, *cap, *state),
            environment=self._place.environment,
        )


def _target(source: str, place: Place) -> list[str]:
    """Return the options that name a source's topic or stream, and its server."""
    environment = place.environment
    if source == "kafka":
        return ["--topic", TOPIC, "--bootstrap-servers", environment["KAFKA_BOOTSTRAP_SERVERS"]]
    endpoint, region = environment["KINESIS_ENDPOINT"], environment["AWS_REGION"]
    return ["--stream", place.stream, "--endpoint", endpoint, "--region", region]


def _pages(records: Iterable[Made], size: int) -> Iterator[list[Made]]:
    remaining = iter(records)
    while page := list(islice(remaining, size)):
        yield page


def _write_page(page: list[Made], number: int, folder: Path) -> None:
    """Write a file of the archive; its records arrived one a millisecond from March 2018 on."""
    count, first = len(page), number * _ROWS
    arrival = (_FIRST_MS + first + np.arange(count)).astype("datetime64[ms]")
    hour = str(np.datetime64(_FIRST_MS + first, "ms").astype("datetime64[h]"))
    table = pa.table(
        {
            "raw": pa.array([record.raw for record in page], pa.binary()),
            "key": pa.array([record.key for record in page], pa.binary()),
            "header_names": pa.array([[]] * count, pa.list_(pa.string())),
            "header_values": pa.array([[]] * count, pa.list_(pa.binary())),
            "topic": pa.array(["made"] * count, pa.string()),
            "partition": pa.array([0] * count, pa.int32()),
            "offset": pa.array(range(first, first + count), pa.int64()),
            "arrival_time": pa.array(arrival).cast(pa.timestamp("ms", tz="UTC")),
        }
    )
    place = folder / f"arrival_date={hour[:10]}" / f"arrival_hour={hour[11:13]}"
    place.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, place / f"part-{number:05d}.parquet", compression="zstd")
