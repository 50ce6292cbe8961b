"""The planner against what BuildKit does with the same Dockerfile: stages, variables, config and history."""

import pytest

from tiffin.build.graph import (
    MAIN,
    BaseImage,
    Copy,
    DeviceRequest,
    Git,
    Http,
    Local,
    MakeDirectory,
    Run,
    Source,
    Taken,
)
from tiffin.build.plan import PlanRequest, plan
from tiffin.dockerfile.lint.linter import Linter
from tiffin.dockerfile.lint.rules import UNDEFINED_VAR, UNUSED_BUILD_ARG
from tiffin.dockerfile.parser import parse
from tiffin.errors import InvalidError, NotFoundError
from tiffin.oci.config import ContainerConfig, Healthcheck, ImageConfig
from tiffin.oci.digest import DiffID
from tiffin.oci.platform import Platform

HOST = Platform.parse("linux/amd64")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def image(reference, author="", **config):
    layer = DiffID.of(reference.encode())
    return BaseImage(
        reference,
        ImageConfig("amd64", "linux", author=author, config=ContainerConfig(**config)),
        (DiffID(layer),),
    )


IMAGES = {
    "base": image(
        "base",
        author="somebody",
        env=("PATH=/bin", "LANG=C"),
        cmd=("python3",),
        entrypoint=("/init",),
        working_dir="/srv",
        user="app",
        labels={"a": "1"},
        exposed_ports={"80/tcp": {}},
    ),
    "plain": image("plain"),
    "bash": image("bash", shell=("/bin/bash", "-ec")),
    "triggers": image("triggers", on_build=("ARG WHO=you", "RUN echo $WHO", "COPY --from=0 /m /m")),
}


class Resolver:
    """Gives the images above, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, reference, _platform, where) -> BaseImage:
        self.asked.append(reference)
        if reference not in IMAGES:
            raise NotFoundError(f"no image {reference}", where=where)
        return IMAGES[reference]


def graph(text, resolver=None, **request):
    return plan(parse(text), PlanRequest(HOST, **request), resolver or Resolver())


def findings(text, **request):
    linter = Linter()
    plan(parse(text), PlanRequest(HOST, **request), Resolver(), linter)
    return linter.findings


def refused(kind, text, **request):
    resolver = Resolver()
    with pytest.raises(kind) as caught:
        plan(parse(text), PlanRequest(HOST, **request), resolver)
    return caught.value


def ops(text, kind, **request):
    return [vertex.op for vertex in graph(text, **request).vertices if isinstance(vertex.op, kind)]


def run(text, **request):
    """The last RUN of the Dockerfile."""
    return ops(text, Run, **request)[-1]


def env(text, **request):
    pairs = [entry.partition("=")[::2] for entry in run(text, **request).env]
    assert len(dict(pairs)) == len(pairs)  # each name exactly once
    return dict(pairs)


def history(text, **request):
    return [step.history.created_by for step in graph(text, **request).steps]


def config(text, **request):
    return graph(text, **request).config


# -- the graph --------------------------------------------------------------------------------------


def test_the_guides_build():
    found = graph(
        "FROM base AS train\n"
        "COPY train.py .\n"
        "RUN python train.py\n"
        "FROM plain\n"
        "WORKDIR /app\n"
        "COPY --from=train /srv/model.onnx serve.py ./\n"
        "COPY serve.py .\n"
        'CMD ["serve"]\n'
    )
    assert [(type(vertex.op), vertex.inputs, vertex.stage) for vertex in found.vertices] == [
        (Source, (), "train"),
        (Local, (), "train"),
        (Copy, (0, 1), "train"),
        (Run, (2,), "train"),
        (Source, (), "1"),
        (MakeDirectory, (4,), "1"),
        (Copy, (5, 3), "1"),
        (Copy, (6, 1), "1"),
    ]
    assert found.result == 7
    assert found.base == IMAGES["plain"]
    assert [vertex.name for vertex in found.vertices] == [
        "[train 1/3] FROM base",
        "[internal] load build context",
        "[train 2/3] COPY train.py .",
        "[train 3/3] RUN python train.py",
        "[stage-1 1/4] FROM plain",
        "[stage-1 2/4] WORKDIR /app",
        "[stage-1 3/4] COPY --from=train /srv/model.onnx serve.py ./",
        "[stage-1 4/4] COPY serve.py .",
    ]
    assert found.vertices[3].where.line == 3
    assert [step.vertex for step in found.steps] == [5, 6, 7, None]


def test_one_stage_needs_no_name_in_progress():
    names = [vertex.name for vertex in graph("FROM plain\n" + "run true\n" * 10).vertices]
    assert names[0] == "[ 1/11] FROM plain"
    assert names[-1] == "[11/11] RUN true"


def test_stages_that_the_target_does_not_need_are_left_alone():
    text = (
        "FROM missing AS unused\nRUN --mount=type=cache,target=/x true\nEXPOSE what\n"
        "FROM base AS used\nFROM used AS last\nRUN true\nFROM missing2 AS after\n"
    )
    resolver = Resolver()
    found = graph(text, resolver, target="LAST")
    assert resolver.asked == ["base"]
    assert [type(vertex.op) for vertex in found.vertices] == [Source, Run]


def test_images_are_shared_by_stages():
    found = graph("FROM base AS a\nRUN one\nFROM base\nCOPY --from=a /x /\nCOPY --from=base /y /\n")
    assert [vertex.op.reference for vertex in found.vertices if isinstance(vertex.op, Source)] == ["base"]


def test_scratch_is_an_image_without_layers():
    found = graph('FROM scratch\nCMD ["x"]\n')
    assert found.vertices[0].op == Source("scratch", ())
    assert found.base is None
    assert found.config.env == (PATH,)
    assert found.config.working_dir == "/"


def test_copy_from_an_image_resolves_it_at_its_line():
    resolver = Resolver()
    graph("FROM scratch\nCOPY --from=base /a /b\n", resolver)
    assert resolver.asked == ["base"]
    error = refused(NotFoundError, "FROM plain AS train\nFROM scratch\nCOPY --from=training /a /b\n")
    assert error.where.line == 3
    assert error.hint == "did you mean train?"


@pytest.mark.parametrize(
    ("stages", "origin", "source"),
    [
        ("FROM base AS a\nFROM plain AS b\n", "a", "base"),
        ("FROM base AS a\nFROM plain AS b\n", "A", "base"),  # any case
        ("FROM base AS a\nFROM plain AS b\n", "1", "plain"),
        ("FROM base AS a\nFROM plain AS A\n", "a", "plain"),  # of one name the last
        ("FROM base AS plain\n", "plain", "base"),  # a stage hides an image
    ],
)
def test_what_copy_from_names(stages, origin, source):
    found = graph(f"{stages}FROM scratch\nCOPY --from={origin} / /\n")
    taken = found.vertices[found.vertices[found.result].inputs[1]]
    assert taken.op.reference == source


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("FROM plain AS a\nCOPY --from=a / /\n", 2, "this stage itself"),
        ("FROM plain\nCOPY --from=0 / /\n", 2, "this stage itself"),
        ("FROM plain\nCOPY --from=1 / /\n", 2, "there is no stage 1"),
        ("FROM plain\nCOPY --from=99999999999999999999 / /\n", 2, "there is no stage"),
        ("FROM plain AS a\nFROM plain AS b\nCOPY --from=c / /\nFROM a AS c\nFROM b\n", 3, "comes later"),
        (
            "FROM plain AS Upper\nFROM Upper\n",
            2,
            "Upper",
        ),
        ("FROM UPPER\n", 1, "UPPER"),
        ("FROM scratch\nCOPY --from=UP/PER a b\n", 2, "UP/PER"),
        ("ARG A\nFROM $A\n", 2, "empty"),
        ("FROM ${A:?which}\n", 1, "A: which"),
        ("FROM plain:\n", 1, "plain:"),
    ],
)
def test_stages_refuse(text, line, message):
    error = refused(InvalidError, text)
    assert error.where.line == line
    assert message in error.message


@pytest.mark.parametrize(
    ("target", "hint"),
    [("trian", "did you mean train?"), ("0", "train"), ("", "train")],  # codespell:ignore
)
def test_an_unknown_target_names_the_nearest(target, hint):
    assert hint in refused(NotFoundError, "FROM plain AS train\nFROM plain\n", target=target).hint


# -- flags of instructions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("COPY --parents ./a/./b/./c x/./y /d", {"sources": ("a/./b/c", "x/./y"), "parents": True}),
        ("COPY --parents /a//b/. ././c /d", {"sources": ("a/b", "././c"), "parents": True}),
        ("COPY --exclude=*.$EXT --exclude=!b a/./b /d", {"sources": ("a/b",), "exclude": ("*.$EXT", "!b")}),
        ("COPY --link a /d", {"link": True}),
        ("ADD --link --exclude=x a /d", {"link": True, "exclude": ("x",), "unpack": True}),
        ("ADD --unpack=false a /d", {"unpack": False}),
        ("ADD --unpack=true --keep-git-dir=true a /d", {"unpack": True}),
    ],
)
def test_flags_of_copy_and_add(line, expected):
    (op,) = ops(f"FROM scratch\nARG EXT=md\n{line}\n", Copy)
    assert {name: getattr(op, name) for name in expected} == expected


def test_what_is_around_every_run():
    text = "FROM plain\nRUN --mount=type=cache,target=/c --mount=type=cache,id=/i,target=/d true\n"
    (op,) = ops(text, Run)
    assert (op.hostname, op.extra_hosts, [mount.id for mount in op.mounts]) == ("", (), ["/c", "/i"])
    (dated,) = ops(text, Run, build_args={"SOURCE_DATE_EPOCH": "86400"})
    assert (dated.ambient, op.ambient) == (("SOURCE_DATE_EPOCH=86400",), ())
    args = {"BUILDKIT_SANDBOX_HOSTNAME": "cellar", "BUILDKIT_CACHE_MOUNT_NS": "team"}
    found = graph(text, build_args=args, hosts=("b", "a"))
    (op,) = [vertex.op for vertex in found.vertices if isinstance(vertex.op, Run)]
    assert (op.hostname, op.extra_hosts) == ("cellar", ("a", "b"))
    assert [mount.id for mount in op.mounts] == ["team/c", "team/i"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ADD --checksum=sha256:0 a b", "--checksum"),
        ("ADD --checksum=sha256:0 https://h/f b", "no digest"),
        (f"ADD --checksum=sha256:{'0' * 64} https://h/f https://h/g b", "one source"),
        ("ADD --keep-git-dir=true https://h/f b", "--keep-git-dir"),
        ("ADD https://h/x.git?depth=1 b", "there is no depth"),
        ("COPY https://h/f b", "COPY cannot fetch https://h/f"),
        ("COPY git@h:x b", "COPY cannot fetch git@h:x"),
        ("COPY --exclude=[ a b", "pattern ["),
    ],
)
def test_flags_that_are_wrong(line, message):
    error = refused(InvalidError, f"FROM scratch\n\n{line}\n")
    assert message in error.message
    assert error.where.line == 3


def test_devices_of_a_run():
    op = run("FROM plain\nRUN --device=a.com/b=c,required --device=name=gpu true\n")
    assert op.devices == (DeviceRequest("a.com/b=c", required=True), DeviceRequest("gpu"))


@pytest.mark.parametrize(
    "platform", ["linux/amd64", "amd64", "$BUILDPLATFORM", "${TARGETPLATFORM}", "linux/x86_64"]
)
def test_the_own_platform(platform):
    assert graph(f"FROM --platform={platform} plain\n").base == IMAGES["plain"]


def test_a_platform_that_cannot_be():
    assert refused(InvalidError, "FROM --platform=lin/ux/am/d plain\n").where.line == 1
    assert refused(InvalidError, "FROM --platform=$none plain\n").where.line == 1


def test_copy_of_a_url_is_wrong():
    assert "ADD" not in refused(InvalidError, "FROM plain\nCOPY https://example.org/a b\n").message


# -- variables --------------------------------------------------------------------------------------


def test_global_arguments():
    text = "ARG A=base\nARG B=${A} C\nFROM ${B}\nRUN true\n"
    assert graph(text).base == IMAGES["base"]
    assert graph(text, build_args={"A": "plain"}).base == IMAGES["plain"]  # defaults follow from given ones
    assert graph(text, build_args={"B": "plain"}).base == IMAGES["plain"]
    assert env(text) == {"PATH": "/bin", "LANG": "C"}  # invisible in the stage


@pytest.mark.parametrize(
    ("lines", "given", "value"),
    [
        ("ARG A", {}, "global"),  # declared again, the global one is seen
        ("ARG A=own", {}, "own"),
        ("ARG A=own", {"A": "given"}, "given"),
        ("ARG A", {"A": "given"}, "given"),
        ("ARG A", {"A": ""}, ""),  # given empty is given
        ("ARG A=own-$TWO\nARG TWO", {}, "own-"),  # not set yet
        ("ARG TWO\nARG A=own-$TWO", {}, "own-2"),
        ("ARG TWO A=own-$TWO", {}, "own-2"),
        ("ENV A=env", {}, "env"),
        ("ARG A=own\nENV A=env", {"A": "given"}, "env"),  # the later counts
        ("ENV A=env\nARG A=own", {}, "own"),
        ("ENV A=env\nARG A=own", {"A": "given"}, "given"),
        ("ENV A=1\nENV B=$A", {}, "1"),
        ("", {}, None),
        ("", {"A": "given"}, None),
    ],
)
def test_a_variable_in_a_stage(lines, given, value):
    text = f"ARG A=global TWO=2\nFROM plain\n{lines}\nRUN true\n"
    assert env(text, build_args=given).get("A") == value


def test_only_env_reaches_the_image():
    text = "FROM plain\nARG A=1\nENV B=2\nENV A2=$A\nRUN true\n"
    assert config(text).env == (PATH, "B=2", "A2=1")
    assert env(text) == {"PATH": PATH[5:], "B": "2", "A2": "1", "A": "1"}


def test_env_sees_the_old_values_of_its_line():
    assert config("FROM plain\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\n").env == (
        PATH,
        "abc=bye",
        "def=hello",
        "ghi=bye",
    )


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("ENV A=a\\ b", "a b"),
        ('ENV A="a b"', "a b"),
        ("ENV A='$x'", "$x"),
        ('ENV A="$L c"', "l c"),
        ("ENV A b   c", "b   c"),
        ('ENV A "b c"', "b c"),
        ("ENV A=", ""),
        ("ENV A=${L:-x}${none:-y}", "ly"),
        ("ENV A=\\$L", "$L"),
    ],
)
def test_values_of_env(line, value):
    assert env(f"FROM plain\nENV L=l\n{line}\nRUN true\n")["A"] == value


def test_a_stage_inherits_the_arguments_of_its_base_stage():
    text = "FROM plain AS a\nARG A=1\nENV B=2\nFROM a\nRUN true\n"
    assert env(text) == {"PATH": PATH[5:], "B": "2", "A": "1"}
    assert "A" not in env("FROM plain AS a\nARG A=1\nFROM plain\nRUN true\n")


def test_platform_arguments_are_declared_to_be_seen():
    text = "FROM plain AS last\nARG TARGETPLATFORM TARGETARCH BUILDOS TARGETVARIANT TARGETSTAGE\nRUN true\n"
    assert env(text) == {
        "PATH": PATH[5:],
        "TARGETPLATFORM": "linux/amd64",
        "TARGETARCH": "amd64",
        "BUILDOS": "linux",
        "TARGETVARIANT": "",
        "TARGETSTAGE": "last",
    }
    assert env("FROM plain\nRUN true\n") == {"PATH": PATH[5:]}
    assert env("FROM plain\nARG TARGETARCH\nRUN true\n", build_args={"TARGETARCH": "x"})["TARGETARCH"] == "x"


def test_proxies_reach_run_undeclared_and_nothing_else():
    given = {"HTTP_PROXY": "h", "no_proxy": "n"}
    text = "FROM plain\nENV A=$HTTP_PROXY\nLABEL b=$no_proxy\nRUN true\n"
    op = run(text, build_args=given)
    assert op.ambient == ("HTTP_PROXY=h", "http_proxy=h", "NO_PROXY=n", "no_proxy=n")
    assert op.env == (PATH, "A=")
    assert config(text, build_args=given).labels == {"b": ""}
    assert findings("FROM plain\nRUN true\n", build_args=given) == []
    declared = run("FROM plain\nARG HTTP_PROXY\nRUN true\n", build_args=given)
    assert "HTTP_PROXY=h" in declared.env
    assert "HTTP_PROXY=h" not in declared.ambient


def test_run_cmd_and_entrypoint_are_not_expanded():
    text = (
        "FROM plain\nENV A=1\nRUN echo $A ${A:-x} '$A'\n"
        'CMD echo $A\nENTRYPOINT ["$A"]\nHEALTHCHECK CMD $A\n'
    )
    assert run(text).arguments == ("/bin/sh", "-c", "echo $A ${A:-x} '$A'")
    found = config(text)
    assert found.cmd == ("/bin/sh", "-c", "echo $A")
    assert found.entrypoint == ("$A",)
    assert found.healthcheck.test == ("CMD-SHELL", "$A")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ENV B=$LAGN", [("LAGN", 2, "did you mean $LANG?")]),
        ("ENV B=${none:-x}", []),
        ("ARG none\nENV B=$none", []),  # declared, without a value: as meant
        ("COPY <<EOF /a\n$none\nEOF", [("none", 2, "")]),
        ("WORKDIR $none/x", [("none", 2, "")]),
        ("RUN echo $none", []),
    ],
)
def test_unset_variables_are_warned_of(line, expected):
    found = findings(f"FROM base\n{line}\n")
    assert len(found) == len(expected)
    for (rule, message, span), (name, number, hint) in zip(found, expected, strict=True):
        assert rule == UNDEFINED_VAR
        assert name in message
        assert hint in message
        assert span.line == number


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({"A": "1"}, False),
        ({"B": "1"}, False),  # by another stage
        ({"G": "1"}, False),
        ({"C": "1"}, True),
        ({"TARGETARCH": "x"}, False),
        ({"https_proxy": "x"}, False),
        ({"BUILDKIT_INLINE_CACHE": "1"}, False),
        ({"SOURCE_DATE_EPOCH": "0"}, False),
    ],
)
def test_arguments_that_nothing_declares(given, warned):
    found = findings("ARG G\nFROM plain\nARG B\nFROM plain\nARG A\n", build_args=given)
    assert [each.rule for each in found] == [UNUSED_BUILD_ARG] * warned


def test_the_escape_character_of_the_file_holds():
    text = "# escape=`\nFROM plain\nENV A=`$x B=\\$x C=a` b\n"
    assert config(text).env[1:] == ("A=$x", "B=\\", "C=a b")


# -- RUN --------------------------------------------------------------------------------------------


def test_run_in_its_surroundings():
    op = run("FROM base\nWORKDIR sub\nUSER me:us\nRUN --network=none true\n")
    assert (op.user, op.directory, op.network) == ("me:us", "/srv/sub", "none")
    op = run("FROM plain\nRUN true\n")
    assert (op.user, op.directory, op.network) == ("", "/", "default")


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("FROM plain\nRUN a  b", ("/bin/sh", "-c", "a  b")),
        ('FROM plain\nRUN ["a", "$b"]', ("a", "$b")),
        ("FROM bash\nRUN a", ("/bin/bash", "-ec", "a")),
        ('FROM plain\nSHELL ["/bin/zsh", "-c"]\nRUN a', ("/bin/zsh", "-c", "a")),
        ('FROM plain AS a\nSHELL ["/z"]\nFROM a\nRUN b', ("/z", "b")),
        ("FROM plain\nRUN a \\\n  # no\n  b", ("/bin/sh", "-c", "a   b")),
        ("FROM plain\nRUN <<EOF\na $b\nc\nEOF", ("/bin/sh", "-c", "a $b\nc\n")),
        ("FROM plain\nRUN <<-'EOF'\n\ta\n\tEOF", ("/bin/sh", "-c", "a\n")),
        (
            "FROM plain\nRUN cat <<A >x <<-B\n$a\nA\n\tb\n\tB\n",
            ("/bin/sh", "-c", "cat <<A >x <<-B\n$a\nA\n\tb\nB"),
        ),
        (
            "FROM plain\nRUN python3 <<'EOF'\nprint(1)\nEOF",
            ("/bin/sh", "-c", "python3 <<'EOF'\nprint(1)\nEOF"),
        ),
        ("FROM plain\nRUN <<EOF python3\nx\nEOF", ("/bin/sh", "-c", "<<EOF python3\nx\nEOF")),
        ("FROM plain\nRUN <<EOF\n#!/usr/bin/env python3\nx\nEOF", ("/bin/sh", "-c", "/dev/pipes/EOF")),
    ],
)
def test_arguments_of_run(text, arguments):
    assert run(text).arguments == arguments


def test_a_here_document_with_an_interpreter_is_a_file():
    script = run("FROM plain\nRUN <<-X\n\t#!/bin/sh -x\n\techo $a \\\n\t\tX\n").script
    assert (script.name, script.data) == ("X", b"#!/bin/sh -x\necho $a \\\n")
    assert run("FROM plain\nRUN <<X\necho\nX\n").script is None


def test_progress_shows_the_first_line_of_a_here_document():
    names = [
        vertex.name for vertex in graph("FROM plain\nRUN <<A\n\none\ntwo\nA\nRUN <<B\none\nB\n").vertices
    ]
    assert names[1:] == ["[2/3] RUN <<A (one…)", "[3/3] RUN <<B (one)"]


# -- COPY, ADD, WORKDIR -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "sources", "destination"),
    [
        ("COPY a /b", ("a",), "/b"),
        ("COPY a b/ c/", ("a", "b/"), "/srv/c/"),
        ("COPY . .", (".",), "/srv/"),
        ("COPY ./ /", (".",), "/"),
        ("COPY / ./", (".",), "/srv/"),
        ("COPY /a/./b//c/ d", ("a/b/c/",), "/srv/d"),
        ("COPY ../x ..", ("x",), "/"),
        ("COPY a/../../../b c/..", ("b",), "/srv/"),
        ("COPY a /b/.", ("a",), "/b/"),
        ("COPY *.py a?[bc] /d/", ("*.py", "a?[bc]"), "/d/"),
        ('COPY ["a b", "c d/"]', ("a b",), "/srv/c d/"),
        ('COPY "a b" c', None, None),
        ("COPY 'a' \"c\"", ("a",), "/srv/c"),
        ("COPY $L/${L} /$L", ("l/l",), "/l"),
        ("COPY a ''", ("a",), "/srv/"),
        ("ADD a.tar b", ("a.tar",), "/srv/b"),
    ],
)
def test_paths_of_copy(line, sources, destination):
    text = f"FROM base\nENV L=l\n{line}\n"
    if sources is None:  # outside of an array blanks separate, also within quotes
        assert refused(InvalidError, text).where.line == 3
        return
    (op,) = ops(text, Copy)
    assert (op.sources, op.destination, op.files) == (sources, destination, ())
    assert op.unpack is line.startswith("ADD")


def test_flags_of_copy():
    text = "FROM plain\nARG U=5 M=0755\nCOPY --chown=$U --chmod=$M a b\nADD --chown= --chmod=u+x,go=rX a b\n"
    copy, add = ops(text, Copy)
    assert (copy.chown, copy.chmod) == ("5", "0755")
    assert (add.chown, add.chmod) == (None, "u+x,go=rX")


@pytest.mark.parametrize("mode", ["888", "77777", "rwx", "+q", "$none:"])
def test_a_mode_that_is_none(mode):
    error = refused(InvalidError, f"FROM plain\nCOPY --chmod={mode} a b\n")
    assert error.where.line == 2


def test_here_documents_of_copy():
    text = (
        "FROM plain\nENV A=1\n"
        "COPY --chmod=600 <<X <<-'Y' <<\"Z z\" f /d/\n"
        "$A \"$A\" '$A' \\$A \\\\ \\n\nX\n\t$A\n\tY\nlast\nZ z\n"
        "COPY <<A /only\n\nA\n"
    )
    first, second = ops(text, Copy)
    assert [(file.name, file.data) for file in first.files] == [
        ("X", b"1 \"1\" '1' $A \\ n\n"),
        ("Y", b"$A\n"),
        ("Z z", b"last\n"),
    ]
    assert first.sources == ("f",)
    vertices = graph(text).vertices
    assert len(vertices[-2].inputs) == 2
    assert len(vertices[-1].inputs) == 1  # nothing is read
    assert second.files[0].data == b"\n"


def test_bytes_of_a_here_document_survive():
    (op,) = ops(b"FROM plain\nCOPY <<A /a\n\xff\xe9 \xc3\xa9t\xc3\xa9\nA\n", Copy)
    assert op.files[0].data == b"\xff\xe9 \xc3\xa9t\xc3\xa9\n"


def test_workdirs_follow_each_other():
    text = "FROM base\nENV D=x\nWORKDIR a\nWORKDIR $D/../b\nUSER me\nWORKDIR /c//d/\nWORKDIR ..\nWORKDIR /\n"
    assert ops(text, MakeDirectory) == [
        MakeDirectory("/srv/a", "app"),
        MakeDirectory("/srv/a/b", "app"),
        MakeDirectory("/c/d", "me"),
        MakeDirectory("/c", "me"),
    ]
    assert config(text).working_dir == "/"
    assert history(text)[-1] == "WORKDIR /"


# -- config and history -----------------------------------------------------------------------------


def test_what_the_image_inherits():
    found = config("FROM base\n")
    assert found == IMAGES["base"].config.config
    assert config("FROM plain\n").env == (PATH,)


@pytest.mark.parametrize(
    ("lines", "entrypoint", "cmd"),
    [
        ("", ("/init",), ("python3",)),
        ('CMD ["a"]', ("/init",), ("a",)),  # CMD leaves ENTRYPOINT alone
        ('ENTRYPOINT ["e"]', ("e",), None),  # ENTRYPOINT drops an inherited CMD
        ('CMD ["a"]\nENTRYPOINT ["e"]', ("e",), ("a",)),  # but not one of this stage, before or after
        ('ENTRYPOINT ["e"]\nCMD ["a"]', ("e",), ("a",)),
        ("ENTRYPOINT []", None, None),
        ("CMD []", ("/init",), None),
        ("CMD []\nENTRYPOINT e", ("/bin/sh", "-c", "e"), None),
        ("ENTRYPOINT e f", ("/bin/sh", "-c", "e f"), None),
        ("CMD ['a']", ("/init",), ("/bin/sh", "-c", "['a']")),
        ('SHELL ["/b"]\nCMD a\nENTRYPOINT e', ("/b", "e"), ("/b", "a")),
    ],
)
def test_cmd_and_entrypoint(lines, entrypoint, cmd):
    found = config(f"FROM base\n{lines}\n")
    assert (found.entrypoint, found.cmd) == (entrypoint, cmd)


def test_an_entrypoint_drops_the_cmd_of_the_stage_below():
    assert config('FROM plain AS a\nCMD ["x"]\nFROM a\nENTRYPOINT ["y"]\n').cmd is None


def test_the_rest_of_the_config():
    found = config(
        'FROM base\nLABEL a=2 b="c d"\nUSER 1000:$G\nEXPOSE 8000 53/UDP\nVOLUME /v $LANG\nSTOPSIGNAL SIGINT\n'
        'HEALTHCHECK --interval=5s --timeout=1s --start-period=2s --start-interval=3s --retries=4 CMD ["x"]\n'
        'SHELL ["/b", "-c"]\nONBUILD RUN a\nONBUILD   COPY b c\n',
        labels={"given": "1"},
    )
    second = 1_000_000_000
    assert found.labels == {"a": "2", "b": "c d", "given": "1"}
    assert found.user == "1000:"
    assert set(found.exposed_ports) == {"80/tcp", "8000/tcp", "53/udp"}
    assert set(found.volumes) == {"/v", "C"}
    assert found.stop_signal == "SIGINT"
    assert found.healthcheck == Healthcheck(("CMD", "x"), 5 * second, second, 2 * second, 3 * second, 4)
    assert found.shell == ("/b", "-c")
    assert found.on_build == ("RUN a", "COPY b c")
    assert config("FROM plain\nHEALTHCHECK NONE\n").healthcheck == Healthcheck(("NONE",))


def test_expose_expands_into_several():
    ports = config("FROM plain\nARG P='8000 8001/udp' R=90\nEXPOSE $P ${R}-92/tcp\n").exposed_ports
    assert set(ports) == {"8000/tcp", "8001/udp", "90/tcp", "91/tcp", "92/tcp"}


@pytest.mark.parametrize(
    "line",
    [
        *("EXPOSE 70000", "EXPOSE a", "EXPOSE 80/icmp", "EXPOSE 9-8", "VOLUME $x", "ENV $x=1", "ENV a=${b"),
        *(
            "STOPSIGNAL SIGNOPE",
            "STOPSIGNAL 0",
            "STOPSIGNAL $x",
            "LABEL a='b",
            "USER ${u:?which}",
            "WORKDIR ${",
        ),
    ],
)
def test_what_is_wrong_only_when_expanded(line):
    error = refused(InvalidError, f"FROM plain\n\n{line}\n")
    assert error.where.line == 3


def test_history_is_as_docker_writes_it():
    assert history(
        'FROM base\nARG A=1 B\nENV C=2 D="e f"\nRUN echo "$A"\nRUN ["x", "y z"]\n'
        "COPY --chown=1:2 --chmod=700 a b c/\nADD a <<D /e\nd\nD\nCOPY --from=plain /f /g\n"
        "WORKDIR h\nUSER u\nLABEL i=j k='l m'\nEXPOSE 90 80-81/udp\nVOLUME /n /o\nSTOPSIGNAL 9\n"
        'SHELL ["/p", "-q"]\nCMD r "s"\nENTRYPOINT ["t", "u\\\\v"]\n'
        "HEALTHCHECK --interval=90s --retries=3 CMD w\nMAINTAINER x <y@z>\nONBUILD RUN a\n"
    ) == [
        "ARG A=1 B",
        "ENV C=2 D=e f",
        'RUN |2 A=1 B= /bin/sh -c echo "$A"',
        "RUN |2 A=1 B= x y z",
        "COPY --chown=1:2 --chmod=700 a b c/",
        "ADD a <<D /e",
        "COPY /f /g",
        "WORKDIR /srv/h",
        "USER u",
        "LABEL i=j k=l m",
        "EXPOSE [80/udp 81/udp 90/tcp]",
        "VOLUME [/n /o]",
        "STOPSIGNAL 9",
        "SHELL [/p -q]",
        'CMD ["/p" "-q" "r \\"s\\""]',
        'ENTRYPOINT ["t" "u\\\\v"]',
        'HEALTHCHECK &{["CMD-SHELL" "w"] "1m30s" "0s" "0s" "0s" \'\\x03\'}',
        "MAINTAINER x <y@z>",
    ]


def test_history_of_a_stage_upon_a_stage_is_whole():
    found = graph("FROM base AS a\nRUN one\nUSER x\nFROM a\nRUN two\n")
    assert [step.history.created_by for step in found.steps] == [
        "RUN /bin/sh -c one",
        "USER x",
        "RUN /bin/sh -c two",
    ]
    assert [step.vertex for step in found.steps] == [1, None, 2]
    assert found.base == IMAGES["base"]
    assert {step.history.comment for step in found.steps} == {"tiffin"}


def test_author():
    assert graph("FROM base\n").author == "somebody"
    assert graph("FROM base\nMAINTAINER me\n").author == "me"
    assert graph("FROM base AS a\nMAINTAINER me\nFROM a\n").author == "me"


def test_what_cannot_change_a_run_stays_out_of_it():
    def last(lines):
        return run(f"FROM plain\n{lines}\nRUN true\n")

    same = last("")
    for lines in (
        "LABEL a=b",
        "EXPOSE 80",
        'CMD ["x"]',
        'ENTRYPOINT ["x"]',
        "VOLUME /x",
        "STOPSIGNAL 9",
        "HEALTHCHECK NONE",
        "# words",
        "MAINTAINER x",
        "ONBUILD RUN y",
        "ARG NONE",
    ):
        assert last(lines) == same
    for lines in ("ENV A=1", "ARG A=1", "USER x", "WORKDIR /x", 'SHELL ["/x"]'):
        assert last(lines) != same


# -- ONBUILD ----------------------------------------------------------------------------------------


def test_triggers_of_an_image_run_first_and_once():
    text = "FROM plain AS model\nRUN make\nFROM triggers AS child\nRUN own\nFROM child\nRUN next\n"
    found = graph(text)
    assert [vertex.name for vertex in found.vertices] == [
        "[model 1/2] FROM plain",
        "[model 2/2] RUN make",  # needed by a trigger alone
        "[child 1/4] FROM triggers",
        "[child 2/4] ONBUILD RUN echo $WHO",
        "[child 3/4] ONBUILD COPY --from=0 /m /m",
        "[child 4/4] RUN own",
        "[stage-2 1/1] RUN next",
    ]
    assert found.config.on_build == ()
    assert found.vertices[3].where.line == 3  # the FROM that brought it
    assert found.vertices[3].op.env == (PATH, "WHO=you")


def test_triggers_of_a_stage_run_in_its_children_only():
    text = "FROM plain AS a\nONBUILD RUN later\nRUN now\nFROM a AS b\nRUN own\nFROM b\nRUN last\n"
    commands = [op.arguments[-1] for op in ops(text, Run)]
    assert commands == ["now", "later", "own", "last"]
    assert graph(text).config.on_build == ()
    assert config(text, target="a").on_build == ("RUN later",)


def test_a_broken_trigger_says_whose_it_is():
    IMAGES["broken"] = image("broken", on_build=("RUNN x",))  # codespell:ignore
    error = refused(InvalidError, "FROM broken\n")
    assert error.where.file == "ONBUILD of broken"
    assert "RUNN" in error.message  # codespell:ignore


# -- what ADD fetches -------------------------------------------------------------------------------


def test_what_add_fetches_is_an_input_for_each_source():
    found = graph(
        "FROM plain\nARG V=1\n"
        "ADD --unpack=true a https://u:p@h/f-$V*.tar https://h/r.git#v$V b https://u:p@h/f-$V*.tar /d/\n"
    )
    add = found.vertices[found.result]
    assert [found.vertices[number].op for number in add.inputs[1:]] == [
        Local(MAIN), Http("https://u:p@h/f-1*.tar", "f-1*.tar"), Git("https://h/r.git", "v1"),
    ]  # fmt: skip
    assert add.op.sources == ("a", r"f-1\*.tar", ".", "b", r"f-1\*.tar")
    assert add.op.taken == (Taken(1, True), Taken(2, True), Taken(3), Taken(1, True), Taken(2, True))
    assert not add.op.unpack
    assert "u:p" not in "".join(vertex.name for vertex in found.vertices)
    assert (
        found.steps[-1].history.created_by
        == "ADD a https://h/f-1*.tar https://h/r.git#v1 b https://h/f-1*.tar /d/"
    )


def test_what_add_fetches_is_not_unpacked_unless_it_shall_be():
    (op,) = ops("FROM scratch\nADD https://h/f.tar a.tar /d/\n", Copy)
    assert op.taken == (Taken(1), Taken(2, True))
    (op,) = ops("FROM scratch\nADD --unpack=false https://h/f.tar a.tar /d/\n", Copy)
    assert op.taken == (Taken(1), Taken(2))


def test_what_is_fetched_twice_is_fetched_once():
    digest = "sha256:" + "0" * 64
    text = f"ADD --checksum=$D https://h/f /a\nADD --checksum={digest} https://h/f /b\nADD https://h/f /c\n"
    found = ops(f"FROM scratch\nARG D={digest}\n{text}", Http)
    assert found == [Http("https://h/f", "f", digest), Http("https://h/f", "f")]


def test_options_for_repositories():
    (op,) = ops(f"FROM scratch\nADD --keep-git-dir --checksum={'0' * 40} git@h:r#v1 /d\n", Git)
    assert op == Git("git@h:r", "v1", commit="0" * 40, keep_git_dir=True)


def test_a_path_that_only_looks_like_elsewhere_is_a_path():
    assert ops("FROM scratch\nADD a@b c:/d github.com/x/y ftp://h/f /d/\n", Copy)[0].sources == (
        "a@b", "c:/d", "github.com/x/y", "ftp:/h/f",
    )  # fmt: skip


# -- named contexts ---------------------------------------------------------------------------------


def test_a_context_stands_for_an_image():
    resolver = Resolver()
    contexts = {"python": "image:base"}
    text = "FROM docker.io/library/python:latest\nCOPY --from=python /a /b\n"
    assert graph(text, resolver, contexts=contexts).base == IMAGES["base"]
    assert set(resolver.asked) == {"base"}
    assert refused(NotFoundError, "FROM python:3\n", contexts=contexts).where.line == 1


def test_a_context_stands_for_a_stage():
    found = graph("FROM missing AS build\nRUN x\nFROM build\nRUN y\n", contexts={"build": "image:plain"})
    assert [type(vertex.op) for vertex in found.vertices] == [Source, Run]
    assert found.base == IMAGES["plain"]


def test_a_context_may_be_a_folder():
    found = graph("FROM scratch\nCOPY --from=data a b\n", contexts={"data": "local"})
    assert found.vertices[found.vertices[found.result].inputs[1]].op == Local("data")
    found = graph("FROM missing AS data\nFROM scratch\nCOPY --from=data a b\n", contexts={"data": "local"})
    assert Local("data") in [vertex.op for vertex in found.vertices]


def test_a_context_may_be_fetched():
    contexts = {"repo": Git("https://h/r.git"), "web": Http("https://h/t", "context", unpack=True)}
    text = "FROM scratch\nCOPY --from=repo a b\nCOPY --from=repo c d\nRUN --mount=from=web,target=/w true\n"
    found = graph(text, contexts=contexts)
    fetched = [vertex.op for vertex in found.vertices if isinstance(vertex.op, Git | Http)]
    assert fetched == list(contexts.values())
    assert found.vertices[found.vertices[found.result].inputs[1]].op == contexts["web"]


@pytest.mark.parametrize(
    "text",
    ["FROM data\nENV a=b\n", "FROM plain AS data\nFROM data\nENV a=b\n", "FROM plain AS data\nRUN x\n"],
)
@pytest.mark.parametrize("context", ["local", Git("https://h/r.git")])
def test_a_stage_may_begin_with_the_files_of_a_context(text, context):
    found = graph(text, contexts={"data": context})
    start = found.vertices[found.result]
    if context == "local":
        assert start.op == Copy((".",), (), "/")
        assert [found.vertices[number].op for number in start.inputs] == [
            Source("scratch", ()),
            Local("data"),
        ]
    else:
        assert start.op == context
    assert found.config.env[:1] == (f"PATH={PATH.removeprefix('PATH=')}",)
    assert found.config.working_dir == "/"
    assert found.base is None
    (step,) = [step for step in found.steps if step.vertex is not None]
    assert (step.history.created_by, step.vertex) == ("FROM data", found.result)


def test_a_context_may_be_nothing():
    found = graph("FROM python AS x\nLABEL a=b\n", contexts={"python": "image:scratch"})
    assert found.vertices[found.result].op.diff_ids == ()
    assert found.config.labels == {"a": "b"}
