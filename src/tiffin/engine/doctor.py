"""What works here and why not: the facts of this machine as checks, each with its one remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import TiffinError
from tiffin.linux import probe
from tiffin.linux.isolation import Rung, decide, lend_ids, lends_own_ids, map_remedy
from tiffin.network import attach
from tiffin.network.plan import choose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.engine.settings import Settings
    from tiffin.linux.isolation import Isolation
    from tiffin.linux.probe import Facts

_MEANING = {
    Rung.ROOT: "each container has ids of its own, nobody's on this machine; owners in layers are true",
    Rung.ROOTLESS: "containers have ids that you may give away; owners in layers are true",
    Rung.SINGLE_ID: "containers have your id alone; owners and users are kept beside the files",
    Rung.CHROOT: "containers have another root directory and share all else with this place, which is no "
    "wall; owners in layers are true",
    Rung.TRACED: "containers see another root directory because their calls are answered, and share all else "
    "with this place, which is no wall; owners and users are kept beside the files",
}

_OF_DISKS = ("overlayfs", "idmapped mounts")
_NO_GROUPS = "as root: mount -t cgroup2 none /sys/fs/cgroup"
_LENT = (
    "containers have the ids of this machine, and rights over nothing of it; owners in layers are true",
    "not with ids of their own: this kernel cannot map the owners of layers",
    "  to change that: use Linux 5.19 or newer",
)

_PROC_REMEDY = (
    "give the surrounding container all of /proc: --security-opt systempaths=unconfined in Docker, "
    "procMount: Unmasked in Kubernetes"
)


class Check(NamedTuple):
    """One thing that was looked at: what was found, and what would mend it if it is not `ok`."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


class Report(NamedTuple):
    """The rung (empty if there is none), why it is that one, and all checks."""

    rung: str
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]


def examine(settings: Settings) -> Report:
    """Return what this machine allows; nothing is changed but a probe directory, which goes again."""
    from tiffin.engine import placedoctor  # which knows of this module

    facts = probe.examine(settings.home.root, tries=True)
    store = placedoctor.store(settings.home.root, facts.store_filesystem)
    if not store.ok:
        return _without(store, _checks(facts, root=False))
    try:
        isolation = decide(facts, settings.isolation)
    except TiffinError as error:
        reasons = (error.message, *((error.hint,) if error.hint else ()))
        return Report("", reasons, (*_checks(facts, root=facts.euid == 0), store))
    if (other := placedoctor.hindrance(settings.home.root, isolation)) is not None:
        return _without(other, _checks(facts, root=isolation.rung is Rung.ROOT))
    if not isolation.rung.has_walls:
        from tiffin.engine import chrootdoctor  # of two rungs only

        found = (*chrootdoctor.checks(facts, settings.home.root, isolation.rung), _registries(settings))
        return Report(isolation.rung.value, tuple(_reasons(isolation)), found)
    root = isolation.rung is Rung.ROOT
    network = _network(root=root)
    checks = (*_checks(facts, root=root), store, *_answers(isolation), network, _registries(settings))
    return Report(isolation.rung.value, tuple(_reasons(isolation)), checks)


def _without(store: Check, checks: Iterator[Check]) -> Report:
    """The report of a machine where nothing can begin for want of a store; the disk need not be looked at."""
    kept = (check for check in checks if check.name not in _OF_DISKS)
    return Report("", (store.found, store.remedy), (*kept, store))


def _registries(settings: Settings) -> Check:
    """Where images come from, by the settings of this machine."""
    from tiffin.engine.registryinfo import registry_facts

    try:
        return Check("registries", True, registry_facts(settings.environ).summary())
    except TiffinError as error:
        return Check("registries", False, error.message, error.hint or "correct that file, or take it away")


def _reasons(isolation: Isolation) -> Iterator[str]:
    if isolation.lent:
        yield from _LENT
    else:
        yield _MEANING.get(isolation.rung, "")
    for obstacle in isolation.obstacles:
        yield f"not {obstacle.rung.value}: {obstacle.reason}"
        if obstacle.remedy:
            yield f"  to change that: {obstacle.remedy}"


def _checks(facts: Facts, *, root: bool) -> Iterator[Check]:
    lacks = f" without {', '.join(facts.missing_calls)}" if facts.missing_calls else ""
    found = ".".join(map(str, facts.kernel)) + lacks
    yield Check("kernel", not lacks, found, "use Linux 5.3 or newer, for all of tiffin 5.19")
    yield Check("machine", facts.machine in ("x86_64", "aarch64"), facts.machine, "use x86-64 or 64-bit ARM")
    yield _tried("user namespaces", facts.user_namespaces, namespace_remedy(facts))
    how = "put the store on a local disk (TIFFIN_HOME)" if not facts.old else "use Linux 5.11 or newer"
    if not facts.overlay or facts.overlay != facts.user_namespaces:  # else it could not be tried
        yield _tried("overlayfs", facts.overlay, f"without it root filesystems are copied: {how}")
    if root:
        place = "put the store on ext4, xfs or btrfs: set TIFFIN_HOME"
        newer = "without them root in a container is root of this machine: use Linux 5.19 or newer"
        yield _tried("idmapped mounts", facts.idmap, newer if facts.old else place)
    elif not lends_own_ids(facts):
        yield _subordinate(facts)
        tools = "newuidmap and newgidmap" if facts.map_tools else "newuidmap or newgidmap is missing"
        usable = facts.map_tools and not facts.map_refusal
        remedy = map_remedy(facts) if facts.map_refusal else "install the package uidmap (shadow-utils)"
        yield Check("id mapping tools", usable, facts.map_refusal or tools, remedy)
    hidden = "parts of it are hidden: containers see the processes around them"
    yield Check("/proc", facts.whole_proc, "whole" if facts.whole_proc else hidden, _PROC_REMEDY)
    yield Check(
        "seccomp", facts.seccomp, "yes" if facts.seccomp else "not in this kernel", "use another kernel"
    )
    yield _limits(facts)


def _limits(facts: Facts) -> Check:
    from tiffin.engine import placedoctor  # which knows of this module

    if facts.cgroups:
        return placedoctor.limits(facts.cgroups)
    return Check("cgroups", False, "none: no limits (--memory, --cpus)", _NO_GROUPS)


def _answers(isolation: Isolation) -> Iterator[Check]:
    """Where there is one id: whether the calls of containers can be answered, so that owners are kept."""
    if isolation.rung is Rung.SINGLE_ID:
        from tiffin.linux import notify  # one rung needs it
        from tiffin.runtime.emulation.caller import unmarkable

        reason = unmarkable() or notify.missing()
        remedy = "use Linux 5.9 or newer, outside of a container whose own calls are answered"
        found = f"changes of owner succeed in name only: {reason}" if reason else "recorded"
        yield Check("owners", not reason, found, remedy)


def _subordinate(facts: Facts) -> Check:
    """Users and groups have ranges of their own, and both are needed."""
    uids, gids = (sum(line.size for line in lines) for lines in (facts.subuids, facts.subgids))
    found = f"{min(uids, gids)} ids"
    if not uids or not gids:
        missing = [name for name, count in (("/etc/subuid", uids), ("/etc/subgid", gids)) if not count]
        found = f"none for this account in {' and '.join(missing)}"
    return Check("subordinate ids", bool(uids and gids), found, f"as root: {lend_ids(facts)}")


def namespace_remedy(facts: Facts) -> str:
    """What would let an ordinary user have a user namespace."""
    if facts.max_user_namespaces == 0:
        return "as root: sysctl -w user.max_user_namespaces=10000"
    setting, equals, value = facts.userns_restriction.partition("=")
    if equals and value in ("0", "1"):
        return f"as root: sysctl -w {setting}={1 - int(value)}"
    return "allow unshare in the surrounding container, by its seccomp profile and capabilities"


def _tried(name: str, reason: str | None, remedy: str) -> Check:
    if reason is None:
        return Check(name, ok=False, found="not tried", remedy=remedy)
    return Check(name, not reason, reason or "yes", remedy)


def _network(*, root: bool) -> Check:
    choice = choose("", attach.examine(root=root))
    return Check("network", choice.mode != "loopback", choice.mode, "; ".join(choice.notices))
