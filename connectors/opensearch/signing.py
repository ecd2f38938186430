"""Signs requests to Amazon OpenSearch with AWS Signature Version 4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import botocore.session
from opensearchpy import Urllib3AWSV4SignerAuth

from connectors.errors import UserError

Signer: TypeAlias = Callable[..., dict[str, str]]
"""Called by opensearch-py for each request with method, URL and the body as it will be sent."""


def signer(*, region: str, service: str, credentials: Any = None) -> Signer:
    """Return a signer that uses the credentials valid at each request.

    `credentials` are botocore's; by default those of its chain (environment, profile, role). The
    library freezes them for each request, so that a role's are refreshed before they expire.

    Raises:
        UserError: there are no credentials.
    """
    used = credentials or botocore.session.get_session().get_credentials()
    if used is None:
        raise UserError(
            "index.auth is sigv4, but no AWS credentials were found: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, choose AWS_PROFILE, or run where a role is attached"
        )
    sign: Signer = Urllib3AWSV4SignerAuth(used, region, service)
    return sign
