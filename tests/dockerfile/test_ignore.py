"""Docker's rules for .dockerignore, which differ from git's: tables, and the algorithm as documented."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiffin.dockerfile.ignore import IgnoreRules
from tiffin.errors import InvalidError


def ignored(text, path):
    return IgnoreRules.parse(text).match(path)


@pytest.mark.parametrize(
    ("text", "path", "result"),
    [
        ("", "a", False),
        ("a", "a", True),
        ("a", "b/a", False),  # from the root of the context, not at any depth
        ("a", "a/b/c", True),  # all that is below it
        ("a", "ab", False),
        ("/a", "a", True),
        ("a/", "a", True),  # a final slash means nothing: files match as well
        ("./a", "a", True),
        ("b/../a", "a", True),
        ("/a//b/", "a/b", True),
        ("../a", "a", False),
        ("  a  ", "a", True),
        ("\ta\r", "a", True),
        ("a b", "a b", True),
        ("#a", "#a", False),
        (" #a", "#a", True),  # only at the very beginning of the line is it a comment
        ("\ufeff#a", "#a", False),
        ("\ufeffa", "a", True),
        (".", "a", False),
        ("/", "a", False),
        ("*", "a/b", True),
        ("*", ".a", True),  # a leading dot is nothing special
        ("*.pyc", "a.pyc", True),
        ("*.pyc", "b/a.pyc", False),
        ("*/a", "b/a", True),
        ("*/a", "c/b/a", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a.c", "abc", False),
        ("a+(b){1}|$", "a+(b){1}|$", True),
        ("**", "a/b", True),
        ("**", "", False),  # the context itself stays
        ("**/a", "a", True),  # zero directories too
        ("**/a", "b/c/a", True),
        ("**/a", "b/c/a/d", True),
        ("**/a", "ba", False),
        ("**/*.pyc", "a.pyc", True),
        ("**/*.pyc", "b/c/a.pyc", True),
        ("a/**", "a", False),  # the directory itself stays
        ("a/**", "a/b/c", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/xb", False),
        ("**/a/**/b", "x/a/y/z/b", True),
        ("*/**", "a/b", True),
        ("*/**", "a", False),
        ("[ab]c", "bc", True),
        ("[a-c]x", "bx", True),
        ("[^a]c", "bc", True),
        ("[^a]c", "ac", False),
        ("[!a]c", "ac", True),  # no negation: a ! or an a
        ("[!a]c", "bc", False),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("\\!a", "!a", True),
        ("\\#a", "#a", True),
        ("**name", "my-name", True),  # an oddity of Docker's
        ("ünï", "ünï", True),
        ("?", "é", True),
    ],
)
def test_one_pattern(text, path, result):
    assert ignored(text, path) is result


@pytest.mark.parametrize(
    ("lines", "path", "result"),
    [
        (["*", "!a"], "a", False),
        (["*", "!a"], "a/b", False),
        (["*", "!a"], "b", True),
        (["!a", "*"], "a", True),  # the last match counts
        (["a", "!a/b"], "a/b", False),  # below a directory that is left out
        (["a", "!a/b"], "a/c", True),
        (["a", "!a/b", "a/b/c"], "a/b/c", True),
        (["a", "!a/b/c"], "a/b/c", False),
        (["*.md", "!README*.md", "README-secret.md"], "README-secret.md", True),
        (["*.md", "!README*.md", "README-secret.md"], "README-x.md", False),
        (["*.md", "README-secret.md", "!README*.md"], "README-secret.md", False),
        (["**/*.py", "!**/keep.py"], "a/b/keep.py", False),
        (["! a", "a"], "a", True),
        (["a", "! a"], "a", False),
        (["a", "!/a/"], "a", False),
        (["a", "!!a"], "a", True),  # the second ! is part of the name
        (["data", "!data/*.csv"], "data/x.csv", False),
        (["data", "!data/*.csv"], "data/y/x.csv", True),
        (["data", "!**/*.csv"], "data/y/x.csv", False),
    ],
)
def test_exceptions(lines, path, result):
    assert ignored("\n".join(lines), path) is result


def test_the_rule_that_decides_is_told():
    rules = IgnoreRules.parse("# notes\n\n*.ipynb\ndata/\n!data/keep\n", "Dockerfile.dockerignore")
    rule = rules.explain("data/raw/x.csv")
    assert (rule.file, rule.line, rule.text) == ("Dockerfile.dockerignore", 4, "data/")
    assert rules.explain("a.ipynb").line == 3
    assert rules.explain("data/keep") is None
    assert rules.explain("train.py") is None


def test_rules_are_false_when_there_are_none():
    assert not IgnoreRules.parse("# only words\n\n")
    assert IgnoreRules.parse("a")


@pytest.mark.parametrize(
    ("lines", "directory", "result"),
    [
        (["a"], "a", False),
        (["a", "!b"], "a", False),
        (["a", "!a/b"], "a", True),
        (["!a/b", "a"], "a", False),  # what comes before cannot bring back
        (["a", "!a/b/c"], "a/b", True),
        (["a", "!a/b/c"], "a/x", False),
        (["a", "!ab/c"], "a", False),
        (["a", "!**/c"], "a", True),
        (["a", "!*/c"], "a", True),
        (["a", "!*/c"], "a/b", False),
        (["a", "!a*/b"], "a", True),
        (["a", "![ab]/c"], "a", True),
        (["*", "!a"], "b", False),
    ],
)
def test_a_directory_is_walked_only_if_something_in_it_could_stay(lines, directory, result):
    rules = IgnoreRules.parse("\n".join(lines))
    assert rules.match(directory)
    assert rules.may_contain(directory) is result


@pytest.mark.parametrize(
    "pattern", ["[", "a[", "[]", "a\\", "!", "! ", "[a-", "[z-a]", "\\d", "\\é", "[[:x:]]"]
)
def test_a_bad_pattern_is_an_error_with_its_line(pattern):
    with pytest.raises(InvalidError) as caught:
        IgnoreRules.parse(f"fine\n  {pattern}\n")
    where = caught.value.where
    assert (where.file, where.line, where.column) == (".dockerignore", 2, 3)


@pytest.mark.parametrize(
    ("pattern", "path", "result"),
    [
        ("[[:digit:]]x", "7x", True),
        ("[[:digit:]]x", "ax", False),
        ("[a.]x", ".x", True),
        ("[.]x", "ax", False),
        ("[*]x", "*x", False),  # Docker replaces the star in there as well
        ("*^a", "b^a", False),  # and leaves ^ to its regular expressions
        ("[a&&b]x", "&x", True),
        ("[a~~b]x", "~x", True),
    ],
)
def test_oddities_of_docker(pattern, path, result):
    assert ignored(pattern, path) is result


def test_deep_paths_are_no_trouble():
    path = "/".join(["d"] * 1900)
    assert ignored("d/" * 5 + "x", path) is False
    assert ignored("**/d", path) is True


# -- the algorithm as documented --------------------------------------------------------------------


def component(pattern, name):
    if not pattern:
        return not name
    if pattern[0] == "*":
        return component(pattern[1:], name) or bool(name and component(pattern, name[1:]))
    return bool(name) and pattern[0] in ("?", name[0]) and component(pattern[1:], name[1:])


def whole_path(pattern, names):
    """Match components against names; `**` is any number of them, at the end at least one."""
    if not pattern:
        return not names
    if pattern == ["**"]:
        return bool(names)
    if pattern[0] == "**":
        return any(whole_path(pattern[1:], names[skip:]) for skip in range(len(names) + 1))
    return bool(names) and component(pattern[0], names[0]) and whole_path(pattern[1:], names[1:])


def with_parents(paths):
    return {path[:length] for path in paths for length in range(1, len(path) + 1)}


def walk(lines, paths):
    """Docker's walk: a directory hands its matches down; a rule that could change nothing is skipped."""
    rules = [(line.startswith("!"), line.lstrip("!").split("/")) for line in lines]
    found = {}
    states = {(): [False] * len(rules)}
    for path in sorted(with_parents(paths)):
        out = False
        state = []
        for (keeps, pattern), above in zip(rules, states[path[:-1]], strict=True):
            matched = above or (keeps == out and whole_path(pattern, list(path)))
            state.append(matched)
            if matched:
                out = not keeps
        states[path] = state
        found[path] = out
    return found


names = st.sampled_from(["a", "b", "ab", "ba", ".a"])
tree = st.lists(st.lists(names, min_size=1, max_size=4).map(tuple), max_size=8)
components = st.sampled_from(["a", "b", "ab", "*", "a*", "?", "*b", "**", ".*"])
lines = st.tuples(st.sampled_from(["", "", "!"]), st.lists(components, min_size=1, max_size=4)).map(
    lambda parts: parts[0] + "/".join(parts[1])
)


@settings(max_examples=400)
@given(st.lists(lines, max_size=6), tree)
def test_random_trees(rule_lines, paths):
    rules = IgnoreRules.parse("\n".join(rule_lines))
    expected = walk(rule_lines, paths)
    assert {path: rules.match("/".join(path)) for path in expected} == expected


@settings(max_examples=400)
@given(st.lists(lines, max_size=6), tree)
def test_nothing_below_a_pruned_directory_would_stay(rule_lines, paths):
    rules = IgnoreRules.parse("\n".join(rule_lines))
    kept = {path for path, out in walk(rule_lines, paths).items() if not out}
    for path in with_parents(paths):
        name = "/".join(path)
        if rules.match(name) and not rules.may_contain(name):
            assert not [other for other in kept if other[: len(path)] == path]


@settings(max_examples=300)
@given(
    st.text(alphabet="a/*?[]^-!\\.#: \n\r{é\x00\ud880", max_size=20),
    st.text(alphabet="a/b.", min_size=1, max_size=6),
)
def test_any_text_is_rules_or_an_error(text, path):
    try:
        rules = IgnoreRules.parse(text)
    except InvalidError as error:
        where = error.where
    else:
        rules.match(path.strip("/") or "a")
        return
    assert where is not None
