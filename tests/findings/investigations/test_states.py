import pytest

from app.findings.investigations.states import InvestigationState, Standing, state_of

NEW, SENT, GOOD, BAD = Standing(False, None), Standing(True, None), Standing(True, 0), Standing(True, 1)


@pytest.mark.parametrize(
    ("standings", "running", "over"),
    [
        ([NEW, NEW], "waiting", "expired"),
        ([NEW, SENT], "sent", "failed"),
        ([SENT, GOOD], "sent", "partial"),
        ([SENT, BAD], "sent", "failed"),
        ([GOOD, GOOD], "answered", "answered"),
        ([GOOD, BAD], "partial", "partial"),
        ([BAD, BAD], "failed", "failed"),
        ([NEW, GOOD], "sent", "partial"),
    ],
)
def test_the_state_follows_from_the_answers(standings: list[Standing], running: str, over: str) -> None:
    assert state_of(standings, is_over=False) is InvestigationState(running)
    assert state_of(standings, is_over=True) is InvestigationState(over)
