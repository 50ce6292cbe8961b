# ruff: noqa: E501
"""Laws of the readers: whatever text they are given, they return a value or say what is wrong."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tiffin.bake.compose.document import Document
from tiffin.bake.compose.interpolate import interpolate, parse_dotenv
from tiffin.bake.definitions import Definitions
from tiffin.bake.environment import Outside
from tiffin.bake.files import File
from tiffin.bake.functions import table
from tiffin.bake.functions.encoding import from_json, to_json
from tiffin.bake.functions.versions import satisfies
from tiffin.bake.jsonfile import parse_json
from tiffin.bake.language.evaluate import Scope, evaluate
from tiffin.bake.language.parser import parse
from tiffin.bake.language.values import BadValueError, write_number
from tiffin.bake.load import load
from tiffin.errors import TiffinError

PIECES = [
    'target "a" {', "}", "\n", " ", "tags", "=", "[", "]", "(", ")", "{", '"', "${", "%{", "~}", "x", "for", "in",
    "if", "else", "endif", "endfor", ":", "?", ",", "...", "=>", "<<EOT\n", "<<-E\n", "EOT\n", "E\n", "\\", "$${", "%%{",
    "#", "//", "/*", "*/", "1", "1.5e3", "-", "!", "&&", "||", "==", ".", "*", "/", "%", "<", "null", "true", "é", "\r\n",
    'variable "v" {', "default", 'function "f" {', "params", "result", "upper(", "range(9)", "try(", "v", "f(", "target.a.tags",
]  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8) | st.decimals(allow_nan=False, allow_infinity=False, places=3),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


def tolerant(act):
    with suppress(TiffinError):
        act()


@given(TEXTS)
@example("A = <<E\n${")
@example('A = "%{ if')
def test_hcl_is_read_or_refused(text):
    tolerant(lambda: parse(text, "b.hcl"))


@given(TEXTS)
def test_hcl_is_worked_out_or_refused(text):
    tolerant(lambda: load([File("b.hcl", text)], Outside({}, {}), {}, ""))


@given(TEXTS | VALUES.map(to_json))
def test_json_is_read_or_refused(text):
    tolerant(lambda: parse_json(text, "b.json"))
    tolerant(lambda: load([File("b.json", text)], Outside({}, {}), {}, ""))


@given(st.text() | st.lists(st.sampled_from(["services:\n", "  a:\n", "    build: ", "$", "${", "}", "X", ":-", "&a", "*a", "\n"])).map("".join))  # fmt: skip
def test_compose_files_are_read_or_refused(text):
    tolerant(lambda: Document(text, "c.yaml", {}))
    tolerant(lambda: load([File("c.yaml", text)], Outside({}, {}), {}, ""))
    tolerant(lambda: parse_dotenv(text, {}))


@given(VALUES)
def test_json_gives_back_what_it_was_made_of(value):
    assert to_json(from_json(to_json(value))) == to_json(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40, places=20))
def test_numbers_are_written_so_that_they_can_be_read(number):
    text = write_number(number)
    assert "E" not in text
    assert Decimal(text) == number


# JSON knows two more escapes than HCL.
@given(st.text(st.characters(exclude_characters="\b\f", exclude_categories=["Cs"])))
@example("\\b")
def test_a_quoted_text_is_that_text(text):
    quoted = to_json(text).replace("${", "$${").replace("%{", "%%{")
    expression = parse(f"A = {quoted}", "b.hcl").attributes["A"].expression
    assert evaluate(expression, Scope(Definitions([], Outside({}, {}), {}))) == text


@given(st.sampled_from(sorted(table.TABLE)), st.lists(VALUES, max_size=4))
def test_functions_give_a_value_or_say_what_they_need(name, arguments):
    with suppress(BadValueError):
        table.call(name, arguments)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A-${A}", "1-1"),
        ("$$A $${A}", "$A ${A}"),
        ("${B:-x}${E:-y}${E-z}", "xy"),
        ("${A:+set}${E:+no}${E+yes}", "setyes"),
        ("${B:-${C:-${A}}}", "1"),
        ("${B:-a}b}", "ab}"),
        ("${A?needed}", "1"),
        ("no", "no"),
    ],
)
def test_variables_in_compose_files(text, value):
    assert interpolate(text, {"A": "1", "E": ""}) == value


def test_dotenv_files():
    text = 'A=1\nexport B = 2 # no\nC=\'$A #\'\nD="x\\n${A}\\$"\n\n# c\nE=\nF\nG: yaml\nH="two\nlines"\n'
    wanted = {
        "A": "1",
        "B": "2",
        "C": "$A #",
        "D": "x\n1$",
        "E": "",
        "F": "f",
        "G": "yaml",
        "H": "two\nlines",
    }
    assert parse_dotenv(text, {"F": "f"}) == wanted


@pytest.mark.parametrize(
    ("version", "constraint", "fits"),
    [
        ("1.2.3", ">= 1.2, < 2", True),
        ("2.0.0", ">= 1.2, < 2", False),
        ("v1.2.3", "~1.2", True),
        ("1.3.0", "~1.2", False),
        ("1.9.0", "^1.2", True),
        ("0.3.0", "^0.2", False),
        ("1.2.3", "1.2.x || 3.*", True),
        ("3.0.0", "1.2.x || 3.*", True),
        ("1.2.3-rc.1", ">1", False),
        ("1.2.3-rc.2", ">=1.2.3-rc.1", True),
        ("1.2.3", "!=1.2.3", False),
        ("1.5.0", "1.2 - 1.6", True),
        ("1.6.9", "<=1.6", True),
        ("1.7.0", ">1.6", True),
    ],
)
def test_semvercmp(version, constraint, fits):
    assert satisfies(version, constraint) is fits


def test_what_comes_from_outside_is_asked_for_once_it_is_needed():
    asked = []
    outside = Outside({}, {}, {"timestamp": lambda: asked.append(1) or "2020-01-01T00:00:00Z"})
    files = [File("b.hcl", 'A = formatdate("YYYY", timestamp())\ntarget "t" { tags = [A] }')]
    assert load(files, outside, {}, "").config.targets[0].texts("tags") == ("2020",)
    assert asked == [1]
