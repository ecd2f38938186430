"""Errors of AWS's client, for callers that report them."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

AWS_ERRORS = (BotoCoreError, ClientError)
"""What boto3 raises when a service refuses a request, or is not reached."""
