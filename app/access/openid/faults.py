"""How a sign-in can fail that is nobody's forgotten password."""

from app.problems import Forbidden, Problem


class ProviderFailed(Problem):
    """The provider cannot be reached, or says what the specification does not allow."""

    status = 502
    title = "Identity provider failed"


class SignInUnfinished(Problem):
    """It did not come back from the provider as it must: once, soon, to one browser, and without an error."""

    status = 400
    title = "Sign-in not finished"


class IdentityRefused(Forbidden):
    """The provider says who it is, and that is no operator; or what it says is not to be believed."""
