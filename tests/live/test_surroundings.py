"""Places with pieces missing, as pods and other containers are: worked around, with a word."""

import pytest

pytestmark = pytest.mark.live


@pytest.fixture
def masked(tiffin):
    """The command where a part of /proc is hidden, as in an ordinary container."""
    hide = ("unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /proc/interrupts && exec "$@"', "sh")
    return tiffin._replace(command=(*hide, *tiffin.command))


def test_a_proc_with_hidden_parts_is_shared_with_a_word(masked, busybox):
    done = masked(
        "run",
        "--rm",
        "--network",
        "none",
        busybox,
        "sh",
        "-c",
        "readlink /proc/self/exe; echo $$; cat /proc/interrupts",
    )
    assert done.stdout.splitlines() == [
        "/bin/busybox",
        "1",
    ]  # a pid namespace of its own, and what was hidden stays so
    assert "containers see the processes around them in /proc" in done.stderr


def test_nothing_around_can_be_opened_through_it(masked, busybox):
    look = "for each in /proc/[0-9]*; do ls -d $each/root/. $each/cwd/. $each/fd/0; done 2>/dev/null"
    opened = f"{look}; ls /proc/1/root/"
    done = masked("run", "--rm", "--network", "none", busybox, "sh", "-c", opened, check=False)
    assert "Permission denied" in done.stderr
    own = {line.split("/")[2] for line in done.stdout.splitlines()}
    assert len(own) <= 2, done.stdout  # the shell and its child
    asked = masked(
        "run", "--rm", "--network", "none", "--cap-add", "SYS_PTRACE", busybox, "true", check=False
    )
    assert (asked.returncode == 0) == (masked.rung == "root"), asked.stderr


def test_a_step_of_a_build_runs_there_too(masked, busybox, folder):
    (folder / "Dockerfile").write_text(f"FROM {busybox}\nRUN readlink /proc/self/exe > /exe\n")
    done = masked("build", "--network", "none", "--no-cache", "-t", "masked", folder)
    assert "containers see the processes around them" in done.stderr
    shown = masked("run", "--rm", "--network", "none", "masked", "cat", "/exe")
    assert shown.stdout == "/bin/busybox\n"


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_root_that_lends_its_own_ids_has_a_network(tiffin, busybox):
    """As in a pod whose store is on an overlay: pasta must not take this for the first user namespace."""
    words = ("run", "--rm", "--network", "pasta", busybox, "sh", "-c", "cat /proc/net/route | wc -l")
    assert int(tiffin("--isolation", "rootless", *words).stdout) > 1


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_a_store_that_cannot_be_there_is_told_with_another_place(tiffin, folder):
    """A file system without attributes, as NFS often is, and one that is read only."""
    for options, reason in (("-t ramfs", "keep no attributes"), ("-t tmpfs -o ro", "cannot be")):
        mount = ("unshare", "--mount", "sh", "-c", f'mount {options} none "$0" && exec "$@"', str(folder))
        there = tiffin._replace(command=(*mount, *tiffin.command))
        done = there("images", env={"TIFFIN_HOME": str(folder / "store")}, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert reason in done.stderr
        assert "such as /var/tmp/tiffin-0" in done.stderr
        told = there("doctor", env={"TIFFIN_HOME": str(folder / "store")}, check=False)
        assert (told.returncode, reason in told.stdout) == (1, True), told.stdout


@pytest.mark.parametrize("tiffin", ["chroot"], indirect=True)
def test_where_no_program_may_run_copies_are_refused_with_another_place(tiffin, folder):
    mount = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o noexec none "$0" && exec "$@"', str(folder))
    there = tiffin._replace(command=(*mount, *tiffin.command), env={**tiffin.env, "TIFFIN_HOME": str(folder)})
    text = "FROM scratch\nRUN true\n"
    done = there("build", "-", input=text, check=False)
    assert (done.returncode, "its disk is mounted noexec" in done.stderr) == (125, True), done.stderr
    told = there("doctor", check=False)
    assert (told.returncode, "mounted noexec" in told.stdout) == (1, True), told.stdout
