"""Containers of Docker, and pods that may make namespaces, as Kubernetes leaves them by default.

The store is on their overlay, on which another one cannot be written, and parts of their /proc are hidden.
"""

import json
import os
import shutil
import subprocess

import pytest
from tests.live.pod import ORDINARY, Pod
from tests.suites import busybox

pytestmark = pytest.mark.live

NAMESPACES = ("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined")
DOCKERFILE = """\
FROM scratch
COPY files /
RUN mkdir -p /srv/a && chown 7:8 /srv/a && echo made > /srv/a/b && chown 5 /srv/a/b
RUN rm /srv/a/b && rm -r /srv/a && mkdir /srv/a && echo again > /srv/a/c && chown 3:4 /srv/a/c
RUN ln -s c /srv/a/d && chown -h 5 /srv/a/d
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/srv/t echo x > /cache/x && echo y > /srv/t/y
"""


@pytest.fixture(scope="module")
def context(tmp_path_factory, readable_tiffin):
    """The folder of the Dockerfile, and the layers that it gives on this machine."""
    home = tmp_path_factory.mktemp("pods")
    home.chmod(0o755)
    busybox.install(home / "files/bin", ("sh", "cat", "chown", "id", "ln", "mkdir", "readlink", "rm"))
    (home / "Dockerfile").write_text(DOCKERFILE)
    env = {**os.environ, "TIFFIN_HOME": str(home / "store")}
    done = subprocess.run(
        [*readable_tiffin, "build", "-q", home], env=env, capture_output=True, text=True, check=True
    )
    shutil.rmtree(home / "store")
    return home, done.stdout.strip()


@pytest.mark.parametrize(
    ("options", "rung"),
    [
        (NAMESPACES, "rootless"),
        ((*NAMESPACES, "--cap-add", "SYS_ADMIN"), "rootless"),
        ((*NAMESPACES, "--user", "1000:1000"), "single-id"),
    ],
    ids=["root", "admin", "user"],
)
def test_a_pod_gets_namespaces_and_copies(docker, context, readable_tiffin, options, rung):
    home, expected = context
    pod = Pod(docker, home, readable_tiffin, "--tmpfs", "/run:mode=1777", *options)
    store = {"TIFFIN_HOME": "/var/tmp/store", "HOME": "/var/tmp"}
    try:
        report = json.loads(pod("doctor", "--json", env=store).stdout)
        assert report["Rung"] == rung, report
        built = pod("build", "-q", "-t", "inside", home, env=store)
        assert "root filesystems are copied" in built.stderr
        image = built.stdout.strip()
        assert image == expected
        look = "cat /srv/a/c; id -u; readlink /proc/self/exe; echo more > /more; rm /srv/a/c"
        ran = pod("run", "--name", "one", "--network", "none", "inside", "sh", "-c", look, env=store)
        assert ran.stdout == "again\n0\n/bin/busybox\n"
        assert "see the processes around them" in ran.stderr
        assert set(pod("diff", "one", env=store).stdout.splitlines()) >= {"A /more", "D /srv/a/c"}
        pod("commit", "one", "kept", env=store)
        assert pod("run", "--rm", "--network", "none", "kept", "cat", "/more", env=store).stdout == "more\n"
        pod("rm", "one", env=store)
        left = pod.run("ls", "/var/tmp/store/containers", "/var/tmp/store/work").stdout.split()
        assert [name for name in left if ":" not in name] == []
    finally:
        pod.stop()


def test_root_of_an_ordinary_container_has_chroot(docker, context, readable_tiffin):
    home, expected = context
    pod = Pod(docker, home, readable_tiffin)
    try:
        report = json.loads(pod("doctor", "--json").stdout)
        assert report["Rung"] == "chroot"
        checks = {check["Name"]: check for check in report["Checks"]}
        assert not checks["user namespaces"]["Ok"]
        assert all(checks[name]["Ok"] for name in ("kernel", "store", "device nodes", "/proc", "network"))
        pod("build", "-q", "-t", "inside", home)
        assert json.loads(pod("inspect", "inside").stdout)[0]["Id"] == expected
        # A volume changes places with a note, on the overlay of that container.
        pod("run", "--rm", "-v", "kept:/v", "inside", "sh", "-c", "echo more > /v/x")
        assert (
            pod("run", "--rm", "-v", "kept:/v", "inside", "cat", "/srv/a/c", "/v/x").stdout == "again\nmore\n"
        )
    finally:
        pod.stop()


def test_root_that_may_mount_has_the_rung_root_with_a_volume(docker, context, readable_tiffin):
    home, expected = context
    pod = Pod(docker, home, readable_tiffin, *NAMESPACES, "--cap-add", "SYS_ADMIN")
    store = {"TIFFIN_HOME": str(home / "store")}  # all of `home` is mounted
    try:
        assert json.loads(pod("doctor", "--json", env=store).stdout)["Rung"] == "root"
        built = pod("build", "-q", home, env=store)
        assert (built.stdout.strip(), "are copied" in built.stderr) == (expected, False)
    finally:
        pod.stop()
        shutil.rmtree(home / "store", ignore_errors=True)


@pytest.mark.parametrize(
    "options",
    [(*ORDINARY, "--security-opt", "no-new-privileges", "--cap-drop", "ALL"), ("--cap-drop", "ALL")],
    ids=["user", "root"],
)
def test_who_may_neither_make_namespaces_nor_change_the_root_is_traced(
    docker, context, readable_tiffin, options
):
    home, expected = context
    pod = Pod(docker, home, readable_tiffin, *options)
    try:
        report = json.loads(pod("doctor", "--json").stdout)
        assert report["Rung"] == "traced", report
        checks = {check["Name"]: check for check in report["Checks"]}
        assert all(checks[name]["Ok"] for name in ("kernel", "store", "programs", "network")), checks
        built = pod("build", "-q", "-t", "inside", home)
        assert built.stdout.strip() == expected
        assert "isolated by tracing alone" in built.stderr
        if "--user" not in options:
            assert pod("run", "--rm", "inside", "cat", "/srv/a/c").stdout == "again\n"
            return
        look = "cat /srv/a/c; id -u; readlink /proc/self/exe; echo more > /more; rm /srv/a/c; sleep 1000"
        name = pod("run", "-d", "--name", "one", "inside", "sh", "-c", look).stdout.strip()
        assert pod("exec", "-u", "7:8", "one", "sh", "-c", "id -u; id -g").stdout == "7\n8\n"
        pod("stop", "-t", "0", "one")
        assert pod("logs", name).stdout == "again\n0\n/bin/busybox\n"
        assert set(pod("diff", "one").stdout.splitlines()) >= {"A /more", "D /srv/a/c"}
        pod("commit", "one", "kept")
        assert pod("run", "--rm", "kept", "cat", "/more").stdout == "more\n"
        pod("rm", "one")
        refused = pod("run", "--rm", "-v", "/tmp:/x", "inside", "true", check=False)
        assert (refused.returncode, "on the rung traced" in refused.stderr) == (125, True)
    finally:
        pod.stop()
