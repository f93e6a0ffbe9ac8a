"""Filter, sort and page lists by key, so that page 1,000 costs what page 1 does and nothing is shown twice."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import ColumnElement, tuple_

from app.problems import InvalidRequest

T = TypeVar("T")
PAGE_MAX = 500

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="items on a page")]
Cursor = Annotated[str | None, Query(description="`next` of the page before", max_length=2000)]


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: str | None = None
    """Give it back as `cursor` for the page that follows; null on the last one."""


@dataclass(frozen=True, slots=True)
class Sorting:
    """A column and the unique one that breaks its ties, with what reads their values out of a cursor."""

    column: Any
    tie: Any
    read: Callable[[Any], Any] = lambda value: value
    read_tie: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class Keyset:
    """One list request: what to add to the statement, and how to name the next page."""

    sorting: Sorting
    descending: bool
    after: tuple[Any, Any] | None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        if self.after is None:
            return []
        key = tuple_(self.sorting.column, self.sorting.tie)
        return [key < self.after if self.descending else key > self.after]

    @property
    def order(self) -> list[Any]:
        columns = (self.sorting.column, self.sorting.tie)
        return [column.desc() if self.descending else column.asc() for column in columns]

    def next(self, rows: Sequence[Any], limit: int, key: Callable[[Any], tuple[object, object]]) -> str | None:
        """`rows` were asked for with one more than `limit`."""
        if len(rows) <= limit:
            return None
        return urlsafe_b64encode(msgspec.json.encode(key(rows[limit - 1]))).decode()


def keyset(sort: str, cursor: str | None, allowed: Mapping[str, Sorting]) -> Keyset:
    """`sort` is a name of `allowed`, with `-` before it for descending.

    Raises: InvalidRequest, naming the field.
    """
    name = sort.removeprefix("-")
    if name not in allowed:
        raise InvalidRequest(f"cannot sort by {name!r}; try one of {', '.join(sorted(allowed))}", field="sort")
    sorting = allowed[name]
    return Keyset(sorting, sort.startswith("-"), _after(cursor, sorting))


def _after(cursor: str | None, sorting: Sorting) -> tuple[Any, Any] | None:
    if cursor is None:
        return None
    try:
        value, tie = msgspec.json.decode(urlsafe_b64decode(cursor.encode()))
        return sorting.read(value), sorting.read_tie(tie)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidRequest("this cursor is not one of ours, or belongs to another sort", field="cursor") from error


def instant(value: str) -> datetime:
    return datetime.fromisoformat(value)


def uuid(value: str) -> UUID:
    return UUID(value)
