"""Why a step misses: two records, and what a person is told."""

import msgspec
import pytest

from tiffin.build.explain import below, reasons
from tiffin.build.graph import BindMount, Copy, InlineFile, MakeDirectory, Run
from tiffin.build.steprecord import CONTEXT, Entry, Ground, Read, StepRecord, pack, unpack

GROUND = Ground("python:3.11", "sha256:" + "a" * 64, "sha256:" + "1" * 64, image=True)


def record(op, *reads, text="RUN x", ground=GROUND, epoch=0, arguments=()):
    return StepRecord(text, msgspec.json.decode(msgspec.json.encode(op)), epoch, ground, reads, arguments)


def run(command, *env, **more):
    return Run(("/bin/sh", "-c", command), env, "", "/", **more)


def read(content, origin=CONTEXT, whole=True, texts=None, **entries):
    found = {name.replace("_", "."): entry for name, entry in entries.items()}
    return Read(origin, content, found, texts or {}, whole)


def file(digest, size=1, mode=0o644):
    return Entry("f", mode, size, digest)


COPY = Copy(("a",), (), "/app/")
FROM_STAGE = "stage train"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (run("x", "A=1"), run("x", "A=2"), ["ARG A 1 → 2"]),
        (run("x", "B=1"), run("x", "B=2"), ["ENV B 1 → 2"]),
        (run("x"), run("x", "B=1"), ["ENV B=1 is new"]),
        (run("x", "B=1"), run("x"), ["ENV B is gone"]),
        (run("x", "HF_TOKEN=secret1"), run("x", "HF_TOKEN=secret2"), ["ENV HF_TOKEN changed"]),
        (run("x", "NPM_AUTH=secret1"), run("x", "NPM_AUTH=secret2"), ["ENV NPM_AUTH changed"]),
        (run("x", "pword=secret1"), run("x", "pword=secret2"), ["ENV pword changed"]),
        (run("x", "AUTHOR=a"), run("x", "AUTHOR=b"), ["ENV AUTHOR a → b"]),
        (run("x", "B=1", "C=1"), run("x", "C=1", "B=1"), []),
        (run("pip install a"), run("pip install b"), ["command changed: pip install a → pip install b"]),
        (run("a\nb==1\n"), run("a\nb==2\n"), ["command changed in line 2: b 1 → 2"]),
        (
            run("x"),
            Run(("/x", "y"), (), "", "/"),
            ["command changed: /bin/sh -c x → /x y"],
        ),
        (
            run("x"),
            Run(("/bin/sh", "-c", "x"), (), "anna", "/srv"),
            ["USER nothing → anna", "WORKDIR / → /srv"],
        ),
        (run("x"), run("x", network="none"), ["--network default → none"]),
        (
            run("x", mounts=(BindMount("/a", "/", 1),)),
            run("x", mounts=(BindMount("/a", "/b", 1), BindMount("/c", "/", 1))),
            ["--mount of /a changed", "--mount of /c is new"],
        ),
        (
            run("x", script=InlineFile("EOF", b"a\nb=1\n")),
            run("x", script=InlineFile("EOF", b"a\nb=2\n")),
            ["<<EOF line 2: b 1 → 2"],
        ),
        (COPY, Copy(("a", "b"), (), "/app/"), ["sources a → a b"]),
        (COPY, Copy(("a",), (), "/srv/", chown="33"), ["destination /app/ → /srv/", "--chown nothing → 33"]),
        (COPY, Copy(("a",), (), "/app/", link=True), ["--link is new"]),
        (MakeDirectory("/a", ""), MakeDirectory("/b", ""), ["WORKDIR /a → /b"]),
        (run("x"), COPY, ["instruction changed: RUN x → COPY a /app/"]),
        (COPY, COPY, []),
    ],
)
def test_what_a_step_does(old, new, expected):
    text = "COPY a /app/" if isinstance(new, Copy) else "RUN x"
    assert reasons(record(old, arguments=("A",)), record(new, text=text, arguments=("A",))) == expected


TEXTS = ({"r.txt": "torch==2.5\nnumpy\n"}, {"r.txt": "torch==2.6\nnumpy\n"})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (read("1", r_txt=file(b"1")), read("1", r_txt=file(b"1")), []),
        (
            read("1", r_txt=file(b"1"), texts=TEXTS[0]),
            read("2", r_txt=file(b"2"), texts=TEXTS[1]),
            ["r.txt line 1: torch 2.5 → 2.6"],
        ),
        (
            read("1", r_txt=file(b"1"), b=file(b"1"), texts=TEXTS[0]),
            read("2", r_txt=file(b"2"), b=file(b"2"), texts=TEXTS[1]),
            ["r.txt line 1: torch 2.5 → 2.6 (and 1 more changed file)"],
        ),
        (read("1", a=file(b"1")), read("2", a=file(b"2")), ["a changed"]),
        (read("1", a=file(b"")), read("2", a=file(b"2", size=2)), ["a changed"]),
        (read("1", a=file(b"1")), read("2", a=file(b"1", mode=0o755)), ["a has another mode: 0644 → 0755"]),
        (
            read("1", a=file(b"1")),
            read("2", a=Entry("d", 0o755, 0)),
            ["a is a directory now, and was a file"],
        ),
        (
            read("1"),
            read("2", x_csv=file(b"1"), y_csv=file(b"1"), z_csv=file(b"1")),
            ["new file x.csv (and 2 more)"],
        ),
        (read("1", a=file(b"1"), d=Entry("d", 0o755, 0)), read("2", a=file(b"1")), ["directory d is gone"]),
        (
            read("1", FROM_STAGE, model=file(b"1")),
            read("2", FROM_STAGE, model=file(b"2")),
            ["stage train gave another result: model changed"],
        ),
        (read("1", FROM_STAGE), read("2", FROM_STAGE), ["what it reads of stage train changed"]),
        # What was cut off says nothing of what is new, or gone.
        (
            read("1", whole=False, a=file(b"1")),
            read("2", whole=False, b=file(b"1")),
            ["what it reads of the build context changed, perhaps beyond the first 1 files"],
        ),
        # Of a stage that was never here there is no list.
        (
            read("1", FROM_STAGE, whole=False),
            read("2", FROM_STAGE, a=file(b"1")),
            ["what it reads of stage train changed"],
        ),
        # A digest that was not taken is no difference.
        (
            read("1", a=file(b""), b=file(b"1")),
            read("2", a=file(b"2"), b=file(b"2")),
            ["b changed"],
        ),
    ],
)
def test_what_a_step_reads(old, new, expected):
    assert reasons(record(COPY, old), record(COPY, new)) == expected


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (GROUND, []),
        (
            Ground("python:3.11", "other", "sha256:" + "2" * 64, image=True),
            ["base image digest changed (python:3.11 sha256:111111111111… → sha256:222222222222…)"],
        ),
        (Ground("python:3.12", "other", "", image=True), ["base image python:3.11 → python:3.12"]),
        (Ground("COPY b /", "other"), ["it stands on COPY b / now, and stood on python:3.11"]),
    ],
)
def test_what_a_step_stands_on(new, expected):
    assert below(GROUND, new) == expected


def test_a_step_before_it_gave_another_result():
    one, two = Ground("RUN make", "a"), Ground("RUN make", "b")
    assert below(one, two) == ["RUN make before it gave another result"]
    assert below(one, two, "COPY src /") == ["COPY src / before it gave another result"]


def test_the_time_of_new_files_counts():
    assert reasons(record(COPY), record(COPY, epoch=5)) == ["SOURCE_DATE_EPOCH 0 → 5"]


def test_a_record_is_stored_and_read_and_what_is_none_is_none():
    one = record(run("x", "A=1"), read("1", a=file(b"1"), texts={"a": "ä\n"}), arguments=("A",))
    assert unpack(pack(one)) == one
    assert unpack(b"") is None
    assert unpack(pack(one)[:40]) is None
    assert unpack(b"x" * 100) is None
