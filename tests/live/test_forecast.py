"""What is said of a RUN when the disk will not do, before it and when it has failed."""

import shutil
import subprocess

import pytest
from tests.live.machine import BUSYBOX, NEEDS, Machine

from tiffin.errors import FailedError

pytestmark = NEEDS

DOCKERFILE = """\
FROM scratch
COPY busybox /bin/sh
COPY busybox /bin/dd
ARG number=1
RUN dd if=/dev/zero of=/big bs=1M count=20 && echo $number >/number
"""


def test_a_run_that_took_more_the_last_time_is_told_and_its_end_says_how_full_the_disk_is(tmp_path):
    context, disk = tmp_path / "context", tmp_path / "disk"
    context.mkdir()
    disk.mkdir()
    shutil.copy(BUSYBOX, context / "busybox")
    (context / "Dockerfile").write_text(DOCKERFILE)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", disk], check=True)
    one = Machine(disk, "one")
    try:
        one.build(context, "app")
        (disk / "fill").write_bytes(bytes(16 << 20))
        with pytest.raises(FailedError) as caught:
            one.build(context, build_args={"number": "2"})
        (told,) = one.notices
        assert "made 21.0 MB the last time, and the disk of" in told
        assert "it will probably not fit; 'tiffin system prune -a' frees about" in told
        assert f"the disk of {disk}/one has" in caught.value.message
        assert "'tiffin system prune -a' frees about" in caught.value.hint
    finally:
        one.engine.db.close()
        subprocess.run(["umount", disk], check=True)
