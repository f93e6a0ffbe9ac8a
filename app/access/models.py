"""Tables of who may do what: operators, their sign-ins, API tokens; and attempts, which are counted."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
)
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
        CheckConstraint("password_hash ~ '^\\$argon2id\\$'", name="password_is_a_hash"),
        CheckConstraint("(password_hash IS NULL) = (password_changed_at IS NULL)", name="password_changed_at"),
        CheckConstraint("openid_subject ~ '^https?://[^ ]+ .'", name="openid_subject"),
    )

    operator_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True, doc="what they sign in with; an e-mail address will do")
    duties: Mapped[list[str]] = mapped_column(ARRAY(Text))
    role_ids: Mapped[list[int] | None] = mapped_column(
        ARRAY(SmallInteger), doc="roles of the nodes they may see; null: every role"
    )
    created_at: Mapped[datetime] = mapped_column(INSTANT)
    disabled_at: Mapped[datetime | None] = mapped_column(INSTANT)
    password_hash: Mapped[str | None] = mapped_column(Text, doc="null: signs in by OpenID Connect only")
    password_changed_at: Mapped[datetime | None] = mapped_column(INSTANT)
    openid_subject: Mapped[str | None] = mapped_column(
        Text, unique=True, doc="issuer and subject of who signs in as them, with a space between"
    )


class SignIn(Table):
    """A browser, or a program with cookies, that proved whose it is. The row goes when the sign-in ends."""

    __tablename__ = "sign_ins"
    __table_args__ = (
        CheckConstraint("length(token_sha256) = 32", name="token_is_a_hash"),
        CheckConstraint("method IN ('password', 'openid')", name="method"),
        CheckConstraint("last_seen_at >= created_at", name="last_seen_at"),
        Index("ix_sign_ins_operator_id", "operator_id"),
        Index("ix_sign_ins_created_at", "created_at"),
    )

    sign_in_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.operator_id"))
    method: Mapped[str] = mapped_column(Text)
    source_ip: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(INSTANT)
    last_seen_at: Mapped[datetime] = mapped_column(INSTANT, doc="to the minute")


class Attempts(Table):
    """How often somebody tried something lately, so that nobody can without end."""

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint("length(whose_sha256) = 32", name="whose_is_a_hash"),
        CheckConstraint("count >= 0", name="count"),
        Index("ix_attempts_forgotten_at", "forgotten_at"),
    )

    whose_sha256: Mapped[bytes] = mapped_column(
        LargeBinary, primary_key=True, doc="of what is counted and whose; people type passwords in the place of names"
    )
    count: Mapped[int]
    forgotten_at: Mapped[datetime] = mapped_column(INSTANT)
    blocked_until: Mapped[datetime | None] = mapped_column(INSTANT)


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
