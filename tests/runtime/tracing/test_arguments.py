"""The arguments of a program that is begun by its loader, and the block that holds them."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from tiffin.runtime.tracing.arguments import block, for_loader, for_script

WORDS = st.lists(
    st.one_of(st.integers(1, 2**47), st.binary(max_size=20).map(lambda text: text.replace(b"\0", b""))),
    max_size=30,
)
PATH = b"/place/python3"


def read(data, address, at):
    """The text at an address of the block."""
    begin = at - address
    return data[begin : data.index(b"\0", begin)]


@given(WORDS, st.integers(1, 2**40).map(lambda page: page * 8))
def test_the_block_holds_the_list_and_the_texts(words, address):
    made = block(PATH, words, address)
    assert made.arguments == address
    assert read(made.data, address, made.path) == PATH
    *pointers, end = struct.unpack_from(f"={len(words) + 1}Q", made.data)
    assert end == 0
    for pointer, word in zip(pointers, words, strict=True):
        assert pointer == word if isinstance(word, int) else read(made.data, address, pointer) == word


@given(WORDS)
def test_the_block_is_as_long_wherever_it_lies(words):
    assert len(block(PATH, words, 8).data) == len(block(PATH, words, 2**46).data)


def test_a_script_takes_the_place_of_the_first_word():
    assert for_script([1, 2, 3], b"/bin/sh", b"", b"./s") == [b"/bin/sh", b"./s", 2, 3]
    assert for_script([1], b"/bin/env", b"-S x", b"s") == [b"/bin/env", b"-S x", b"s"]


def test_a_loader_is_told_the_name_if_it_can_be():
    assert for_loader([1, 2], b"/bin/a", knows_name=True) == [1, b"--argv0", 1, b"/bin/a", 2]
    assert for_loader([1, 2], b"/bin/a", knows_name=False) == [1, b"/bin/a", 2]
    assert for_loader([], b"/bin/a", knows_name=True) == [b"/bin/a", b"--argv0", b"/bin/a", b"/bin/a"]
