"""Tables of who may look."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table


class ApiToken(Table):
    __tablename__ = "api_tokens"
    __table_args__ = (CheckConstraint("length(token_sha256) = 32", name="token_is_a_hash"),)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
