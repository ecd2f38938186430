"""The claim check of records that are too large for their target."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext

from pipeline.config import model as config
from pipeline.decode.claim_check import byte_lengths, claim_check, header_bytes
from pipeline.metrics import StepMetrics
from pipeline.operators.step import Step, vectorised

_CLAIM_CHECK = {
    "large": DataTypes.BOOLEAN(),
    "head": DataTypes.BYTES(),
    "bytes": DataTypes.INT(),
    "sha256": DataTypes.STRING(),
}


class ClaimCheckFunction(Step):
    """The claim check of records too large for their target; see `pipeline.decode.claim_check`."""

    def __init__(self, settings: config.Archive | config.DeadLetters) -> None:
        self._settings = settings

    def open(self, function_context: FunctionContext) -> None:
        self._metrics = StepMetrics("claim_check", function_context.get_metric_group())

    def eval(
        self, raw: pd.Series, key: pd.Series, header_names: pd.Series, header_values: pd.Series
    ) -> pd.DataFrame:
        settings = self._settings
        beside = byte_lengths(key) + header_bytes(header_names, header_values)
        checked = claim_check(
            raw.to_numpy(),
            max_bytes=settings.max_bytes,
            head_bytes=settings.head_bytes,
            beside=beside,
        )
        self._metrics.count("in", len(raw))
        self._metrics.count("large", int(checked["large"].sum()))
        return pd.DataFrame(checked, copy=False)


def claim_check_function(settings: config.Archive | config.DeadLetters) -> Any:
    """`claim_check_<sink>(raw, key, header names, header values)`: see `_CLAIM_CHECK`."""
    return vectorised(ClaimCheckFunction(settings), _CLAIM_CHECK)
