"""What holds for any input: the parser reads it or says what is wrong, and never does anything else."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tiffin.dockerfile.expand import expand, expand_document, expand_words
from tiffin.dockerfile.parser import KEYWORDS, parse
from tiffin.errors import InvalidError

fragments = st.sampled_from(
    [
        *(*KEYWORDS, *map(str.lower, KEYWORDS), "AS b", "scratch", "80/tcp", "NONE", "CMD"),
        *(" ", "  ", "\t", "\n", "\r\n", "\\\n", "`\n", "\\", "#", "# escape=`\n", "# syntax=x\n", "\ufeff"),
        *("<<EOF", "<<-'E F'", "EOF\n", "\nE F\n", "<<", "<", "[", "]", '["a"]', '["a", 1]', "{", "}"),
        *(
            "$",
            "${",
            "$x",
            "${x:-",
            '"',
            "'",
            "=",
            "a=b",
            "a",
            "--",
            "--from=a",
            "--mount=",
            "--chown",
            "--link",
        ),
        *("--mount=type=cache,target=/a", "--interval=5s", "é", "\u2028", "\xa0", "\ud8ff", "\x00", "\x1c"),
    ]
)
texts = st.lists(fragments, max_size=30).map("".join)


def attempt(function, *arguments):
    """The result and None, or None and the error that says what is wrong."""
    try:
        return function(*arguments), None
    except InvalidError as error:
        return None, error


def check(text):
    dockerfile, error = attempt(parse, text)
    if error:
        where = error.where
        assert where is not None
        assert where.line >= 1
        assert 1 <= where.column <= where.end_column
        assert where.end_column <= len(where.text) + 1 or not where.text
        assert error.message
    else:
        assert dockerfile.stages
        for stage in dockerfile.stages:
            for instruction in (stage.start, *stage.instructions):
                span = instruction.span
                assert (span.line, span.column) <= (span.end_line, span.end_column)
                assert span.text == dockerfile.source.line(span.line)
                assert instruction.text[:2].upper() == span.text[span.column - 1 : span.column + 1].upper()


@settings(max_examples=500)
@given(texts)
@example("FROM a\nRUN <<E\\\n")
@example("FROM a\nONBUILD")
@example("FROM a\nCOPY <<A\nA\n")
@example('FROM a\nRUN --mount="')
def test_any_text(text):
    check(text)
    check("FROM a\n" + text)


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_any_bytes(data):
    check(data)
    check(b"FROM a\nRUN " + data)


@settings(max_examples=500)
@given(texts)
def test_any_word(word):
    for function in (expand, expand_words, expand_document):
        result, error = attempt(function, word, {"x": "1"})
        assert error.message if error else result is not None


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(["RUN a", "ENV b=c", "# d", "", "COPY e \\", "  f /g", 'CMD ["h"]']), max_size=10
    )
)
def test_line_endings_mean_nothing(lines):
    def shape(ending):
        dockerfile, error = attempt(parse, ending.join(["FROM a", *lines]))
        if error:
            return (error.message, error.where.line)
        return [(type(each), each.text, each.span.line) for each in dockerfile.stages[0].instructions]

    assert shape("\n") == shape("\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN " + "[" * 60_000,
        "FROM a\nRUN " + "((" * 30_000 + "<<",
        "FROM a\nRUN " + "${" * 30_000 + "<<E",
        "FROM a\nRUN " + '"${' * 20_000 + "<<E",
        "FROM a\nRUN " + "<<A " * 5_000,
        "FROM a\nRUN \\\n" * 20_000,
        "FROM a\n" + "RUN a \\\n" * 50_000,
        "FROM a\nENV " + "a=b " * 30_000,
        "FROM a\nENV a=" + "\\" * 60_000,
        "FROM a\nRUN --mount=" + "a" * 60_000 + " x",
        "FROM a\nRUN --" + "\\" * 60_000,
        "FROM a\nEXPOSE " + "1 " * 30_000,
        "A" * 100_000,
        "#" * 100_000,
        "# a" + " " * 50_000 + "=",
        "# escape=" + " " * 50_000 + "x",
        " " * 100_000 + "FROM a",
        "FROM a\n" + "ONBUILD " * 20_000,
    ],
    ids=lambda text: text[:24].encode().decode("ascii", "replace"),
)
def test_large_input_comes_to_an_end(text):
    check(text)  # what is quadratic would take minutes
