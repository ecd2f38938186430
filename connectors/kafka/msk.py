"""The AWS region of an MSK cluster, for which both clients sign.

Flink's client takes it from the broker's name in its own way; where that would be another region,
brokers answer "access denied". findings/msk_iam_region.sh shows it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from connectors.errors import UserError
from connectors.kafka.options import Kafka, host_of

_REGION: Final = re.compile(
    r"(?:us-gov|us-iso[a-z]?|eu-isoe|eusc-de|af|ap|ca|cn|eu|il|me|mx|sa|us)"
    r"-(?:north|south)?(?:central|north|south|east|west)-\d+"
)
_MSK_SUFFIXES: Final = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".c2s.ic.gov")


def region_of(cluster: Kafka, environment: Mapping[str, str] = os.environ) -> str:
    """Return the region in a broker's name; AWS_REGION for a domain of one's own.

    Raises:
        UserError: there is none, or Flink's client would sign for another region.
    """
    hosts = list(map(host_of, cluster.bootstrap_servers.split(",")))
    regions = list(map(_named, hosts))
    for host, region in zip(hosts, regions, strict=True):
        misleading = sorted(set(_REGION.findall(host)) - {region}) if region else []
        if misleading:
            raise UserError(
                f"kafka.bootstrap_servers: {host} is in {region}, but its name holds"
                f" {misleading[0]} too, for which aws-msk-iam-auth for Java 11 would sign, and the"
                " brokers would deny access. Set kafka.security to scram, or use a cluster whose"
                " name holds no other region."
            )
    region = regions[0] or environment.get("AWS_REGION", "")
    if not region:
        raise UserError(
            f"kafka.bootstrap_servers: {hosts[0]} is no name of MSK's, so its region is unknown;"
            " set AWS_REGION, here and for Flink's processes, to the region of the cluster."
        )
    return region


def _named(host: str) -> str:
    """Return REGION of `b-1.name.id.c2.kafka.REGION.amazonaws.com`; empty for another name."""
    suffix = next((known for known in _MSK_SUFFIXES if host.endswith(known)), None)
    if suffix is None:
        return ""
    region = host.removesuffix(suffix).removesuffix(".vpce").rpartition(".")[2]
    return region if _REGION.fullmatch(region) else ""
