"""How owners are kept where there is one id: the filter that lets a process answer, in a profile's words.

The profile of a container stays a filter of its own, whose refusals come first. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.oci.runtimespec import Seccomp, SeccompArg, SeccompRule
from tiffin.runtime.emulation.calls import COMPAT, O_CREAT, O_TMPFILE, OPENING, PARTLY, answered
from tiffin.runtime.seccomp import NOTIFY, Circumstances, architectures, compile_filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tiffin.runtime.process import Process

    Conditions = tuple[tuple[int, int], ...]

__all__ = ["JOURNAL", "heard", "recording"]

JOURNAL = "links"
"""The name of the file of entries beside an upper directory."""
_WHOLE = "getsockopt"
_WORD = 0xFFFFFFFF


def recording(
    process: Process, profile: Seccomp | None, machine: str, journal: str, layers: Sequence[str]
) -> Process:
    """Return the process with its owners kept: of links by the file `journal` and by `layers`, top first.

    The calls of 32-bit programs are answered if the profile lets them through.
    """
    native = architectures(Circumstances(machine, (0, 0), frozenset()))
    allowed = architectures(Circumstances(machine, (0, 0), frozenset(), compat=True))
    compat = profile is None or set(allowed) <= set(profile.architectures)
    names = dict.fromkeys((*answered(machine), *(answered(COMPAT[machine]) if compat else ())))
    opening = tuple(
        SeccompRule((name,), NOTIFY, args=(SeccompArg(index, flag, "SCMP_CMP_MASKED_EQ", flag),))
        for name, index in OPENING.items()
        for flag in (O_CREAT, O_TMPFILE)
    )
    seccomp = Seccomp(
        "SCMP_ACT_ALLOW",
        architectures=allowed if compat else native,
        syscalls=(SeccompRule(tuple(names), NOTIFY), *opening, *heard(PARTLY.items())),
    )
    program = compile_filter(seccomp, machine, listens=True)
    return process._replace(owners=(program, journal, tuple(layers)))


def heard(calls: Iterable[tuple[str, Conditions]]) -> tuple[SeccompRule, ...]:
    """Return the rules by which calls are heard when these of their arguments have these values.

    The kernel looks at half of such an argument, and so does the rule: who filled the other half would not
    be heard, and could mark itself. But for what who answers has others do so.
    """
    return tuple(
        SeccompRule(
            (name,),
            NOTIFY,
            args=tuple(
                SeccompArg(index, value, "SCMP_CMP_EQ")
                if name == _WHOLE
                else SeccompArg(index, _WORD, "SCMP_CMP_MASKED_EQ", value)
                for index, value in conditions
            ),
        )
        for name, conditions in calls
    )
