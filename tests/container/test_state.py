from __future__ import annotations

import os
import signal
import subprocess

from tiffin import errors
from tiffin.container import state
from tiffin.container.job import HostsFile, Job, pack, pack_error, unpack, unpack_error
from tiffin.container.state import State
from tiffin.linux.process import Identity, started
from tiffin.network.plan import NetworkPlan
from tiffin.network.publish import Published


def test_a_container_without_a_state_was_created(tmp_path):
    assert state.read(tmp_path) == State()
    assert State().status == "created"


def test_a_state_comes_back_as_it_was(tmp_path):
    found = State(
        "running", 12, Identity.own(), started=5, address="10.88.0.2", ports=((80, 8000, "", "tcp"),)
    )
    state.write(tmp_path, found)
    assert state.read(tmp_path) == found
    assert found.running


def test_what_a_dead_supervisor_wrote_is_not_believed(tmp_path):
    with subprocess.Popen(["sleep", "100"]) as process:
        who = Identity(process.pid, started(process.pid) or 0)
        kept = {
            "address": "10.88.0.2",
            "cgroups": ("/x/1/cgroup.procs", "/x/2/cgroup.procs"),
            "freezer": "/sys/fs/cgroup/y",
        }
        alive = State("paused", 12, who, started=5, **kept)
        state.write(tmp_path, alive)
        assert state.read(tmp_path).running
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but not yet forgotten
        found = state.read(tmp_path)
    assert (found.status, found.exit_code, found.error) == ("exited", 137, "its supervisor was killed")
    assert (found.pid, found.address, found.cgroups) == (0, "", ())
    # Who comes next has to let go what is held in the first, and to remove them.
    assert found.left == ("/sys/fs/cgroup/y", "/x/1", "/x/2")
    assert alive.over("exited", 0).left == alive.over("exited", 0).cgroups == ()


def test_another_process_of_the_same_number_is_not_the_supervisor(tmp_path):
    own = Identity.own()
    state.write(tmp_path, State("running", 12, own._replace(started=own.started - 1)))
    assert state.read(tmp_path).status == "exited"


def test_a_damaged_state_is_an_end(tmp_path):
    (tmp_path / state.FILE).write_text("{")
    assert state.read(tmp_path).status == "exited"


def test_a_job_survives_the_way_to_its_process():
    network = NetworkPlan("bridge", "abc", "/run/x", (Published(80, 8000),), join="/proc/1/ns/net")
    job = Job(
        "abc",
        "/d",
        "/c",
        b"plan",
        network,
        HostsFile("/h", "web", (("db", "10.0.0.5"),)),
        (24, 80),
        True,
        ("/d",),
    )
    assert unpack(pack(job)) == job
    assert unpack(pack(job._replace(hosts=None, terminal=None))) == job._replace(hosts=None, terminal=None)


def test_an_error_survives_the_way_back():
    found = unpack_error(
        pack_error(errors.ConflictError("taken", code="port", hint="another", exit_status=125))
    )
    assert type(found) is errors.ConflictError
    assert (found.message, found.code, found.hint, found.exit_status) == ("taken", "port", "another", 125)
    assert unpack_error(pack_error(ValueError("odd"))).message == "ValueError: odd"
