"""What stops the job when rows can't become a file: a bug of ours."""

from __future__ import annotations

from typing import Final

import pyarrow as pa


class CollectError(RuntimeError):
    """Names the step, the folder and the type of the error, and never a value of a record."""

    def __init__(self, step: str, folder: str, error: BaseException) -> None:
        super().__init__(f"{step}: rows of {folder} can't be written: {type(error).__name__}")


CONVERSION_ERRORS: Final = (pa.ArrowException, ArithmeticError, LookupError, TypeError, ValueError)
"""What numpy and pyarrow raise for values that a column can't hold; a message may hold one."""
