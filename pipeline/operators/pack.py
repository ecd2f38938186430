"""pack: rejects that come row by row, as batches for the dead letters' files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext, TableFunction, udtf

from pipeline.collect.inputs import inputs
from pipeline.collect.letters import Letters, reject_columns
from pipeline.collect.stream import pack
from pipeline.config.model import Source
from pipeline.decode.columns import Array, objects
from pipeline.operators.step import name_process

VERDICT: Final = ("step", "reason", "detail", "event_type", "schema_version")
"""The last arguments of `pack_step`."""


class PackFunction(TableFunction):  # type: ignore[misc]
    """Returns a reject as one cell of streams.

    Only events too large for a replica come here. They are few, and large.
    """

    def __init__(self, source: Source, keys: Sequence[str]) -> None:
        self._source = source
        self._keys = keys

    def open(self, function_context: FunctionContext) -> None:
        name_process("etl-pack")
        self._letters = Letters(self._source, self._keys)

    def eval(self, *arguments: Any) -> Iterator[bytes]:
        columns = [_column(argument) for argument in arguments]
        verdict = dict(zip(VERDICT, columns[-len(VERDICT) :], strict=True))
        rejects = reject_columns(inputs(self._source, columns), np.arange(1), verdict)
        if cell := pack(self._letters.streams(rejects)):
            yield cell


def _column(value: Any) -> Array:
    return np.array([value]) if isinstance(value, int) else objects([value])


def pack_function(source: Source, keys: Sequence[str]) -> Any:
    """`pack_step(…)`: rejects as batches for the dead letters' files, which have these keys.

    Its arguments are those of `query.arguments`, then `VERDICT`.
    """
    return udtf(PackFunction(source, keys), result_types=[DataTypes.BYTES()])
