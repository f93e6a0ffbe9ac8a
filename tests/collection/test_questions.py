from datetime import UTC, datetime

import pytest

from app.collection.check import Fault, check_packs
from app.collection.export import export
from app.collection.header import PackError
from app.collection.packs import load_packs
from app.collection.questions import Parameter, load_questions
from app.collection.rules import systems_of
from app.collection.schedule import configuration_for
from app.collection.tables import EmptyAgent
from tests.collection.conftest import QUESTION_LINE

HOSTILE = {"pid": 4242, "path": "C:\\o'; DROP -- \" :pid /*\\x.exe", "unit": "a'b"}


def test_the_shipped_questions_are_those_of_the_contract():
    assert {(each.name, each.platform, each.parameters) for each in load_questions()} == {
        ("process_tree", "any", ("pid",)),
        ("file_hash", "any", ("path",)),
        ("authenticode", "windows", ("path",)),
        ("signature", "darwin", ("path",)),
        ("service", "windows", ("pid", "unit")),
        ("launchd_job", "darwin", ("unit", "path")),
        ("sockets_now", "any", ("pid",)),
        ("listening_ports", "any", ()),
    }


@pytest.mark.parametrize("question", load_questions(), ids=lambda question: question.name)
@pytest.mark.parametrize("values", [HOSTILE, {}], ids=["hostile", "unknown"])
def test_a_bound_question_is_one_select_of_the_same_columns(question, values):
    for system in systems_of(question):
        with EmptyAgent(system) as agent:
            asked = agent.prepare(question.bound(values))
            assert asked == agent.prepare(question.statement)


@pytest.mark.parametrize("question", load_questions(), ids=lambda question: question.name)
def test_a_bound_question_has_no_parameter_left(question):
    assert ":" not in question.bound({"pid": 1, "path": "p", "unit": "u"})


def test_questions_are_in_no_configuration_and_in_no_export(shelf, tmp_path_factory):
    shelf.question()
    packs = load_packs(shelf.root)
    assert packs == ()
    assert (
        b"sockets" not in configuration_for(packs, "windows", node_phase=0, now=datetime(2026, 11, 21, tzinfo=UTC)).body
    )
    assert export(packs, "osquery", tmp_path_factory.mktemp("exported")) == ()
    assert [question.name for question in load_questions(shelf.root)] == ["sockets"]


def test_a_question_is_asked_when_anything_that_it_asks_about_is_known():
    of = {question.name: question for question in load_questions()}
    assert of["service"].can_be_asked({"pid": None, "unit": "wuauserv"})
    assert not of["service"].can_be_asked({"pid": None, "unit": None, "path": "x"})
    assert not of["process_tree"].can_be_asked({})
    assert of["listening_ports"].can_be_asked({})
    assert "s.pid = NULL OR s.name = 'x'" in of["service"].bound({"unit": "x"})


def test_the_small_question_of_these_tests_has_no_fault(shelf):
    shelf.question()
    assert check_packs(shelf.root) == ()


@pytest.mark.parametrize(
    ("statement", "line", "words"),
    [
        ("SELECT pid, name, path\nFROM processes\nLIMIT 5", -2, "the statement has no parameter pid"),
        ("SELECT pid, name, path\nFROM processes WHERE pid = :pid AND path = :path LIMIT 5", 1, "no parameter path"),
        ("SELECT pid, name, path FROM processes WHERE pid = ':pid' LIMIT 5", -2, "has no parameter pid"),
        ("SELECT pid, name, path FROM processes WHERE :pid = ?1 LIMIT 5", 0, "a parameter is written like `:pid`"),
        ("SELECT pid, name, path FROM processes\nWHERE pid = :pid", 1, "end the statement with LIMIT"),
        ("SELECT *\nFROM processes WHERE pid = :pid LIMIT 5", 0, "name the columns"),
        ("SELECT pid, name,\nupath AS path FROM processes WHERE pid = :pid LIMIT 5", 1, "no such column: upath"),
        (
            "SELECT :pid AS pid, path,\n sha256 AS name FROM hash LIMIT 5",
            1,
            "hash must be asked for a directory or path",
        ),
        ("SELECT pid AS name, path,\n :pid AS pid FROM authenticode LIMIT 5", 0, "no such column: pid"),
    ],
)
def test_a_fault_of_a_question_is_on_its_line(shelf, statement, line, words):
    path = shelf.question(statement)
    found = [(fault.path, fault.line) for fault in check_packs(shelf.root) if words in fault.message]
    assert found == [(path, QUESTION_LINE + line)]


def test_a_scheduled_query_has_no_parameters(shelf):
    path = shelf.query("SELECT pid, name, path FROM processes\nWHERE pid = :pid")
    (fault,) = check_packs(shelf.root)
    assert fault == Fault(path, 13, "the header declares no parameter pid")


@pytest.mark.parametrize("parameters", ["colour", "pid, pid", "pid path", "pid,path"])
def test_unknown_or_doubled_parameters_are_refused(shelf, parameters):
    path = shelf.question(parameters=parameters)
    with pytest.raises(PackError, match="`parameters` must be of pid, path, unit") as caught:
        load_questions(shelf.root)
    assert (caught.value.path, caught.value.line) == (path, 7)


@pytest.mark.parametrize("name", ["interval", "mode", "removed", "denylist", "startup_priority"])
def test_a_question_has_no_field_of_a_schedule(shelf, name):
    shelf.question(**{name: "300"})
    with pytest.raises(PackError, match=f"`{name}` is not a field of a query"):
        load_questions(shelf.root)


def test_examples_of_a_question_are_checked_too(shelf):
    shelf.question()
    path = shelf.examples({"pid": "1"})
    assert Fault(path, 1, "2 to 4 example rows are wanted, here are 1") in check_packs(shelf.root)


def test_every_parameter_is_used_by_some_question():
    assert {each for question in load_questions() for each in question.parameters} == set(Parameter)
