"""Addresses of the other end of a connection."""

from collections.abc import Mapping
from random import Random

from app.simulator.profiles import Peers

DIRECTORY = ("10.20.0.10", "10.20.0.11", "10.20.0.12")

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
