"""Questions: reviewed queries with parameters that are asked of one node when somebody investigates it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.collection.header import REQUIRED, PackError, read_header, read_lines
from app.collection.packs import PACK_FILE, PACKS_DIR, Asked, load_manifest, pack_folders, query_files
from app.collection.sql_file import SqlFile, facts_of
from app.osquery.binding import Value, bind


class Parameter(StrEnum):
    """What a question may ask about. All of it was said by the node that is asked."""

    PID = "pid"  #: of the process behind the finding
    PATH = "path"  #: of its file, as the node wrote it
    UNIT = "unit"  #: the Windows service or launchd label


@dataclass(frozen=True, slots=True)
class Question(SqlFile):
    parameters: tuple[Parameter, ...]

    def can_be_asked(self, values: Mapping[str, Value]) -> bool:
        """Whether anything that it asks about is known."""
        return not self.parameters or any(values.get(each) is not None for each in self.parameters)

    def bound(self, values: Mapping[str, Value]) -> str:
        """The statement as it is sent; what is not known is NULL, which equals nothing.

        Raises: Unbindable.
        """
        return bind(self.statement, {each.value: values.get(each) for each in self.parameters})


def load_questions(root: Path = PACKS_DIR) -> tuple[Question, ...]:
    """All questions under `root`, by name.

    Raises:
        PackError: the first thing that cannot be read, with its file and line.
    """
    asked = [folder for folder in pack_folders(root) if load_manifest(folder / PACK_FILE).asked is Asked.DISTRIBUTED]
    return tuple(load_question(path) for folder in asked for path in query_files(folder))


def load_question(path: Path) -> Question:
    """Raises: PackError."""
    lines = read_lines(path)
    header = read_header(path, lines, required=REQUIRED, optional=("parameters",))
    named = header.text("parameters").split(", ") if "parameters" in header.values else []
    return Question(**facts_of(header, lines), parameters=_parameters(path, header.values, named))


def _parameters(path: Path, values: Mapping[str, tuple[int, str]], named: Sequence[str]) -> tuple[Parameter, ...]:
    unknown = [name for name in named if name not in tuple(Parameter)]
    if unknown or len(set(named)) < len(named):
        wanted = f"`parameters` must be of {', '.join(Parameter)}, each once, with `, ` between them"
        raise PackError(path, values["parameters"][0], wanted)
    return tuple(map(Parameter, named))
