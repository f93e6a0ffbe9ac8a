"""Tests mirror the code, so that whoever changes a package knows which tests to run."""

from tests.house.tree import APP, TESTS, sources


def packages_with_logic() -> set[str]:
    return {path.relative_to(APP).parts[0] for path in sources("app") if len(path.relative_to(APP).parts) > 1}


def test_every_package_has_its_tests() -> None:
    assert {name for name in packages_with_logic() if not list((TESTS / name).glob("test_*.py"))} == set()


def test_every_test_folder_is_of_a_package_or_says_what_it_is() -> None:
    own = {"api", "bench", "browser", "captures", "house", "measures", "migrations"}
    folders = {path.name for path in TESTS.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))}
    assert folders - own <= packages_with_logic()
