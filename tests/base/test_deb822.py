import pytest

from tiffin.base.deb822 import parse_paragraph, parse_paragraphs, split_paragraphs
from tiffin.errors import InvalidError


def test_paragraphs_with_continuations_and_comments():
    text = "A: 1\n# not a field\nLong: first\n second\n .\n  indented\n\n \n\nB:2\n"
    assert list(parse_paragraphs(text, "f")) == [
        {"a": "1", "long": "first\nsecond\n.\n indented"},
        {"b": "2"},
    ]


@pytest.mark.parametrize(
    ("text", "line"), [("A: 1\nnonsense\n", 2), (" lone\n", 1), ("A: 1\na: 2\n", 2), (": 1\n", 1)]
)
def test_an_error_names_the_line(text, line):
    with pytest.raises(InvalidError) as caught:
        list(parse_paragraphs(text, "sources"))
    assert caught.value.where.line == line
    assert f"sources:{line}:" in caught.value.message


def test_an_empty_text_has_no_paragraph():
    with pytest.raises(InvalidError, match="is empty"):
        parse_paragraph("\n\n", "control")


def test_splitting_keeps_the_text():
    assert split_paragraphs(b"A: 1\n b\n\nC: 2\n\n\n") == [b"A: 1\n b", b"C: 2"]
