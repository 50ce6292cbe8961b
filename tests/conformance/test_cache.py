"""What is remembered and what runs again, decided by effects: a RUN that stores a random number."""

import os
import re
import shlex

import pytest

pytestmark = pytest.mark.live

ID = "cat /proc/sys/kernel/random/uuid"
RANDOM = f"RUN {ID} > /id\n"


@pytest.fixture
def built(builder, tmp_path):
    """Builds a Dockerfile in `folder`; returns the files of the image, by their paths."""
    folder = tmp_path / "context"
    folder.mkdir()

    def build(text, *options, where=folder, tag=1):
        dockerfile = where.parent / f"Dockerfile{tag}"
        dockerfile.write_text(text)
        image = builder.facts(builder.image(builder.build(shlex.join(options), where, tag, where.parent)))
        texts = {
            path: re.fullmatch(r"file \S+ \S+ '(.*)'", str(entry)) for path, entry in image["tree"].items()
        }
        return {path: found[1] for path, found in texts.items() if found}

    build.folder = folder
    return build


def plant(folder):
    """A context with one of each: what a copy shows, and what it does not."""
    (folder / "d/sub").mkdir(parents=True)
    (folder / "d/f").write_text("content")
    (folder / "d/l").symlink_to("f")
    (folder / "other").write_text("other")
    os.utime(folder / "d/f", (1_000_000_000, 1_000_000_000))


CHANGES = {
    "content": (lambda d: (d / "f").write_text("changed"), False),
    "content of the same size and time": (
        lambda d: ((d / "f").write_text("CONTENT"), os.utime(d / "f", (10**9,) * 2)),
        False,
    ),
    "mode": (lambda d: (d / "f").chmod(0o755), False),
    "name": (lambda d: (d / "f").rename(d / "g"), False),
    "one more file": (lambda d: (d / "g").touch(), False),
    "one file less": (lambda d: (d / "f").unlink(), False),
    "one more directory": (lambda d: (d / "new").mkdir(), False),
    "mode of a directory below": (lambda d: (d / "sub").chmod(0o700), False),
    "link target": (lambda d: ((d / "l").unlink(), (d / "l").symlink_to("sub")), False),
    "a link that becomes a file": (lambda d: ((d / "l").unlink(), (d / "l").write_text("content")), False),
    "a file that becomes a directory": (lambda d: ((d / "f").unlink(), (d / "f").mkdir()), False),
    "time": (lambda d: os.utime(d / "f"), True),
    "owner": (lambda d: os.chown(d / "f", 5, 6), True),
    "mode of the copied directory itself": (lambda d: d.chmod(0o700), True),
    "a file that is not copied": (lambda d: (d.parent / "other").write_text("x"), True),
    "an ignored file": (lambda d: (d / "ignored").write_text("x"), True),
    "written anew with the same content": (
        lambda d: ((d / "f").unlink(), (d / "f").write_text("content")),
        True,
    ),
}


@pytest.mark.parametrize(
    "line", [f"COPY d /d\n{RANDOM}", f"RUN --mount=source=d,target=/m {ID} > /id\n"], ids=["copy", "mount"]
)
@pytest.mark.parametrize(("change", "same"), CHANGES.values(), ids=CHANGES)
def test_what_a_copy_shows_is_its_key(built, line, change, same):
    plant(built.folder)
    (built.folder / ".dockerignore").write_text("**/ignored\n")
    text = f"FROM base\n{line}"
    first = built(text)["id"]
    assert built(text)["id"] == first
    change(built.folder / "d")
    assert (built(text)["id"] == first) is same


LINES = {
    "env": ("ENV A=1", "ENV A=2", False),
    "another env": ("ENV A=1", "ENV B=1", False),
    "declared arg": ("ARG A=1", "ARG A=2", False),
    "user": ("USER 0", "USER 1000:0\nUSER 0:0", False),
    "workdir": ("WORKDIR /tmp", "WORKDIR /run", False),
    "shell": ('SHELL ["/bin/sh", "-c"]', 'SHELL ["/bin/sh", "-ec"]', False),
    "files below": ("RUN echo 1 > /f", "RUN echo 2 > /f", False),
    "files below that come out the same": ("RUN echo 1 > /f", "RUN echo $((3-2)) > /f", True),
    "label": ("LABEL a=1", "LABEL a=2", True),
    "expose": ("EXPOSE 80", "EXPOSE 81", True),
    "cmd": ('CMD ["a"]', 'CMD ["b"]', True),
    "entrypoint": ('ENTRYPOINT ["a"]', 'ENTRYPOINT ["b"]', True),
    "volume": ("VOLUME /a", "VOLUME /b", True),
    "stopsignal": ("STOPSIGNAL 9", "STOPSIGNAL 15", True),
    "healthcheck": ("HEALTHCHECK NONE", "HEALTHCHECK CMD x", True),
    "onbuild": ("ONBUILD ENV a=b", "ONBUILD ENV a=c", True),
    "maintainer": ("MAINTAINER a", "MAINTAINER b", True),
    "comment": ("# a", "# b\n\n", True),
    "case of the keyword": ("label a=1", "LABEL a=1", True),
}


@pytest.mark.parametrize(("before", "after", "same"), LINES.values(), ids=LINES)
def test_what_stands_before_a_run(built, before, after, same):
    first = built(f"FROM base\n{before}\n{RANDOM}")["id"]
    assert (built(f"FROM base\n{after}\n{RANDOM}")["id"] == first) is same
    assert built(f"FROM base\n{before}\n{RANDOM}")["id"] == first  # what was, is still known


COMMANDS = {
    "command": (RANDOM, f"RUN {ID}  > /id\n", (), False),
    "form": (RANDOM, f'RUN ["/bin/sh", "-c", "{ID} > /id"]\n', (), True),
    "network": (RANDOM, f"RUN --network=none {ID} > /id\n", (), False),
    "a mount": (RANDOM, f"RUN --mount=type=tmpfs,target=/t {ID} > /id\n", (), False),
    "proxy": (RANDOM, RANDOM, ("--build-arg", "HTTP_PROXY=http://p"), True),
    "undeclared arg": (RANDOM, RANDOM, ("--build-arg", "A=1"), True),
    "declared arg": (f"ARG A\n{RANDOM}", f"ARG A\n{RANDOM}", ("--build-arg", "A=1"), False),
    "label on the command line": (RANDOM, RANDOM, ("--label", "a=b"), True),
    "no cache": (RANDOM, RANDOM, ("--no-cache",), False),
    "comment within": (f"RUN {ID} \\\n > /id\n", f"RUN {ID} \\\n# comment\n > /id\n", (), True),
}


@pytest.mark.parametrize(("before", "after", "options", "same"), COMMANDS.values(), ids=COMMANDS)
def test_what_a_run_is(built, before, after, options, same):
    first = built(f"FROM base\n{before}")["id"]
    assert (built(f"FROM base\n{after}", *options)["id"] == first) is same


def test_a_stage_that_comes_out_the_same_disturbs_nobody(built):
    text = (
        "FROM base AS one\nENV A={}\nRUN mkdir /o && echo {} > /o/f && echo $A > /beside\n"
        "FROM base\nCOPY --from=one /o /o\n"
    )
    first = built(text.format(1, "same") + RANDOM)["id"]
    assert built(text.format(2, "same") + RANDOM)["id"] == first
    assert built(text.format(2, "new") + RANDOM)["id"] != first
    assert built(text.format(3, "same") + RANDOM)["id"] == first


def test_a_stage_that_is_mounted(built):
    text = (
        "FROM base AS one\nRUN echo {} > /f && echo {} > /g\n"
        f"FROM base\nRUN --mount=from=one,source=/f,target=/f {ID} > /id\n"
    )
    first = built(text.format(1, 1))["id"]
    assert built(text.format(1, 2))["id"] == first
    assert built(text.format(2, 2))["id"] != first


def test_owners_and_modes_of_a_stage_count(built):
    text = "FROM base AS one\nRUN echo 1 > /f && {}\nFROM base\nCOPY --from=one /f /f\n" + RANDOM
    seen = {built(text.format(line))["id"] for line in ("true", "chmod 600 /f", "chown 5 /f", "chown :6 /f")}
    assert len(seen) == 4


def test_another_base_under_the_same_name(built):
    built("FROM base\nRUN echo 1 > /f\n", tag=1)
    first = built(f"FROM made1\n{RANDOM}", tag=2)
    built("FROM base\nRUN echo 2 > /f\n", tag=1)
    second = built(f"FROM made1\n{RANDOM}", tag=2)
    assert (first["f"], second["f"]) == ("1\\n", "2\\n")
    assert first["id"] != second["id"]
    built("FROM base\nLABEL a=b\nRUN echo 1 > /f\n", tag=1)
    assert built(f"FROM made1\n{RANDOM}", tag=2)["id"] == first["id"]


def test_a_moved_context_and_another_name(built, tmp_path):
    plant(built.folder)
    text = f"FROM base\nCOPY . /c\n{RANDOM}"
    first = built(text)["id"]
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    plant(moved / "deep")
    assert built(text, where=moved / "deep")["id"] == first
    assert built(text, "-t", "another:name", tag=2)["id"] == first


def test_a_secret_is_in_no_key_and_a_cache_mount_neither(built, tmp_path):
    secret, cache = tmp_path / "secret", "--mount=type=cache,target=/c,id=keyless"
    text = f"FROM base\nRUN --mount=type=secret,id=s {cache} cat /run/secrets/s >> /c/x; {ID} > /id\n"
    ids = set()
    for value in ("one", "two"):
        secret.write_text(value)
        ids.add(built(text, f"--secret=id=s,src={secret}")["id"])
    assert len(ids) == 1
    assert built(f"FROM base\nRUN {cache} cat /c/x > /x\n")["x"] == "one"


def test_a_failed_step_is_not_remembered(builder, built):
    line = f"RUN --mount=type=cache,target=/c,id=tries echo >> /c/n; {ID} > /id; test $(wc -l < /c/n) -gt 1\n"
    with pytest.raises(Exception, match="ended with exit status 1"):
        built(f"FROM base\n{line}")
    first = built(f"FROM base\n{line}")["id"]
    assert built(f"FROM base\n{line}")["id"] == first


def test_what_the_target_does_not_need_is_not_run(built):
    seen = "RUN --mount=type=cache,target=/c,id=needless echo >> /c/n\n"
    text = (
        f"FROM base AS one\n{seen}RUN false\nFROM base AS two\nRUN echo 2 > /f\n"
        f"FROM two AS three\n{seen}FROM two\n"
    )
    assert built(text)["f"] == "2\\n"
    assert built(text, "--target", "two")["f"] == "2\\n"
    assert built("FROM base\nRUN --mount=type=cache,target=/c,id=needless ls /c > /ls\n")["ls"] == ""
