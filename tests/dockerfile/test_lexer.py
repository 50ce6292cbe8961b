"""Directives, comments, continuations and here-documents, as the Dockerfile reference has them."""

import pytest

from tiffin.dockerfile.heredoc import find_marks
from tiffin.dockerfile.lexer import lex
from tiffin.dockerfile.source import Source
from tiffin.errors import InvalidError


def read(text):
    return lex(Source.of(text, "Dockerfile"))


def texts(text):
    return [line.text for line in read(text).lines]


def refused(text):
    with pytest.raises(InvalidError) as caught:
        read(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "syntax", "escape", "check"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a", "docker/dockerfile:1", "\\", None),
        ("#syntax=a\n#escape=`\nFROM a", "a", "`", None),
        ("  # SYNTAX =  a  \n# Escape = `\nFROM a", "a", "`", None),
        ("# check=skip=all;error=true\nFROM a", None, "\\", "skip=all;error=true"),
        ("\ufeff# escape=`\r\nFROM a", None, "`", None),
        ("# just words\n# escape=`\nFROM a", None, "\\", None),  # a comment ends the directives
        ("# unknown=1\n# escape=`\nFROM a", None, "\\", None),  # so does an unknown one
        ("\n# escape=`\nFROM a", None, "\\", None),  # and an empty line
        ("FROM a\n# escape=`", None, "\\", None),
        ("# escape=\nFROM a", None, "\\", None),  # without a value it is a comment
    ],
)
def test_directives_stand_at_the_top(text, syntax, escape, check):
    assert tuple(read(text).directives)[:3] == (syntax, escape, check)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("# escape=x\nFROM a", 1, "escape"),
        ("# escape=\\\\\nFROM a", 1, "escape"),
        ("# syntax=a\n# syntax=b\nFROM a", 2, "only one syntax"),
        ("# syntax=a\n# escape=`\n# ESCAPE=\\\nFROM a", 3, "only one escape"),
    ],
)
def test_a_bad_or_repeated_directive_is_an_error(text, line, message):
    error = refused(text)
    assert message in error.message
    assert error.where.line == line
    assert error.hint


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("FROM a\nRUN b\n", ["FROM a", "RUN b"]),
        ("FROM a", ["FROM a"]),
        ("FROM a\r\nRUN b\r\n", ["FROM a", "RUN b"]),
        ("\ufeffFROM a", ["FROM a"]),
        ("   FROM a\n\tRUN b", ["FROM a", "RUN b"]),
        ("# one\n\n  # two\nFROM a\n#three", ["FROM a"]),
        ("RUN a \\\n  b", ["RUN a   b"]),
        ("RUN a\\\nb", ["RUN ab"]),
        ("RUN a \\   \n b", ["RUN a  b"]),  # blanks after the escape
        ("RUN a \\\r\n b\r\n", ["RUN a  b"]),
        ("RUN a \\\n# comment\n b", ["RUN a  b"]),
        ("RUN a \\\n   # comment \\\n b", ["RUN a  b"]),  # its backslash is part of the comment
        ("RUN a \\\n\n b", ["RUN a  b"]),
        ("RUN a \\\n", ["RUN a "]),  # at the end of the file
        ("RUN a \\\n# end", ["RUN a "]),
        ("RUN a \\\n b # no comment", ["RUN a  b # no comment"]),
        ("RUN a \\\\\nRUN b", ["RUN a \\\\", "RUN b"]),  # an escaped escape does not continue
        ("\\\nFROM a", ["FROM a"]),
        ("\\\n\\\n", []),
        ("", []),
        ("\n \n", []),
        ("# escape=`\nRUN dir c:\\\nRUN a `\n b", ["RUN dir c:\\", "RUN a  b"]),
    ],
)
def test_physical_lines_become_logical_ones(text, lines):
    assert texts(text) == lines


def test_empty_lines_in_continued_instructions_are_told():
    assert [span.line for span in read("FROM a\nRUN b \\\n\n  c").empty_lines] == [3]


@pytest.mark.parametrize(
    ("above", "comments"),
    [
        ("", ()),
        ("# one\n  #  two \n", ("one", "two")),
        ("# one\n\n# two\n", ("one", "two")),  # an empty line means nothing
        ("# one\n#\n# two\n", ("two",)),  # an empty comment does
        ("# one\nARG A\n", ()),
        ("# syntax=a\n# check=skip=all\n# one\n", ("one",)),
    ],
)
def test_comments_belong_to_the_instruction_below(above, comments):
    assert read(f"{above}FROM a \\\n# within\n AS b").lines[-1].comments == comments


def test_places_survive_continuation():
    (line,) = read("RUN one \\\n  # no\n  two").lines
    start = line.text.index("two")
    span = line.span(start, start + 3)
    assert (span.line, span.column, span.end_line, span.end_column, span.text) == (3, 3, 3, 6, "  two")
    whole = line.span()
    assert (whole.line, whole.column, whole.end_line, whole.end_column) == (1, 1, 3, 6)
    assert whole.where.end_column == len("RUN one \\") + 1  # a caret stays in its line


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("RUN <<EOF\na\nb\nEOF", [("EOF", "a\nb\n", True, False)]),
        ("RUN <<EOF cat\nEOF\n", [("EOF", "", True, False)]),
        ("RUN <<-EOF\n\ta\n\tEOF", [("EOF", "\ta\n", True, True)]),
        ("RUN <<'EOF'\n$a\nEOF", [("EOF", "$a\n", False, False)]),
        ('RUN <<"EOF"\n$a\nEOF', [("EOF", "$a\n", False, False)]),
        ("RUN <<E'O'F\nEOF", [("EOF", "", False, False)]),
        ("RUN <<'a b'\nx\na b", [("a b", "x\n", False, False)]),
        ("RUN << EOF\nx\nEOF", [("EOF", "x\n", True, False)]),
        ("RUN 3<<EOF cat\nx\nEOF", [("EOF", "x\n", True, False)]),
        ("RUN <<$X\nx\n$X", [("$X", "x\n", True, False)]),
        ("COPY <<A <<B /d/\nB\nA\nA\nB", [("A", "B\n", True, False), ("B", "A\n", True, False)]),
        ("ADD <<A /d\n# not a comment \\\nA", [("A", "# not a comment \\\n", True, False)]),
        ("run <<EOF\nx\r\nEOF\r\n", [("EOF", "x\r\n", True, False)]),
        ("ONBUILD COPY <<A /d\nx\nA", [("A", "x\n", True, False)]),
        ("RUN cat <<A && \\\n cat <<B\n1\nA\n2\nB", [("A", "1\n", True, False), ("B", "2\n", True, False)]),
        ("RUN <<EOF\n EOF\nEOF", [("EOF", " EOF\n", True, False)]),  # only the whole line ends it
    ],
)
def test_here_documents(text, documents):
    (line,) = read(text).lines
    assert [tuple(document) for document in line.documents] == documents


@pytest.mark.parametrize(
    "text",
    [
        'RUN ["<<EOF"]',
        'RUN echo "<<EOF"',
        "RUN echo '<<EOF'",
        "RUN echo \\<<EOF",
        "RUN cat <<<word",
        "RUN cat <<< word",
        "RUN echo a<<EOF",
        "RUN echo $((1<<2))",
        "RUN echo $((1 << 2))",
        "ENV a=<<EOF",
        "CMD <<EOF",
        "LABEL a <<EOF",
        "RUN echo <<",
        "RUN echo it's <<EOF",  # a quote without end: nothing can be told
    ],
)
def test_what_is_no_here_document(text):
    lines = read(f"{text}\nRUN next").lines
    assert [line.documents for line in lines] == [(), ()]


def test_a_here_document_without_end_points_at_its_mark():
    error = refused("FROM a\nRUN cat <<EOF && \\\n  true\nbody\n EOF\n")
    assert "EOF" in error.message
    assert (error.where.line, error.where.column, error.where.end_column) == (2, 9, 14)


def test_tabs_are_stripped_only_when_asked():
    (one, two) = read("RUN <<-A <<B\n\t\ta\n\tb\n\tA\n\tc\nB").lines[0].documents
    assert (one.stripped, two.stripped) == ("a\nb\n", "\tc\n")


@pytest.mark.parametrize("binary", [b"\x7fELF\x01\x00\x00", b"FROM a\nRUN \x00"])
def test_a_binary_is_no_dockerfile(binary):
    error = refused(binary)
    assert error.code == "dockerfile-not-text"
    assert error.where.text == ""


def test_bytes_that_are_not_utf_8_survive():
    (line,) = read(b"RUN echo \xff").lines
    assert line.text.encode("utf-8", "surrogateescape") == b"RUN echo \xff"


def test_marks_know_where_they_stand():
    text = "RUN cat <<A - <<'B c'"
    assert [text[mark.start : mark.end] for mark in find_marks(text, 4)] == ["<<A", "<<'B c'"]
