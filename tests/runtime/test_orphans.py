"""Which processes a container leaves, where nothing but answered calls tells them from ours."""

import shutil
import subprocess
import sys
from pathlib import Path

from tiffin.linux import bpf, prctl
from tiffin.runtime import orphans

FILTERED = bpf.instruction(bpf.RETURN, bpf.ALLOW)


def filtered():
    prctl.set_no_new_privs()
    bpf.install((FILTERED,))


def sleeper(**options):
    words = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(1000)"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, **options)
    process.stdout.readline()
    return process


def test_those_with_more_filters_than_who_launched_them_are_together():
    ours, one, two = sleeper(), sleeper(preexec_fn=filtered), sleeper(preexec_fn=filtered)
    try:
        assert orphans.filtered_with(ours.pid) == []
        assert set(orphans.filtered_with(one.pid)) >= {one.pid, two.pid}
        assert ours.pid not in orphans.filtered_with(one.pid)
        rest = orphans.Orphans("/", traced=True)
        assert rest._is_ours(two.pid)
        assert not rest._is_ours(ours.pid)
    finally:
        for process in (ours, one, two):
            process.kill()
            process.wait()
            process.stdout.close()


def test_who_runs_a_program_of_the_root_is_ended(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    program = Path(shutil.copy("/bin/sleep", root / "nap"))
    inside, beside = subprocess.Popen([program, "1000"]), subprocess.Popen(["/bin/sleep", "1000"])
    try:
        orphans.end_in(str(root))
        assert inside.wait() == -9
        assert beside.poll() is None
    finally:
        for process in (inside, beside):
            process.kill()
            process.wait()
