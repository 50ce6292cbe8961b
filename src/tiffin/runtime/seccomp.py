"""Filters of system calls: from a profile in Docker's format to a BPF program. Pure but for one file.

Where several rules name one call, the first whose conditions hold decides. A program begins with the
architecture: calls of another one, and of the x32 interface, have other numbers, and end the process.
Images of 32-bit programs get a filter with both numberings.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux import bpf
from tiffin.linux.record import NamedTuple
from tiffin.linux.sysnum import numbers
from tiffin.oci.runtimespec import Seccomp, SeccompArg, SeccompRule

_ARCHITECTURES = {
    "x86_64": ("amd64", bpf.ARCHITECTURES["x86_64"], "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", bpf.ARCHITECTURES["aarch64"], "SCMP_ARCH_AARCH64"),
}
# The 32-bit calls of a machine: in an image's words, the kernel's, the profile's, and our tables'.
_COMPAT = {
    "x86_64": ("386", bpf.ARCHITECTURES["i386"], "SCMP_ARCH_X86", "i386"),
    "aarch64": ("arm", bpf.ARCHITECTURES["arm"], "SCMP_ARCH_ARM", "arm"),
}
_X32_BIT = 0x40000000
_EPERM = 1
_ACTIONS = {
    "SCMP_ACT_ALLOW": bpf.ALLOW,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": bpf.KILL_PROCESS,
}
NOTIFY = "SCMP_ACT_NOTIFY"
"""Another process answers; only a filter of ours has that."""

_WORD = 0xFFFFFFFF
_NEAR = 255  # the farthest that a conditional jump reaches

# Where one id is all there is, these cannot be done, and yet programs that install things insist on them.
_OWNERSHIP = (
    *("chown", "fchown", "lchown", "fchownat", "setuid", "setgid", "setreuid", "setregid"),
    *("setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups"),
    # The same again for 32-bit programs, whose first calls knew ids of 16 bits only.
    *("chown32", "fchown32", "lchown32", "setuid32", "setgid32", "setreuid32", "setregid32"),
    *("setresuid32", "setresgid32", "setfsuid32", "setfsgid32", "setgroups32"),
)
_NODE_KINDS = (0o020000, 0o060000)  # character and block devices
_KIND = 0o170000


class _Condition(msgspec.Struct, frozen=True, rename="camel"):
    """What a rule of a profile depends on."""

    arches: tuple[str, ...] = ()
    caps: tuple[str, ...] = ()
    min_kernel: str = ""


class _ProfileRule(msgspec.Struct, frozen=True, rename="camel"):
    names: tuple[str, ...] = ()
    action: str = "SCMP_ACT_ALLOW"
    errno_ret: int | None = None
    args: tuple[SeccompArg, ...] | None = ()
    includes: _Condition | None = None
    excludes: _Condition | None = None
    name: str = ""


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    """A profile as users write it for Docker."""

    default_action: str
    default_errno_ret: int | None = None
    syscalls: tuple[_ProfileRule, ...] = ()


class Circumstances(NamedTuple):
    """What a profile's conditions ask about: the machine, the kernel's version, the bounding set.

    `compat`: the programs are 32-bit ones, which the machine runs too.
    """

    machine: str
    kernel: tuple[int, int]
    capabilities: frozenset[str]
    compat: bool = False


def is_compat(machine: str, architecture: str) -> bool:
    """Whether programs of `architecture` make the 32-bit calls of `machine`."""
    return machine in _COMPAT and _COMPAT[machine][0] == architecture


def default_profile() -> Profile:
    """Return the profile that containers get: what Docker's allows, and nothing else."""
    return parse_profile(Path(__file__).with_name("seccomp.json").read_bytes(), "the default profile")


def parse_profile(data: bytes, what: str) -> Profile:
    """Return the profile that a file holds."""
    try:
        return msgspec.json.decode(data, type=Profile)
    except msgspec.DecodeError as error:
        raise InvalidError(f"{what} is no seccomp profile: {error}") from None


def choose(profile: Profile, where: Circumstances) -> Seccomp:
    """Return the rules that hold in these circumstances, as the runtime spec has them."""
    rules = [
        SeccompRule(rule.names or (rule.name,), rule.action, rule.errno_ret, rule.args or ())
        for rule in profile.syscalls
        if _included(rule.includes, where) and not _excluded(rule.excludes, where)
    ]
    return Seccomp(profile.default_action, profile.default_errno_ret, architectures(where), tuple(rules))


def architectures(where: Circumstances) -> tuple[str, ...]:
    """Return the architectures whose calls are let through, in the words of the runtime spec."""
    known, compat = _ARCHITECTURES.get(where.machine), _COMPAT.get(where.machine)
    return (*((known[2],) if known else ()), *((compat[2],) if compat and where.compat else ()))


def _included(condition: _Condition | None, where: Circumstances) -> bool:
    """Tell whether all of the conditions hold, as Docker reads `includes`."""
    if condition is None:
        return True
    if condition.arches and _architecture(where.machine) not in condition.arches:
        return False
    if condition.min_kernel and where.kernel < _version(condition.min_kernel):
        return False
    return all(name in where.capabilities for name in condition.caps)


def _excluded(condition: _Condition | None, where: Circumstances) -> bool:
    """Tell whether one of the conditions holds, as Docker reads `excludes`."""
    if condition is None:
        return False
    if _architecture(where.machine) in condition.arches:
        return True
    if condition.min_kernel and where.kernel >= _version(condition.min_kernel):
        return True
    return any(name in where.capabilities for name in condition.caps)


def _architecture(machine: str) -> str:
    known = _ARCHITECTURES.get(machine)
    return known[0] if known else machine


def _version(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    minor = rest.partition(".")[0]
    try:
        return int(major), int(minor or 0)
    except ValueError:
        raise InvalidError(f"{text!r} is no kernel version in a seccomp profile") from None


def with_emulated_ownership(seccomp: Seccomp) -> Seccomp:
    """Return a filter by which changing owners, users and groups, and making devices, succeeds idly.

    Images are built with it where only one id is mapped and nobody can answer calls (see `recording`):
    package managers go on, and every file stays ours. Extended attributes are left to the kernel: a filter
    sees the address of their name, not the name.
    """
    nodes = [
        SeccompRule((name,), "SCMP_ACT_ERRNO", 0, (SeccompArg(index, _KIND, "SCMP_CMP_MASKED_EQ", kind),))
        for name, index in (("mknod", 1), ("mknodat", 2))
        for kind in _NODE_KINDS
    ]
    ownership = SeccompRule(_OWNERSHIP, "SCMP_ACT_ERRNO", 0)
    return msgspec.structs.replace(seccomp, syscalls=(ownership, *nodes, *seccomp.syscalls))


def supported() -> dict[str, list[str]]:
    """Return the words of a profile that there is code for: actions, operators, architectures."""
    comparisons = ("EQ", "NE", "MASKED_EQ", "GT", "GE", "LT", "LE")
    own, compat = _ARCHITECTURES.values(), _COMPAT.values()
    return {
        "actions": sorted({"SCMP_ACT_ERRNO", *_ACTIONS}),
        "operators": [f"SCMP_CMP_{name}" for name in comparisons],
        "archs": sorted({each[2] for each in own} | {each[2] for each in compat}),
    }


def compile_filter(seccomp: Seccomp, machine: str, *, listens: bool = False) -> bytes:
    """Return the program. Names that the machine does not have are passed over.

    It may let another process answer if there is one that `listens`.
    """
    if machine not in _ARCHITECTURES:
        raise UnsupportedError(f"there is no seccomp filter for {machine} machines yet")
    if not listens and any(rule.action == NOTIFY for rule in seccomp.syscalls):
        raise InvalidError(f"the seccomp action {NOTIFY} is not supported")
    compat = _COMPAT[machine]
    program = _by_architecture(_ARCHITECTURES[machine][1], _native(seccomp, machine))
    if compat[2] in seccomp.architectures:
        program += _by_architecture(compat[1], _number() + _calls(seccomp, compat[3]))
    program += _return(bpf.KILL_PROCESS)
    if len(program) // 8 > bpf.MOST_INSTRUCTIONS:
        raise InvalidError("the seccomp profile is too long for a filter of the kernel")
    return program


def _calls(seccomp: Seccomp, architecture: str) -> bytes:
    """Return the code that decides about the call whose number is in the accumulator."""
    table = numbers(architecture)
    default = _result(seccomp.default_action, seccomp.default_errno_ret)
    rules: dict[int, list[tuple[tuple[SeccompArg, ...], int]]] = {}
    for rule in seccomp.syscalls:
        result = _result(rule.action, rule.errno_ret)
        for name in rule.names:
            if name in table:
                rules.setdefault(table[name], []).append((rule.args, result))
    leaves = _leaves({number: _decide(entries, default) for number, entries in rules.items()}, default)
    return _search(leaves)


def _result(action: str, errno: int | None) -> int:
    if action == "SCMP_ACT_ERRNO":
        return bpf.ERRNO | (_EPERM if errno is None else errno & 0xFFFF)
    if action == NOTIFY:
        return bpf.NOTIFY
    if action not in _ACTIONS:
        raise InvalidError(f"the seccomp action {action} is not supported")
    return _ACTIONS[action]


def _return(result: int) -> bytes:
    return bpf.instruction(bpf.RETURN, result)


def _by_architecture(architecture: int, code: bytes) -> bytes:
    """Return code that does `code` for calls of `architecture`, and goes on after it for others."""
    skip = bpf.instruction(bpf.JUMP, len(code) // 8)
    check = bpf.instruction(bpf.JUMP_EQUAL, architecture, 1, 0)
    return bpf.instruction(bpf.LOAD_WORD, bpf.ARCH_AT) + check + skip + code


def _number() -> bytes:
    return bpf.instruction(bpf.LOAD_WORD, bpf.NUMBER_AT)


def _native(seccomp: Seccomp, machine: str) -> bytes:
    """Return the code for the machine's own calls; those of x32 share its architecture, not its numbers."""
    x32 = b""
    if machine == "x86_64":
        x32 = bpf.instruction(bpf.JUMP_GREATER_EQUAL, _X32_BIT, 0, 1) + _return(bpf.KILL_PROCESS)
    return _number() + x32 + _calls(seccomp, machine)


def _decide(entries: list[tuple[tuple[SeccompArg, ...], int]], default: int) -> bytes:
    """Return the code for one call: its rules in order, then the default."""
    code = b""
    for args, result in entries:
        if not args:
            return code + _return(result)
        code += _when(args, result)
    return code + _return(default)


def _when(args: tuple[SeccompArg, ...], result: int) -> bytes:
    """Return code that gives the result if all conditions hold, and goes on after it otherwise."""
    code = _return(result)
    for arg in reversed(args):
        code = _test(arg, len(code) // 8) + code
    return code


def _test(arg: SeccompArg, skip: int) -> bytes:
    """Return code that goes on if the condition holds, and `skip` instructions farther if not."""
    low_at, value = bpf.ARGS_AT + 8 * arg.index, arg.value
    equal, greater, at_least = bpf.JUMP_EQUAL, bpf.JUMP_GREATER, bpf.JUMP_GREATER_EQUAL
    load_low, load_high = bpf.instruction(bpf.LOAD_WORD, low_at), bpf.instruction(bpf.LOAD_WORD, low_at + 4)

    def jump(code: int, k: int, on_true: int, on_false: int) -> bytes:
        return bpf.instruction(code, k & _WORD, on_true, on_false)

    high = value >> 32
    match arg.op:
        case "SCMP_CMP_EQ":
            return load_high + jump(equal, high, 0, skip + 2) + load_low + jump(equal, value, 0, skip)
        case "SCMP_CMP_NE":
            return load_high + jump(equal, high, 0, 2) + load_low + jump(equal, value, skip, 0)
        case "SCMP_CMP_MASKED_EQ":
            wanted = arg.value_two
            return b"".join(
                (
                    *(load_high, jump(bpf.AND, high, 0, 0), jump(equal, wanted >> 32, 0, skip + 3)),
                    *(load_low, jump(bpf.AND, value, 0, 0), jump(equal, wanted, 0, skip)),
                )
            )
        case "SCMP_CMP_GT" | "SCMP_CMP_GE":
            last = jump(greater if arg.op == "SCMP_CMP_GT" else at_least, value, 0, skip)
            return load_high + jump(greater, high, 3, 0) + jump(equal, high, 0, skip + 2) + load_low + last
        case "SCMP_CMP_LT" | "SCMP_CMP_LE":
            last = jump(at_least if arg.op == "SCMP_CMP_LT" else greater, value, skip, 0)
            return load_high + jump(greater, high, skip + 3, 0) + jump(equal, high, 0, 2) + load_low + last
        case _:
            raise InvalidError(f"the seccomp comparison {arg.op} is not supported")


def _leaves(decisions: dict[int, bytes], default: int) -> list[tuple[int, bytes]]:
    """Return where in the order of numbers another decision begins, from 0 on, and what it is."""
    leaves: list[tuple[int, bytes]] = []
    for number in sorted({0, *decisions, *(number + 1 for number in decisions)}):
        code = decisions.get(number, _return(default))
        if not leaves or leaves[-1][1] != code:
            leaves.append((number, code))
    return leaves


def _search(leaves: list[tuple[int, bytes]]) -> bytes:
    """Return a binary search: the number is in the accumulator until a decision loads something else."""
    if len(leaves) == 1:
        return leaves[0][1]
    middle = len(leaves) // 2
    below, above = _search(leaves[:middle]), _search(leaves[middle:])
    length = len(below) // 8
    if length <= _NEAR:
        return bpf.instruction(bpf.JUMP_GREATER_EQUAL, leaves[middle][0], length, 0) + below + above
    jump = bpf.instruction(bpf.JUMP, length)
    return bpf.instruction(bpf.JUMP_GREATER_EQUAL, leaves[middle][0], 0, 1) + jump + below + above
