"""Tables of findings."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    event,
    false,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table
from app.findings.states import CLOSED, OPEN, State

INSTANT = DateTime(timezone=True)


def _listed(states: Iterable[State]) -> str:
    """In the order of their definition, so that the text is always the same."""
    chosen = frozenset(states)
    return ", ".join(f"'{each.value}'" for each in State if each in chosen)


class Finding(Table):
    """A deviation that a person must judge. One per node and behaviour, but for withdrawn ones."""

    __tablename__ = "findings"
    __table_args__ = (
        CheckConstraint("severity IN ('high', 'medium', 'low')", name="severity"),
        CheckConstraint("score BETWEEN 0 AND 100", name="score"),
        CheckConstraint(f"state IN ({_listed(State)})", name="state"),
        CheckConstraint(f"is_open = (state IN ({_listed(OPEN)}))", name="is_open"),
        CheckConstraint("trust IN ('trusted', 'unsigned', 'broken', 'unknown')", name="trust"),
        Index(
            "uq_findings_living_node_id_behaviour_id",
            "node_id",
            "behaviour_id",
            unique=True,
            postgresql_where="state <> 'withdrawn'",
        ),
        Index("ix_findings_exception_id", "exception_id", postgresql_where="exception_id IS NOT NULL"),
        Index("ix_findings_score_finding_id", "score", "finding_id"),
        Index("ix_findings_opened_at_finding_id", "opened_at", "finding_id"),
        Index("ix_findings_assignee_id", "assignee_id", postgresql_where="assignee_id IS NOT NULL"),
        Index("ix_findings_signer_peer_scope", "signer", "peer_scope", postgresql_where="is_open AND signer <> ''"),
        CheckConstraint("spread IN ('signed', 'novel', 'suspect', 'unsigned')", name="spread"),
        Index("ix_findings_behaviour_id_severity", "behaviour_id", "severity", postgresql_where="is_open"),
        Index(
            "ix_findings_loose",
            "behaviour_id",
            "new_to_peers",
            "first_seen_at",
            postgresql_where="is_open AND fleet_finding_id IS NULL",
        ),
        Index(
            "ix_findings_members",
            "fleet_finding_id",
            "is_open",
            "spread",
            "severity",
            "score",
            postgresql_where="fleet_finding_id IS NOT NULL",
        ),
        Index(
            "ix_findings_members_first_seen_at",
            "fleet_finding_id",
            "first_seen_at",
            "finding_id",
            postgresql_where="fleet_finding_id IS NOT NULL",
        ),
    )

    finding_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    node_id: Mapped[int] = mapped_column(BigInteger)
    behaviour_id: Mapped[UUID] = mapped_column(PG_UUID)
    role_id: Mapped[int] = mapped_column(SmallInteger, doc="by which it was judged; lists show the node's own")
    state: Mapped[str] = mapped_column(Text, server_default="open")
    is_open: Mapped[bool] = mapped_column(Boolean, server_default=true(), doc="whether a person has something to do")
    severity: Mapped[str] = mapped_column(Text)
    score: Mapped[int] = mapped_column(SmallInteger)
    analytic: Mapped[str] = mapped_column(Text, doc="MITRE ATT&CK analytic id")
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, doc="[{reason, points, text}]")
    knobs_version: Mapped[int] = mapped_column(
        BigInteger, server_default="0", doc="newest version of the knobs that went into the judgement; 0: defaults only"
    )
    opened_at: Mapped[datetime] = mapped_column(INSTANT)
    judged_at: Mapped[datetime] = mapped_column(INSTANT)
    first_seen_at: Mapped[datetime] = mapped_column(INSTANT)
    last_seen_at: Mapped[datetime] = mapped_column(INSTANT, doc="first row of the newest day that showed it")
    day: Mapped[date] = mapped_column(Date, doc="newest day that showed it")
    days_seen: Mapped[int] = mapped_column(Integer, server_default="1")
    new_to_peers: Mapped[bool] = mapped_column(
        Boolean, server_default=false(), doc="when it was opened none of its peers had shown it for longer than a day"
    )
    spread: Mapped[str] = mapped_column(Text, server_default="novel", doc="the gravest kind it was judged to be")
    fleet_finding_id: Mapped[UUID | None] = mapped_column(PG_UUID, doc="the fleet finding it belongs to, if any")
    batch_day: Mapped[date] = mapped_column(Date, doc="of the row that the judgement quotes")
    batch_id: Mapped[UUID] = mapped_column(PG_UUID)
    line_number: Mapped[int] = mapped_column(Integer)
    row_number: Mapped[int] = mapped_column(Integer)
    process_id: Mapped[int | None] = mapped_column(BigInteger, doc="of that row, if it says so")
    start_source: Mapped[str] = mapped_column(
        Text, server_default="", doc="which event told how that process began; empty while none did"
    )
    trust: Mapped[str] = mapped_column(Text, server_default="unknown", doc="of the signature, when it was judged")
    signer: Mapped[str] = mapped_column(Text, server_default="")
    peer_scope: Mapped[str] = mapped_column(Text, server_default="unknown", doc="of the row that the judgement quotes")
    exception_id: Mapped[UUID | None] = mapped_column(PG_UUID, doc="what covers it while it is excepted")
    assignee_id: Mapped[int | None] = mapped_column(BigInteger, doc="operator whose work it is")
    due_since: Mapped[datetime | None] = mapped_column(INSTANT, doc="when it was last reopened; opened_at before that")
    acknowledged_at: Mapped[datetime | None] = mapped_column(
        INSTANT, doc="first state that a person gave it since then"
    )
    closed_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="null unless closed by a person")

    @property
    def seconds_to_acknowledge(self) -> int | None:
        return self._seconds_until(self.acknowledged_at)

    @property
    def seconds_to_close(self) -> int | None:
        return self._seconds_until(self.closed_at)

    def _seconds_until(self, then: datetime | None) -> int | None:
        """Since it was opened, or last reopened."""
        return int((then - (self.due_since or self.opened_at)).total_seconds()) if then else None


class FindingChange(Table):
    """Something that happened to a finding: another state, an assignment, a comment. Never rewritten, never deleted."""

    __tablename__ = "finding_changes"
    __table_args__ = (
        CheckConstraint("kind IN ('state', 'assignment', 'comment')", name="kind"),
        CheckConstraint("(kind = 'state') = (to_state IS NOT NULL)", name="to_state"),
        CheckConstraint(f"to_state IN ({_listed(State)})", name="state"),
        CheckConstraint("actor_name ~ '\\S' AND reason ~ '\\S'", name="who_and_why"),
        CheckConstraint(
            f"to_state NOT IN ({_listed(CLOSED)})"
            " OR (operator_id IS NOT NULL AND coalesce(closing_checks_are_complete(checks), false))",
            name="closing",
        ),
        Index("ix_finding_changes_finding_id", "finding_id", "change_id"),
        Index("ix_finding_changes_at", "at"),
    )

    change_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    finding_id: Mapped[UUID] = mapped_column(PG_UUID)
    node_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(INSTANT)
    kind: Mapped[str] = mapped_column(Text)
    operator_id: Mapped[int | None] = mapped_column(
        ForeignKey("operators.operator_id"), doc="null: Portbook itself, or an account at the command line"
    )
    actor_name: Mapped[str] = mapped_column(Text)
    from_state: Mapped[str | None] = mapped_column(Text)
    to_state: Mapped[str | None] = mapped_column(Text)
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("operators.operator_id"))
    reason: Mapped[str] = mapped_column(Text, doc="why; of a comment, the comment")
    checks: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB, doc="of a closing: what was checked of process, user, host, destination and justification"
    )
    reference: Mapped[str] = mapped_column(
        Text, server_default="", doc="what stands behind it: an exception, a baseline version, a ticket"
    )


class FleetFinding(Table):
    """The same new behaviour on many nodes within a day. One open fleet finding per behaviour."""

    __tablename__ = "fleet_findings"
    __table_args__ = (
        CheckConstraint("severity IN ('high', 'medium', 'low')", name="severity"),
        CheckConstraint("score BETWEEN 0 AND 100", name="score"),
        CheckConstraint(f"state IN ({_listed(State)})", name="state"),
        CheckConstraint(f"is_open = (state IN ({_listed(OPEN)}))", name="is_open"),
        CheckConstraint("spread IN ('signed', 'novel', 'suspect', 'unsigned')", name="spread"),
        Index("uq_fleet_findings_open_behaviour_id", "behaviour_id", unique=True, postgresql_where="is_open"),
        Index("ix_fleet_findings_score_fleet_finding_id", "score", "fleet_finding_id"),
        Index("ix_fleet_findings_opened_at_fleet_finding_id", "opened_at", "fleet_finding_id"),
    )

    fleet_finding_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    behaviour_id: Mapped[UUID] = mapped_column(PG_UUID)
    state: Mapped[str] = mapped_column(
        Text, server_default="open", doc="withdrawn: too few of its nodes' findings were left"
    )
    is_open: Mapped[bool] = mapped_column(Boolean, server_default=true())
    spread: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    score: Mapped[int] = mapped_column(SmallInteger)
    analytic: Mapped[str] = mapped_column(Text, doc="MITRE ATT&CK analytic id")
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, doc="[{reason, points, text}]")
    nodes: Mapped[int] = mapped_column(
        Integer, doc="open findings that belong to it, each of another node; of a closed one, how many there were"
    )
    opened_at: Mapped[datetime] = mapped_column(INSTANT)
    judged_at: Mapped[datetime] = mapped_column(INSTANT)
    first_seen_at: Mapped[datetime] = mapped_column(INSTANT, doc="when the first of its nodes came to show it")
    last_seen_at: Mapped[datetime] = mapped_column(INSTANT, doc="when the newest of its nodes came to show it")


GUARD_FUNCTION = """
CREATE FUNCTION finding_changes_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what happened to a finding is kept as it is: % refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
GUARD_ROWS = """
CREATE TRIGGER finding_changes_rows_are_kept BEFORE UPDATE OR DELETE ON finding_changes
FOR EACH ROW EXECUTE FUNCTION finding_changes_are_kept()
"""
GUARD_TABLE = """
CREATE TRIGGER finding_changes_table_is_kept BEFORE TRUNCATE ON finding_changes
FOR EACH STATEMENT EXECUTE FUNCTION finding_changes_are_kept()
"""

#: Each of the five is `{"checked": true, "note": TEXT}` or `{"unknown": TEXT}`, and there is nothing else.
CHECKS_FUNCTION = r"""
CREATE FUNCTION closing_checks_are_complete(checks jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT jsonb_typeof(checks) = 'object'
     AND checks - ARRAY['process', 'user', 'host', 'destination', 'justification'] = '{}'
     AND bool_and(coalesce(jsonb_typeof(said) = 'string' AND said #>> '{}' ~ '\S' AND each = whole, false))
  FROM (
    SELECT checks -> name AS each, coalesce(checks -> name -> 'note', checks -> name -> 'unknown') AS said,
           CASE WHEN checks -> name ? 'unknown' THEN jsonb_build_object('unknown', checks -> name -> 'unknown')
                ELSE jsonb_build_object('checked', true, 'note', checks -> name -> 'note') END AS whole
    FROM unnest(ARRAY['process', 'user', 'host', 'destination', 'justification']) AS name
  ) AS stated
$$
"""
#: Held against each other at commit: the state of a finding, and what its rows say became of it since it was open.
CHANGES_FUNCTION = """
CREATE FUNCTION finding_states_have_their_changes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_in text := (SELECT state FROM findings WHERE finding_id = NEW.finding_id);
  told text;
  whole boolean;
BEGIN
  SELECT (array_agg(to_state ORDER BY change_id DESC))[1], bool_and(from_state IS NOT DISTINCT FROM before)
  INTO told, whole
  FROM (SELECT change_id, from_state, to_state, lag(to_state, 1, 'open') OVER (ORDER BY change_id) AS before
        FROM finding_changes WHERE finding_id = NEW.finding_id AND kind = 'state') AS changes;
  IF now_in IS DISTINCT FROM coalesce(told, 'open') OR NOT coalesce(whole, true) THEN
    RAISE EXCEPTION 'finding %: its state (%) is not what its changes say (%)', NEW.finding_id, now_in, told
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$
"""
STATES_CHANGED = """
CREATE CONSTRAINT TRIGGER findings_states_have_their_changes AFTER UPDATE OF state ON findings
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state <> NEW.state)
EXECUTE FUNCTION finding_states_have_their_changes()
"""
#: Whoever took one away, or gave it another id, would hide it together with what its changes say.
KEPT_FUNCTION = """
CREATE FUNCTION findings_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a finding stays what it was found to be: % refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
KEPT_ROWS = """
CREATE TRIGGER findings_rows_are_kept BEFORE DELETE OR UPDATE OF finding_id, node_id, behaviour_id ON findings
FOR EACH ROW EXECUTE FUNCTION findings_are_kept()
"""
STATES_BEGUN = """
CREATE CONSTRAINT TRIGGER findings_begin_open AFTER INSERT ON findings
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state <> 'open')
EXECUTE FUNCTION finding_states_have_their_changes()
"""
STATES_TOLD = """
CREATE CONSTRAINT TRIGGER finding_changes_are_true AFTER INSERT ON finding_changes
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind = 'state')
EXECUTE FUNCTION finding_states_have_their_changes()
"""

_DDL = (
    (Finding, "before_create", (CHANGES_FUNCTION,)),
    (Finding, "after_create", (STATES_CHANGED, STATES_BEGUN, KEPT_FUNCTION, KEPT_ROWS)),
    (FindingChange, "before_create", (CHECKS_FUNCTION,)),
    (FindingChange, "after_create", (GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE, STATES_TOLD)),
)
for _table, _when, _statements in _DDL:
    for _statement in _statements:
        event.listen(_table.__table__, _when, DDL(_statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
