"""Software around behaviours in a replay: the inventory rows of its own files, and a list that was handed in."""

from collections import defaultdict
from functools import cached_property

from app.detection.approved import ApprovedList
from app.detection.behaviour import Behaviour
from app.detection.context import Signer
from app.detection.facts import Fact
from app.detection.software import (
    MAIN_SOURCE,
    InstalledSoftware,
    InventoryNews,
    KnownSoftware,
    anchors,
    inventory_news,
    known_software,
)

_NEVER_CUT = float("inf")  #: a capture's clock is its own


class ReplaySoftware:
    """Facts come in the order of the files, all of them before the first question."""

    def __init__(self, approved: ApprovedList | None) -> None:
        self._approved = approved
        self._facts: list[Fact] = []

    def add(self, fact: Fact) -> None:
        self._facts.append(fact)

    def around(self, node: str, behaviour: Behaviour, signer: Signer, seen_at: float) -> KnownSoftware:
        items = self._items
        return known_software(
            behaviour,
            signer,
            seen_at,
            approved=self._approved,
            nearby=[item for anchor in anchors(behaviour.program, signer) for item in items.get((node, anchor), ())],
            reported_at=self._news.reports.get((node, MAIN_SOURCE[behaviour.program.platform])),
        )

    @cached_property
    def _news(self) -> InventoryNews:
        return inventory_news(self._facts, _NEVER_CUT)

    @cached_property
    def _items(self) -> dict[tuple[str, str], list[InstalledSoftware]]:
        """(node, anchor) → items."""
        found: defaultdict[tuple[str, str], list[InstalledSoftware]] = defaultdict(list)
        for (node, _), change in self._news.changes.items():
            if change.present and change.at >= self._news.whole.get((node, change.item.source), 0):
                found[node, change.item.anchor].append(change.item)
        return found
