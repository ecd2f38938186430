"""pack: rejects that come row by row, as batches for the dead letters' files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext, udf

from pipeline.collect.inputs import inputs
from pipeline.collect.letters import Letters, reject_columns
from pipeline.collect.stream import pack
from pipeline.config.model import Source
from pipeline.operators.step import Step

VERDICT: Final = ("step", "reason", "detail", "event_type", "schema_version")
"""The last arguments of `pack_step`."""


class PackFunction(Step):
    """Returns a batch of rejects in its first row, as one cell of streams; null in the others."""

    def __init__(self, source: Source, keys: Sequence[str]) -> None:
        self._source = source
        self._keys = keys

    def open(self, function_context: FunctionContext) -> None:
        self._letters = Letters(self._source, self._keys)

    def eval(self, *arguments: pd.Series) -> pd.Series:
        columns = [argument.to_numpy() for argument in arguments]
        records = inputs(self._source, columns)
        verdict = dict(zip(VERDICT, columns[-len(VERDICT) :], strict=True))
        rejects = reject_columns(records, np.arange(len(records)), verdict)
        cells = np.full(len(records), None, object)
        cells[0] = pack(self._letters.streams(rejects))
        return pd.Series(cells)


def pack_function(source: Source, keys: Sequence[str]) -> Any:
    """`pack_step(…)`: rejects as batches for the dead letters' files, which have these keys.

    Its arguments are those of `query.call` without the redrive mark, then `VERDICT`.
    """
    return udf(PackFunction(source, keys), result_type=DataTypes.BYTES(), func_type="pandas")
