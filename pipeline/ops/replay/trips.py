"""The fields of the shipped event types that replay needs; options name those of others."""

from __future__ import annotations

from typing import Final

TIME_FIELD: Final = "dropoff_datetime"
KEY_FIELD: Final = "trip_id"
