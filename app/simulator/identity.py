"""Who an agent says it is when it enrolls."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from app.simulator.connection import VERSION

#: osquery's `platform_type` is a bit mask in decimal: Windows 2; macOS POSIX 1 + BSD 4 + OSX 16.
PLATFORM_TYPES: Mapping[str, str] = {"windows": "2", "darwin": "21"}


@dataclass(frozen=True, slots=True)
class Identity:
    """`platform` is osquery's word: windows or darwin. The host identifier is a hardware UUID, as packs recommend."""

    host_identifier: str
    hostname: str
    platform: str
    role: str
    instance_id: str
    os_version: Mapping[str, str]
    system_info: Mapping[str, str]

    def enrollment(self, secret: str) -> bytes:
        """The request body; every leaf is text, as osquery sends it."""
        return msgspec.json.encode(
            {
                "enroll_secret": secret,
                "host_identifier": self.host_identifier,
                "platform_type": PLATFORM_TYPES[self.platform],
                "host_details": {
                    "os_version": self.os_version,
                    "osquery_info": self._osquery_info(),
                    "system_info": {"hostname": self.hostname, "uuid": self.host_identifier} | dict(self.system_info),
                },
            }
        )

    def _osquery_info(self) -> dict[str, str]:
        return {
            "version": VERSION,
            "build_platform": self.platform,
            "build_distro": "10",
            "uuid": self.host_identifier,
            "instance_id": self.instance_id,
            "pid": "4312",
            "watcher": "3980",
            "platform_mask": PLATFORM_TYPES[self.platform],
            "config_hash": "",
            "config_valid": "0",
            "extensions": "inactive",
        }
