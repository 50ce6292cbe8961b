"""What a user sees when things go well, and above all when they do not."""

import errno
import os
import sqlite3
import subprocess
import sys

import pytest

from tiffin.errors import InvalidError, NotFoundError, Where


def test_help_lists_every_command_and_exits_with_success(tiffin):
    result = tiffin("--help")
    assert result.status == 0
    assert "  run         Make a container from an image and run it\n" in result.out
    assert tiffin().out == tiffin("help").out == tiffin("-h").out == result.out


def test_version_in_all_its_spellings(tiffin):
    assert tiffin("version").out.startswith("tiffin 0.")
    assert tiffin("--version").out == tiffin("-v").out == tiffin("version").out
    version = tiffin("version").out.split()[1]
    assert tiffin("version", "--format", "{{.Server.Version}}").out == version + "\n"


def test_groups_are_other_names_for_the_same_commands(tiffin):
    assert tiffin("image", "ls", "--nosuch").err.startswith("error: unknown flag: --nosuch")
    assert tiffin("image").out == tiffin("image", "--help").out
    assert "  ls          List images\n" in tiffin("image").out
    assert "tiffin images" in tiffin("image", "ls", "--help").out


@pytest.mark.parametrize(
    ("words", "status", "first", "hint"),
    [
        (["imags"], 1, "error: unknown command: tiffin imags", "did you mean images"),
        (["image", "lst"], 1, "error: unknown command: tiffin image lst", "See 'tiffin image --help'"),
        (["search", "x"], 1, "error: tiffin has no command 'search'", "registry"),
        (["images", "--quit"], 1, "error: unknown flag: --quit", "did you mean --quiet"),
        (["run", "--nosuch", "x"], 125, "error: unknown flag: --nosuch", "See 'tiffin run --help'"),
        (["exec", "--nosuch"], 125, "error: unknown flag: --nosuch", "See 'tiffin exec --help'"),
        (
            ["container", "run", "-Z"],
            125,
            "error: unknown shorthand flag: 'Z' in -Z",
            "tiffin container run --help",
        ),
        (
            ["run"],
            125,
            "error: 'tiffin run' requires at least 1 argument",
            "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
        ),
        (
            ["exec", "a"],
            125,
            "error: 'tiffin exec' requires at least 2 arguments",
            "See 'tiffin exec --help'",
        ),
        (["tag", "a"], 1, "error: 'tiffin tag' requires 2 arguments", "See 'tiffin tag --help'"),
        (["ps", "x"], 1, "error: 'tiffin ps' accepts no arguments", "See 'tiffin ps --help'"),
        (["images", "a", "b"], 1, "error: 'tiffin images' accepts at most 1 argument", "See"),
        (["--host", "x", "ps"], 1, "error: --host is not supported: there is no daemon", "leave --host away"),
        (
            ["--isolation", "x", "ps"],
            1,
            'error: invalid argument "x" for "--isolation" flag',
            "See 'tiffin --help'",
        ),
        (["run", "--link", "a", "x"], 125, "error: --link is not supported", "leave --link away"),
    ],
)
def test_wrong_words_end_with_two_lines_and_docker_s_status(tiffin, words, status, first, hint):
    result = tiffin(*words)
    assert result.status == status
    what, what_to_do = result.err.splitlines()
    assert what.startswith(first)
    assert what_to_do.startswith("hint: ")
    assert hint in what_to_do
    assert result.out == ""


def test_an_error_of_the_engine_is_shown_with_place_caret_and_hint(tiffin, engine, tmp_path):
    error = InvalidError(
        "RNU is no instruction", hint="did you mean RUN?", where=Where("Dockerfile", 2, 1, 4, "RNU true")
    )
    engine.answers("builds", build=error)
    result = tiffin("build", str(tmp_path))
    assert result.status == 1
    assert result.err.splitlines() == [
        "error: Dockerfile:2: RNU is no instruction",
        " 2 | RNU true",
        "   | ^^^",
        "hint: did you mean RUN?",
    ]


def test_an_error_may_bring_its_own_status(tiffin, engine):
    engine.answers("running", run=InvalidError("no such command: x", exit_status=127))
    assert tiffin("run", "img", "x").status == 127
    engine.answers("running", run=NotFoundError("no image"))
    assert tiffin("run", "img", "x").status == 125


@pytest.mark.parametrize(
    ("error", "says", "hint"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/v/blobs/x"),
            "/v/blobs/x: the disk is full",
            "system prune",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "/v/x"),
            "/v/x: the disk quota is used up",
            "system prune",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/v"), "/v: permission denied", "owner"),
        (OSError(errno.EROFS, "Read-only", "/v"), "/v: the file system is read-only", "TIFFIN_HOME"),
        (OSError(errno.ENOENT, "No such", "/a", None, "/b"), "/a -> /b: no such file or folder", "path"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full", "system prune"),
        (OSError(errno.EXDEV, "Invalid cross-device link", b"/x"), "/x: invalid cross-device link", ""),
        (MemoryError(), "there is not enough memory", "close"),
        (sqlite3.OperationalError("database or disk is full"), "the disk is full", "system prune"),
        (sqlite3.OperationalError("database is locked"), "held by another command", "try again"),
        (sqlite3.DatabaseError("malformed"), "database failed: malformed", "tiffin info"),
        (KeyError("x\ny"), "tiffin itself failed: KeyError", "TIFFIN_DEBUG=1"),
    ],
)
def test_no_failure_ends_in_a_traceback(tiffin, engine, error, says, hint):
    engine.answers("images", list_images=error)
    result = tiffin("images")
    assert result.status == 1
    lines = result.err.splitlines()
    assert len(lines) <= 2
    assert says in lines[0]
    assert not hint or hint in lines[1]


def test_a_traceback_is_there_for_those_who_ask(tiffin, engine, monkeypatch):
    engine.answers("images", list_images=KeyError("x"))
    assert "Traceback" in tiffin("--debug", "images").err
    monkeypatch.setenv("TIFFIN_DEBUG", "1")
    result = tiffin("images")
    assert "Traceback" in result.err
    assert result.status == 1
    monkeypatch.setenv("TIFFIN_DEBUG", "0")
    assert "Traceback" not in tiffin("images").err


def test_engines_that_ask_the_oci_runtime_for_a_traceback_get_it_too(tiffin, tmp_path):
    asked = tiffin("oci", "--root", str(tmp_path), "--debug", "state", "none")
    assert "Traceback" in asked.err
    assert asked.status == 1
    assert "Traceback" not in tiffin("oci", "--root", str(tmp_path), "state", "none").err


def test_ctrl_c_ends_with_130_and_without_words(tiffin, engine):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    engine.answers("awaiting", wait=interrupt)
    result = tiffin("wait", "x")
    assert (result.status, result.err) == (130, "")


def test_a_reader_that_goes_away_is_no_error():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "tiffin.cli.main", "--help"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [(">&-", 0, ""), ("<&- >&- 2>&-", 0, ""), (">/dev/full", 1, "the disk is full")],
)
def test_an_output_that_takes_nothing_ends_in_no_traceback(redirection, status, said):
    command = f'"$0" -m tiffin version {redirection}'
    done = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr
    assert said in done.stderr


def test_global_options_reach_the_settings(tiffin, engine, tmp_path):
    engine.answers("images", list_images=[])
    assert tiffin("--home", str(tmp_path), "--isolation=rootless", "images").status == 0
    assert engine.calls[0] == ("settings", {"isolation": "rootless", "root": tmp_path})
    engine.calls.clear()
    tiffin("images")
    assert engine.calls[0] == ("settings", {"isolation": None, "root": None})


def test_names_that_are_no_text_can_be_printed():
    code = (
        "import sys\nfrom tiffin.cli import main, catalog\nfrom tiffin.cli.command import Command\n"
        "def run(session, arguments):\n    session.print('a\\udcff')\n    return 0\n"
        "catalog.load = lambda location: Command('x', run)\n"
        "sys.exit(main.main(['version']))"
    )
    done = subprocess.run([sys.executable, "-X", "utf8", "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"a\xff\n"), done.stderr
