"""The product: the job, and the operator's tools around it."""

from typing import Final

__version__: Final = "0.3.0"
"""The one place of the version: pyproject.toml and `streaming-etl --version` read it here."""
