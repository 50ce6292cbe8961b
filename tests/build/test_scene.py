"""A failed step for a shell: which shell, what it remembers, and file systems that can be mounted again."""

import pytest

from tiffin.build.ops.scene import history_of, refresh, shell_of


@pytest.mark.parametrize(
    ("arguments", "shell", "history"),
    [
        (("/bin/sh", "-c", "make  all"), "/bin/sh", "make all\n"),
        (("/bin/bash", "-o", "pipefail", "-c", "a |\n b"), "/bin/bash", "a | b\n"),
        (("make", "all it"), "/bin/sh", "make 'all it'\n"),
        (("tar", "-c"), "/bin/sh", "tar -c\n"),
        (("-c", "x"), "/bin/sh", "-c x\n"),
    ],
)
def test_the_shell_is_the_steps_own(arguments, shell, history):
    assert (shell_of(arguments), history_of(arguments).decode()) == (shell, history)


def test_work_directories_are_new_and_what_was_written_stays(tmp_path):
    for place in (tmp_path, tmp_path / "mount-0"):
        (place / "upper").mkdir(parents=True)
        (place / "upper/f").write_text("kept")
        (place / "work/work/incompat/volatile").mkdir(parents=True)
    (tmp_path / "mount-1/work").mkdir(parents=True)  # a copy of a folder that has this name
    (tmp_path / "mount-1/work/f").write_text("kept")
    refresh(tmp_path)
    for place in (tmp_path, tmp_path / "mount-0"):
        assert not any((place / "work").iterdir())
        assert (place / "upper/f").exists()
    assert (tmp_path / "mount-1/work/f").exists()
