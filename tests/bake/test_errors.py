# ruff: noqa: E501
"""What is wrong with a bake file is said with its place, and with what may have been meant."""

import pytest

from tiffin.bake.environment import Outside
from tiffin.bake.files import File
from tiffin.bake.load import load
from tiffin.bake.selection import select
from tiffin.errors import TiffinError


def failure(text, *targets, name="b.hcl", environ=None, overrides=()):
    def act():
        loaded = load([File(name, text)], Outside({}, environ or {}), {}, "")
        select(loaded.config, targets or ("default",), overrides)

    with pytest.raises(TiffinError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ('target "a" {\n  tag = ["x"]\n}', "2:3-6", "a target has no attribute 'tag'", "did you mean tags?"),
        ('targets "a" {}', "1:1-14", "there are no blocks of the kind 'targets'", "did you mean target?"),
        ('target "a" { tags = [VERSION_] }\nvariable "VERSION" {}', "1:22-30", "there is no variable VERSION_", "did you mean VERSION?"),
        ('A = upperx("x")', "1:5-11", "there is no function upperx", "did you mean upper?"),
        ('A = upper("x", "y")', "1:5-20", "upper takes 1 argument, and was given 2", ""),
        ('A = upper(["x"])', "1:5-17", "argument 1 of upper: a string is needed, and this is a list", ""),
        ("A = [1, 2][5]", "1:11-14", "there is no element 5 in a list of 2", ""),
        ("A = { b = 1 }.c", "1:14-16", "there is no c in this map", "there are: b"),
        ('A = target.x.tags\ntarget "y" {}', "1:5-11", "there is no target x", ""),
        ("A = 1 / 0", "1:5-10", "a number is divided by zero", ""),
        ('A = "a" + 1', "1:5-8", "a number is needed, and this is 'a'", ""),
        ('A = "x${null}"', "1:9-13", "in a string, a string is needed, and this is null", ""),
        ('A = true ? "a" : ["b"]', "1:5-23", "the two results must be of one kind: one is a string, the other a list", ""),
        ('A = "open', "1:5-6", "the string has no closing quote on its line", "write \\n for a newline, or use a here-document: <<EOT"),
        ("A = <<EOT\nx", "1:5-10", "the here-document has no end", "its last line is EOT, alone"),
        ('A = "\\q"', "1:6-8", "\\q is no escape in a string", 'the escapes are \\n \\r \\t \\" \\\\ \\uXXXX'),
        ("A = 'x'", "1:5-6", "the character \"'\" means nothing here", 'strings are written in double quotes, "like this"'),
        ('target "a" {\n', "2:1-2", "a block is not closed with }", ""),
        ("}", "1:1-2", "this } closes nothing", ""),
        ("A = 1 B = 2", "1:7-8", "the line must end behind the value of A, and here is 'B'", "one attribute a line; several need { and } on lines of their own"),
        ("A = 1\nA = 2", "2:1-2", "A was already set in line 1", ""),
        ('A = "%{ if true }x"', "1:6-18", "%{ if } needs its %{ endif }", ""),
        ('A = "x%{ endif }"', "1:7-17", "%{ endif } has nothing that it belongs to", ""),
        ('variable "V" {\n  type = stringx\n}', "2:10-17", "this is no type", "types are string, number, bool, any, list(…), set(…), map(…), object({…}), tuple([…])"),
        ('group "g" {}', "1:7-10", "the group g has no targets", ""),
        ('target "a b" {}', "1:8-13", "'a b' cannot be the name of a target or group", "names have letters, digits, - and _; sanitize() replaces everything else"),
        ('target "a" { tags = "x" }', "1:21-24", "tags: a list is needed, and this is a string; write [ ] around it", ""),
        ('target "a" { secret = ["src=x"] }', "1:23-32", "secret: the secret has no id", ""),
        ('target "a" { output = ["type=local"] }', "1:23-37", "output: type=local needs dest=FOLDER", ""),
        ('target "a" { name = "x" }', "1:14-18", "a name is for targets with a matrix", "the name of the target is a; leave name away"),
        ('target "a" { matrix = { v = ["1", "2"] } }', "1:8-11", "the matrix makes two targets named a", 'give them names with what differs: name = "app-${item}"'),
        ('function "f" {\n  params = [1]\n  result = 1\n}', "2:13-14", "the name of a parameter is needed", ""),
        ('function "f" { result = 1 }', "1:1-15", "the function has no params", ""),
        ('A = bcrypt("x")', "1:5-11", "there is no function bcrypt", "hash it beforehand and hand it over as a variable"),
    ],
)  # fmt: skip
def test_wrong_files(text, place, message, hint):
    error = failure(text)
    where = error.where
    assert (f"{where.line}:{where.column}-{where.end_column}", error.message) == (place, message)
    assert error.hint == hint
    assert where.file == "b.hcl"
    assert where.text == text.split("\n")[where.line - 1]


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("A = B\nB = C\nC = A", "A → B → C → A"),
        ('variable "A" { default = A }', "A → A"),
        ('target "x" { tags = target.y.tags }\ntarget "y" { tags = target.x.tags }', "target.x.tags → target.y.tags → target.x.tags"),
        ('function "f" {\n  params = []\n  result = g()\n}\nfunction "g" {\n  params = []\n  result = f()\n}', "f → g → f"),
        ('target "default" { inherits = ["a"] }\ntarget "a" { inherits = ["default"] }', "default → a → default"),
        ('target "default" { contexts = { a = "target:a" } }\ntarget "a" { contexts = { d = "target:default" } }', "default → a → default"),
        ('target "default" { contexts = { me = "target:default" } }', "default → default"),
    ],
)  # fmt: skip
def test_cycles_are_named(text, way):
    error = failure(text)
    assert error.code == "bake-cycle"
    assert error.message.endswith(way)


def test_unknown_targets_get_the_nearest_name():
    error = failure('target "web" {}\ntarget "api" {}', "wab")
    assert (error.message, error.hint) == ("there is no target wab", "did you mean web?")
    assert failure('target "web" {}').hint == "there are: web"
    assert "no target matches x*" in failure('target "web" {}', "x*").message
    assert failure('target "default" { inherits = ["bas"] }\ntarget "base" {}').hint == "did you mean base?"


@pytest.mark.parametrize(
    "text",
    [
        "A = " + "[" * 5000,
        "A = " + "-" * 5000 + "1",
        "A = " + '"${' * 5000,
        "A = " + "(" * 61 + "1" + ")" * 61,
        "A = " + "true ? 1 : " * 200 + "2",
        "b {" * 2000,
        "A = [for a in range(1000): [for b in range(1000): [for c in range(1000): 1]]]",
        'A = join("", [for a in range(1024): B])\nB = join("", [for a in range(1024): "0123456789"])',
        'A = replace(B, "0", B)\nB = join("", [for a in range(1000): "000"])',
        "A = 1e9999999999",
        "A = pow(10, 400)",
        'A = cidrsubnets("10.0.0.0/8", 40)',
        "A = <<E\n" + "%{ if true }" * 5000 + "\nE\n",
        "\n".join(f"A{n} = A{n + 1}" for n in range(5000)) + "\nA5000 = 1",
        "\n".join(f'target "t{n}" {{ inherits = ["t{n + 1}"] }}' for n in range(5000)) + '\ntarget "t5000" {}\ngroup "default" { targets = ["t0"] }',
        "\n".join(f'function "f{n}" {{\n  params = []\n  result = f{n + 1}()\n}}' for n in range(2000)),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_would_take_all_of_the_machine_is_refused(text):
    assert failure(text).message


def test_try_does_not_hide_that_too_much_was_asked():
    loop = "[for a in range(1000): [for b in range(1000): [for c in range(1000): 1]]]"
    assert failure(f"A = try({loop}, 1)").code == "bake-too-much"


def test_long_chains_do_not_nest():
    text = "A = " + " + ".join(["1"] * 5000) + "\nB = C" + "[0]" * 50 + "\nC = " + "[" * 50 + "]" * 50
    assert "there is no element 0 in a list of 0" in failure(text).message
    loaded = load(
        [File("b.hcl", 'variable "A" { default = ' + "+".join(["1"] * 5000) + " }")], Outside({}, {}), {}, ""
    )
    assert int(loaded.variables[0].value) == 5000


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ('{"target": {"a": {"tags": ["${NO}"]}}}', "1:28-35", "there is no variable NO"),
        ('{"target": {\n "a": {"tag": []}}}', "2:8-13", "a target has no attribute 'tag'"),
        ('{"a": 1,}', "1:9-10", "a name in double quotes is needed here"),
        ('{"a": 01}', "1:8-9", "',' or '}' is needed here"),
        ('{"a": nul}', "1:7-8", "a value is needed here"),
        ('{"a": "x\n"}', "1:9-10", "the string is not valid: Invalid control character at"),
        ('{"a": 1} x', "1:10-11", "the object ends before this"),
        ("[]", "1:1-3", "a bake file in JSON is an object: {…}"),
        ('{"target": {"a": []}, "A": ' + "[" * 100 + "]" * 100 + "}", "1:88-89", "this is nested more than 60 times"),
        ('{"target": "x"}', "1:12-15", "an object is needed here: {…}"),
    ],
)  # fmt: skip
def test_wrong_json(text, place, message):
    error = failure(text, name="b.json")
    where = error.where
    assert (f"{where.line}:{where.column}-{where.end_column}", error.message) == (place, message)


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("services:\n  a:\n    build:\n      contxt: .\n", 4, "build has no 'contxt'", "did you mean context?"),
        ("services:\n  a:\n    build:\n      x-bake:\n        tagz: [x]\n", 5, "x-bake has no 'tagz'", "did you mean tags?"),
        ("services:\n  a:\n    build:\n      ulimits: 5\n", 4, "ulimits: a map is needed", ""),
        ("services:\n  a:\n    build:\n      shm_size: big\n", 4, "shm_size: 'big' is not a size like 128m", ""),
        ("services:\n  a:\n    build: [x]\n", 3, "build is a folder, or a map", ""),
        ("services:\n  a:\n    build: ${X?is needed}\n", 3, "the variable X is not set: is needed", ""),
        ("services:\n  a:\n    build: ${X!}\n", 3, "'${X!}' is no variable", "the forms are ${X:-word}, ${X:+word}, ${X:?why}"),
        ("services:\n  a:\n    extends: b\n    build: .\n  b:\n    extends: a\n", 3, "services extend each other: a → b → a", ""),
        ("services:\n  a:\n    build:\n      secrets: [s]\nsecrets:\n  s:\n    external: true\n", 4, "secrets: the secret s is external, and there is nobody to ask for it", ""),
        ("services: [\n", 2, "this is no YAML: did not find expected node content", ""),
        ("x-a: 1\n", 1, "a Compose file needs services", ""),
        ("- x\n", 1, "a Compose file is a map with services", ""),
        ("services:\n  a b:\n    build: .\n", 3, "'a b' cannot be the name of a target or group", "names have letters, digits, - and _; sanitize() replaces everything else"),
    ],
)  # fmt: skip
def test_wrong_compose_files(text, line, message, hint):
    error = failure(text, name="compose.yaml")
    assert (error.message, error.hint) == (message, hint)
    assert error.where.line == line


def test_aliases_cannot_stand_for_too_much():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    error = failure("\n".join([*lines, "services: {}"]), name="c.yaml")
    assert error.code == "bake-too-much"
