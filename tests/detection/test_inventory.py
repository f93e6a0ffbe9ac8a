import pytest

from app.detection.behaviour import Direction
from app.detection.inventory import launched_program, split_command
from app.detection.recognition import recognise

SERVICES, LAUNCHD = "pack/windows_context/services", "pack/macos_context/launchd"


def service(**columns):
    row = {
        "name": "Agent",
        "start_type": "AUTO_START",
        "path": r'"C:\A\a.exe" -run',
        "module_path": "",
        "user_account": "LocalSystem",
    }
    return recognise(SERVICES, row | columns)


def job(**columns):
    row = {
        "plist_path": "/Library/LaunchDaemons/a.plist",
        "label": "com.a",
        "program": "/a/b",
        "program_arguments": "/a/b -x",
    }
    return recognise(LAUNCHD, row | columns)


@pytest.mark.parametrize(
    ("command", "program", "arguments"),
    [
        (r'"C:\Program Files\A\a.exe" -k x', r"C:\Program Files\A\a.exe", " -k x"),
        (r"C:\Program Files\A\a.exe -k x", r"C:\Program Files\A\a.exe", " -k x"),
        (r"C:\Windows\system32\svchost.exe -k netsvcs", r"C:\Windows\system32\svchost.exe", " -k netsvcs"),
        (r"\SystemRoot\System32\drivers\a.sys", r"\SystemRoot\System32\drivers\a.sys", ""),
        (r"System32\drivers\a.sys", r"c:\windows\System32\drivers\a.sys", ""),
        ("", "", ""),
    ],
)
def test_a_service_command_line_names_its_program(command, program, arguments):
    assert split_command(command) == (program, arguments)


def test_a_service_is_the_module_that_an_svchost_loads():
    behaviour = service(path=r"C:\Windows\system32\svchost.exe -k netsvcs", module_path=r"C:\Windows\System32\x.dll")
    assert (behaviour.program.path, behaviour.program.unit) == (r"c:\windows\system32\x.dll", "agent")
    assert behaviour.direction is Direction.SERVICE


def test_instances_of_a_per_user_service_are_one():
    assert service(name="CDPUserSvc_5e6a1") == service(name="CDPUserSvc_7f001")


@pytest.mark.parametrize(
    "change", [{"start_type": "DISABLED"}, {"user_account": "bob"}, {"path": r"C:\A\a.exe -other"}]
)
def test_a_changed_service_is_another_fact_of_the_same_program(change):
    assert service(**change).program == service().program
    assert service(**change) != service()


def test_an_update_of_a_service_changes_nothing():
    old, new = (service(path=rf'"C:\A\{version}\a.exe"') for version in ("1.2.3", "1.2.4"))
    assert old == new


def test_a_launchd_job_is_its_label_and_what_it_runs():
    behaviour = job(program="", program_arguments="/usr/bin/python3 /x.py")
    assert (behaviour.program.path, behaviour.program.unit) == ("/usr/bin/python3", "com.a")
    assert behaviour.bucket == "/Library/LaunchDaemons/a.plist: /usr/bin/python3 /x.py"


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        ("/usr/bin/python3 /x.py", "/usr/bin/python3"),
        ("/bin/sh -c cd foo/bar", "/bin/sh"),
        ("/usr/libexec/agent some/file", "/usr/libexec/agent"),
        ("/Library/Tool/agent run", "/Library/Tool/agent"),
        ("/Library/Tool/agent https://a/b", "/Library/Tool/agent"),
        ("/Library/Application Support/.sys/helperd", "/Library/Application Support/.sys/helperd"),
        ("/Library/Application Support/.sys/helperd -x /y z/b", "/Library/Application Support/.sys/helperd"),
        ("/Users/bob/My Tools/agent --dir=/a/b", "/Users/bob/My Tools/agent"),
        (
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome run",
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        ),
        ("agent -x", "agent"),
        ("", ""),
    ],
)
def test_a_launchd_job_names_its_program_though_folders_have_spaces(arguments, program):
    assert launched_program(arguments) == program


def test_the_program_that_a_launchd_job_gives_counts_before_its_arguments():
    behaviour = job(program="/Library/Application Support/A/b", program_arguments="other -x")
    assert (behaviour.program.path, behaviour.program.name) == ("/Library/Application Support/A/b", "b")


def test_a_long_configuration_keeps_its_own_name():
    one, two = (job(program_arguments="/a/b " + "x" * 500 + end) for end in "12")
    assert one.bucket != two.bucket
    assert len(one.bucket) < 300
