"""Id maps, and processes in namespaces."""

import os
import signal

import pytest

from tiffin.linux import namespace
from tiffin.linux.namespace import IdMap

ROOTLESS = (IdMap(0, 1000, 1), IdMap(1, 100000, 65536))


@pytest.mark.parametrize(
    ("inside", "outside"),
    [(0, 1000), (1, 100000), (65536, 165535), (65537, None)],
)
def test_an_id_is_found_outside(inside, outside):
    assert namespace.host_id(ROOTLESS, inside) == outside


def test_maps_are_written_as_the_kernel_reads_them():
    assert namespace.map_text(ROOTLESS) == "0 1000 1\n1 100000 65536\n"


def test_a_clone_is_a_child_with_a_pidfd():
    pid, pidfd = namespace.clone(0)
    if pid == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitid(os.P_PIDFD, pidfd, os.WEXITED).si_status << 8) == 7
    os.close(pidfd)


def test_a_signal_reaches_the_process_of_a_pidfd():
    pid, pidfd = namespace.clone(0)
    if pid == 0:
        signal.pause()
        os._exit(1)
    namespace.pidfd_send_signal(pidfd, 9)
    assert os.waitpid(pid, 0)[1] == 9
    with pytest.raises(ProcessLookupError):
        namespace.pidfd_send_signal(pidfd, 9)
    os.close(pidfd)


def test_a_process_with_threads_is_not_cloned():
    import threading

    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="several threads"):
            namespace.clone(0)
    finally:
        stop.set()
        thread.join()


@pytest.mark.live
def test_a_clone_in_new_namespaces_is_the_first_process_there():
    read, write = os.pipe()
    pid, pidfd = namespace.clone(namespace.NEWUSER | namespace.NEWPID | namespace.NEWUTS)
    if pid == 0:
        namespace.set_hostname("elsewhere")
        os.write(write, f"{os.getpid()} {os.uname().nodename}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(pidfd)
    assert os.read(read, 100) == b"1 elsewhere"
    assert os.uname().nodename != "elsewhere"
    os.close(read)
    os.close(write)


def test_a_failure_names_the_call():
    with pytest.raises(OSError, match="joining namespaces"):
        namespace.setns(-1, namespace.NEWNET)
    with pytest.raises(FileNotFoundError):
        namespace.write_maps(2**22 + 1, ROOTLESS, ROOTLESS)
