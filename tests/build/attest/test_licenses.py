"""Licences in packages' words → SPDX expressions, checked with a reader of expressions of its own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.build.attest.licenses import declare


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ((), "NOASSERTION"),
        (("",), "NOASSERTION"),
        (("MIT",), "MIT"),
        (("mit",), "MIT"),
        (("MIT License",), "MIT"),
        (("Expat",), "MIT"),
        (("Apache Software License",), "Apache-2.0"),
        (("Apache-2.0 OR MIT",), "Apache-2.0 OR MIT"),
        (("apache-2.0 or (mit and isc)",), "Apache-2.0 OR (MIT AND ISC)"),
        (("GPL-2+",), "GPL-2.0-or-later"),
        (("GPLv3",), "GPL-3.0-only"),
        (("LGPL-2.1+",), "LGPL-2.1-or-later"),
        (("LGPL-2.1-or-later",), "LGPL-2.1-or-later"),
        (("GPL-2.0-only WITH Classpath-exception-2.0",), "GPL-2.0-only WITH Classpath-exception-2.0"),
        (("BSD",), "LicenseRef-BSD"),
        (("public-domain", "MIT", "MIT"), "LicenseRef-public-domain AND MIT"),
        (("MIT OR X11", "ISC"), "(MIT OR X11) AND ISC"),
        (("MIT OR Mine",), "MIT OR LicenseRef-Mine"),
        (("MIT WITH my-exception",), "LicenseRef-MIT-WITH-my-exception"),
        (("MIT AND",), "LicenseRef-MIT-AND"),
        (("(MIT",), "LicenseRef-MIT"),
        (("Copyright (c) me: do as you like!",), "LicenseRef-Copyright-c-me-do-as-you-like"),
        (("\u00e4\u00f6",), "LicenseRef-unnamed"),
    ],
)
def test_expressions(said, expression):
    assert declare(said).expression == expression


def test_references_keep_the_words_and_are_told_apart():
    found = declare(("a b", "a/b", "MIT"))
    assert found.expression == "LicenseRef-a-b AND LicenseRef-a-b-x AND MIT"
    assert found.references == {"LicenseRef-a-b": "a b", "LicenseRef-a-b-x": "a/b"}
    assert declare(("a b", "a+b OR MIT")).references == {"LicenseRef-a-b": "a b", "LicenseRef-a-b-x": "a+b"}


def test_references_of_a_document_are_told_apart():
    known = {"LicenseRef-a-b": "a b"}
    assert declare(("a/b", "a b"), known) == (
        "LicenseRef-a-b-x AND LicenseRef-a-b",
        {**known, "LicenseRef-a-b-x": "a/b"},
    )
    assert declare((), known).references == known == {"LicenseRef-a-b": "a b"}


def is_expression(text):
    """Reduce the text by the grammar of annex D of the specification, until only an expression is left."""
    text = re.sub(r"[A-Za-z0-9.-]+ WITH [A-Za-z0-9.-]+", "x", text)
    text = re.sub(r"\b(?!AND\b|OR\b)[A-Za-z0-9.-]+", "x", text)
    before = None
    while text != before:
        before = text
        text = re.sub(r"\(x\)|x (AND|OR) x", "x", text)
    return text == "x"


@given(st.lists(st.text(st.sampled_from("MIT GPL-2+()ANDORWITH x/\n\u00e9"), max_size=30), max_size=4))
def test_whatever_is_said_makes_an_expression(said):
    found = declare(said)
    assert is_expression(found.expression)
    assert all(re.fullmatch(r"LicenseRef-[A-Za-z0-9.-]+", name) for name in found.references)
    used = set(re.findall(r"LicenseRef-[A-Za-z0-9.-]+", found.expression))
    assert used == set(found.references)
