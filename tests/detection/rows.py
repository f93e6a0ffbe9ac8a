"""Rows as the packs report them."""

from collections.abc import Mapping

WINDOWS_OUT, WINDOWS_LISTEN = "pack/windows_network/outbound", "pack/windows_network/listening"
MACOS_OUT, MACOS_LISTEN = "pack/macos_network/outbound", "pack/macos_network/listening"


def socket(path: str, **columns: object) -> Mapping[str, object]:
    """A TCP connection from 51000 to port 443 of a private peer, unless the columns say otherwise."""
    return {
        "proc_path": path,
        "proc_name": path.replace("\\", "/").rpartition("/")[2],
        "cmdline": "",
        "protocol": "6",
        "local_address": "10.0.0.5",
        "local_port": "51000",
        "remote_address": "10.0.5.13",
        "remote_port": "443",
        "local_port_listening": "0",
        "conn_state": "open",
    } | columns
