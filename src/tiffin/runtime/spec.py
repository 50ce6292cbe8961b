"""From an image's config and what the user asked for to the runtime spec of a container. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux.capability import NAMES
from tiffin.linux.namespace import host_id
from tiffin.linux.record import NamedTuple
from tiffin.oci.runtimespec import (
    Capabilities,
    ConsoleSize,
    IDMapping,
    Linux,
    Mount,
    Namespace,
    Process,
    Rlimit,
    Root,
    RuntimeSpec,
    Seccomp,
)
from tiffin.oci.runtimespec import User as ProcessUser
from tiffin.runtime import capabilities, mounts, seccomp
from tiffin.runtime.process import DEFAULT_PATH

if TYPE_CHECKING:
    from tiffin.linux.namespace import IdMap
    from tiffin.oci.config import ContainerConfig
    from tiffin.oci.runtimespec import Resources
    from tiffin.runtime.model import UserMap
    from tiffin.runtime.users import User

NEW = "new"
HOST = "host"
NONE = "none"
EVERY_PATH = "ALL"
_SHM = "/dev/shm"  # noqa: S108 # it is the shared memory
_CGROUPS = "/sys/fs/cgroup"
_SHARED = {
    _CGROUPS: ("rbind", "ro", "nosuid", "nodev", "noexec"),
    "/proc": ("rbind", "nosuid", "nodev", "noexec"),
}


class Place(NamedTuple):
    """Where a container is to run: the facts that its spec depends on.

    `users` is the new user namespace, empty where the caller's own is used, whose ids are then `ids`.
    `single_id`: only one id is mapped, so owners are emulated: kept by a process that answers the container's
    calls if `recorded`, else changed in name only. `own_proc`: the kernel lets a container have a /proc of
    its own; else it sees the one outside.
    """

    machine: str
    kernel: tuple[int, int]
    memory: int
    users: UserMap
    ids: tuple[IdMap, ...]
    single_id: bool = False
    own_proc: bool = True
    recorded: bool = False


class Options(NamedTuple):
    """What was asked for, beyond the image's config. Namespaces are `new`, `host`, or the path of one.

    IPC may be `none`: a new one without shared memory in files.
    """

    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    working_dir: str = ""
    terminal: bool = False
    size: tuple[int, int] | None = None
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    network: str = NEW
    pid: str = NEW
    ipc: str = NEW
    uts: str = NEW
    cgroup: str = NEW
    readonly: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = True
    profile: seccomp.Profile | None = None
    """Another seccomp profile than the default one."""
    unconfined: bool = False
    """No seccomp profile."""
    compat: bool = False
    """The programs are 32-bit ones, which the machine runs too."""
    hide: tuple[str, ...] = ()
    """Further paths that are hidden."""
    show: tuple[str, ...] = ()
    """Paths that are neither hidden nor protected, with what is below them; `EVERY_PATH` for all."""
    shm_size: int | None = None
    rlimits: tuple[Rlimit, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    oom_score_adj: int | None = None
    resources: Resources | None = None
    """Limits that whoever starts the container keeps, by a cgroup."""


def make_spec(config: ContainerConfig, user: User, options: Options, place: Place) -> RuntimeSpec:
    """Return the runtime spec; `user` is the resolved `USER` or `--user`."""
    env = _environment(config, user, options)
    working_dir = options.working_dir or config.working_dir or "/"
    if not working_dir.startswith("/"):
        raise InvalidError(f"the working directory {working_dir!r} is not an absolute path")
    process = Process(
        user=_process_user(user, place),
        cwd=working_dir,
        args=_arguments(config, options),
        env=env,
        terminal=options.terminal,
        console_size=ConsoleSize(*options.size) if options.size else None,
        capabilities=_capabilities(options, place),
        rlimits=options.rlimits,
        no_new_privileges=options.no_new_privileges and not options.privileged,
        oom_score_adj=options.oom_score_adj,
    )
    return RuntimeSpec(
        process=process,
        root=Root("rootfs", options.readonly),
        hostname=options.hostname if options.uts == NEW else "",
        domainname=options.domainname if options.uts == NEW else "",
        mounts=_mounts(options, place),
        linux=_linux(options, place),
    )


def exec_process(  # noqa: PLR0913 # each is an option of `exec`
    container: RuntimeSpec,
    args: tuple[str, ...],
    user: User,
    *,
    env: tuple[str, ...] = (),
    working_dir: str = "",
    terminal: bool = False,
    privileged: bool = False,
) -> Process:
    """Return a further process for the container: as its first one, except for what is given."""
    first = container.process
    base = tuple(item for item in first.env if not item.startswith("HOME="))
    variables = {"HOME": user.home, **({"TERM": "xterm"} if terminal else {}), **_variables((*base, *env))}
    return msgspec.structs.replace(
        first,
        args=args,
        user=_numbers(user),
        cwd=working_dir or first.cwd,
        env=tuple(f"{name}={value}" for name, value in variables.items()),
        terminal=terminal,
        console_size=None,
        capabilities=_sets(NAMES) if privileged else first.capabilities,
    )


def _variables(env: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, _, value in (item.partition("=") for item in env)}


def _environment(config: ContainerConfig, user: User, options: Options) -> tuple[str, ...]:
    """Return the variables, each once: the runtime's, over which the image's go, over which the user's go."""
    variables = {"PATH": DEFAULT_PATH}
    if options.hostname:
        variables["HOSTNAME"] = options.hostname
    if options.terminal:
        variables["TERM"] = "xterm"
    variables["HOME"] = user.home
    variables |= _variables(config.env)
    variables |= _variables(options.env)
    return tuple(f"{name}={value}" for name, value in variables.items())


def _arguments(config: ContainerConfig, options: Options) -> tuple[str, ...]:
    """Return entrypoint and command; a given entrypoint leaves nothing of the image's command."""
    entrypoint, command = config.entrypoint or (), options.command or config.cmd or ()
    if options.entrypoint is not None:
        entrypoint, command = tuple(word for word in options.entrypoint if word), options.command
    if not (entrypoint or command):
        raise InvalidError(
            "the image names no command, and none was given",
            code="no-command",
            hint="say what to run after the image's name",
            exit_status=125,
        )
    return (*entrypoint, *command)


def _process_user(user: User, place: Place) -> ProcessUser:
    """Return the user with its groups, as far as the namespace has them."""
    if place.recorded:
        return _numbers(user)
    if place.single_id:
        # There is no other user: to be another one succeeds in name only, as changing owners does.
        uids, gids = place.users
        return ProcessUser(uids[0].inside if uids else 0, gids[0].inside if gids else 0)
    for number, what in ((user.uid, "user"), (user.gid, "group"), *((gid, "group") for gid in user.groups)):
        if host_id(place.ids, number) is None:
            count = sum(line.size for line in place.ids)
            raise UnsupportedError(
                f"the {what} {number} does not exist here: {count} ids are mapped into containers",
                code="id-not-mapped",
                hint="take a smaller number, or widen the ranges in /etc/subuid and /etc/subgid",
                exit_status=125,
            )
    return _numbers(user)


def _numbers(user: User) -> ProcessUser:
    """Return the ids; the primary group is a supplementary one too, as runtimes do since CVE-2022-36109."""
    return ProcessUser(user.uid, user.gid, additional_gids=tuple(dict.fromkeys((user.gid, *user.groups))))


def _capabilities(options: Options, place: Place) -> Capabilities:
    names = NAMES if options.privileged else capabilities.select(options.cap_add, options.cap_drop)
    if "CAP_SYS_PTRACE" in names and not (place.own_proc or place.users.uids):
        raise UnsupportedError(
            "the capability SYS_PTRACE cannot be given here: /proc shows processes outside of the container, "
            "whose files it would open",
            code="no-own-proc",
            hint="give the surrounding container all of /proc: `tiffin doctor` says how",
            exit_status=125,
        )
    return _sets(names)


def _sets(names: tuple[str, ...]) -> Capabilities:
    """Return the sets as Docker gives them: nothing is inherited, so a user other than root has none."""
    return Capabilities(bounding=names, effective=names, permitted=names)


def _mounts(options: Options, place: Place) -> tuple[Mount, ...]:
    size = mounts.shm_size(place.memory) if options.shm_size is None else options.shm_size
    tty_group = host_id(place.ids, mounts.TTY_GROUP) is not None
    default = mounts.default_mounts(shm=size, tty_group=tty_group, ipc=options.ipc in (NEW, NONE))
    if options.ipc == NONE:
        default = tuple(entry for entry in default if entry.destination != _SHM)
    if options.privileged:
        default = tuple(_writable(entry) if entry.type == "sysfs" else entry for entry in default)
    shared = {
        "/proc": options.pid == HOST or not place.own_proc,
        _SHM: options.ipc == HOST,
        _CGROUPS: options.cgroup == HOST,
    }
    default = tuple(
        Mount(entry.destination, "bind", entry.destination, _SHARED.get(entry.destination, ("rbind",)))
        if shared.get(entry.destination)
        else entry
        for entry in default
    )
    return (*default, *options.mounts)


def _writable(entry: Mount) -> Mount:
    return Mount(
        entry.destination, entry.type, entry.source, tuple(word for word in entry.options if word != "ro")
    )


def _linux(options: Options, place: Place) -> Linux:
    kinds = {"network": options.network, "pid": options.pid, "ipc": options.ipc, "uts": options.uts}
    namespaces = [Namespace("mount")]
    for kind, choice in {"cgroup": options.cgroup, **kinds}.items():
        if choice in (NEW, NONE):
            namespaces.append(Namespace(kind))
        elif choice != HOST:
            namespaces.append(Namespace(kind, choice))
    if place.users.uids:
        namespaces.append(Namespace("user"))
    # A range of groups has to begin with one that there is.
    groups = sum(line.size for line in place.ids) if host_id(place.ids, 0) is not None else 0
    # Parameters of the /proc outside are mostly read only; nobody has asked for these.
    own = options.network == NEW and place.own_proc
    sysctls = mounts.default_sysctls(network=own, groups=groups)
    return Linux(
        namespaces=tuple(namespaces),
        uid_mappings=tuple(IDMapping(*line) for line in place.users.uids),
        gid_mappings=tuple(IDMapping(*line) for line in place.users.gids),
        sysctl={**sysctls, **dict(options.sysctls)},
        seccomp=_seccomp(options, place),
        resources=options.resources,
        masked_paths=(*_guarded(mounts.MASKED_PATHS, options), *options.hide),
        readonly_paths=_guarded(mounts.READONLY_PATHS, options),
    )


def _guarded(paths: tuple[str, ...], options: Options) -> tuple[str, ...]:
    """Return those of the paths that stay hidden or protected."""
    if options.privileged or EVERY_PATH in options.show:
        return ()
    return tuple(
        path
        for path in paths
        if not any(path == shown or path.startswith(f"{shown}/") for shown in options.show)
    )


def _seccomp(options: Options, place: Place) -> Seccomp | None:
    names = frozenset(capabilities.select(options.cap_add, options.cap_drop))
    where = seccomp.Circumstances(place.machine, place.kernel, names, options.compat)
    if options.privileged or options.unconfined:
        chosen = Seccomp("SCMP_ACT_ALLOW", architectures=seccomp.architectures(where))
    else:
        chosen = seccomp.choose(options.profile or seccomp.default_profile(), where)
    if place.single_id and not place.recorded:
        return seccomp.with_emulated_ownership(chosen)
    return None if chosen.default_action == "SCMP_ACT_ALLOW" and not chosen.syscalls else chosen
