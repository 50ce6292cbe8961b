"""Process attributes: no_new_privs, subreaper, death signal, dumpable, keyring."""

from __future__ import annotations

import ctypes
import os

from tiffin.linux.libc import check, function, syscall

_SET_PDEATHSIG = 1
_GET_DUMPABLE = 3
_SET_DUMPABLE = 4
_SET_KEEPCAPS = 8
_SET_NAME = 15
_SET_CHILD_SUBREAPER = 36
_SET_NO_NEW_PRIVS = 38
_KEYCTL = {"x86_64": 250, "aarch64": 219}
_JOIN_SESSION_KEYRING = 1
_SIGACTION = {"x86_64": 13, "aarch64": 134}
_SIGACTION_SIZE = 32
_SIGSET_SIZE = 8

_prctl = function("prctl", ctypes.c_int, *[ctypes.c_ulong] * 4)


def prctl(what: str, option: int, *args: int) -> int:
    """Return the result of an operation on this process; `what` says in errors what was tried."""
    return check(_prctl(option, *args, *[0] * (4 - len(args))), what)


def set_no_new_privs() -> None:
    """Let no program that is executed from now on gain privileges, for ever."""
    prctl("setting no_new_privs", _SET_NO_NEW_PRIVS, 1)


def set_death_signal(number: int) -> None:
    """Have the kernel send this signal when the parent ends; a change of credentials forgets it."""
    prctl("setting the parent-death signal", _SET_PDEATHSIG, number)


def set_subreaper() -> None:
    """Become the parent of descendants whose own parent ends."""
    prctl("becoming a subreaper", _SET_CHILD_SUBREAPER, 1)


def set_dumpable(on: bool) -> None:
    """Let processes of the same user look into this one, or not."""
    prctl("setting dumpable", _SET_DUMPABLE, int(on))


def set_keep_capabilities(on: bool) -> None:
    """Keep the permitted capabilities when the user changes from root to another."""
    prctl("keeping capabilities", _SET_KEEPCAPS, int(on))


def set_name(name: str) -> None:
    """Give this process a name of at most 15 bytes, as `ps` shows it."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    prctl("naming the process", _SET_NAME, ctypes.addressof(buffer))


def join_new_keyring() -> None:
    """Leave the session keyring of the caller for an empty one."""
    syscall("creating a session keyring", _KEYCTL[os.uname().machine], _JOIN_SESSION_KEYRING, 0)


def reset_library_signals() -> None:
    """Give the two signals that the C library keeps for itself, and lets nobody change, their default effect.

    A parent may have left them ignored, and that survives exec (nptl(7), rt_sigaction(2)).
    """
    number = _SIGACTION.get(os.uname().machine)
    if number is None:
        return
    default = ctypes.create_string_buffer(_SIGACTION_SIZE)  # handler SIG_DFL, no flags, nothing masked
    for library_signal in (32, 33):
        syscall("resetting a signal", number, library_signal, ctypes.addressof(default), 0, _SIGSET_SIZE)
