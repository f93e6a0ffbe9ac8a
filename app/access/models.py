"""Tables of who may do what: operators and API tokens."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table

INSTANT = DateTime(timezone=True)


class Operator(Table):
    """A person who signs in. Never deleted: what they did names them."""

    __tablename__ = "operators"
    __table_args__ = (
        CheckConstraint("name ~ '^[a-z0-9][a-z0-9._@+-]{0,126}$'", name="name"),
        CheckConstraint(
            "duties <@ ARRAY['viewer', 'analyst', 'approver', 'reviewer', 'auditor', 'admin'] AND duties <> '{}'",
            name="duties",
        ),
        CheckConstraint("NOT duties @> ARRAY['admin', 'approver']", name="admin_approves_nothing"),
    )

    operator_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True, doc="what they sign in with; an e-mail address will do")
    duties: Mapped[list[str]] = mapped_column(ARRAY(Text))
    role_ids: Mapped[list[int] | None] = mapped_column(
        ARRAY(SmallInteger), doc="roles of the nodes they may see; null: every role"
    )
    created_at: Mapped[datetime] = mapped_column(INSTANT)
    disabled_at: Mapped[datetime | None] = mapped_column(INSTANT)


class ApiToken(Table):
    """What lets a program use the JSON API: for an operator, or in its own name."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        CheckConstraint("length(token_sha256) = 32", name="token_is_a_hash"),
        CheckConstraint("scope <> '{}'", name="scope"),
        CheckConstraint("operator_id IS NOT NULL OR scope <@ ARRAY['read', 'import']", name="programs_decide_nothing"),
        CheckConstraint("expires_at > created_at", name="expires_at"),
    )

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scope: Mapped[list[str]] = mapped_column(ARRAY(Text), doc="permissions; at most the operator's own")
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operators.operator_id"), doc="for whom it acts")
    created_at: Mapped[datetime] = mapped_column(INSTANT)
    expires_at: Mapped[datetime] = mapped_column(INSTANT)
    last_used_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="to the minute")
    revoked_at: Mapped[datetime | None] = mapped_column(INSTANT)
