"""The files that make a host's osqueryd one of our nodes: flag file, enroll secret, the server's certificate."""

from dataclasses import dataclass
from pathlib import Path

PATHS = {
    "windows": "C:\\Program Files\\osquery\\",
    "macos": "/private/var/osquery/",
}
STEPS = {
    "windows": """On the Windows host, with osquery 5.23.1 or newer installed, in an elevated PowerShell in that folder:
  Copy-Item osquery.flags, portbook.secret, portbook.pem 'C:\\Program Files\\osquery\\'
  icacls 'C:\\Program Files\\osquery\\portbook.secret' /inheritance:r /grant 'SYSTEM:R' 'Administrators:F'
  Restart-Service osqueryd""",
    "macos": """On the Mac, with osquery 5.23.1 or newer installed, in that folder:
  sudo install -m 644 osquery.flags portbook.pem /private/var/osquery/
  sudo install -m 600 portbook.secret /private/var/osquery/
  sudo osqueryctl restart""",
}


@dataclass(frozen=True, slots=True)
class EnrollKit:
    """`server` is host:port as the agent reaches it; `certificate` the PEM it shall trust."""

    platform: str
    server: str
    secret: str
    certificate: bytes


def flagfile(platform: str, server: str) -> str:
    """Osquery's flags, one a line. Options that a configuration may set are left to the configuration.

    Source: osquery docs/wiki/installation/cli-flags.md.
    """
    place = PATHS[platform]
    flags = {
        "tls_hostname": server,
        "tls_server_certs": f"{place}portbook.pem",
        "enroll_tls_endpoint": "/api/v1/osquery/enroll",
        "enroll_secret_path": f"{place}portbook.secret",
        "config_plugin": "tls",
        "config_tls_endpoint": "/api/v1/osquery/config",
        "config_refresh": "300",
        "config_accelerated_refresh": "60",
        "config_enable_backup": "true",
        "logger_plugin": "tls",
        "logger_tls_endpoint": "/api/v1/osquery/log",
        "logger_tls_compress": "true",
        "disable_distributed": "false",
        "distributed_plugin": "tls",
        "distributed_tls_read_endpoint": "/api/v1/osquery/distributed/read",
        "distributed_tls_write_endpoint": "/api/v1/osquery/distributed/write",
        "host_identifier": "uuid",
        "pack_delimiter": "/",
        "disable_carver": "true",
    }
    return "".join(f"--{name}={value}\n" for name, value in flags.items())


def write_kit(kit: EnrollKit, folder: Path) -> list[Path]:
    """The secret is readable to its owner only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    contents = {
        "osquery.flags": flagfile(kit.platform, kit.server).encode(),
        "portbook.secret": kit.secret.encode(),
        "portbook.pem": kit.certificate,
    }
    for name, content in contents.items():
        path = folder / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)
    return [folder / name for name in contents]


def instructions(platform: str, folder: Path) -> str:
    return f"Wrote the enroll kit to {folder}. Move that folder to the host by a way you trust.\n{STEPS[platform]}"
