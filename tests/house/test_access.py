from app.access.duties import DUTIES, FOR_PROGRAMS, MEANINGS, PERMISSIONS, Duty, Permission
from tests.house.access_page import PAGE, render


def test_the_table_of_permissions_is_current() -> None:
    page = PAGE.read_text("utf-8")
    assert page == render(page), "run `make format`"


def test_every_duty_and_permission_has_words_and_somebody() -> None:
    assert list(DUTIES) == list(Duty)
    assert list(MEANINGS) == list(PERMISSIONS) == list(Permission)
    assert [permission for permission, who in PERMISSIONS.items() if not who] == []


def test_who_administers_decides_nothing_and_no_program_does() -> None:
    deciding = {Permission.APPROVE, Permission.REVIEW, Permission.TRIAGE, Permission.PROPOSE}
    assert [each for each in deciding if Duty.ADMIN in PERMISSIONS[each]] == []
    assert not deciding & FOR_PROGRAMS
