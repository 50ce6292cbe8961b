"""The arguments of a program that is begun by its loader, and the block of memory that holds them. Pure.

Arguments that the caller has already stay where they are: only their addresses are written anew.
"""

from __future__ import annotations

import struct

from tiffin.linux.record import NamedTuple

Word = int | bytes
"""An argument: the address that it lies at, or its text."""

_POINTER = 8


class Block(NamedTuple):
    """What is to be written, and where in it the path and the list of arguments begin."""

    data: bytes
    path: int
    arguments: int


def for_script(words: list[Word], interpreter: bytes, argument: bytes, script: bytes) -> list[Word]:
    """Return the arguments with which a script's interpreter is begun."""
    return [interpreter, *([argument] if argument else []), script, *words[1:]]


def for_loader(words: list[Word], program: bytes, *, knows_name: bool) -> list[Word]:
    """Return the arguments with which a loader begins the program at this path.

    Its name for itself, the first argument, is passed if the loader knows how (`--argv0`).
    """
    name = words[0] if words else program
    return [name, *([b"--argv0", name] if knows_name else []), program, *words[1:]]


def block(path: bytes, words: list[Word], address: int) -> Block:
    """Return the block that is to lie at the address: the list, and after it all texts."""
    begin = (len(words) + 1) * _POINTER
    texts, pointers, size = [path + b"\0"], [], begin + len(path) + 1
    for word in words:
        if isinstance(word, int):
            pointers.append(word)
        else:
            pointers.append(address + size)
            texts.append(word + b"\0")
            size += len(word) + 1
    return Block(
        struct.pack(f"={len(pointers) + 1}Q", *pointers, 0) + b"".join(texts), address + begin, address
    )
