"""Options of Kinesis."""

from __future__ import annotations

from typing import Annotated

from connectors.options import Section, doc


class Kinesis(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Kinesis streams are reached; credentials come from AWS's default chain."""

    region: Annotated[
        str, doc("AWS region of streams given by name; one given by ARN has its own.")
    ] = ""
    endpoint: Annotated[
        str, doc("Instead of AWS's own, for a local server; plain http for 127.0.0.1 only.")
    ] = ""
    allow_plaintext: Annotated[
        bool, doc("Allow http to an endpoint beyond 127.0.0.1: anyone on the way can read.")
    ] = False
