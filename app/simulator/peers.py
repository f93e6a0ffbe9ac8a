"""Addresses of the other end, and the community id of a connection."""

import base64
import hashlib
import socket
import struct
from collections.abc import Mapping
from functools import lru_cache
from random import Random

from app.simulator.profiles import Peers

DIRECTORY = ("10.20.0.10", "10.20.0.11", "10.20.0.12")
PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17}

#: Leading parts of address blocks. An attacker is given the withdrawn 6to4 relay block: public in form, nobody's host.
BLOCKS: Mapping[Peers, tuple[str, ...]] = {
    "public": ("104.18", "151.101", "185.199", "23.215", "13.224", "104.16", "34.149", "2606:4700::6810"),
    "microsoft": ("13.107", "52.96", "20.190", "40.126", "52.113"),
    "google": ("142.250", "172.217", "142.251"),
    "apple": ("17.57", "17.248", "17.253"),
    "github": ("140.82",),
    "private": ("10.20.8", "10.20.9"),
    "attacker": ("192.88.99",),
}


def peer(kind: Peers, dice: Random) -> str:
    if kind == "directory":
        return dice.choice(DIRECTORY)
    leading = dice.choice(BLOCKS[kind])
    if ":" in leading:
        return f"{leading}:{dice.randint(1, 0xFFFF):x}"
    missing = 3 - leading.count(".")
    return ".".join([leading, *(str(dice.randint(4, 250)) for _ in range(missing))])


def community_id(transport: str, here: tuple[str, int], there: tuple[str, int]) -> str:
    """Version 1 with seed 0, for TCP and UDP. Source: Corelight's community-id-spec."""
    first, second = sorted(
        (_packed(here[0]) + struct.pack("!H", here[1]), _packed(there[0]) + struct.pack("!H", there[1]))
    )
    data = b"\0\0" + first[:-2] + second[:-2] + bytes((PROTOCOL_NUMBERS[transport], 0)) + first[-2:] + second[-2:]
    return "1:" + base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


@lru_cache(maxsize=8192)
def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
