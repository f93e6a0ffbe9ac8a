"""Community ID: one name for a connection, whichever end or sensor saw it. Version 1 with seed 0, as osquery's.

Source: Corelight's community-id-spec.
"""

import base64
import hashlib
import struct
from functools import lru_cache
from ipaddress import ip_address

PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17}


def community_id(transport: str, here: tuple[str, int], there: tuple[str, int]) -> str:
    """Of a TCP or UDP connection; the same from both ends.

    Raises:
        ValueError: an address that is none.
    """
    first, second = sorted(
        (_packed(here[0]) + struct.pack("!H", here[1]), _packed(there[0]) + struct.pack("!H", there[1]))
    )
    data = b"\0\0" + first[:-2] + second[:-2] + bytes((PROTOCOL_NUMBERS[transport], 0)) + first[-2:] + second[-2:]
    return "1:" + base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


@lru_cache(maxsize=8192)
def _packed(address: str) -> bytes:
    return ip_address(address).packed
