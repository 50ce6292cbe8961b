from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.network import dnsmessage
from tiffin.network.dnsmessage import AAAA, PTR, A, Question


def query(name, kind=A, *, number=7, flags=0x0100, more=b""):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part)
    return (
        struct.pack(">HHHHHH", number, flags, 1, 0, 0, 0)
        + labels
        + b"\0"
        + struct.pack(">HH", kind, 1)
        + more
    )


def test_a_question_is_read_in_small_letters_and_what_follows_is_left_out():
    question = Question.read(query("Db.WEB", AAAA, more=b"\0\0\x29\x10\0\0\0\0\0\0\0"))
    assert (question.name, question.kind, question.number) == ("db.web", AAAA, 7)
    assert question.head == query("Db.WEB", AAAA)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        query("db")[:-1],
        query("db")[:14],
        query("db", flags=0x8000),  # an answer
        query("db", flags=0x2800),  # an update
        query("a" * 63 + "." + ".".join(["b" * 63] * 4)),  # too long
        query("db")[:12] + b"\xc0\x0c\0\1\0\1",  # points at itself
        query("db")[:-1] + b"\3",  # of another class
        struct.pack(">HHHHHH", 1, 0x100, 2, 0, 0, 0) + query("db")[12:] * 2,
    ],
)
def test_what_is_no_question(data):
    assert Question.read(data) is None


@given(st.binary(max_size=80))
def test_no_bytes_lead_astray(data):
    question = Question.read(data)
    assert question is None or data.startswith(question.head)


def test_an_answer_has_the_addresses_of_the_kind_that_was_asked_for():
    for kind, family, addresses in (
        (A, socket.AF_INET, ["172.18.0.2", "172.18.0.3"]),
        (AAAA, socket.AF_INET6, ["fd00::2"]),
    ):
        question = Question.read(query("db", kind))
        message = dnsmessage.answer(question, ["172.18.0.2", "fd00::2", "172.18.0.3"])
        number, flags, *counts = struct.unpack_from(">HHHHHH", message)
        assert (number, flags, counts) == (7, 0x8180, [1, len(addresses), 0, 0])
        assert message[12:].startswith(query("db", kind)[12:])
        size = len(socket.inet_pton(family, addresses[0]))
        records = message[len(question.head) :]
        each = 12 + size
        assert [records[place + 12 : place + each] for place in range(0, len(records), each)] == [
            socket.inet_pton(family, address) for address in addresses
        ]


def test_a_failure_has_its_reason_and_a_name_its_place():
    question = Question.read(query("2.0.18.172.in-addr.arpa", PTR))
    assert struct.unpack_from(">H", dnsmessage.failure(question), 2) == (0x8182,)
    assert dnsmessage.answer(question, [], names=("db.web",)).endswith(b"\x00\x08\x02db\x03web\x00")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("2.0.18.172.in-addr.arpa", "172.18.0.2"),
        ("2" + ".0" * 29 + ".d.f.ip6.arpa", "fd00::2"),
        ("0.18.172.in-addr.arpa", ""),
        ("x" + ".0" * 29 + ".d.f.ip6.arpa", ""),
        ("db", ""),
    ],
)
def test_the_address_in_a_name(name, address):
    assert dnsmessage.reverse(name) == address
