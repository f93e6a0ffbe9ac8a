"""Where result lines come in that another osquery manager's log destination kept: JSON Lines over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from app.access.actor import Actor
from app.access.api import may
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import recorded
from app.access.duties import Permission
from app.agent_api.bodies import BodyRefused
from app.agent_api.door import AgentDoor
from app.observations.importing import Importer, Receipt
from app.observations.intake import IntakeFull
from app.osquery.protocol import UnreadableBody
from app.problems import Busy, InvalidRequest

router = APIRouter(prefix="/results", tags=["results"])

ROLE = r"^[a-z0-9][a-z0-9._-]{0,62}$"


class ReceiptOut(BaseModel):
    """All of it is committed when you read this."""

    lines: int
    rows: int
    nodes: int
    quarantined: int
    """Rows or lines that were kept but not understood."""
    unreadable_lines: list[int]
    """1-based numbers of lines that are no result lines; at most the first 100."""


@router.post("")
async def post_results(
    request: Request,
    role: Annotated[str, Query(pattern=ROLE, description="of nodes that are new")],
    actor: Annotated[Actor, may(Permission.IMPORT)],
) -> ReceiptOut:
    """Take in osquery result lines (JSON Lines, gzip with `Content-Encoding`). Sending them again changes nothing."""
    door: AgentDoor = request.app.state.agent_door
    async with recorded(door.database, actor, Deed(Action.RESULTS_IMPORTED, "role", role)) as say:
        receipt = await _take(request, door, role)
        say(f"{receipt.lines} lines, {receipt.nodes} nodes")
    return ReceiptOut(
        lines=receipt.lines,
        rows=receipt.rows,
        nodes=receipt.nodes,
        quarantined=receipt.quarantined,
        unreadable_lines=receipt.unreadable_lines,
    )


async def _take(request: Request, door: AgentDoor, role: str) -> Receipt:
    """Raises: InvalidRequest, Busy when some of it may be committed."""
    importer = Importer(door.database, door.intake, door.reducer)
    try:
        return await importer.take(await door.read(request), role, door.clock(), door.now())
    except (BodyRefused, UnreadableBody) as refused:
        raise InvalidRequest(str(refused)) from refused
    except IntakeFull as full:
        raise Busy("too much waits to be committed; send the same lines again later") from full
