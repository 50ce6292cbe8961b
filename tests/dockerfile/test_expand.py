"""Variable expansion: every modifier of the reference, and a shell's own answers where they overlap."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiffin.dockerfile.expand import expand, expand_document, expand_words
from tiffin.errors import InvalidError

VARIABLES = {
    "x": "value",
    "empty": "",
    "path": "/usr/lib/a.tar.gz",
    "two": "one two",
    "стол": "table",
    "star": "a*b",
}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$x", "value"),
        ("${x}", "value"),
        ("$x.y", "value.y"),
        ("$xy", ""),
        ("${x}y", "valuey"),
        ("$x$x", "valuevalue"),
        ("$", "$"),
        ("$.", "$."),
        ("a$", "a$"),
        ("$ x", "$ x"),
        ("$стол", "table"),
        ("$1x", "x"),
        ("$?", ""),
        # set, empty and unset
        ("${x:-w}", "value"),
        ("${empty:-w}", "w"),
        ("${unset:-w}", "w"),
        ("${x-w}", "value"),
        ("${empty-w}", ""),
        ("${unset-w}", "w"),
        ("${x:+w}", "w"),
        ("${empty:+w}", ""),
        ("${unset:+w}", ""),
        ("${x+w}", "w"),
        ("${empty+w}", "w"),
        ("${unset+w}", ""),
        ("${x:?m}", "value"),
        ("${x?m}", "value"),
        ("${empty?m}", ""),
        # nesting
        ("${unset:-${x}}", "value"),
        ("${unset:-${gone:-${x:+deep}}}", "deep"),
        ("${unset:-a $x b}", "a value b"),
        ("${unset:-}", ""),
        ("v${x:+-$x}.gz", "v-value.gz"),
        ("${unset:-a\\}b}", "a}b"),
        # patterns
        ("${path#*/}", "usr/lib/a.tar.gz"),
        ("${path##*/}", "a.tar.gz"),
        ("${path%.*}", "/usr/lib/a.tar"),
        ("${path%%.*}", "/usr/lib/a"),
        ("${path#/???}", "/lib/a.tar.gz"),
        ("${path#lib}", "/usr/lib/a.tar.gz"),
        ("${path%}", "/usr/lib/a.tar.gz"),
        ("${path#}", "/usr/lib/a.tar.gz"),
        ("${star#*\\*}", "b"),
        ("${star%\\**}", "a"),
        ("${x#$empty}", "value"),
        ("${x#${x}}", ""),
        ("${unset#*}", ""),
        # replacement
        ("${path/\\//-}", "-usr/lib/a.tar.gz"),
        ("${path//\\//-}", "-usr-lib-a.tar.gz"),
        ("${path/lib/$x}", "/usr/value/a.tar.gz"),
        ("${path//a/}", "/usr/lib/.tr.gz"),
        ("${path/a*/b}", "/usr/lib/b"),
        ("${path/./_}", "/usr/lib/a_tar.gz"),
        ("${path//./_}", "/usr/lib/a_tar_gz"),
        ("${star/\\*/x}", "axb"),
        ("${x//nothing/y}", "value"),
        ("${path//\\//\\/}", "\\/usr\\/lib\\/a.tar.gz"),
        # quotes and escapes
        ("'$x'", "$x"),
        ('"$x"', "value"),
        ("\\$x", "$x"),
        ('"\\$x"', "$x"),
        ("a\\ b", "a b"),
        ('"a\\b"', "a\\b"),
        ("a\\b", "ab"),
        ('"a\\"b"', 'a"b'),
        ("'a\\b'", "a\\b"),
        ("\"'$x'\"", "'value'"),
        ("'\"'", '"'),
        ("\\\\$x", "\\value"),
        ("a\\", "a"),
        ("\"a b\"c'd e'", "a bcd e"),
        ('${unset:-"a b"}', "a b"),
        ("${unset:-'$x'}", "$x"),
        ('"${unset:-"in"}"', "in"),
    ],
)
def test_expansion(word, text):
    assert expand(word, VARIABLES).text == text


@pytest.mark.parametrize(
    "word",
    [
        *("${", "${}", "${x", "${x:", "${x:-", "${x:-${y}", "${:x}", "${{x}", "${x!}", "${-a}", '"${x'),
        *("${x=a}", "${x:=a}", "${x:x}", "${x:#a}", "${x^}", "'a", '"a', "${x:-'}"),
        *("${x/a}", "${x//}", "${x/a/b", "${x#\\a}", "${x%a\\"),
    ],
)
def test_what_is_malformed(word):
    with pytest.raises(InvalidError) as caught:
        expand(word, {"x": "1"})
    assert word in caught.value.message


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("${unset:?say $x}", "unset: say value"),
        ("${unset?}", "unset: must not be unset"),
        ("${empty:?}", "empty: must not be empty"),
        ("${empty:?why}", "empty: why"),
    ],
)
def test_a_required_variable(word, message):
    with pytest.raises(InvalidError) as caught:
        expand(word, VARIABLES)
    assert caught.value.message == message
    assert "--build-arg" in caught.value.hint


@pytest.mark.parametrize(
    ("word", "unset"),
    [
        ("$x", set()),
        ("$gone ${lost}", {"gone", "lost"}),
        ("'$gone' \\$gone", set()),
        ("${gone:-a} ${gone+b} ${gone-c}", set()),  # they have a substitute
        ("${gone:-$lost}", {"lost"}),
        ("${gone#a}${lost/a/b}", {"gone", "lost"}),
        ("$empty", set()),
    ],
)
def test_unset_variables_are_told(word, unset):
    assert expand(word, VARIABLES).unset == unset


def test_another_escape_character():
    assert expand('`$x \\$x a`` "`$x" "`a"', VARIABLES, escape="`").text == "$x \\value a` $x `a"


def test_deep_nesting_is_refused():
    depth = 200
    with pytest.raises(InvalidError, match="deep"):
        expand("${a:-" * depth + "}" * depth, {})
    assert expand("${a:-" * 40 + "b" + "}" * 40, {}).text == "b"


def test_a_pattern_of_many_stars_takes_no_time():
    value = "a" * 5000
    assert expand("${v##" + "*a" * 200 + "b}", {"v": value}).text == value


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("80 443", ["80", "443"]),
        ("$two three", ["one", "two", "three"]),
        ('"$two" three', ["one two", "three"]),
        ("a\\ b", ["a b"]),
        ("'' a", ["a"]),
        ("$empty", []),
        ("${unset:-80 81}", ["80", "81"]),
        ("x$two", ["xone", "two"]),
    ],
)
def test_words(word, words):
    assert expand_words(word, VARIABLES) == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a $x\n", "a value\n"),
        ("'$x' \"$x\" it's", "'value' \"value\" it's"),  # quotes stay, and protect nothing
        ("\\$x \\\\ \\n \\\" \\'", "$x \\ n \" '"),  # it is not a shell's here-document
        ("a\\\nb", "a\nb"),
        ("${unset:-'w'}", "'w'"),
        ("${unset:-a\\}b}", "a}b"),
        ("a\\", "a"),
        ("$(date) `date`", "$(date) `date`"),
    ],
)
def test_here_documents(text, expected):
    assert expand_document(text, VARIABLES).text == expected


# -- a shell as the oracle --------------------------------------------------------------------------

NAMES = ("a", "b", "empty", "unset")
VALUES = {"a": "foo/bar.baz", "b": "ba*r", "empty": ""}

letters = st.sampled_from(["f", "o", "o/", "ba", ".", "-", "z", "_"])
names = st.sampled_from(NAMES)
patterns = st.lists(st.sampled_from(["f", "o", "/", "ba", ".", "*", "?", "\\*"]), max_size=4).map("".join)
plain = names.flatmap(lambda name: st.sampled_from([f"${{{name}}}", f"${name}", f"${name}."]))


def substitutions(words):
    defaults = st.tuples(names, st.sampled_from([":-", "-", ":+", "+"]), words).map(
        lambda parts: f"${{{parts[0]}{parts[1]}{parts[2]}}}"
    )
    strips = st.tuples(names, st.sampled_from(["#", "##", "%", "%%"]), patterns).map(
        lambda parts: f"${{{parts[0]}{parts[1]}{parts[2]}}}"
    )
    return defaults | strips


unquoted_pieces = st.sampled_from(["\\$", "\\\\", '\\"', "\\'", "'$a'", "'\\'", "\\ ", "'\"'", "\\}"])
quoted_pieces = st.sampled_from(["\\$", "\\\\", '\\"', " ", "'", "\\z"])
# Nested words avoid what shells themselves read differently: quotes within quotes.
nested = st.recursive(
    st.lists(letters | plain, max_size=3).map("".join),
    lambda inner: st.lists(letters | substitutions(inner), max_size=3).map("".join),
    max_leaves=4,
)
double_quoted = st.lists(letters | plain | substitutions(nested) | quoted_pieces, max_size=4).map(
    lambda parts: f'"{"".join(parts)}"'
)
words = st.lists(letters | plain | substitutions(nested) | unquoted_pieces | double_quoted, max_size=6).map(
    "".join
)


@settings(max_examples=300, deadline=None)
@given(st.lists(words, min_size=10, max_size=10))
def test_a_posix_shell_agrees(batch):
    # An assignment expands without splitting into fields and without file names, as a Dockerfile does.
    script = "".join(f"v={word}\nprintf '%s\\0' \"$v\"\n" for word in batch)
    answer = subprocess.run(["sh", "-c", script], env=VALUES, capture_output=True, check=True)
    expected = answer.stdout.decode().split("\0")[:-1]
    assert [expand(word, VALUES).text for word in batch] == expected
