"""The SQL of overrides: decisions on one's own work, of versions and of exceptions, as one list."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, Text, Uuid, cast, literal, null, select, union_all

from app.access.models import Operator
from app.baselines import store as baselines
from app.baselines.exceptions import store as exceptions
from app.baselines.exceptions.models import RequestedException
from app.baselines.models import BaselineOfRole, BaselineVersion
from app.database import ReadSession
from app.fleet.models import Role


def every(roles: Collection[int] | None) -> Any:
    """What is overridden for nodes of these roles; None: of any."""
    version, one = BaselineVersion, RequestedException
    of_versions = (
        select(
            literal("baseline", Text).label("kind"),
            (cast(version.baseline_id, Text) + "/" + cast(version.number, Text)).label("key"),
            version.decided_at, Operator.name.label("decided_by"), version.override_reason,
            literal("approved", Text).label("decision"), version.decision_reason,
            Role.name.label("role"), BaselineOfRole.platform,
            version.baseline_id, version.number, cast(null(), Uuid).label("exception_id"),
        )
        .join(BaselineOfRole, BaselineOfRole.baseline_id == version.baseline_id)
        .join(Role, Role.role_id == BaselineOfRole.role_id)
        .join(Operator, Operator.operator_id == version.decided_by)
        .where(version.override_reason.is_not(None), *baselines.of_roles(roles))
    )  # fmt: skip
    of_exceptions = (
        select(
            literal("exception", Text), cast(one.exception_id, Text), one.decided_at, Operator.name,
            one.override_reason, one.decision, one.decision_reason, Role.name, one.platform,
            null(), null(), one.exception_id,
        )
        .outerjoin(Role, Role.role_id == one.role_id)
        .join(Operator, Operator.operator_id == one.decided_by)
        .where(one.override_reason.is_not(None), *exceptions.of_roles(roles))
    )  # fmt: skip
    return union_all(of_versions, of_exceptions).subquery()


async def list_overrides(
    session: ReadSession, both: Any, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[Row[Any]]:
    """`both`: what `every` gave, of which the conditions speak."""
    return (await session.execute(select(both).where(*conditions).order_by(*order).limit(limit))).all()
