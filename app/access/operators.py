"""Operators: who they are, what they may do, and what they prove themselves with."""

from app.access.actor import Actor, AuthMethod
from app.access.duties import Duty, permissions_of
from app.access.models import Operator


def duties_of(operator: Operator) -> frozenset[Duty]:
    return frozenset(map(Duty, operator.duties))


def actor_of(operator: Operator, method: AuthMethod) -> Actor:
    """An operator as they act by now."""
    duties = duties_of(operator)
    roles = frozenset(operator.role_ids) if operator.role_ids is not None else None
    return Actor(operator.name, method, operator.operator_id, duties, permissions_of(duties), roles)
