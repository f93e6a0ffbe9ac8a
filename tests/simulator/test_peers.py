import ipaddress
from typing import get_args

import pytest

from app.simulator.chance import chance
from app.simulator.peers import peer
from app.simulator.profiles import Peers


@pytest.mark.parametrize("kind", get_args(Peers))
def test_addresses_are_what_their_kind_says(kind: Peers) -> None:
    dice = chance("peers", kind)
    for _ in range(50):
        address = ipaddress.ip_address(peer(kind, dice))
        assert address.is_global is (kind not in {"private", "directory"})
