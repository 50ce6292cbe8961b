"""What must and what must not lead to another key (dockerfile.md of the reference: caching)."""

import msgspec
import pytest

from tiffin.build.cachekey import chain, key
from tiffin.build.graph import Copy, InlineFile, MakeDirectory, Run
from tiffin.errors import InvalidError
from tiffin.oci.digest import DiffID
from tiffin.oci.platform import Platform

A, B = (DiffID(f"sha256:{letter * 64}") for letter in "ab")
RUN = Run(("/bin/sh", "-c", "true"), ("A=1",), "", "/")
COPY = Copy(("a",), (), "/app/")


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": ("/bin/sh", "-c", "false")},
        {"env": ("A=2",)},
        {"user": "1000"},
        {"directory": "/app"},
        {"network": "none"},
        {"script": InlineFile("EOF", b"#!/bin/sh\n")},
        {"platform": Platform("linux", "arm64")},
    ],
)
def test_what_a_run_step_sees_is_in_its_key(change):
    assert key(RUN, [A], "", 1) != key(msgspec.structs.replace(RUN, **change), [A], "", 1)


def test_proxies_are_not():
    proxied = msgspec.structs.replace(RUN, ambient=("http_proxy=http://p",))
    assert key(RUN, [A], "", 1) == key(proxied, [A], "", 1)


@pytest.mark.parametrize(
    "change",
    [
        {"destination": "/app"},
        {"chown": "5"},
        {"chmod": "755"},
        {"unpack": True},
        {"files": (InlineFile("f", b"1"),)},
    ],
)
def test_what_a_copy_does_is_in_its_key(change):
    assert key(COPY, [A], "c", 1) != key(msgspec.structs.replace(COPY, **change), [A], "c", 1)


def test_what_is_read_is_in_the_key():
    assert key(COPY, [A], "one", 1) != key(COPY, [A], "two", 1)
    assert key(COPY, [A], "one", 1) != key(COPY, [B], "one", 1)
    assert key(COPY, [A, B], "one", 1) != key(COPY, [B, A], "one", 1)
    assert key(COPY, [A], "one", 1) != key(COPY, [A], "one", 2)


def test_kinds_of_steps_do_not_meet():
    assert key(MakeDirectory("/a", ""), [], "", 1) != key(MakeDirectory("/a", "0"), [], "", 1)
    assert chain([]) == "empty"


def test_a_step_whose_text_is_no_unicode_is_refused_by_name():
    with pytest.raises(InvalidError, match="it is not Unicode"):
        key(msgspec.structs.replace(COPY, sources=("\udce9",)), [A], "", 1)
