"""Rows of the inventories of jobs, and what is made of them."""

from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport, port_bucket
from app.detection.context import Signer, context_of
from app.detection.facts import FACT_QUERIES, Fact
from app.detection.job_parts import MOST_PARTS, hear_all, said_in
from app.detection.jobs import job_behind, relevant, wanted
from app.detection.paths import file_name, normalised

DAY = 86_400
SSH_PLIST = "/System/Library/LaunchDaemons/ssh.plist"
RELAY_PLIST = "/Library/LaunchDaemons/com.example.relay.plist"


def fact(query, columns, *, at=0, action="added", node="mac"):
    platform, kind = FACT_QUERIES[query]
    return Fact(node, platform, kind, query, action, columns, at)


def launchd(label="com.example.relay", plist=RELAY_PLIST, *, at=0, action="added", **columns):
    row = {"label": label, "plist_path": plist, "program": "", "program_arguments": ""}
    return fact("pack/macos_context/launchd", row | columns, at=at, action=action)


def socket_key(subkey, value, label="com.openssh.sshd", plist=SSH_PLIST, *, key="Sockets", at=0, action="added"):
    row = {"label": label, "plist_path": plist, "key": key, "subkey": subkey, "value": value}
    return fact("pack/macos_context/launchd_sockets", row, at=at, action=action)


def switch(label, disabled, *, at=0, action="added"):
    row = {"label": label, "path": "/var/db/com.apple.xpc.launchd/disabled.plist", "disabled": disabled}
    return fact("pack/macos_context/launchd_disabled", row, at=at, action=action)


def startup_item(name, path, *, source="com.apple.backgroundtaskmanagement", username="aoki", at=0):
    row = {"name": name, "path": path, "source": source, "username": username, "args": "", "status": "enabled"}
    return fact("pack/macos_context/startup_items", row | {"type": "Login Item"}, at=at)


def hidden_plist(path, *, at=0):
    return fact("pack/macos_context/hidden_plists", {"path": path, "mtime": "1", "size": "9", "uid": "0"}, at=at)


def service(name, path, *, account="LocalSystem", module="", start="AUTO_START", kind="OWN_PROCESS", at=0):
    row = {"name": name, "path": path, "user_account": account, "module_path": module, "start_type": start}
    return fact("pack/windows_context/services", row | {"service_type": kind}, at=at)


def running(name, pid, *, started="7", at=0):
    row = {"name": name, "pid": pid, "status": "RUNNING", "proc_path": "", "proc_start": started}
    return fact("pack/windows_context/services_running", row, at=at, action="snapshot")


def parts_of(*facts, room=MOST_PARTS):
    parts = {}
    hear_all(parts, said_in(facts), room)
    return parts


def listener(path, port, *, transport=Transport.TCP, unit=""):
    platform = Platform.MACOS if path.startswith("/") else Platform.WINDOWS
    known_as = normalised(platform, path)
    program = Program(platform, known_as, file_name(platform, known_as), unit)
    return Behaviour(program, Direction.LISTENING, transport, port_bucket(port))


def context(path, *, signer=None, **columns):
    """Of a child of launchd or of services.exe, unless the columns say otherwise."""
    mac = path.startswith("/")
    parent = {"parent_pid": "1", "parent_path": "/sbin/launchd"} if mac else {"parent_name": "services.exe"}
    row = {"proc_path": path, "pid": "733", "proc_start": "7", "bind_scope": "any", "cmdline": path} | parent
    query = f"pack/{'macos' if mac else 'windows'}_network/listening"
    return context_of(query, row | columns, node="mac", signer=signer or Signer())


def match(facts, behaviour, around, *, at=0):
    parts = parts_of(*facts).values()
    since = {kind: min(part.first_seen_at for part in parts if part.kind is kind) for kind in {p.kind for p in parts}}
    wish = wanted(behaviour, around)
    return job_behind(relevant(parts, wish), since, behaviour, around, at) if wish else None
