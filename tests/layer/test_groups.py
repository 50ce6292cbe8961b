"""Which files of a layer change together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.layer.groups import ACCELERATOR, PACKAGES, REST, SYSTEM, divide
from tiffin.layer.tree import Entry
from tiffin.linux.files import RootPath

SITE = "usr/local/lib/python3.11/site-packages"
MB = 1 << 20


def entries(*files, **more):
    """Entries of these files (path or (path, size)), with their directories, as a scan gives them."""
    found = {}
    for file in files:
        path, size = file if isinstance(file, tuple) else (file, 1)
        parts = path.split("/")
        for end in range(1, len(parts)):
            name = "/".join(parts[:end])
            found.setdefault(name, Entry(RootPath(name), "directory", 0o755, 0, 0))
        found[path] = Entry(RootPath(path), "file", 0o644, 0, 0, size)
    for path, changes in more.pop("changed", {}).items():
        found[path] = found.get(path, Entry(RootPath(path), "file", 0, 0, 0))._replace(**changes)
    return [found[path] for path in sorted(found, key=lambda path: path.split("/"))]


def wheel(name, version, *files, site=SITE, listed=None):
    """The files of an installed distribution, and its RECORD."""
    record = f"{site}/{name}-{version}.dist-info/RECORD"
    text = "".join(f"{path},sha256=x,1\n" for path in (paths(files) if listed is None else listed))
    placed = [f"{site}/{file}" if isinstance(file, str) else (f"{site}/{file[0]}", file[1]) for file in files]
    return [*placed, record], {record: f"{text}{name}-{version}.dist-info/RECORD,,\n".encode()}


def paths(files):
    return [file if isinstance(file, str) else file[0] for file in files]


def divided(files, records=None, most=20, **more):
    found = divide(entries(*files, **more), lambda path: (records or {})[path], most)
    return {
        group.name: [entry.path for entry in group.entries if entry.kind != "directory"] for group in found
    }


def test_a_layer_of_one_kind_is_not_divided():
    everything = entries("app/a", "app/b/c")
    (group,) = divide(everything, lambda _path: b"", 20)
    assert (group.name, list(group.entries)) == ("", everything)
    assert divide([], lambda _path: b"", 20)[0].entries == ()


def test_what_is_whose():
    torch, torch_record = wheel("torch", "2.6.0", ("torch/lib/libtorch.so", 800 * MB), "torch/a.py")
    cublas, cublas_record = wheel(
        "nvidia_cublas_cu12", "12.4", ("nvidia/cublas/lib/libcublas.so.12", 400 * MB)
    )
    click, click_record = wheel("click", "8.1", "click/core.py")
    extra = [
        f"{SITE}/torch/__pycache__/a.cpython-311.pyc",
        f"{SITE}/click/__pycache__/core.cpython-311.opt-1.pyc",
        f"{SITE}/stray.py",
        "usr/lib/x86_64-linux-gnu/libc.so.6",
        "usr/local/cuda-12.4/lib64/libcudart.so",
        "usr/lib/x86_64-linux-gnu/libcudnn.so.9",
        "root/.bashrc",
        "app/serve.py",
    ]
    files = [*torch, *cublas, *click, *extra]
    found = divided(files, torch_record | cublas_record | click_record)
    assert list(found) == [SYSTEM, ACCELERATOR, "python: torch", PACKAGES, REST]
    assert found[SYSTEM] == ["usr/lib/x86_64-linux-gnu/libc.so.6"]
    assert len(found[ACCELERATOR]) == 4
    assert set(found["python: torch"]) == {*paths(torch), extra[0]}
    assert set(found[PACKAGES]) == {*click, extra[1], extra[2]}
    assert found[REST] == ["app/serve.py", "root/.bashrc"]


def test_scripts_and_environments_elsewhere():
    site = "app/.venv/lib/python3.12/site-packages"
    files, record = wheel(
        "uvicorn", "0.3", "uvicorn/a.py", site=site, listed=["uvicorn/a.py", "../../../bin/uvicorn"]
    )
    found = divided([*files, "app/.venv/bin/uvicorn", "app/main.py"], record)
    assert set(found[PACKAGES]) == {*files, "app/.venv/bin/uvicorn"}
    assert found[REST] == ["app/main.py"]


@pytest.mark.parametrize(
    "listed", [["/etc/passwd", "../../../../../../../../etc/passwd"], ["no/such/file"], ['"open'], ["\udcff"]]
)
def test_records_that_lie(listed):
    """A file that a record claims may be anywhere in the layer, and nowhere else."""
    record = f"{SITE}/x-1.dist-info/RECORD"
    data = {record: "\n".join(listed).encode("utf-8", "surrogateescape")}
    found = divided([f"{SITE}/x/a.py", record, "etc/hosts"], data)
    assert set(found) == {SYSTEM, PACKAGES}


def test_a_version_changes_one_group():
    old, old_record = wheel("click", "8.1", "click/core.py")
    new, new_record = wheel("click", "8.2", "click/core.py", "click/more.py")
    torch, torch_record = wheel("torch", "2.6.0", ("torch/lib.so", 100 * MB))
    before = {
        group.name: group
        for group in divide(entries(*old, *torch, "app/x"), (old_record | torch_record).__getitem__, 9)
    }
    after = {
        group.name: group
        for group in divide(entries(*new, *torch, "app/x"), (new_record | torch_record).__getitem__, 9)
    }
    assert before["python: torch"] == after["python: torch"]
    assert before[REST] == after[REST]
    assert before[PACKAGES] != after[PACKAGES]


def test_no_more_groups_than_there_is_room_for():
    files, records = ["app/x"], {}
    for number in range(30):
        more, record = wheel(f"big{number}", "1", (f"big{number}/x.so", (40 + number) * MB))
        files, records = files + more, records | record
    assert len(divided(files, records, most=40)) == 31
    for most in (10, 3, 2):
        assert 2 <= len(divided(files, records, most=most)) <= most
    assert list(divided(files, records, most=1)) == [""]


def test_what_hides_is_in_the_first_group_and_links_stay_together():
    changed = {
        "usr/d": {"opaque": True},
        "app/gone": {"kind": "whiteout"},
        f"{SITE}/z": {"kind": "hardlink", "link": RootPath("app/first")},
        "app": {"opaque": True},
    }
    groups = divide(
        entries("usr/d/lib", "app/first", "app/gone", "app/z", f"{SITE}/z", f"{SITE}/y", changed=changed),
        lambda _path: b"",
        9,
    )
    assert [group.name for group in groups] == [SYSTEM, PACKAGES, REST]
    first, _, last = ({entry.path: entry for entry in group.entries} for group in groups)
    assert first["app/gone"].kind == "whiteout"
    assert (first["app"].opaque, last["app"].opaque) == (True, False)
    assert "app/gone" not in last
    assert f"{SITE}/z" in last
    assert first["usr/d"].opaque


NAMES = st.sampled_from(["usr", "app", "etc", "site-packages", "a", "b", "x-1.dist-info", "RECORD", "torch"])
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=5).map("/".join), min_size=1, max_size=12)


@given(PATHS, st.integers(1, 6), st.sampled_from([1, 1 << 20]))
def test_every_entry_is_in_exactly_one_group(drawn, most, size):
    inner = {path for path in drawn if any(other.startswith(f"{path}/") for other in drawn)}
    everything = entries(*[(path, size) for path in set(drawn) - inner])
    groups = divide(everything, lambda _path: b"a,,\n../b,,\n", most, large=1 << 10)
    assert 1 <= len(groups) <= max(most, 1)
    placed = [entry.path for group in groups for entry in group.entries if entry.kind != "directory"]
    assert sorted(placed) == sorted(entry.path for entry in everything if entry.kind != "directory")
    for group in groups:
        order = [entry.path for entry in group.entries]
        assert order == [entry.path for entry in everything if entry.path in set(order)]
        for path in order:
            parent = path.rpartition("/")[0]
            assert not parent or parent in order
