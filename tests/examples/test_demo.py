"""The demo's own promises: it finds a port, it notices what got in, it cleans up."""

import json
import socket

import pytest


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (187_400_000, "187MB"), (1_500_000_000, "1.5GB")],
)
def test_sizes_are_decimal(demo, size, text):
    assert demo.human(size) == text


def test_another_port_is_taken_when_the_wanted_one_is_in_use(demo):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        assert demo.free_port(wanted) not in {0, wanted}


def test_a_free_port_is_kept(demo):
    with socket.socket() as probe:
        probe.bind(("", 0))
        wanted = probe.getsockname()[1]
    assert demo.free_port(wanted) == wanted


def test_the_project_holds_one_of_everything_that_must_stay_out(demo, tmp_path):
    demo.lay_out(tmp_path / "finca")
    paths = [str(path.relative_to(tmp_path / "finca")) for path in (tmp_path / "finca").rglob("*")]
    assert {name: any(map(belongs, paths)) for name, belongs in demo.LEFT_OUT.items()} == dict.fromkeys(
        demo.LEFT_OUT, True
    )


def test_laying_out_again_touches_nothing_that_is_the_same(demo, tmp_path):
    demo.lay_out(tmp_path)
    before = {path: path.lstat().st_ctime_ns for path in tmp_path.rglob("*.py")}
    demo.lay_out(tmp_path)
    assert {path: path.lstat().st_ctime_ns for path in tmp_path.rglob("*.py")} == before


def answers(files, *, trains):
    def ask(*arguments):
        if arguments[0] == "inspect":
            return json.dumps([{"Size": 1000}])
        return json.dumps({"files": files, "trains": trains})

    return ask


@pytest.mark.parametrize(
    ("file", "trains"), [("tasting.ipynb", False), (".venv/pyvenv.cfg", False), ("serve.py", True)]
)
def test_whatever_got_into_the_serving_image_fails_the_demo(demo, monkeypatch, file, trains):
    monkeypatch.setattr(demo, "ask", answers([file], trains=trains))
    with pytest.raises(demo.DemoError, match="got into finca-serving"):
        demo.compare(demo.Screen())


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_the_container_is_removed_whatever_happens(demo, monkeypatch, failure):
    removed = []

    def fail(*_):
        raise failure

    monkeypatch.setattr(demo, "run", lambda *_: None)
    monkeypatch.setattr(demo, "wait_until_healthy", fail)
    monkeypatch.setattr(demo.subprocess, "run", lambda arguments, **_: removed.append(arguments[1:]))
    with pytest.raises(failure):
        demo.serve(demo.Screen())
    assert [arguments[:2] for arguments in removed] == [["rm", "-f"]]


def test_in_a_pipe_the_output_has_no_escapes(demo, capsys):
    screen = demo.Screen()
    with screen.step("Build"):
        screen.command(["build", "."])
        screen.table([("a", "1"), ("long", "22")])
    assert capsys.readouterr().out == "\n== Build\n$ tiffin build .\n  a       1\n  long   22\n"
