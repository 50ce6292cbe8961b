"""Every instruction of the Dockerfile reference, in each of its forms, and every way to get it wrong."""

import pytest

from tiffin.dockerfile import ast
from tiffin.dockerfile.ast import Declaration, ExecForm, Pair, ShellForm
from tiffin.dockerfile.parser import parse, parse_trigger
from tiffin.errors import InvalidError

SECOND = 1_000_000_000


def one(text):
    """The instruction that `text` is, behind a FROM."""
    dockerfile = parse(f"FROM scratch\n{text}")
    (instruction,) = dockerfile.stages[0].instructions
    return instruction


def refused(text, *, before="FROM scratch\n"):
    with pytest.raises(InvalidError) as caught:
        parse(before + text)
    error = caught.value
    assert error.where is not None
    assert error.where.file == "Dockerfile"
    assert 1 <= error.where.column <= error.where.end_column <= len(error.where.text) + 1
    return error


def pointed_at(error):
    return error.where.text[error.where.column - 1 : error.where.end_column - 1]


# -- the whole file ---------------------------------------------------------------------------------


def test_stages_and_arguments():
    dockerfile = parse(
        "# syntax=docker/dockerfile:1\n"
        "ARG BASE=python:3.11.8-slim OTHER\n"
        "FROM --platform=$BUILDPLATFORM ${BASE} AS Train\n"
        "RUN one\n"
        "from scratch\n"
        "COPY --from=train /m /m\n"
        'cmd ["x"]\n'
    )
    assert dockerfile.directives.syntax == "docker/dockerfile:1"
    assert [each.declarations for each in dockerfile.arguments] == [
        (Declaration("BASE", "python:3.11.8-slim"), Declaration("OTHER", None))
    ]
    train, last = dockerfile.stages
    assert (train.start.base, train.start.name, train.start.platform) == (
        "${BASE}",
        "train",
        "$BUILDPLATFORM",
    )
    assert (last.start.base, last.start.name, last.start.platform) == ("scratch", None, None)
    assert [type(each) for each in last.instructions] == [ast.Copy, ast.Cmd]
    assert train.instructions[0].span.line == 4
    assert train.instructions[0].text == "RUN one"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "the file is empty", "FROM"),
        ("# nothing\n\n", "the file is empty", "FROM"),
        ("ARG a=b\n", "there is no FROM", "FROM"),
        ("RUN a\nFROM b", "RUN stands before the first FROM", "only ARG"),
    ],
)
def test_a_file_that_builds_nothing(text, message, hint):
    error = refused(text, before="")
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("line", "name", "hint"),
    [
        ("RUNN x", "RUNN", "did you mean RUN?"),  # codespell:ignore
        ("COPPY a b", "COPPY", "did you mean COPY?"),  # codespell:ignore
        ("entrpoint x", "entrpoint", "did you mean ENTRYPOINT?"),
        ("EXPOSE8000", "EXPOSE8000", "did you mean EXPOSE?"),
        ("INCLUDE x", "INCLUDE", "the instructions are ADD"),
        ("{", "{", "the instructions are ADD"),
    ],
)
def test_an_unknown_instruction_names_the_nearest(line, name, hint):
    error = refused(f"\n  {line}\n")
    assert error.message == f"unknown instruction: {name}"
    assert error.hint.startswith(hint)
    assert error.where == ("Dockerfile", 3, 3, 3 + len(name), f"  {line}")


def test_stages_that_nothing_needs_are_checked_as_well():
    assert "EXPOSE" in refused("EXPOSE\nFROM scratch AS last\n").message


def test_what_a_comment_says_of_a_name():
    parsed = parse("# A is one\n# B is two\nARG A B\n# s\n# s serves it\nFROM scratch AS s\n")
    assert [parsed.description(3, name) for name in ("A", "B", "C")] == ["is one", "is two", ""]
    assert parsed.description(6, "s") == "serves it"


def test_the_instruction_at_a_line():
    parsed = parse("ARG A\nFROM a\nRUN b \\\n c\n")
    assert [(span.line, span.end_line) for span in map(parsed.span_at, (1, 2, 3))] == [(1, 1), (2, 2), (3, 4)]
    assert parsed.span_at(4) is None


@pytest.mark.parametrize("line", ["ENV a b c", "LABEL a b"])
def test_the_old_form_of_pairs_is_told(line):
    assert parse(f"FROM a\n{line}\n").stages[0].instructions[0].legacy
    keyword, key = line.split()[:2]
    assert not parse(f"FROM a\n{keyword} {key}=b\n").stages[0].instructions[0].legacy


# -- FROM -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "base", "name"),
    [
        ("FROM a", "a", None),
        ("FROM a:1 as B.c-d_2", "a:1", "b.c-d_2"),
        ("FROM\ta@sha256:x  As\tb", "a@sha256:x", "b"),
    ],
)
def test_from(text, base, name):
    start = parse(text).stages[0].start
    assert (start.base, start.name) == (base, name)


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("FROM", "FROM"),
        ("FROM a b", "b"),
        ("FROM a AS", "AS"),
        ("FROM a IS b", "IS"),
        ("FROM a AS b c", "AS"),
        ("FROM a AS 1", "1"),
        ("FROM a AS b/c", "b/c"),
        ("FROM a AS -b", "-b"),
        ("FROM --platform a", "--platform"),
        ("FROM --plattform=x a", "--plattform=x"),
        ("FROM --platform=x --platform=y a", "--platform=y"),
    ],
)
def test_from_refuses(text, point):
    assert pointed_at(refused(text, before="")) == point


# -- keys and values --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "pairs"),
    [
        ("a=b", [("a", "b")]),
        ("a=b c=d", [("a", "b"), ("c", "d")]),
        ("a=\"x y\" c='z w' d=e\\ f", [("a", '"x y"'), ("c", "'z w'"), ("d", "e\\ f")]),
        ("a=", [("a", "")]),
        ("a=b=c", [("a", "b=c")]),
        ("a b", [("a", "b")]),
        ("a b c=d  e", [("a", "b c=d  e")]),  # the old form takes the rest of the line
        ("a=b \\\n  c=d", [("a", "b"), ("c", "d")]),
        ('"a.b"=c', [('"a.b"', "c")]),
        ("a=b\\", [("a", "b")]),
        ("a='x\\' b=y", [("a", "'x\\'"), ("b", "y")]),  # nothing is escaped in single quotes
        ('a="x\\" y" b=z', [("a", '"x\\" y"'), ("b", "z")]),
    ],
)
@pytest.mark.parametrize("keyword", ["ENV", "LABEL"])
def test_keys_and_values(keyword, arguments, pairs):
    assert one(f"{keyword} {arguments}").pairs == tuple(Pair(*pair) for pair in pairs)


@pytest.mark.parametrize("keyword", ["ENV", "LABEL"])
@pytest.mark.parametrize(
    ("arguments", "point"), [("", None), ("a", "a"), ("a=b c", "c"), ("=b", "=b"), ("a=b =c", "=c")]
)
def test_keys_and_values_refuse(keyword, arguments, point):
    error = refused(f"{keyword} {arguments}")
    assert pointed_at(error) == (point or keyword)
    assert "KEY=VALUE" in error.hint


@pytest.mark.parametrize(
    ("arguments", "declarations"),
    [
        ("a", [("a", None)]),
        ("a=", [("a", "")]),
        ("a=b c d='e f'", [("a", "b"), ("c", None), ("d", "'e f'")]),
    ],
)
def test_arg(arguments, declarations):
    assert one(f"ARG {arguments}").declarations == tuple(Declaration(*each) for each in declarations)


@pytest.mark.parametrize("arguments", ["", "=a", "a =b"])
def test_arg_refuses(arguments):
    assert "ARG NAME" in refused(f"ARG {arguments}").hint


# -- commands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ("a b", ShellForm("a b")),
        ("a   b  ", ShellForm("a   b")),
        ('["a", "b c"]', ExecForm(("a", "b c"))),
        ('  [ "a" ]  ', ExecForm(("a",))),
        ('["a\\tb", "\\u00e9"]', ExecForm(("a\tb", "é"))),
        ('["\\ud800"]', ExecForm(("\ufffd",))),
        ("['a', 'b']", ShellForm("['a', 'b']")),  # a broken array is shell form
        ('["a",]', ShellForm('["a",]')),
        ('["a"] && b', ShellForm('["a"] && b')),
        ('["a" "b"]', ShellForm('["a" "b"]')),
        ("[ -f x ]", ShellForm("[ -f x ]")),
        ("[NaN]", ShellForm("[NaN]")),
        ('["a\tb"]', ShellForm('["a\tb"]')),
        ("[" * 20_000, ShellForm("[" * 20_000)),
        ('{"a": 1}', ShellForm('{"a": 1}')),
    ],
)
@pytest.mark.parametrize("keyword", ["RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK CMD"])
def test_forms_of_a_command(keyword, arguments, command):
    assert one(f"{keyword} {arguments}").command == command


@pytest.mark.parametrize(
    "keyword", ["RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK CMD", "SHELL", "COPY", "ADD", "VOLUME"]
)
@pytest.mark.parametrize(
    "array", ['["a", 1]', "[1.5]", '["a", null]', '[["a"]]', '["a", {}]', "[" + "9" * 5000 + "]"]
)
def test_an_item_that_is_no_string_is_an_error(keyword, array):
    error = refused(f"{keyword} {array}")
    assert "no string" in error.message
    assert pointed_at(error) == array


@pytest.mark.parametrize("keyword", ["CMD", "ENTRYPOINT"])
def test_an_empty_array_clears(keyword):
    assert one(f"{keyword} []").command == ExecForm(())


@pytest.mark.parametrize("line", ["RUN []", "HEALTHCHECK CMD", "HEALTHCHECK CMD []"])
def test_a_command_is_missing(line):
    assert "needs a command" in refused(line).message


def test_run_flags():
    run = one(
        "RUN --mount=type=tmpfs,target=/t --network=none --mount=target=/b --security=sandbox make --jobs=4"
    )
    assert run.command == ShellForm("make --jobs=4")
    assert [mount.text for mount in run.mounts] == ["type=tmpfs,target=/t", "target=/b"]
    assert (run.network, run.security) == ("none", "sandbox")
    assert one("RUN -- --x").command == ShellForm("--x")


@pytest.mark.parametrize(
    ("flag", "device"),
    [
        ("nvidia.com/gpu=0", ast.Device("nvidia.com/gpu=0")),
        ("nvidia.com/gpu=all,required", ast.Device("nvidia.com/gpu=all", required=True)),
        ("name=v/c=n,required=false", ast.Device("v/c=n")),
        ("v/c", ast.Device("v/c")),
    ],
)
def test_run_device(flag, device):
    assert one(f"RUN --device={flag} x").devices == (device,)


@pytest.mark.parametrize(
    ("line", "point", "hint"),
    [
        ("RUN --mout=type=cache,target=/a x", "--mout=type=cache,target=/a", "did you mean --mount?"),
        ("RUN --network=nonne x", "--network=nonne", "did you mean none?"),
        ("RUN --security=open x", "--security=open", "it is sandbox or insecure"),
        ("RUN --network x", "--network", "write --network=…"),
        ("RUN --network=none --network=host x", "--network=host", "keep one of them"),
        ("RUN --mount=type=cash,target=/a x", "--mount=type=cash,target=/a", "did you mean cache?"),
        ("RUN --device= x", "--device=", "VENDOR/CLASS=NAME"),
        ("RUN --device=a,b x", "--device=a,b", "name="),
        ("COPY --form=a b c", "--form=a", "did you mean --from?"),
        ("COPY --link=maybe b c", "--link=maybe", "true or false"),
        ("COPY --link --link b c", "--link", "keep one of them"),
        ("COPY --checksum=a b c", "--checksum=a", "COPY takes"),
        ("ADD --from=a b c", "--from=a", "ADD takes"),
        ("ADD --parents b c", "--parents", "ADD takes"),
        ("CMD --x y", "--x", "CMD has no flags"),
        ("ENV --a=b", "--a=b", "ENV has no flags"),
        ("ONBUILD --x RUN y", "--x", "ONBUILD has no flags"),
        ("COPY --from=$x a b", "--from=$x", "FROM $… AS name"),
        ("COPY --from=${x a b", "--from=${x", ""),
        ("HEALTHCHECK --interval=5 CMD x", "--interval=5", "30s"),
        ("HEALTHCHECK --timeout=1us CMD x", "--timeout=1us", ""),
        ("HEALTHCHECK --interval=-5s CMD x", "--interval=-5s", ""),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries=-1", "0 or more"),
        ("HEALTHCHECK --retries=two CMD x", "--retries=two", "0 or more"),
        ("HEALTHCHECK --retries=99999999999 CMD x", "--retries=99999999999", "0 or more"),
        ("HEALTHCHECK --intervall=5s CMD x", "--intervall=5s", "did you mean --interval?"),
    ],
)
def test_flags_refuse(line, point, hint):
    error = refused(line)
    assert pointed_at(error) == point
    assert hint in error.hint


def test_an_error_in_a_continued_line_points_into_that_line():
    error = refused("RUN --network=none \\\n   --network=host x\n")
    assert (error.where.line, error.where.column) == (3, 4)
    assert pointed_at(error) == "--network=host"


def test_quotes_and_escapes_in_a_flag():
    run = one("RUN --mount=type=bind,target=\"/a b\",source='c d',from=e\\ f x")
    assert run.mounts[0].text == "type=bind,target=/a b,source=c d,from=e f"
    assert run.command == ShellForm("x")


def test_the_escape_character_holds_in_flags_and_words():
    dockerfile = parse("# escape=`\nFROM a\nCOPY --chown=a`  b c\nENV d=e` f\n")
    copy, env = dockerfile.stages[0].instructions
    assert copy.transfer.chown == "a "
    assert env.pairs == (Pair("d", "e` f"),)


# -- here-documents ---------------------------------------------------------------------------------


def test_run_with_one_here_document_is_whole():
    run = one("RUN <<EOF\necho $a\nEOF")
    assert run.whole
    assert run.command == ShellForm("<<EOF")
    assert run.documents[0].content == "echo $a\n"


@pytest.mark.parametrize("line", ["RUN cat <<EOF", "RUN <<EOF cat", "RUN <<EOF <<EOF", "RUN 3<<EOF <<EOF"])
def test_run_with_more_than_a_here_document_is_not(line):
    documents = "EOF\n" * line.count("<<")
    assert not one(f"{line}\n{documents}").whole


def test_copy_here_documents_among_sources():
    transfer = one("COPY a <<B 'c' <<\"D e\" /f/\n1\nB\n2\nD e\n").transfer
    assert transfer.sources == ("a", "'c'")
    assert [(document.name, document.content) for document in transfer.documents] == [
        ("B", "1\n"),
        ("D e", "2\n"),
    ]
    assert [document.expand for document in transfer.documents] == [True, False]
    assert transfer.destination == "/f/"


@pytest.mark.parametrize("line", ["COPY a <<B", "COPY <<B", "ADD /d <<B"])
def test_a_here_document_is_no_destination(line):
    error = refused(f"{line}\nB\n")
    assert "destination" in error.message
    assert pointed_at(error) == "<<B"


# -- COPY and ADD -----------------------------------------------------------------------------------


def test_copy_flags():
    copy = one(
        "COPY --from=build --chown=1:2 --chmod=u=rwX,go=rX --link --parents"
        " --exclude=*.pyc --exclude=b a b/ /c/"
    )
    assert copy.origin == "build"
    assert copy.parents
    assert copy.transfer == ast.Transfer(
        ("a", "b/"), (), "/c/", "1:2", "u=rwX,go=rX", link=True, exclude=("*.pyc", "b")
    )


def test_add_flags():
    add = one("ADD --checksum=sha256:1 --keep-git-dir=true --unpack=FALSE --chmod=755 a /b")
    assert (add.checksum, add.keep_git_dir, add.unpack) == ("sha256:1", True, False)
    assert one("ADD a b").unpack is None
    assert one("ADD --unpack a b").unpack is True


def test_copy_from_an_array_may_have_blanks():
    transfer = one('COPY ["a b", "c", "/d e/"]').transfer
    assert (transfer.sources, transfer.destination) == (("a b", "c"), "/d e/")


@pytest.mark.parametrize("keyword", ["COPY", "ADD"])
@pytest.mark.parametrize("arguments", ["", "a", '["a"]', "[]", "--chown=1 a"])
def test_copy_needs_source_and_destination(keyword, arguments):
    assert f"{keyword} SOURCE" in refused(f"{keyword} {arguments}").hint


# -- the rest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("WORKDIR /a b", "path", "/a b"),
        ("USER $u:$g", "user", "$u:$g"),
        ("STOPSIGNAL SIGINT", "signal", "SIGINT"),
        ("MAINTAINER A <b@c>", "name", "A <b@c>"),
        ('SHELL ["/bin/bash", "-c"]', "arguments", ("/bin/bash", "-c")),
        ("EXPOSE 80 443/udp $p 8000-8010", "ports", ("80", "443/udp", "$p", "8000-8010")),
        ("VOLUME /a $b", "paths", ("/a", "$b")),
        ('VOLUME ["/a b", "/c"]', "paths", ("/a b", "/c")),
        ("VOLUME ['/a']", "paths", ("['/a']",)),
    ],
)
def test_plain_instructions(line, field, value):
    assert getattr(one(line), field) == value


@pytest.mark.parametrize(
    "line",
    [
        "WORKDIR",
        "USER",
        "STOPSIGNAL",
        "MAINTAINER",
        "SHELL",
        "SHELL /bin/sh -c",
        "SHELL []",
        "EXPOSE",
        "VOLUME",
        "VOLUME []",
        'VOLUME ["/a", ""]',
        "ONBUILD",
        "HEALTHCHECK",
        "HEALTHCHECK NONE x",
        "HEALTHCHECK curl x",
    ],
)
def test_plain_instructions_refuse(line):
    assert line.split()[0] in refused(line).message


def test_healthcheck():
    check = one(
        "HEALTHCHECK --interval=1m30s --timeout=10s --start-period=1.5h --start-interval=250ms --retries=3"
        " CMD curl -f http://localhost/ || exit 1"
    )
    assert check.command == ShellForm("curl -f http://localhost/ || exit 1")
    assert check[3:] == (90 * SECOND, 10 * SECOND, 5400 * SECOND, SECOND // 4, 3)
    assert one("healthcheck none").command is None
    assert one("HEALTHCHECK --interval=0 CMD x").interval == 0


def test_onbuild():
    trigger = one("ONBUILD   COPY --from=b <<A c /d\nx\nA\n")
    assert isinstance(trigger.trigger, ast.Copy)
    assert trigger.expression == "COPY --from=b <<A c /d\nx\nA"
    assert parse_trigger(trigger.expression, "x").transfer == trigger.trigger.transfer
    assert one("ONBUILD RUN a \\\n  b").expression == "RUN a   b"


@pytest.mark.parametrize("inner", ["ONBUILD RUN a", "FROM a", "MAINTAINER a", "onbuild run a"])
def test_onbuild_refuses_these_triggers(inner):
    error = refused(f"ONBUILD {inner}")
    assert "cannot be a trigger" in error.message
    assert pointed_at(error) == inner.split()[0]


def test_onbuild_checks_its_trigger():
    assert refused("ONBUILD RUNN a").hint == "did you mean RUN?"  # codespell:ignore
    assert pointed_at(refused("ONBUILD COPY --form=a b c")) == "--form=a"


@pytest.mark.parametrize("text", ["", "RUN a\nRUN b", "RUNN a"])  # codespell:ignore
def test_a_trigger_of_an_image_is_one_instruction(text):
    with pytest.raises(InvalidError):
        parse_trigger(text, "ONBUILD of x")
