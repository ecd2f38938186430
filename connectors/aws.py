"""Clients of boto3, and its errors, so that nobody else needs to know its exceptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from connectors.errors import UserError

_SETTINGS: Final = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 8},
    max_pool_connections=16,
    s3={"addressing_style": "path"},
)
_IMPATIENT: Final = _SETTINGS.merge(
    Config(read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
)

# What to do about errors that are matters of credentials; AWS's own text does not say it.
_DENIED: Final = frozenset({"403", "Forbidden", "AccessDenied", "AccessDeniedException"})
_WRONG_KEY: Final = frozenset(
    "ExpiredToken ExpiredTokenException RequestExpired InvalidAccessKeyId InvalidClientTokenId"
    " InvalidSignatureException InvalidToken SignatureDoesNotMatch TokenRefreshRequired"
    " UnrecognizedClientException".split()
)


def explain(error: Exception) -> str:
    """Return an error of boto3 in one line, with what to do if AWS refused the credentials."""
    if not isinstance(error, ClientError):
        return str(error)
    code, reason = (error.response["Error"].get(key, "") for key in ("Code", "Message"))
    text = f"{code}: {reason}"[:500]
    if code in _DENIED:
        return (
            f"{text}: access denied to {error.operation_name}; give the credentials this permission"
            " (see docs/security.md and docs/deploy.md), or use those of the resource's account"
        )
    if code in _WRONG_KEY:
        return f"{text}: the credentials are wrong or expired; renew them"
    if code == "RequestTimeTooSkewed":
        return f"{text}: set this machine's clock"
    return text


@contextmanager
def reported(action: str) -> Iterator[None]:
    """Raise UserError("cannot ACTION: REASON") instead of boto3's exceptions."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"cannot {action}: {explain(error)}") from error


def client(
    service: str,
    environment: Mapping[str, str],
    *,
    region: str | None,
    endpoint: str | None,
    impatient: bool = False,
) -> Any:
    """Return a client, with credentials of the environment, else of AWS's default chain.

    It may be used by several threads. An impatient one fails after some ten seconds, not minutes.

    Raises:
        UserError: a setting or profile of AWS is wrong.
    """
    with reported(f"connect to {service.capitalize()}"):
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=endpoint or None,
            aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=environment.get("AWS_SESSION_TOKEN"),
            config=_IMPATIENT if impatient else _SETTINGS,
        )
