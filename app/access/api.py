"""What every JSON route demands: a valid bearer token, and a session whose end comes before the reply."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.access.tokens import is_valid, token_name
from app.database import ReadSession
from app.problems import NotSignedIn

_bearer = HTTPBearer(auto_error=False, description="Printed once at the first start; more with `portbook token add`")


async def signed_in(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Raises: NotSignedIn."""
    if credentials is None or not await is_valid(request.app.state.database, credentials.credentials):
        raise NotSignedIn("send `Authorization: Bearer <token>` with a valid token")


async def _caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> str:
    return await token_name(request.app.state.database, credentials.credentials if credentials else "")


#: Who asks, as a record of a change names them: the name of the token.
Caller = Annotated[str, Depends(_caller)]


async def _reading(request: Request) -> AsyncIterator[ReadSession]:
    async with request.app.state.database.reading() as session:
        yield session


#: A read-only session of one request. `scope="function"`: it ends before the reply leaves, not after.
Reading = Annotated[ReadSession, Depends(_reading, scope="function")]
