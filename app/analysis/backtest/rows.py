"""The sightings of one day, a few thousand at a time, each with what its row, its signer and its surroundings say."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from app.analysis import standings, surroundings
from app.analysis import store as statistics
from app.analysis.backtest import store
from app.analysis.backtest.store import Key, Sighting, Signed
from app.analysis.standings import Seen
from app.analysis.surroundings import Asked, connection_in
from app.database import WriteSession
from app.detection.behaviour import NETWORK, Behaviour, Platform
from app.detection.context import Signer, context_of
from app.detection.standing import Standing
from app.detection.surroundings import Surroundings
from app.observations.originals import Original, Originals
from app.observations.store import bodies

#: Bodies that are in memory at once; each may be as large as an agent's largest post.
BODIES_MAX = 50
BEHAVIOURS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Row:
    """A sighting as the worker would have judged it; `asked_again` where a later signature made it judge again."""

    sighting: Sighting
    seen: Seen
    has_row: bool
    standing: Standing
    asked: Asked
    around: Surroundings
    asked_again: Asked | None = None
    around_again: Surroundings | None = None


class Reader:
    """Reads days in their order; behaviours are kept, for most come again every day."""

    def __init__(self, roles: Mapping[int, str], join_seconds: Callable[[str, Platform], float]) -> None:
        self._roles, self._join_seconds = roles, join_seconds
        self._behaviours: dict[UUID, Behaviour] = {}
        self._newly_signed: dict[tuple[int, str], tuple[Signer, datetime]] = {}

    async def read(self, session: WriteSession, day: date, after: Key, limit: int) -> list[Row]:
        """The next rows of the day, judged by nobody yet, and counted for the days after it. Empty at its end."""
        found = await store.sightings(session, day, after, limit)
        await self._keep_signers(session, found[0].node_id if found else None)
        if not found:
            return []
        await self._know(session, {each.behaviour_id for each in found})
        seen = [Seen(each.node_id, each.role_id, self._behaviours[each.behaviour_id]) for each in found]
        known = await standings.load(session, day, seen, self._roles)
        rows = await self._rows(session, day, list(zip(found, seen, strict=True)), known)
        await standings.count(session, day, set(seen))
        return rows

    async def _rows(
        self, session: WriteSession, day: date, pairs: Sequence[tuple[Sighting, Seen]], known: Mapping[Seen, Standing]
    ) -> list[Row]:
        originals = await _originals(session, [sighting for sighting, _ in pairs])
        signers = await _Signers.load(session, day, [seen for _, seen in pairs])
        questions = [self._questions(sighting, seen, originals, signers) for sighting, seen in pairs]
        around = await surroundings.load(
            session, day, [asked for each in questions for asked in each if asked], learns=False
        )
        self._newly_signed |= signers.newly_signed()
        return [
            Row(
                sighting,
                seen,
                sighting.key in originals,
                known[seen],
                first,
                around[first],
                again,
                around[again] if again else None,
            )
            for (sighting, seen), (first, again) in zip(pairs, questions, strict=True)
        ]

    def _questions(
        self, sighting: Sighting, seen: Seen, originals: Mapping[Key, Original], signers: "_Signers"
    ) -> tuple[Asked, Asked | None]:
        original, program = originals.get(sighting.key), seen.behaviour.program
        query, columns = (original.query, original.columns) if original else ("", {})
        then, finally_ = signers.then(sighting, program.path), signers.finally_(seen.node_id, program.path)
        first = Asked(
            seen.node_id,
            seen.role_id,
            seen.behaviour,
            context_of(query, columns, node="", signer=then),
            sighting.seen_at,
            self._join_seconds(self._roles.get(seen.role_id, ""), program.platform),
            connection_in(original, seen.node_id, seen.behaviour, sighting.seen_at),
        )
        is_judged_again = finally_ != then and seen.behaviour.direction in NETWORK
        return first, replace(first, context=replace(first.context, signer=finally_)) if is_judged_again else None

    async def _keep_signers(self, session: WriteSession, unfinished: int | None) -> None:
        """For the next day; a node that this read has not finished must not know yet what it said later."""
        done = {key: said for key, said in self._newly_signed.items() if key[0] != unfinished}
        await statistics.keep_signers(session, done)
        self._newly_signed = {key: said for key, said in self._newly_signed.items() if key not in done}

    async def _know(self, session: WriteSession, wanted: set[UUID]) -> None:
        if len(self._behaviours) > BEHAVIOURS_MAX:
            self._behaviours.clear()
        if missing := wanted - self._behaviours.keys():
            self._behaviours |= await statistics.behaviours(session, missing)


async def _originals(session: WriteSession, found: Sequence[Sighting]) -> dict[Key, Original]:
    """The rows that showed the sightings; those whose batch is gone are missing."""
    by_batch: defaultdict[UUID, list[Sighting]] = defaultdict(list)
    for each in found:
        by_batch[each.batch_id].append(each)
    rows: dict[Key, Original] = {}
    for some in _groups(list(by_batch.values())):
        originals = Originals(await bodies(session, [each[0] for each in some]))
        for each in (sighting for group in some for sighting in group):
            if original := originals.find(each.batch_id, each.line_number, each.row_number):
                rows[each.key] = original
    return rows


def _groups(batches: Sequence[list[Sighting]]) -> Iterator[Sequence[list[Sighting]]]:
    return (batches[start : start + BODIES_MAX] for start in range(0, len(batches), BODIES_MAX))


class _Signers:
    """Who signed the files of some nodes, as known at an instant of the day and at the end of the one after it."""

    def __init__(self, before: Mapping[tuple[int, str], Signer], said: Sequence[Signed], day: date) -> None:
        self._before, self._day = before, day
        self._said: defaultdict[tuple[int, str], list[Signed]] = defaultdict(list)
        for each in said:
            self._said[each.node_id, each.path].append(each)

    @classmethod
    async def load(cls, session: WriteSession, day: date, seen: Sequence[Seen]) -> "_Signers":
        images = {(each.node_id, each.behaviour.program.path) for each in seen}
        before = await statistics.signers(session, images)
        return cls(before, await store.signatures(session, day, {node for node, _ in images}), day)

    def then(self, sighting: Sighting, path: str) -> Signer:
        """What comes in one batch is known at once."""
        key, at, batch = (sighting.node_id, path), sighting.seen_at, sighting.batch_id
        known = [each.signer for each in self._said.get(key, ()) if each.at <= at or each.batch_id == batch]
        return known[-1] if known else self._before.get(key, Signer())

    def finally_(self, node: int, path: str) -> Signer:
        said = self._said.get((node, path))
        return said[-1].signer if said else self._before.get((node, path), Signer())

    def newly_signed(self) -> dict[tuple[int, str], tuple[Signer, datetime]]:
        """What was said on this day and was not known before."""
        today = {key: each for key, said in self._said.items() for each in said if each.day == self._day}
        return {key: (each.signer, each.at) for key, each in today.items() if each.signer != self._before.get(key)}
