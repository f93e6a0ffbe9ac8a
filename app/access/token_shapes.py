"""API tokens as the JSON API says them; one's own and all of them."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.access.duties import Permission
from app.access.models import ApiToken
from app.access.tokens import DEFAULT_LIFE, LONGEST_LIFE


class OwnTokenIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100)]
    scope: list[Permission]
    days: Annotated[int, Field(ge=1, le=LONGEST_LIFE.days)] = DEFAULT_LIFE.days


class NewTokenOut(BaseModel):
    token: str
    """Shown this once; what is kept is a hash."""


class TokenOut(BaseModel):
    name: str
    operator: str | None
    """For whom it acts; null: a program's own."""
    scope: list[Permission]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    """To the minute."""
    revoked_at: datetime | None


def token_out(token: ApiToken, operator: str | None) -> TokenOut:
    named = {name: getattr(token, name) for name in TokenOut.model_fields if name != "operator"}
    return TokenOut(**named, operator=operator)
