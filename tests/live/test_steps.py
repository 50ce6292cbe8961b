"""How RUN steps are run: what they see besides their image, told by what they leave."""

import os
import socket
import threading
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.live

UUID = "cat /proc/sys/kernel/random/uuid"


def build(tiffin, folder, name, text, *options, **more):
    (folder / "Dockerfile").write_text(text)
    owner = folder.stat()
    os.chown(folder / "Dockerfile", owner.st_uid, owner.st_gid)
    return tiffin("build", "--progress", "plain", "-t", name, *options, folder, **more)


def show(tiffin, image, script):
    return tiffin("run", "--rm", "--network", "none", image, "sh", "-c", f"{script}; true").stdout


@contextmanager
def greeting():
    """A web server of this machine that says hello; yields its port."""
    with socket.create_server(("0.0.0.0", 0)) as server:

        def serve():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.recv(4096)
                    client.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_what_options_give_to_steps(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\n"
        "RUN grep db.test /etc/hosts | awk '{print $1}' > /seen; df -k /dev/shm | awk 'END {print $2}' >> "
        f"/seen; ulimit -n >> /seen; ulimit -Hn >> /seen; {UUID} > /id\n"
        "RUN hostname > /name; env | grep -c ^HOSTNAME=; echo kept > /dev/shm/x\n"
    )
    options = ("--add-host", "db.test:10.1.2.3", "--shm-size", "3m", "--ulimit", "nofile=100:200")
    hostname = ("--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=cellar")
    build(tiffin, folder, "given", text, *options, *hostname)
    assert show(tiffin, "given", "cat /seen /name").split() == ["10.1.2.3", "3072", "100", "200", "cellar"]
    first = show(tiffin, "given", "cat /id")
    # The name is what the step knows of the host: where it is, and how much it may use, is in no key.
    build(tiffin, folder, "given", text, "--add-host", "db.test=10.1.2.4", *hostname)
    assert show(tiffin, "given", "cat /id") == first
    build(tiffin, folder, "given", text, "--add-host", "other.test=10.1.2.4", *hostname)
    assert show(tiffin, "given", "cat /id") != first


def test_the_way_to_this_machine(tiffin, busybox, folder):
    with greeting() as port:
        text = (
            f"FROM {busybox}\nRUN address=$(awk '/me.test$/ {{print $1}}' /etc/hosts); "
            f"wget -q -O /heard http://$address:{port}/\n"
            "RUN --network=none grep -c me.test /etc/hosts > /none; true\n"
        )
        build(tiffin, folder, "home", text, "--add-host", "me.test:host-gateway")
    assert show(tiffin, "home", "cat /heard /none") == "hello\n0\n"


def test_caches_of_a_name_space_are_others(tiffin, busybox, folder):
    mount = "--mount=type=cache,id=space,target=/c"
    text = f"FROM {busybox}\nARG N\nRUN {mount} ls /c > /seen; touch /c/$N\n"
    for n, spaces, seen in (
        (1, (), ""),
        (2, ("--build-arg", "BUILDKIT_CACHE_MOUNT_NS=own"), ""),
        (3, (), "1\n"),
    ):
        build(tiffin, folder, "spaces", text, "--build-arg", f"N={n}", *spaces)
        assert show(tiffin, "spaces", "cat /seen") == seen
