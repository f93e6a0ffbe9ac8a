"""Business errors as RFC 9457 problems."""

from typing import ClassVar


class Problem(Exception):
    """What went wrong for a caller of the JSON API. Source: RFC 9457 section 3."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra

    def document(self) -> dict[str, object]:
        slug = self.title.lower().replace(" ", "-")
        return {
            "type": f"urn:portbook:problem:{slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        } | self.extra


class NotSignedIn(Problem):
    status = 401
    title = "Not signed in"


class Forbidden(Problem):
    status = 403
    title = "Forbidden"


class NotFound(Problem):
    status = 404
    title = "Not found"


class Busy(Problem):
    status = 503
    title = "Busy"


class TooManyAttempts(Problem):
    """Say `retry_after_seconds`; the answer carries it as a header too."""

    status = 429
    title = "Too many attempts"


class InvalidRequest(Problem):
    status = 422
    title = "Invalid request"


class Conflict(Problem):
    status = 409
    title = "Conflict"
