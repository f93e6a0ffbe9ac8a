"""How a sign-in can fail that is nobody's forgotten password."""

from app.problems import Forbidden, Problem


class ProviderFailed(Problem):
    """The provider cannot be reached, or says what the specification does not allow."""

    status = 502
    title = "Identity provider failed"


class SignInBroken(Problem):
    """The way to the provider and back was not walked as it must be: once, soon, and by one browser."""

    status = 400
    title = "Sign-in broken"


class IdentityRefused(Forbidden):
    """The provider says who it is, and that is no operator; or what it says is not to be believed."""
