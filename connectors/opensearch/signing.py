"""Signs requests to Amazon OpenSearch (AWS Signature Version 4) with expiring credentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import botocore.session
from opensearchpy import Urllib3AWSV4SignerAuth

from connectors.errors import UserError

Signer: TypeAlias = Callable[..., dict[str, str]]
"""What opensearch-py calls for each request with method, URL and the body as it will be sent."""


def signer(*, region: str, service: str, credentials: Any = None) -> Signer:
    """Signs every request with the credentials valid at that moment.

    `credentials` is botocore's; by default its usual chain is asked (environment, profile, role).
    The library asks them for frozen values at each request, so a role's are renewed in time.
    """
    found = credentials or botocore.session.get_session().get_credentials()
    if found is None:
        raise UserError(
            "index.auth is sigv4, but no AWS credentials were found: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, choose AWS_PROFILE, or run where a role is attached"
        )
    sign: Signer = Urllib3AWSV4SignerAuth(found, region, service)
    return sign
