"""What stops the job when rows can't become a file: a bug of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.decode.columns import Array


class CollectError(RuntimeError):
    """Names the step, the folder and the type of the error, and never a value of a record."""

    def __init__(self, step: str, folder: str, error: BaseException) -> None:
        super().__init__(f"{step}: rows of {folder} can't be written: {type(error).__name__}")


CONVERSION_ERRORS: Final = (pa.ArrowException, ArithmeticError, LookupError, TypeError, ValueError)
"""What numpy and pyarrow raise for values that a column can't hold; a message may hold one."""


def first_bad(numbers: Array, build: Callable[[Array], object]) -> int | None:
    """Return the least of the rows' numbers whose rows `build`, given a mask, can't convert."""
    for number in np.unique(numbers).tolist():
        try:
            build(numbers == number)
        except CONVERSION_ERRORS:
            return int(number)
    return None
