"""An entry as requests and files give it, and as answers show it: one form for both."""

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.baselines.entries import NewEntry
from app.detection.addresses import PeerScope
from app.detection.baseline import JUSTIFICATION_MAX, NAME_MAX, Entry
from app.detection.behaviour import Direction, Platform, Transport
from app.detection.expectations import Expectation, breadth
from app.detection.paths import LONGEST_PATH

_PORTS = re.compile(r"(?P<first>\d{1,7})(?:-(?P<last>\d{1,7}))?")

Path = Annotated[str, Field(max_length=LONGEST_PATH)]
Name = Annotated[str, Field(max_length=NAME_MAX)]


class EntryIn(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    program: Annotated[str, Field(min_length=1, max_length=NAME_MAX)]
    """File name as Portbook normalises it; `*` for every program of the signer."""
    path: Path = ""
    """Normalised; without one the signer must be named."""
    signer: Path = ""
    unit: Annotated[str | None, Field(max_length=LONGEST_PATH)] = None
    """Windows service or launchd label; without one any, empty for none."""
    direction: Literal["outbound", "listening", "loopback"]
    transport: Literal["tcp", "udp"]
    ports: Annotated[str, Field(max_length=20)]
    """`443`, or `8000-8100`; 49152-65535 are seen as one."""
    peers: Literal["public", "private", "link-local"] | None = None
    """Of connections out; without it peers anywhere."""
    justification: Annotated[str, Field(max_length=JUSTIFICATION_MAX)] = ""
    owner: Name = ""
    requested_by: Name = ""
    entry: Annotated[UUID, Field(strict=False)] | None = None
    """Of an entry that the version before has; without it the one that expects just this, or a new one."""

    @field_validator("ports")
    @classmethod
    def _has_form(cls, said: str) -> str:
        if not _PORTS.fullmatch(said):
            raise ValueError("a port as in 443, or a range as in 8000-8100")
        return said

    def new(self, platform: Platform) -> NewEntry:
        return NewEntry(
            expects=self._expects(platform),
            justification=self.justification,
            owner=self.owner,
            requested_by=self.requested_by,
            entry_id=self.entry,
        )

    def _expects(self, platform: Platform) -> Expectation:
        ports = _PORTS.fullmatch(self.ports)
        assert ports is not None
        return Expectation(
            platform=platform,
            program=self.program,
            path=self.path,
            signer=self.signer,
            direction=Direction(self.direction),
            transport=Transport(self.transport),
            first_port=int(ports["first"]),
            last_port=int(ports["last"] or ports["first"]),
            unit=self.unit,
            peer_scope=PeerScope(self.peers) if self.peers else None,
        )


class EntryOut(BaseModel):
    entry: UUID
    """The same in every version that holds it."""
    words: str
    program: str
    path: str
    signer: str
    unit: str | None
    direction: str
    transport: str
    ports: str
    peers: str | None
    justification: str
    owner: str
    requested_by: str
    added_at: datetime | None
    why: str
    """What in the history spoke for it when it was proposed."""
    wide: list[str]
    """What is wide about it, for whoever decides."""

    @classmethod
    def of(cls, entry: Entry) -> "EntryOut":
        expects = entry.expects
        same = ("program", "path", "signer", "unit")
        said = ("justification", "owner", "requested_by", "added_at", "why")
        return cls(
            entry=entry.entry_id,
            words=str(expects),
            direction=expects.direction.value,
            transport=expects.transport.value,
            ports=ports_of(expects),
            peers=expects.peer_scope.value if expects.peer_scope else None,
            wide=list(breadth(expects)),
            **{name: getattr(expects, name) for name in same},
            **{name: getattr(entry, name) for name in said},
        )


def ports_of(expects: Expectation) -> str:
    """As files and requests say them, e.g. `443` or `8000-8100`."""
    return expects.ports.partition("/")[2]
