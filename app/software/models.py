"""Tables of software: what nodes say is installed, and what people approved, import by import."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Date, DateTime, Identity, Index, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table

INSTANT = DateTime(timezone=True)


class InstalledItem(Table):
    """One item of one node's inventory, in its newest version."""

    __tablename__ = "installed_software"
    __table_args__ = (
        CheckConstraint("source IN ('programs', 'apps', 'packages', 'homebrew')", name="source"),
        Index("ix_installed_software_node_id_anchor", "node_id", "anchor"),
        Index("ix_installed_software_name_publisher", "name", "publisher", "node_id"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    item_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True, doc="digest of all below but the version")
    source: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    publisher: Mapped[str] = mapped_column(Text)
    identifier: Mapped[str] = mapped_column(Text, doc="bundle, package or package family")
    version: Mapped[str] = mapped_column(Text)
    location: Mapped[str] = mapped_column(Text, doc="normalised folder; empty when none of its own is known")
    anchor: Mapped[str] = mapped_column(Text, doc="what leads from a program to it: its folder, or its maker")
    reported_at: Mapped[datetime] = mapped_column(INSTANT, doc="when the node last said so, by its clock")


class Inventory(Table):
    """That a node reported an inventory, so that what is not in it can be told from what nobody asked for."""

    __tablename__ = "inventories"
    __table_args__ = ({"postgresql_with": {"fillfactor": 70}},)

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    reported_at: Mapped[datetime] = mapped_column(INSTANT)


class ApprovedImport(Table):
    """One import of the approved inventory; the newest is the list that holds."""

    __tablename__ = "approved_imports"
    __table_args__ = (CheckConstraint("length(sha256) = 32", name="sha256_is_a_hash"),)

    import_id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    imported_at: Mapped[datetime] = mapped_column(INSTANT)
    imported_by: Mapped[str] = mapped_column(Text, doc="as they said, and the API token that was shown")
    file_name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    encoding: Mapped[str] = mapped_column(Text)
    delimiter: Mapped[str] = mapped_column(Text)
    entries: Mapped[int] = mapped_column(Integer)
    added: Mapped[int] = mapped_column(Integer, doc="entries that the list before did not have so")
    removed: Mapped[int] = mapped_column(Integer, doc="entries of the list before that this one does not have so")
    heeded_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="when open findings were queued to be judged by it")


class ApprovedEntry(Table):
    """One entry of one import."""

    __tablename__ = "approved_software"

    import_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    line: Mapped[int] = mapped_column(Integer, primary_key=True, doc="in the imported file, from 1")
    name: Mapped[str] = mapped_column(Text)
    publisher: Mapped[str] = mapped_column(Text)
    team_id: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text)
    until: Mapped[date | None] = mapped_column(Date)
    ports: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
