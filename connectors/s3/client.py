"""A client for S3, and its errors in the words of this project."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from connectors import aws
from connectors.errors import UserError

MISSING: Final = frozenset({"NoSuchKey", "404"})


def s3_client(environment: Mapping[str, str]) -> Any:
    """Return a boto3 client for S3; UserError if a setting or profile of AWS is wrong."""
    endpoint = environment.get("S3_ENDPOINT")
    # A server of our own has no region, but a signature needs one.
    region = environment.get("AWS_REGION") or ("us-east-1" if endpoint else None)
    return aws.client("s3", environment, region=region, endpoint=endpoint)


@contextmanager
def reporting(action: str, uri: str) -> Iterator[None]:
    """Translate the errors of botocore: FileNotFoundError if there is no such object.

    Raises:
        UserError: S3 fails or denies access.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in MISSING:
            raise FileNotFoundError(errno.ENOENT, "no such object", uri) from error
        raise UserError(f"cannot {action} {uri}: {aws.explain(error)}") from error
    except BotoCoreError as error:
        raise UserError(f"cannot {action} {uri}: {error}") from error


def has_bucket(client: Any, bucket: str) -> bool:
    """Return whether a bucket exists; UserError if S3 fails or denies access."""
    with reporting("look for the bucket", bucket):
        try:
            client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in MISSING | {"NoSuchBucket"}:
                raise
            return False
    return True
