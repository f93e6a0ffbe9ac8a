from tests.house.tree import functions, short, sources

FILE_MAX_LINES = 400
FUNCTION_MAX_LINES = 60


def test_files_are_short() -> None:
    lengths = {short(path): len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert {name: lines for name, lines in lengths.items() if lines > FILE_MAX_LINES} == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{short(path)}:{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for path in sources("app", "tests")
        for function in functions(path)
    }
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_MAX_LINES} == {}
