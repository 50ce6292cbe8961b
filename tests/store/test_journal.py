"""The journal: many write at once, some are killed, and no event of another is lost."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from tiffin.store import journal

PATH = f"import sys; sys.path.insert(0, {str(Path(journal.__file__).parents[2])!r})\n"
# A writer that tells when it begins, in a journal that is often full.
WRITER = """
import sys
from tiffin.store import journal
journal._LARGEST = int(sys.argv[3])
print(flush=True)
for number in range(int(sys.argv[4])):
    journal.append(sys.argv[1], "container", "start", f"{sys.argv[2]}-{number}", {"label": "x" * 3000})
"""


def written(*files):
    """The events in the files, and how many lines are none."""
    found, broken = [], 0
    for file in files:
        for line in file.read_bytes().splitlines():
            try:
                found += [json.loads(line)] if line else []
            except ValueError:
                broken += 1
    return found, broken


def writer(directory, name, largest, count):
    words = (sys.executable, "-IS", "-c", PATH + WRITER, directory, name, largest, count)
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE)


def end(process):
    process.communicate()
    return process.returncode


def test_an_event_is_a_line(tmp_path):
    directory = tmp_path / "not/there/yet"
    journal.append(directory, "container", "die", "0a", {"exitCode": "3", "name": "a\nb\udcff"})
    (event,), broken = written(directory / journal.CURRENT)
    assert event.pop("time") > 0
    assert event == {
        "type": "container",
        "action": "die",
        "id": "0a",
        "about": {"exitCode": "3", "name": "a\nb\udcff"},
    }
    assert not broken
    assert (directory / journal.CURRENT).stat().st_mode & 0o777 == 0o600


def test_labels_of_any_length_leave_name_and_image(tmp_path):
    journal.append(
        tmp_path, "container", "start", "0a", {"l": "x" * 100_000, "name": "n", "image": "i" * 9999}
    )
    (event,), _ = written(tmp_path / journal.CURRENT)
    assert event["about"] == {"name": "n", "image": "i" * 1024}


def test_what_cannot_be_written_hinders_nobody(tmp_path):
    (tmp_path / "file").touch()
    journal.append(tmp_path / "file", "container", "start", "0a", {})
    assert (tmp_path / "file").read_bytes() == b""


def test_writers_at_once_lose_nothing_and_no_line_is_torn(tmp_path):
    writers = [writer(tmp_path, name, 1 << 30, 200) for name in range(4)]
    assert [end(process) for process in writers] == [0] * 4
    events, broken = written(tmp_path / journal.CURRENT)
    assert {event["id"] for event in events} == {f"{name}-{n}" for name in range(4) for n in range(200)}
    assert len(events) == 800
    assert not broken


def test_what_is_kept_is_bounded(tmp_path, monkeypatch):
    largest, most = 20_000, 1100
    monkeypatch.setattr(journal, "_LARGEST", largest)
    for number in range(100):
        journal.append(tmp_path, "container", "start", str(number), {"label": "x" * 1000})
        sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        assert set(sizes) <= {journal.CURRENT, journal.PREVIOUS}
        assert max(sizes.values()) < largest + most
    events, broken = written(tmp_path / journal.PREVIOUS, tmp_path / journal.CURRENT)
    assert not broken
    assert [event["id"] for event in events] == [str(n) for n in range(100 - len(events), 100)]
    assert len(events) * most >= largest


def test_the_file_changes_once_for_many_who_see_that_it_is_full(tmp_path):
    writers = [writer(tmp_path, name, 400_000, 100) for name in range(3)]  # 900 kB in all
    assert [end(process) for process in writers] == [0] * 3
    events, broken = written(*tmp_path.iterdir())
    assert not broken
    assert len(events) > 100


def test_a_writer_that_is_killed_spoils_no_event_of_others(tmp_path):
    victims = [writer(tmp_path, f"victim{n}", 1 << 30, 20_000) for n in range(3)]
    survivor = writer(tmp_path, "survivor", 1 << 30, 300)
    for victim in victims:
        victim.stdout.readline()
        victim.send_signal(signal.SIGKILL)
        assert end(victim) == -signal.SIGKILL
    assert end(survivor) == 0
    events, _ = written(tmp_path / journal.CURRENT)
    own = [event["id"] for event in events if event["id"].startswith("survivor")]
    assert own == [f"survivor-{number}" for number in range(300)]
    # Half a line, as a full disk leaves it, ends before the next event.
    with (tmp_path / journal.CURRENT).open("ab") as file:
        file.write(b'\n{"time": 1, "ty')
    journal.append(tmp_path, "container", "start", "after", {})
    events, _ = written(*tmp_path.iterdir())  # it may be the one with which the file is full
    assert events[-1]["id"] == "after"
