"""Windows events and process starts as osquery hands them out."""

import json
from collections.abc import Mapping
from typing import Any

from app.detection.behaviour import Platform
from app.detection.facts import Fact, FactKind

SYSMON_NET, WFP = "pack/windows_network/sysmon_connections", "pack/windows_network/wfp_events"
SYSMON_START, AUDIT_START = "pack/windows_network/sysmon_processes", "pack/windows_network/process_creations"
ETW_START, MACOS_START = "pack/windows_network/process_events", "pack/macos_network/process_events"

SVCHOST, EXCEL = r"C:\Windows\System32\svchost.exe", r"C:\Program Files\Microsoft Office\EXCEL.EXE"
DEVICE_SVCHOST = r"\device\harddiskvolume3\windows\system32\svchost.exe"


def event(number: int, fields: Mapping[str, object], **row: object) -> dict[str, Any]:
    data = json.dumps({"EventData": fields})
    return {"time": "1598961600", "datetime": "2020-09-01T12:00:00.5Z", "eventid": str(number), "data": data} | row


def sysmon_connection(**fields: object) -> dict[str, Any]:
    """Excel, from 50391 out to port 8443 of a public host."""
    said = {
        "UtcTime": "2020-09-01 12:00:00.123", "ProcessGuid": "{g-1}", "ProcessId": "11764", "Image": EXCEL,
        "User": r"CORP\mwebb", "Protocol": "tcp", "Initiated": "true", "SourceIp": "10.20.4.117",
        "SourcePort": "50391", "DestinationIp": "203.0.113.57", "DestinationPort": "8443",
    }  # fmt: skip
    return event(3, said | fields)


def wfp_connection(**fields: object) -> dict[str, Any]:
    """svchost, from 50112 out to port 7680 of a near host."""
    said = {
        "ProcessID": "3180", "Application": DEVICE_SVCHOST, "Direction": "%%14593", "SourceAddress": "10.20.4.117",
        "SourcePort": "50112", "DestAddress": "10.20.4.86", "DestPort": "7680", "Protocol": "6",
    }  # fmt: skip
    return event(5156, said | fields)


def wfp_bind(**fields: object) -> dict[str, Any]:
    said = {
        "ProcessId": "5320", "Application": DEVICE_SVCHOST, "SourceAddress": "0.0.0.0",
        "SourcePort": "5432", "Protocol": "6",
    }  # fmt: skip
    return event(5158, said | fields)


def sysmon_start(**fields: object) -> dict[str, Any]:
    said = {
        "UtcTime": "2020-09-01 11:59:48.123", "ProcessGuid": "{g-1}", "ProcessId": "11764", "Image": EXCEL,
        "CommandLine": "EXCEL.EXE q4.xlsx", "User": r"CORP\mwebb", "ParentImage": r"C:\Windows\explorer.exe",
    }  # fmt: skip
    return event(1, said | fields)


def audit_start(**fields: object) -> dict[str, Any]:
    said = {
        "SubjectUserSid": "S-1-5-21-1", "SubjectUserName": "mwebb", "NewProcessId": "0x2df4", "NewProcessName": EXCEL,
        "ProcessId": "0x1778", "CommandLine": "", "TargetUserSid": "S-1-0-0", "TargetUserName": "-",
        "ParentProcessName": r"C:\Windows\explorer.exe",
    }  # fmt: skip
    return event(4688, said | fields)


def etw_start(**columns: object) -> dict[str, Any]:
    row = {"type": "ProcessStart", "time": "1598961588", "pid": "11764", "path": EXCEL, "cmdline": "EXCEL.EXE"}
    return row | {"username": r"CORP\mwebb"} | columns


def fact(query: str, columns: Mapping[str, object], node: str = "1") -> Fact:
    platform = Platform.MACOS if "macos" in query else Platform.WINDOWS
    return Fact(node, platform, FactKind.PROCESS, query, "added", columns, 1598961660)
