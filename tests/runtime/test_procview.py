"""What answers for /proc where it cannot be mounted."""

import os
import threading

from tiffin.linux import terminal
from tiffin.runtime import procview


def test_nobody_waits_for_one_that_could_not_begin(tmp_path, monkeypatch):
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    reading, writing = os.pipe()  # for the calls that wait until the last one who could answer has closed
    ours, theirs = terminal.socket_pair()
    procview.serve(ours, str(tmp_path / "a root that is not there"))
    terminal.send_fd(theirs, writing)
    os.close(writing)
    assert os.read(reading, 1) == b""
    assert os.read(theirs, 1) == b""
    os.close(reading)
    os.close(theirs)
    for each in threading.enumerate():
        if each.name == "proc":
            each.join()
    assert failures[0].exc_type is FileNotFoundError
