"""`import tiffin` loads nothing, and its names are functions, whoever imports packages of these names."""

import inspect
import subprocess
import sys

import pytest

import tiffin
from tiffin.errors import FailedError, InvalidError, NotFoundError, TiffinError
from tiffin.python import calls
from tiffin.python.calls import build
from tiffin.python.child import Answer
from tiffin.python.container import Container, Execution
from tiffin.python.image import Image, Layer
from tiffin.python.ports import published

ROOMS = ("build", "container", "image")
CLASSES = (Container, Execution, Image, Layer, TiffinError)
FUNCTIONS = (
    *(calls.build, calls.container, calls.containers, calls.image, calls.images),
    *(calls.pull, calls.push, calls.run),
)
PROMISED = {each.__name__: each for each in (*CLASSES, *FUNCTIONS)}


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_loads_nothing_else():
    code = "import sys; before = set(sys.modules); import tiffin; print(*sorted(set(sys.modules) - before))"
    assert set(python(code)) == {"tiffin", "__future__"}


def test_a_pytest_that_does_not_use_the_fixture_loads_nothing_of_it():
    code = (
        "import sys, pytest; before = set(sys.modules); import tiffin.python.fixture\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    assert set(python(code)) <= {"tiffin", "tiffin.python", "tiffin.python.fixture", "__future__"}


def test_a_caller_does_not_load_the_engine():
    code = "import sys, tiffin; tiffin.run; tiffin.Image; print(*sys.modules)"
    rooms = {name.split(".")[1] for name in python(code) if name.startswith("tiffin.")}
    assert rooms <= {"errors", "events", "python"}


@pytest.mark.parametrize(
    "before",
    [
        "import tiffin",
        "import tiffin.build.graph",
        "import tiffin; tiffin.build; import tiffin.build.graph as graph",
    ],
)
def test_build_is_a_function_and_a_package(before):
    code = (
        f"{before}\nimport tiffin, inspect\n"
        "print(callable(tiffin.build), 'context' in inspect.signature(tiffin.build).parameters)\n"
        "import tiffin.build.graph as graph\n"
        "print(graph is tiffin.build.graph, graph.__name__)"
    )
    assert python(code) == ["True", "True", "True", "tiffin.build.graph"]


def test_the_names_are_those_that_are_promised():
    assert tiffin.__all__ == [*PROMISED]
    assert set(tiffin.__all__) <= set(dir(tiffin))
    for name, own in PROMISED.items():
        assert getattr(tiffin, name) is own or (
            name in ROOMS and inspect.unwrap(getattr(tiffin, name)) is own
        )
        assert own.__doc__
    with pytest.raises(AttributeError, match="no attribute 'builds'"):
        _ = tiffin.builds


def test_standard_input_is_not_for_builds():
    for arguments in ({"context": "-"}, {"context": ".", "dockerfile": "-"}):
        with pytest.raises(InvalidError, match="does not read standard input"):
            build(**arguments)


@pytest.mark.parametrize(
    ("ports", "values"),
    [
        ({}, []),
        ({8000: 0}, ["127.0.0.1::8000"]),
        ({8000: 80}, ["127.0.0.1:80:8000"]),
        ({"53/udp": 5353}, ["127.0.0.1:5353:53/udp"]),
        ({80: ("0.0.0.0", 0), 81: ("::1", 8081)}, ["0.0.0.0::80", "[::1]:8081:81"]),
    ],
)
def test_ports_are_published_on_loopback_unless_they_say_else(ports, values):
    assert published(ports) == values


def container(ports):
    return Container(
        {"Id": "ab" * 32, "Name": "/serving", "Config": {"Image": "i"}, "NetworkSettings": {"Ports": ports}}
    )


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "127.0.0.1"),
        ("10.1.1.1", "10.1.1.1"),
        ("::1", "[::1]"),
    ],
)
def test_urls_name_an_address_that_answers(address, url):
    one = container({"8000/tcp": [{"HostIp": address, "HostPort": "49153"}]})
    assert one.url(8000) == f"http://{url}:49153"
    assert one.url(8000, "healthz", scheme="https") == f"https://{url}:49153/healthz"


def test_a_port_that_is_not_published_has_no_url():
    with pytest.raises(NotFoundError, match="8001 of the container serving is not published") as caught:
        container({"8001/tcp": None, "8000/udp": [{"HostIp": "", "HostPort": "1"}]}).url(8001)
    assert caught.value.hint == "start it with ports={8001: 0}"


@pytest.mark.parametrize(("command", "shown"), [("false", "false"), (["sh", "-c", "exit 3"], "sh -c exit 3")])
def test_a_command_that_failed_is_named_as_it_was_written(monkeypatch, command, shown):
    monkeypatch.setattr("tiffin.python.container.call", lambda *_: Answer(3, b"", b"why"))
    with pytest.raises(FailedError, match=f"^{shown} in the container serving ended with status 3") as caught:
        container(None).exec(command, check=True)
    assert caught.value.output == "why"
