"""What every function of Flink's Python workers shares."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyflink.table import DataTypes
from pyflink.table.udf import ScalarFunction, udf

import connectors.arrow  # noqa: F401  # The guard of pyarrow, in every Python worker.


class Step(ScalarFunction):  # type: ignore[misc]
    """A function that is called once per Arrow batch.

    It is declared non-deterministic, which is true (the clock bounds event times) and keeps the
    planner from calling it twice per event.
    """

    def is_deterministic(self) -> bool:
        return False


def name_process(name: str) -> None:
    """Give Flink's Python worker a name of at most 15 bytes, by which `ps` tells workers apart.

    Another process that runs a step, such as a test, keeps its name.
    """
    if Path(sys.argv[0]).stem == "beam_boot":
        with suppress(OSError):  # no Linux, or not allowed
            Path("/proc/self/comm").write_text(name)


def vectorised(function: ScalarFunction, row: Mapping[str, Any]) -> Any:
    fields = [DataTypes.FIELD(name, kind) for name, kind in row.items()]
    return udf(function, result_type=DataTypes.ROW(fields), func_type="pandas")
