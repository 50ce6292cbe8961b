from __future__ import annotations

import pytest

from tiffin.container.environment import merge, parse_env, parse_env_file
from tiffin.errors import InvalidError

HOST = {"FROM_HOST": "yes"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=b", ("A", "b")),
        ("A=", ("A", "")),
        ("A=b=c", ("A", "b=c")),
        ("A= 'x' ", ("A", " 'x' ")),
        ("FROM_HOST", ("FROM_HOST", "yes")),
        ("NOWHERE", ("NOWHERE", None)),
    ],
)
def test_one_variable(text, expected):
    assert parse_env(text, HOST) == expected


@pytest.mark.parametrize("text", ["", "=x"])
def test_a_variable_needs_a_name(text):
    with pytest.raises(InvalidError, match="name of the variable is missing"):
        parse_env(text, HOST)


def test_a_file_as_docker_reads_it():
    data = (
        b"\xef\xbb\xbf# comment\n\nA=1\n  B=two words \nC='quoted'\r\n   # also a comment\n"
        b"D=#no comment\nFROM_HOST\nNOWHERE\nE=\nF=a=b"
    )
    assert parse_env_file(data, "env", HOST) == [
        ("A", "1"),
        ("B", "two words "),
        ("C", "'quoted'"),
        ("D", "#no comment"),
        ("FROM_HOST", "yes"),
        ("E", ""),
        ("F", "a=b"),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"A=1\nB C=2\n", "env:2: the name 'B C' contains whitespace"),
        (b"=x", "env:1: the name is missing"),
        (b"A=\xff", "env: byte 2 is not UTF-8"),
    ],
)
def test_what_is_wrong_in_a_file_has_its_line(data, message):
    with pytest.raises(InvalidError) as caught:
        parse_env_file(data, "env", HOST)
    assert caught.value.message == message


def test_the_later_one_counts_and_none_takes_away():
    kept, asked = merge(["PATH=/bin", "GONE=1", "KEPT=1"], [("A", "1"), ("A", "2"), ("GONE", None)])
    assert kept == ("PATH=/bin", "KEPT=1")
    assert asked == ("A=2",)
