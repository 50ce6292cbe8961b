"""Containers where calls of newer kernels do not exist; tools/older-kernels has the kernels themselves."""

import sys

import pytest
from tests.live.conftest import PROJECT

ON = pytest.mark.parametrize("tiffin", ["root", "single-id"], indirect=True)
OLDER = PROJECT / "tests/suites/older.py"


@pytest.fixture
def older(tiffin, busybox):
    """tiffin as on Linux 5.4; of the command that starts it, only the last words are its own."""
    outer, inner = tiffin.command[:-1], tiffin.command[-1:]
    return tiffin._replace(command=(*outer, sys.executable, str(OLDER), "5.4", *inner))


@ON
def test_steps_and_containers_do_without_the_newer_calls(older, folder):
    (folder / "Dockerfile").write_text(
        "FROM busybox\nRUN mkdir -p /srv/a && ln -s a /srv/b && echo x > /srv/b/x && chown -R 7:8 /srv/a\n"
        'RUN --mount=type=tmpfs,target=/t test "$(stat -c %u:%g /srv/b/x)" = 7:8 && ! touch /proc/sys/x\n'
        "FROM busybox\nCOPY --from=0 /srv /srv\n"
    )
    image = older("build", "-q", folder).stdout.strip()
    command = (
        'touch /in/x /x 2>&1; stat -c %u:%g /srv/a; (echo x > /proc/sys/kernel/hostname) 2>&1; echo "$0"'
    )
    said = older(
        "run", "--rm", "--read-only", "-v", f"{folder}:/in:ro", image, "sh", "-c", command, "end"
    ).stdout
    refused = [line for line in said.splitlines() if "ead-only" in line]
    assert ("7:8" in said, len(refused), said.split()[-1]) == (True, 3, "end"), said


@ON
def test_the_doctor_says_what_is_missing(older, tiffin):
    said = older("doctor", check=False).stdout
    asked = "Linux 5.19" if tiffin.rung == "root" else "of your own"
    assert f"isolated on the rung: {tiffin.rung}" in said
    assert (asked in said) == (tiffin.rung == "root"), said


@ON
def test_a_program_can_be_started_in_a_container(older):
    name = older("run", "-d", "busybox", "sleep", "100").stdout.strip()
    try:
        assert older("exec", name, "cat", "/proc/1/cmdline").stdout == "sleep\x00100\x00"
        assert older("cp", f"{name}:/etc/group", "-", text=False).stdout
    finally:
        older("rm", "-f", name)
