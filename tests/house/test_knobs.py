from app.detection.knobs import Knobs
from tests.house.knobs_page import PAGE, lines, meanings, render


def test_the_table_of_knobs_is_current() -> None:
    page = PAGE.read_text("utf-8")
    assert page == render(page), "run `make format`"


def test_every_knob_says_what_it_means() -> None:
    assert [line for line in lines() if line.endswith("|  |\n")] == []
    assert meanings().keys() >= {f"Knobs.{name}" for name in Knobs.__struct_fields__}
