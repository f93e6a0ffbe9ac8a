from tests.house.tree import ROOT, short, sources

#: Words without an edge: whatever comes along fits into such a module. `process` and `user` belong to the data.
BANNED = frozenset(
    {"service", "utils", "util", "helpers", "common", "core", "base", "manager", "handler", "misc", "user"}
)


def test_no_module_or_folder_has_a_name_that_everything_fits() -> None:
    parts = {(short(path), part) for path in sources() for part in path.relative_to(ROOT).with_suffix("").parts}
    assert sorted(name for name, part in parts if BANNED & set(part.split("_"))) == []
