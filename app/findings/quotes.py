"""The rows behind a finding, quoted from the stored batches with the hash that proves them."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel

from app.database import ReadSession
from app.observations.originals import Originals
from app.observations.store import list_sightings_with_batches

DAYS_MAX = 31


class Quote(BaseModel):
    day: date
    first_seen_at: datetime
    ended_at: datetime | None
    """When a row last said that it was gone; null while it may still be there."""
    batch_id: UUID
    received_at: datetime | None
    body_sha256: str | None
    """Of the stored gzip bytes; null when retention has dropped the batch."""
    line: int
    """1-based line of the batch."""
    query: str | None
    action: str | None
    columns: dict[str, object] | None


async def quote(session: ReadSession, node_id: int, behaviour_id: UUID) -> list[Quote]:
    """At most 31 days, newest first."""
    found = await list_sightings_with_batches(session, node_id, behaviour_id, DAYS_MAX)
    rows = Originals({batch.batch_id: batch.body for _, batch in found if batch is not None})
    quotes = []
    for sighting, batch in found:
        original = rows.find(sighting.batch_id, sighting.line_number, sighting.row_number)
        quotes.append(
            Quote(
                day=sighting.day,
                first_seen_at=sighting.first_seen_at,
                ended_at=sighting.ended_at,
                batch_id=sighting.batch_id,
                received_at=batch and batch.received_at,
                body_sha256=batch and batch.body_sha256.hex(),
                line=sighting.line_number + 1,
                query=original and original.query,
                action=original and original.action,
                columns=original and dict(original.columns),
            )
        )
    return quotes
