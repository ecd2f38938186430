"""Estimates, as the tests make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.deploy.cost.estimate import Estimate, estimate
from pipeline.deploy.cost.load import Load, Settings, settings_of
from pipeline.deploy.cost.prices import BY_NAME
from pipeline.deploy.cost.stack import Stack

DEFAULT = settings_of(None)
PROVISIONED = {"SourceStreamMode": "PROVISIONED"}


def of(
    rate: float, parameters: Mapping[str, str] | None = None, own: Settings = DEFAULT, **load: Any
) -> Estimate:
    """Estimate a load with these parameters and settings, and our prices."""
    return estimate(Load(events_per_second=rate, **load), Stack(parameters or {}), own, BY_NAME)


def usd(found: Estimate, name: str) -> float:
    """Return what one line costs."""
    return {f"{line.group}: {line.name}": line.usd for line in found.lines}[name]
