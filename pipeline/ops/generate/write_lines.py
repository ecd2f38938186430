"""Writes a data set as JSON lines, in order of dropoff, compressed or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from pipeline.ops.generate.history import Trips
from pipeline.ops.generate.trips import Columns

CODECS: Final = {"none": None, "gz": "gzip", "zst": "zstd", "lz4": "lz4", "bz2": "bz2"}
"""Each ending of a file's name, and what pyarrow calls the compression."""

_TIMES: Final = "_datetime"
_encode: Final = msgspec.json.Encoder().encode


def write_lines(
    made: Iterable[Trips],
    folder: Path,
    *,
    compress: str = "none",
    lines_a_file: int = 1_000_000,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """Writes `trips-00000.ndjson` and so on, each of at most so many lines; says which."""
    written: list[Path] = []
    remaining, done = _lines(made), 0
    ending = "" if compress == "none" else f".{compress}"
    while (line := next(remaining, None)) is not None:
        path = folder / f"trips-{len(written):05d}.ndjson{ending}"
        with _opened(path, CODECS[compress]) as file:
            file.write(line)
            done += 1
            while done % lines_a_file and (line := next(remaining, None)) is not None:
                file.write(line)
                done += 1
                if done % 10_000 == 0:
                    progress(done)
        written.append(path)
    progress(done)
    return written


def _lines(made: Iterable[Trips]) -> Iterator[bytes]:
    for block in made:
        lines = np.empty(len(block), dtype=object)
        for code, columns in enumerate(block.of_type.values()):
            lines[block.codes == code] = _of_type(columns)
        yield from lines.tolist()


def _of_type(columns: Columns) -> list[bytes]:
    names = list(columns)
    rows = zip(*(_values(name, values) for name, values in columns.items()), strict=True)
    return [_encode(dict(zip(names, row, strict=True))) + b"\n" for row in rows]


def _values(name: str, values: Any) -> list[Any]:
    if not name.endswith(_TIMES):
        found: list[Any] = values.tolist()
        return found
    times = np.datetime_as_string(values.astype("datetime64[ms]"), unit="ms", timezone="UTC")
    texts: list[Any] = times.tolist()
    return texts


@contextmanager
def _opened(path: Path, codec: str | None) -> Iterator[Any]:
    with pa.OSFile(str(path), "wb") as file, pa.BufferedOutputStream(file, 1 << 20) as buffered:
        if codec is None:
            yield buffered
            return
        with pa.CompressedOutputStream(buffered, codec) as compressed:
            yield compressed
