"""Options of Kinesis."""

from __future__ import annotations

from typing import Annotated

from connectors.options import OptionalLine, OptionalRegion, Section, doc


class Kinesis(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to connect to Kinesis. Credentials come from AWS's default credential chain."""

    region: Annotated[
        OptionalRegion,
        doc("AWS region of streams given by name. A stream given by ARN has its own."),
    ] = ""
    endpoint: Annotated[
        OptionalLine,
        doc("URL of a server other than AWS, such as a local one. http is for 127.0.0.1 only."),
    ] = ""
    allow_plaintext: Annotated[
        bool,
        doc("Allow unencrypted http beyond 127.0.0.1. Anyone on the network can read the traffic."),
    ] = False
