"""The patch of Beam's listener."""

from __future__ import annotations

import pytest

from connectors.errors import UserError
from dev.servers.beam_loopback import patch_class


def test_class_of_another_shape_is_not_patched() -> None:
    empty_pool = b"\xca\xfe\xba\xbe" + b"\x00\x00\x00\x37" + b"\x00\x02" + b"\x01\x00\x00"

    with pytest.raises(UserError, match="this PyFlink differs"):
        patch_class(empty_pool)
