from app.settings import Settings
from tests.house.settings_page import PAGE, meanings, render


def test_the_page_of_settings_is_current() -> None:
    assert PAGE.read_text("utf-8") == render(), "run `make format`"


def test_every_setting_says_what_it_means() -> None:
    assert sorted(set(Settings.model_fields) - set(meanings())) == []
