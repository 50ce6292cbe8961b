"""The filter: what it decides, found by running the program on an interpreter of classic BPF."""

import errno
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux.capability import NAMES
from tiffin.linux.sysnum import numbers
from tiffin.oci.runtimespec import Seccomp, SeccompArg, SeccompRule
from tiffin.runtime.capabilities import DEFAULT
from tiffin.runtime.seccomp import (
    Circumstances,
    choose,
    compile_filter,
    default_profile,
    is_compat,
    parse_profile,
    with_emulated_ownership,
)

ALLOW = "allow"
KILL = "kill"
X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7


def interpret(program: bytes, number: int, args=(), arch: int = X86_64):
    """What the kernel's interpreter returns for a call (Documentation/networking/filter, seccomp(2))."""
    data = number.to_bytes(4, "little") + arch.to_bytes(4, "little") + bytes(8)
    data += b"".join((value % 2**64).to_bytes(8, "little") for value in (*args, *[0] * (6 - len(args))))
    accumulator = at = steps = 0
    while True:
        code, true, false = int.from_bytes(program[at : at + 2], "little"), program[at + 2], program[at + 3]
        k = int.from_bytes(program[at + 4 : at + 8], "little")
        at += 8
        steps += 1
        assert steps < 4096
        if code == 0x06:
            return decode(k)
        if code == 0x20:
            assert k % 4 == 0
            accumulator = int.from_bytes(data[k : k + 4], "little")
        elif code == 0x54:
            accumulator &= k
        elif code == 0x05:
            at += 8 * k
        else:
            holds = {
                0x15: accumulator == k,
                0x25: accumulator > k,
                0x35: accumulator >= k,
                0x45: bool(accumulator & k),
            }[code]
            at += 8 * (true if holds else false)


def decode(value: int):
    action = value & 0xFFFF0000
    return {0x7FFF0000: ALLOW, 0x80000000: KILL, 0x00050000: value & 0xFFFF}.get(action, value)


def program(capabilities=DEFAULT, machine="x86_64", kernel=(6, 1), *, emulate=False, compat=False):
    seccomp = choose(default_profile(), Circumstances(machine, kernel, frozenset(capabilities), compat))
    return compile_filter(with_emulated_ownership(seccomp) if emulate else seccomp, machine)


PROGRAM = program()
NUMBERS = numbers("x86_64")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "read",
            "write",
            "openat2",
            "execve",
            "fork",
            "vfork",
            "futex",
            "mmap",
            "clone",
            "seccomp",
            "statx",
        ),
        *(
            "ptrace",
            "chroot",
            "mknod",
            "chown",
            "setuid",
            "io_setup",
            "memfd_create",
            "landlock_create_ruleset",
        ),
        *("futex_waitv", "fchmodat2", "epoll_pwait2", "close_range", "rseq", "arch_prctl", "modify_ldt"),
    ],
)
def test_ordinary_calls_are_allowed(name):
    assert interpret(PROGRAM, NUMBERS[name]) == ALLOW


@pytest.mark.parametrize(
    "name",
    [
        *("mount", "umount2", "pivot_root", "unshare", "setns", "keyctl", "add_key", "request_key", "bpf"),
        *("perf_event_open", "init_module", "finit_module", "kexec_load", "reboot", "swapon", "acct"),
        *(
            "open_by_handle_at",
            "settimeofday",
            "clock_settime",
            "sethostname",
            "syslog",
            "quotactl",
            "userfaultfd",
        ),
        *("io_uring_setup", "io_uring_enter", "fsopen", "move_mount", "open_tree", "mount_setattr", "iopl"),
        *(
            "kcmp",
            "process_madvise",
            "vhangup",
            "set_mempolicy",
            "nfsservctl",
            "lookup_dcookie",
            "pidfd_getfd",
        ),
    ],
)
def test_calls_that_reach_the_host_are_refused(name):
    assert interpret(PROGRAM, NUMBERS[name]) == errno.EPERM


def test_calls_that_do_not_exist_yet_are_refused():
    assert interpret(PROGRAM, 999) == errno.EPERM


@pytest.mark.parametrize(
    "flag", [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]
)
def test_clone_makes_no_namespaces(flag):
    assert interpret(PROGRAM, NUMBERS["clone"], (flag | 17,)) == errno.EPERM
    assert interpret(program(NAMES), NUMBERS["clone"], (flag | 17,)) == ALLOW


def test_clone_makes_threads_and_clone3_falls_back():
    assert interpret(PROGRAM, NUMBERS["clone"], (0x3D0F00,)) == ALLOW
    assert interpret(PROGRAM, NUMBERS["clone3"]) == errno.ENOSYS
    assert interpret(program(NAMES), NUMBERS["clone3"]) == ALLOW


@pytest.mark.parametrize(
    ("persona", "result"), [(0, ALLOW), (8, ALLOW), (0x20008, ALLOW), (0xFFFFFFFF, ALLOW)]
)
def test_allowed_personalities(persona, result):
    assert interpret(PROGRAM, NUMBERS["personality"], (persona,)) == result


@pytest.mark.parametrize("persona", [0x0040000, 0x0400000, 4, 0x100000008])
def test_other_personalities_are_refused(persona):
    assert interpret(PROGRAM, NUMBERS["personality"], (persona,)) == errno.EPERM


def test_vsock_is_refused_and_other_sockets_are_not():
    assert interpret(PROGRAM, NUMBERS["socket"], (40, 1, 0)) == errno.EPERM
    assert all(interpret(PROGRAM, NUMBERS["socket"], (family, 1, 0)) == ALLOW for family in (1, 2, 10, 16))


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        ("CAP_SYS_ADMIN", "mount"),
        ("CAP_SYS_ADMIN", "unshare"),
        ("CAP_SYS_TIME", "settimeofday"),
        ("CAP_SYS_PTRACE", "kcmp"),
        ("CAP_SYS_BOOT", "reboot"),
        ("CAP_SYS_NICE", "set_mempolicy"),
        ("CAP_SYSLOG", "syslog"),
        ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
        ("CAP_BPF", "bpf"),
    ],
)
def test_a_capability_brings_its_calls(capability, name):
    assert interpret(PROGRAM, NUMBERS[name]) == errno.EPERM
    assert interpret(program((*DEFAULT, capability)), NUMBERS[name]) == ALLOW


def test_old_kernels_do_not_trace():
    assert interpret(program(kernel=(4, 7)), NUMBERS["ptrace"]) == errno.EPERM
    assert interpret(program(kernel=(4, 8)), NUMBERS["ptrace"]) == ALLOW


def test_other_architectures_are_killed():
    assert interpret(PROGRAM, 11, arch=I386) == KILL
    assert interpret(PROGRAM, 0, arch=AARCH64) == KILL
    assert interpret(PROGRAM, 0x40000000 | 1) == KILL


def test_arm_has_its_own_numbers():
    arm = program(machine="aarch64")
    table = numbers("aarch64")
    assert interpret(arm, table["openat"], arch=AARCH64) == ALLOW
    assert interpret(arm, table["mount"], arch=AARCH64) == errno.EPERM
    assert interpret(arm, 0, arch=X86_64) == KILL
    assert "arch_prctl" not in table


def test_every_named_call_of_the_profile_decides_alike_when_searched_linearly():
    """The binary search finds for each number what the profile says of its name."""
    seccomp = choose(default_profile(), Circumstances("x86_64", (6, 1), frozenset(DEFAULT)))
    plain = {
        name
        for rule in seccomp.syscalls
        if not rule.args and rule.action == "SCMP_ACT_ALLOW"
        for name in rule.names
    }
    for name, number in NUMBERS.items():
        if name not in {"clone", "clone3", "personality", "socket"}:
            assert interpret(PROGRAM, number) == (ALLOW if name in plain else errno.EPERM), name


@pytest.mark.parametrize(
    "name", ["chown", "lchown", "fchownat", "setgroups", "setresuid", "setgid", "setfsuid"]
)
def test_emulated_ownership_succeeds_idly(name):
    assert interpret(program(emulate=True), NUMBERS[name], (1, 2)) == 0


def test_emulated_ownership_makes_no_devices_but_pipes():
    emulating = program(emulate=True)
    assert interpret(emulating, NUMBERS["mknod"], (0, 0o020666, 5)) == 0
    assert interpret(emulating, NUMBERS["mknodat"], (0, 0, 0o060666, 5)) == 0
    assert interpret(emulating, NUMBERS["mknod"], (0, 0o010666, 0)) == ALLOW
    assert interpret(emulating, NUMBERS["mount"]) == errno.EPERM


COMPARISONS = {
    "SCMP_CMP_EQ": lambda x, a, b: x == a,
    "SCMP_CMP_NE": lambda x, a, b: x != a,
    "SCMP_CMP_GT": lambda x, a, b: x > a,
    "SCMP_CMP_GE": lambda x, a, b: x >= a,
    "SCMP_CMP_LT": lambda x, a, b: x < a,
    "SCMP_CMP_LE": lambda x, a, b: x <= a,
    "SCMP_CMP_MASKED_EQ": lambda x, a, b: x & a == b,
}
words = st.one_of(
    st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1])
)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(sorted(COMPARISONS)), words, words),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_conditions_compare_64_bits(conditions, data):
    """All conditions of a rule must hold; values near the bounds are the interesting ones."""
    near = st.one_of(
        words, st.sampled_from([value % 2**64 for _, _, a, b in conditions for value in (a - 1, a, a + 1, b)])
    )
    call = data.draw(st.lists(near, min_size=6, max_size=6))
    args = tuple(SeccompArg(index, a, op, b) for index, op, a, b in conditions)
    compiled = compile_filter(
        Seccomp("SCMP_ACT_ERRNO", 5, (), (SeccompRule(("read",), "SCMP_ACT_ALLOW", None, args),)), "x86_64"
    )
    expected = all(COMPARISONS[op](call[index], a, b) for index, op, a, b in conditions)
    assert interpret(compiled, 0, call) == (ALLOW if expected else 5)


@given(st.dictionaries(st.sampled_from(sorted(NUMBERS)), st.integers(1, 100)), st.integers(0, 500))
def test_the_search_finds_every_number(results, number):
    rules = tuple(SeccompRule((name,), "SCMP_ACT_ERRNO", value) for name, value in results.items())
    compiled = compile_filter(Seccomp("SCMP_ACT_ALLOW", None, (), rules), "x86_64")
    by_number = {NUMBERS[name]: value for name, value in results.items()}
    assert interpret(compiled, number) == by_number.get(number, ALLOW)


def test_the_first_rule_that_holds_decides():
    rules = (
        SeccompRule(("read",), "SCMP_ACT_ERRNO", 7, (SeccompArg(0, 1, "SCMP_CMP_EQ"),)),
        SeccompRule(("read",), "SCMP_ACT_ALLOW"),
        SeccompRule(("read",), "SCMP_ACT_ERRNO", 8),
    )
    compiled = compile_filter(Seccomp("SCMP_ACT_KILL_PROCESS", None, (), rules), "x86_64")
    assert interpret(compiled, 0, (1,)) == 7
    assert interpret(compiled, 0, (2,)) == ALLOW
    assert interpret(compiled, 1) == KILL


def test_conditions_of_docker_profiles():
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {"name": "read", "action": "SCMP_ACT_ALLOW", "args": None},
            {"names": ["write"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
            {"names": ["close"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "7.0"}},
            {"names": ["open"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "5.10"}},
        ],
        "unknown": 1,
    }
    profile = parse_profile(json.dumps(document).encode(), "mine")
    compiled = compile_filter(choose(profile, Circumstances("x86_64", (6, 1), frozenset())), "x86_64")
    assert [interpret(compiled, number) for number in (0, 1, 3, 2)] == [ALLOW, 1, 1, 1]


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b'{"defaultAction": 5}',
        b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": 1}]}',
    ],
)
def test_broken_profiles_are_refused(text):
    with pytest.raises(InvalidError, match="mine is no seccomp profile"):
        parse_profile(text, "mine")


@pytest.mark.parametrize(
    "seccomp",
    [
        Seccomp("SCMP_ACT_NONSENSE"),
        Seccomp("SCMP_ACT_ALLOW", None, (), (SeccompRule(("read",), "SCMP_ACT_NOTIFY"),)),
        Seccomp(
            "SCMP_ACT_ALLOW",
            None,
            (),
            (SeccompRule(("read",), "SCMP_ACT_LOG", None, (SeccompArg(0, 0, "X"),)),),
        ),
    ],
)
def test_what_cannot_be_compiled_is_refused(seccomp):
    with pytest.raises(InvalidError):
        compile_filter(seccomp, "x86_64")


def test_unknown_machines_and_versions_are_refused():
    with pytest.raises(UnsupportedError, match="pdp11"):
        compile_filter(Seccomp("SCMP_ACT_ALLOW"), "pdp11")
    profile = parse_profile(
        b'{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"includes":{"minKernel":"x"}}]}',
        "mine",
    )
    with pytest.raises(InvalidError, match="'x'"):
        choose(profile, Circumstances("x86_64", (6, 1), frozenset()))


ARM = 0x40000028


@pytest.mark.parametrize(
    ("machine", "native", "compat", "table"),
    [("x86_64", X86_64, I386, "i386"), ("aarch64", AARCH64, ARM, "arm")],
)
def test_images_of_32_bit_programs_get_both_numberings(machine, native, compat, table):
    both, plain = program(machine=machine, compat=True), program(machine=machine)
    own, other = numbers(machine), numbers(table)
    for name in ("read", "openat", "execve", "mmap2", "fcntl64", "ugetrlimit", "setuid32", "socket"):
        assert interpret(both, other[name], arch=compat) == ALLOW, name
        assert interpret(plain, other[name], arch=compat) == KILL
    for name in ("mount", "keyctl", "bpf", "reboot", "unshare"):
        assert interpret(both, other[name], arch=compat) == errno.EPERM, name
    for name in own:
        assert interpret(both, own[name], arch=native) == interpret(plain, own[name], arch=native), name
    assert interpret(both, other["clone"], (0x10000000 | 17,), compat) == errno.EPERM
    assert interpret(both, other["clone"], (17,), compat) == ALLOW
    assert interpret(both, other["read"], arch=0x80000015) == KILL
    assert interpret(both, 999, arch=compat) == errno.EPERM


def test_what_only_32_bit_programs_of_arm_do():
    both = program(machine="aarch64", compat=True)
    for name in ("set_tls", "cacheflush", "arm_fadvise64_64"):
        assert interpret(both, numbers("arm")[name], arch=ARM) == ALLOW
    assert interpret(program(compat=True), numbers("i386")["socketcall"], arch=I386) == ALLOW


def test_owners_are_emulated_for_32_bit_programs_too():
    both = program(compat=True, emulate=True)
    for name in ("chown", "chown32", "setgroups32", "fchownat"):
        assert interpret(both, numbers("i386")[name], arch=I386) == 0


def test_which_programs_are_32_bit_ones_of_a_machine():
    assert is_compat("x86_64", "386")
    assert is_compat("aarch64", "arm")
    assert not any(is_compat(*pair) for pair in (("x86_64", "amd64"), ("x86_64", "arm"), ("riscv64", "arm")))
