"""COPY --link, --parents and --exclude as a user sees them, on every rung."""

import json
import os

import pytest

pytestmark = pytest.mark.live


def write(folder, files):
    owner = folder.stat()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in folder.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def build(tiffin, folder, name, dockerfile, **files):
    write(folder, {"Dockerfile": dockerfile, **files})
    tiffin("build", "-q", "-t", name, folder)


def show(tiffin, image, script):
    return tiffin("run", "--rm", image, "sh", "-c", f"{script}; true").stdout


def top(tiffin, image):
    """The diff id of the last layer."""
    return json.loads(tiffin("inspect", image).stdout)[0]["RootFS"]["Layers"][-1]


def test_a_linked_layer_does_not_depend_on_what_is_below(tiffin, busybox, folder):
    """Links below are not followed, and a name becomes a number."""
    text = (
        "FROM {base}\nRUN mkdir /real && ln -s /real /app && echo {n} > /n\n"
        "COPY --link --chown=anna f /app/f\n"
    )
    for number in ("1", "2"):
        build(tiffin, folder, f"linked{number}", text.format(base=busybox, n=number), f="must\n")
    assert top(tiffin, "linked1") == top(tiffin, "linked2")
    seen = show(tiffin, "linked2", "cat /app/f /n; test -L /app || echo plain; ls /real | wc -l")
    assert seen == "must\n2\nplain\n0\n"
    build(tiffin, folder, "followed", text.format(base=busybox, n="1").replace("--link ", ""))
    assert show(tiffin, "followed", "ls /real; test -L /app && echo link") == "f\nlink\n"


def test_parents_and_exclude_from_context_and_stage(tiffin, busybox, folder):
    files = {"packages/a/package.json": "a", "packages/a/src/x.js": "x", "packages/b/package.json": "b"}
    text = (
        f"FROM {busybox} AS all\nCOPY . /in/\n"
        f"FROM {busybox}\nCOPY --parents packages/*/package.json /one/\n"
        "COPY --from=all --parents /in/./packages/*/src /two\nCOPY --exclude=**/*.json packages /three\n"
        "COPY --from=all --exclude=*/src /in/packages /four\n"
    )
    build(tiffin, folder, "parents", text, **files)
    assert show(tiffin, "parents", "find /one /two /three /four -type f | sort").split() == [
        "/four/a/package.json",
        "/four/b/package.json",
        "/one/packages/a/package.json",
        "/one/packages/b/package.json",
        "/three/a/src/x.js",
        "/two/packages/a/src/x.js",
    ]


def test_only_what_is_not_excluded_is_in_the_key(tiffin, busybox, folder):
    text = f"FROM {busybox}\nCOPY --exclude=*.log . /c/\nRUN cat /proc/sys/kernel/random/uuid > /id\n"
    build(tiffin, folder, "keyed", text, **{"a.log": "1", "a": "1"})
    first = show(tiffin, "keyed", "cat /id")
    build(tiffin, folder, "keyed", text, **{"a.log": "2"})
    assert show(tiffin, "keyed", "cat /id") == first
    build(tiffin, folder, "keyed", text, a="2")
    assert show(tiffin, "keyed", "cat /id") != first
