"""The table of sign-ins that are on their way through the provider."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table


class OpenidAttempt(Table):
    """A sign-in that a browser was sent to the provider for: kept for minutes, taken once."""

    __tablename__ = "openid_attempts"
    __table_args__ = (
        CheckConstraint("length(state_sha256) = 32", name="state_is_a_hash"),
        Index("ix_openid_attempts_created_at", "created_at"),
    )

    state_sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    nonce: Mapped[str] = mapped_column(Text)
    verifier: Mapped[str] = mapped_column(Text, doc="PKCE's")
    next_path: Mapped[str] = mapped_column(Text, doc="where on this site the sign-in leads to")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
