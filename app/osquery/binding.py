"""Values into a statement: osquery binds no parameters, so each becomes a literal that SQLite reads as itself."""

import re
import unicodedata
from collections.abc import Mapping

Value = int | str | None

#: Process ids are unsigned 32-bit on Windows and smaller on macOS.
LARGEST_NUMBER = 2**32 - 1
#: The longest path that macOS has; Windows' longer ones are seldom, and are not asked about.
LONGEST_TEXT = 4096

#: Quoted texts and names, which stay as they are, or a parameter.
_PIECE = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|:([a-z_]+)")
_PARAMETER = re.compile(r":([a-z_]+)")
#: Control characters, and half a surrogate pair, which is no UTF-8.
_REFUSED = frozenset({"Cc", "Cs"})


class Unbindable(ValueError):
    """A value that cannot be put into a statement. `parameter` says which."""

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"{parameter}: {why}")
        self.parameter = parameter


def bind(statement: str, values: Mapping[str, Value]) -> str:
    """The statement with every `:name` outside of quotes replaced by the literal of its value.

    Raises: Unbindable, also for a name that has no value.
    """

    def replaced(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0]
        if name not in values:
            raise Unbindable(name, "no value")
        return literal(name, values[name])

    return _PIECE.sub(replaced, statement)


def literal(name: str, value: Value) -> str:
    """One value as SQLite reads it: NULL, digits, or a quoted text in which only the quote has a meaning.

    Raises: Unbindable.
    """
    if value is None:
        return "NULL"
    if isinstance(value, int):
        if not 0 <= value <= LARGEST_NUMBER:
            raise Unbindable(name, f"{value} is no process id")
        return str(int(value))
    if len(value) > LONGEST_TEXT:
        raise Unbindable(name, f"longer than {LONGEST_TEXT} characters")
    if any(unicodedata.category(each) in _REFUSED for each in value):
        raise Unbindable(name, "holds a control character")
    return "'" + value.replace("'", "''") + "'"


def parameters_of(masked: str) -> set[str]:
    """The names of the parameters in a statement whose literals are emptied."""
    return set(_PARAMETER.findall(masked))
