"""RUN --mount in the plan: what is read, where it is mounted, and what the flags are worth."""

import pytest

from tiffin.build.cachekey import key
from tiffin.build.graph import (
    MAIN,
    BaseImage,
    BindMount,
    CacheMount,
    Local,
    Run,
    SecretMount,
    Source,
    TmpfsMount,
)
from tiffin.build.plan import PlanRequest, plan
from tiffin.dockerfile.parser import parse
from tiffin.errors import InvalidError
from tiffin.oci.config import ImageConfig
from tiffin.oci.digest import DiffID
from tiffin.oci.platform import Platform

HOST = Platform.parse("linux/amd64")


def graph(text, **contexts):
    def resolve(name, _platform, _where):
        return BaseImage(name, ImageConfig("amd64", "linux"), (DiffID.of(name.encode()),))

    return plan(parse(text), PlanRequest(HOST, contexts=contexts), resolve)


def last(text, **contexts):
    """The last RUN and what it reads, as operations."""
    found = graph(text, **contexts)
    vertex = next(vertex for vertex in reversed(found.vertices) if isinstance(vertex.op, Run))
    return vertex.op, [found.vertices[number].op for number in vertex.inputs]


def mount(flags, before=""):
    (only,) = last(f"FROM plain\n{before}RUN --mount={flags} true\n")[0].mounts
    return only


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("target=/c", BindMount("/c", "/", 1)),
        ("type=bind,source=./a/../b/,target=/c,rw", BindMount("/c", "/b", 1, writable=True)),
        ("source=../../up,target=/c", BindMount("/c", "/up", 1)),
        ("target=c/d", BindMount("/work/c/d", "/", 1)),  # seen from WORKDIR
        ("target=.", BindMount("/work", "/", 1)),
        ("target=/$A/${B:-b},source=$A", BindMount("/1/b", "/1", 1)),
        ("type=cache,target=/root/.cache/", CacheMount("/root/.cache", "/root/.cache")),
        ("type=cache,target=c", CacheMount("/work/c", "c")),
        (
            "type=cache,id=x$A,target=/c,sharing=locked,mode=0700,uid=1,gid=2,ro",
            CacheMount("/c", "x1", "locked", mode=0o700, uid=1, gid=2, read_only=True),
        ),
        ("type=tmpfs,target=/t,size=2m", TmpfsMount("/t", 2 << 20)),
        ("type=secret,id=k", SecretMount("k", "/run/secrets/k")),
        ("type=secret,id=k,env=K", SecretMount("k", None, "K")),
        (
            "type=secret,id=k,target=f,mode=0440,uid=5,gid=6,required",
            SecretMount("k", "/work/f", None, required=True, mode=0o440, uid=5, gid=6),
        ),
    ],
)
def test_flags(flags, expected):
    assert mount(flags, "ARG A=1\nWORKDIR /work\n") == expected


@pytest.mark.parametrize(
    ("flags", "kinds"),
    [
        ("--mount=target=/c", [Local(MAIN)]),
        ("--mount=target=/c,from=ctx", [Local("ctx")]),
        ("--mount=target=/c,from=image", ["image"]),
        ("--mount=target=/c,from=IT", ["other"]),  # a stage, in any case
        ("--mount=target=/c,from=scratch", ["scratch"]),
        ("--mount=type=cache,target=/c", []),
        ("--mount=type=cache,target=/c,from=it,source=/x", ["other"]),
        (
            "--mount=target=/a,from=it --mount=type=tmpfs,target=/b --mount=target=/c",
            ["other", Local(MAIN)],
        ),
    ],
)
def test_what_mounts_read(flags, kinds):
    op, inputs = last(f"FROM other AS it\nFROM plain\nRUN {flags} true\n", ctx="local")
    assert [each.reference if isinstance(each, Source) else each for each in inputs[1:]] == kinds
    assert all(0 < each.input < len(inputs) for each in op.mounts if getattr(each, "input", None) is not None)


def test_a_number_is_no_stage_for_a_mount():
    _, inputs = last("FROM other\nFROM plain\nRUN --mount=from=0,target=/c true\n")
    assert inputs[1].reference == "0"


def test_a_stage_that_only_a_mount_needs_is_built():
    found = graph("FROM other AS tools\nRUN make\nFROM plain\nRUN --mount=from=tools,target=/t use\n")
    assert [type(vertex.op) for vertex in found.vertices] == [Source, Run, Source, Run]


def test_mounts_of_triggers():
    text = "FROM plain AS parent\nONBUILD RUN --mount=from=x,target=/c true\nFROM other AS x\nFROM parent\n"
    assert last(text)[1][1].reference == "other"


def test_the_history_does_not_tell_of_mounts():
    (step,) = graph("FROM plain\nRUN --mount=type=secret,id=k --mount=target=/c true\n").steps
    assert "mount" not in step.history.created_by


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("target=/", "root filesystem"),
        ("target=/a/..", "root filesystem"),
        ("type=cache,target=$NONE", "needs a target"),
        ("type=tmpfs,target=/t,size=$NONE", "size"),
        ("target=/c,from=me", "this stage itself"),
        ("target=/c,from=later", "comes later"),
        ("target=/c,from=UP/PER", "UP/PER"),
    ],
)
def test_what_is_wrong_is_said_at_its_line(flags, message):
    with pytest.raises(InvalidError) as caught:
        graph(f"FROM plain AS me\n\nRUN --mount={flags} true\nFROM plain AS later\nFROM me\n")
    assert message in caught.value.message
    assert caught.value.where.line == 3


def test_mounts_are_in_the_key_of_a_step():
    plain = last("FROM plain\nRUN true\n")[0]
    keys = {
        key(last(f"FROM plain\nRUN --mount={flags} true\n")[0], [], "", 1)
        for flags in (
            "target=/c",
            "target=/d",
            "target=/c,rw",
            "type=cache,target=/c",
            "type=tmpfs,target=/c",
        )
    }
    assert len(keys | {key(plain, [], "", 1)}) == 6
