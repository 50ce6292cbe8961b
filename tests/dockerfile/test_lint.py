"""Lint rules as values, what silences them, and the lines that are shown of a file."""

import pytest

from tiffin.dockerfile.lint import rules
from tiffin.dockerfile.lint.linter import Linter
from tiffin.dockerfile.lint.options import BUILD_ARG, Options, parse_options
from tiffin.dockerfile.parser import parse
from tiffin.dockerfile.source import Source
from tiffin.errors import InvalidError

CMD, ARGS = rules.JSON_ARGS_RECOMMENDED, rules.INVALID_DEFINITION_DESCRIPTION


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", Options()),
        ("skip=A", Options(frozenset("A"))),
        (" skip = A , B ; error = true ", Options(frozenset("AB"), error=True)),
        ("error=1;experimental=all", Options(error=True, experimental=frozenset({"all"}))),
        ("error=F", Options()),
    ],
)
def test_options(text, options):
    assert parse_options(text) == options


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("skp=A", "invalid check option 'skp'", "did you mean skip?"),
        ("A", "invalid check option 'A'", "write check="),
        ("skip=A;", "invalid check option ''", "write check="),
        ("error=yes", "invalid value 'yes'", "true or false"),
    ],
)
def test_options_that_are_none(text, message, hint):
    with pytest.raises(InvalidError) as caught:
        parse_options(text)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "rule", "allowed"),
    [
        ("", CMD, True),
        ("skip=JSONArgsRecommended", CMD, False),
        ("skip=all", CMD, False),
        ("skip=StageNameCasing", CMD, True),
        ("", ARGS, False),
        ("experimental=all", ARGS, True),
        ("experimental=InvalidDefinitionDescription;skip=all", ARGS, True),
        ("experimental=CopyIgnoredFile", ARGS, False),
    ],
)
def test_which_rules_are_wanted(text, rule, allowed):
    assert parse_options(text).allows(rule) is allowed


def linter(text, **given):
    return Linter.of(parse(text), given)


def test_the_directive_counts_up_to_a_blank_and_the_build_argument_in_its_place():
    text = "# syntax=x\n# check=skip=A // that is why\nFROM scratch\n"
    assert linter(text).options.skip == {"A"}
    assert linter(text, **{BUILD_ARG: "skip=B"}).options.skip == {"B"}
    assert linter("FROM scratch\n# check=skip=A\n").options == Options()


def test_a_wrong_directive_is_pointed_at():
    with pytest.raises(InvalidError) as caught:
        linter("# syntax=x\n# check=skp=A\nFROM scratch\n")
    assert (caught.value.where.line, caught.value.where.text) == (2, "# check=skp=A")


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# check=skip=JSONArgsRecommended", False),
        ("# because\n# check=skip=JSONArgsRecommended because", False),
        ("# check=skip=all", False),
        ("# check=skip=UndefinedVar", True),
        ("# check=nonsense", True),
        ("# check=skip=JSONArgsRecommended\n#", True),
    ],
)
def test_a_comment_right_above_silences_one_instruction(comment, said):
    text = f"FROM scratch\n{comment}\nCMD a\nENTRYPOINT b\n"
    dockerfile = parse(text)
    found = Linter.of(dockerfile, {})
    for instruction in dockerfile.stages[0].instructions:
        found.report(CMD, instruction.span, "X")
    assert [each.span.text for each in found.findings] == ["CMD a"] * said + ["ENTRYPOINT b"]


def test_findings_are_in_the_order_of_lines_and_said_once():
    lines = Source.of("a\nb\nc\n", "D")
    found = Linter()
    for number in (3, 1, 3):
        found.report(CMD, lines.whole_line(number), "X")
    found.report(rules.UNUSED_BUILD_ARG, None, "A", "hint")
    assert [each.span and each.span.line for each in found.findings] == [None, 1, 3]
    assert found.findings[1].short.startswith("JSONArgsRecommended: JSON arguments recommended for X ")


def test_only_rules_of_buildkit_fail_a_build():
    found = Linter(Options(error=True))
    found.report(rules.UNUSED_BUILD_ARG, None, "A", "hint")
    assert found.failing == []
    found.report(CMD, None, "X")
    found.report(rules.UNDEFINED_VAR, None, "X", "")
    assert found.failing == ["JSONArgsRecommended", "UndefinedVar"]
    assert Linter().failing == []


def test_names_of_rules_are_theirs_alone():
    assert len({rule.name for rule in rules.RULES}) == len(rules.RULES)
    assert CMD.url == "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
    assert rules.UNUSED_BUILD_ARG.url == ""


@pytest.mark.parametrize(
    ("count", "start", "end", "first", "last"),
    [
        (9, 5, 5, 3, 7),
        (9, 1, 1, 1, 3),
        (9, 9, 9, 7, 10),  # what follows the last line ending is a line too
        (9, 4, 6, 3, 7),
        (1, 1, 1, 1, 2),
    ],
)
def test_lines_around_a_place(count, start, end, first, last):
    shown = Source.of("x\n" * count, "D").excerpt(start, end)
    assert (shown.first, shown.first + len(shown.lines) - 1) == (first, last)
    assert (shown.start, shown.end) == (start, end)
