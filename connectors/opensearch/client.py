"""OpenSearch clients, the sender of bulk requests, and points in time to read from.

TLS certificates are always verified; those of a private authority go into `ca_file`.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import ConnectionTimeout, NotFoundError, SSLError, TransportError

from connectors.errors import UserError
from connectors.opensearch.bulk import BULK_PARAMETERS, Answer, Send, Unreachable
from connectors.opensearch.options import Index
from connectors.text_files import read_certificates

_PORTS = {"https": 443, "http": 80}


def client(settings: Index, *, credentials: Any = None) -> OpenSearch:
    """Return `worker_client`, for a command, which reports a wrong `ca_file` at once.

    Raises:
        UserError: there are no credentials, or `ca_file` holds no certificate.
    """
    if settings.ca_file:
        read_certificates(settings.ca_file, "index.ca_file")
    return worker_client(settings, credentials=credentials)


def worker_client(settings: Index, *, credentials: Any = None) -> OpenSearch:
    """Return a client that does not retry, which the index step does, and logs no documents.

    `credentials` are botocore's, for sigv4; by default those of its chain (environment, profile,
    role).

    Raises:
        UserError: there are no credentials.
    """
    logging.getLogger("opensearch").setLevel(logging.ERROR)  # its DEBUG logs whole documents
    parts = urlsplit(settings.url)
    options: dict[str, Any] = {}
    if parts.scheme == "https":
        options = {"use_ssl": True, "verify_certs": True, "ca_certs": settings.ca_file or None}
    return OpenSearch(
        hosts=[{"host": parts.hostname, "port": parts.port or _PORTS[parts.scheme]}],
        url_prefix=parts.path.strip("/"),
        connection_class=Urllib3HttpConnection,
        http_auth=_signer(settings, credentials),
        headers=_basic(settings),
        http_compress=settings.compress,
        timeout=settings.timeout_seconds,
        max_retries=0,
        retry_on_status=(),
        **options,
    )


def _signer(settings: Index, credentials: Any) -> Any:
    if settings.auth != "sigv4":
        return None
    # Freezes the credentials for each request, so that a role's are refreshed before they expire.
    used = credentials or botocore.session.get_session().get_credentials()
    if used is None:
        raise UserError(
            "index.auth is sigv4, but no AWS credentials were found: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, choose AWS_PROFILE, or run where a role is attached"
        )
    return Urllib3AWSV4SignerAuth(used, settings.region, settings.service)


def _basic(settings: Index) -> dict[str, str]:
    """Encode in UTF-8: urllib3 encodes in Latin-1 and fails on other passwords."""
    if settings.auth != "basic":
        return {}
    pair = f"{settings.username}:{settings.password}"
    return {"authorization": "Basic " + b64encode(pair.encode()).decode("ascii")}


def bulk_sender(settings: Index, *, credentials: Any = None) -> Send:
    """Return a function that sends one `_bulk` body per call over one connection, of one thread."""
    connection = worker_client(settings, credentials=credentials).transport.get_connection()

    def send(body: bytes) -> Answer:
        try:
            status, _, text = connection.perform_request(
                "POST",
                "/_bulk",
                params=BULK_PARAMETERS,
                body=body,
                headers={"content-type": "application/x-ndjson"},
                ignore=range(300, 600),
            )
        except NoConnection as error:
            raise _unreachable(error) from None  # its message and causes may quote the request
        return Answer(status, text.encode("utf-8", "surrogatepass"))

    return send


def _unreachable(error: NoConnection) -> Unreachable:
    if isinstance(error, SSLError):
        return Unreachable("TLS failed: the certificate is not trusted or not for this host")
    if isinstance(error, ConnectionTimeout):
        return Unreachable("no response in time")
    names = {type(cause).__name__ for cause in _causes(error.info)}
    reset = bool(names & {"ConnectionResetError", "BrokenPipeError", "RemoteDisconnected"})
    if reset:
        return Unreachable("the connection was reset", reset=True)
    return Unreachable("no connection")


def _causes(error: object) -> Iterator[object]:
    """Yield `error` and the exceptions that urllib3 wrapped, as arguments or as `__cause__`."""
    while isinstance(error, BaseException):
        yield error
        wrapped = [arg for arg in error.args if isinstance(arg, BaseException)]
        error = wrapped[0] if wrapped else error.__cause__


@contextmanager
def point_in_time(
    client: OpenSearch, index: str, *, keep_alive: str, refresh: bool
) -> Iterator[str | None]:
    """Yield the id of a point in time of an index, or of an alias; None if there is none.

    Raises:
        UserError: it cannot be opened.
    """
    pit = _open(client, index, keep_alive, refresh=refresh)
    try:
        yield pit
    finally:
        if pit is not None:
            with suppress(TransportError):  # It expires.
                client.delete_pit(body={"pit_id": [pit]})


def _open(client: OpenSearch, index: str, keep_alive: str, *, refresh: bool) -> str | None:
    with reported(f"read the index {index}"):
        try:
            if refresh:
                client.indices.refresh(index=index)
            opened = client.create_pit(index=index, params={"keep_alive": keep_alive})
        except NotFoundError as error:
            if error.error != "index_not_found_exception":
                raise
            return None
    return str(opened["pit_id"])


@contextmanager
def reported(action: str) -> Iterator[None]:
    """Raise UserError("cannot ACTION: REASON") instead of opensearch-py's exceptions."""
    try:
        yield
    except TransportError as error:
        raise UserError(f"cannot {action}: {explain(error)}") from error


def explain(error: Exception) -> str:
    """Return the server's error in one line, or that it could not be reached."""
    assert isinstance(error, TransportError)
    if isinstance(error, NoConnection):
        return str(_unreachable(error))
    info = error.info if isinstance(error.info, dict) else {}
    detail = info.get("error")
    reason = detail.get("reason") if isinstance(detail, dict) else detail
    kind = error.error if detail else "refused"
    # AWS answers before OpenSearch does, in a form of its own.
    reason = reason or info.get("message") or info.get("Message") or "no reason given"
    remedy = ""
    if error.status_code in (401, 403):
        remedy = (
            "; check index.auth, the domain's access policy and the role of this user or identity"
        )
    return f"{error.status_code} {kind}: {reason}"[:500] + remedy
