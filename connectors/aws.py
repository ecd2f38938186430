"""Errors of boto3, so that nobody else needs to know its exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from connectors.errors import UserError


@contextmanager
def reported(action: str) -> Iterator[None]:
    """Raise UserError("cannot ACTION: REASON") instead of boto3's exceptions."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"cannot {action}: {error}") from error
