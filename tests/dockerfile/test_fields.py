"""Lines of CSV: whatever is written as one is read as it was."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.fields import split_fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", []),
        ("a", ["a"]),
        ("a=1,b=2", ["a=1", "b=2"]),
        ("a,", ["a", ""]),
        ('"a,b",c', ["a,b", "c"]),
        ('"say ""so""",', ['say "so"', ""]),
        ("two\nlines,b", ["two\nlines", "b"]),
    ],
)
def test_fields(text, fields):
    assert split_fields(text) == fields


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('a"b"', "a quote is out of place"),
        ('"a"b', "a quote is out of place"),
        (' "a"', "a quote is out of place"),
        ('"a', "a quote is not closed"),
        ('a,"b""', "a quote is not closed"),
    ],
)
def test_quotes_out_of_place(text, problem):
    with pytest.raises(ValueError, match=problem):
        split_fields(text)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_what_was_written_is_read(fields):
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    assert split_fields(line.getvalue()) == fields
