"""tiffin run."""

from __future__ import annotations

import os

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag, ignore, number, refuse, value, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.container.mounts import TmpfsMount, VolumeMount
    from tiffin.engine.request import Client
    from tiffin.engine.running import RunRequest
    from tiffin.ui.progress import Mode

HEALTH = ("cmd", "interval", "retries", "start-interval", "start-period", "timeout")
PULL = ("always", "missing", "never")

LIMITS = (
    *("blkio-weight", "cgroup-parent", "cpu-rt-period", "cpu-rt-runtime", "memory-swappiness"),
    *("cpu-period", "cpu-quota", "cpu-shares", "cpus", "cpuset-cpus", "cpuset-mems"),
    *("memory", "memory-reservation", "memory-swap", "oom-score-adj", "pids-limit"),
)
SEVERAL_LIMITS = (
    *("ulimit", "device-cgroup-rule", "blkio-weight-device"),
    *("device-read-bps", "device-read-iops", "device-write-bps", "device-write-iops"),
)
NAMESPACES = ("cgroupns", "ipc", "pid", "userns", "uts")
SECURITY = ("group-add", "security-opt", "sysctl")
_KERNEL_MEMORY = "kernels have no such limit any more: --memory counts what the kernel uses for it too"
_QUOTA = "a container writes into the store's own file system, which has no quota for it"
_ADDRESSES = "addresses of the link are the kernel's own choice"
_LINKS = "containers of a network find each other by name: make one with 'tiffin network create'"
_WINDOWS = "it is for Windows only"

OPTIONS = (
    values("--add-host", "HOST:IP", "Add a line to /etc/hosts"),
    values("--annotation", "KEY=VALUE", "Put an annotation into its runtime spec, for other programs"),
    values("-a, --attach", "STREAM", "Attach only this one of stdin, stdout and stderr"),
    value("--blkio-weight", "WEIGHT", "Share of the transfers of disks, 10 to 1000"),
    values("--blkio-weight-device", "DISK:WEIGHT", "Share of the transfers of one disk, like /dev/sda:200"),
    values("--cap-add", "CAPABILITY", "Add a capability"),
    values("--cap-drop", "CAPABILITY", "Take a capability away, or ALL"),
    value("--cgroup-parent", "PATH", "Put it into a cgroup below this one"),
    value("--cgroupns", "MODE", "Cgroups: private, or host to see all of this machine's"),
    value("--cidfile", "FILE", "Write the container's id into this file"),
    value("--cpu-period", "MICROSECONDS", "How long the period is that --cpu-quota is a part of"),
    value("--cpu-quota", "MICROSECONDS", "Processor time in each period"),
    value("--cpu-rt-period", "MICROSECONDS", "The period that --cpu-rt-runtime is a part of"),
    value("--cpu-rt-runtime", "MICROSECONDS", "Time of its real-time processes in each period"),
    value("-c, --cpu-shares", "WEIGHT", "Share of processor time, compared with 1024"),
    value("--cpus", "COUNT", "The most processors, like 1.5"),
    value("--cpuset-cpus", "LIST", "Run on these processors, like 0-3 or 0,2"),
    value("--cpuset-mems", "LIST", "Take memory from these nodes"),
    values("--device", "DEVICE", "Give it a device: /dev/x[:/dev/y][:rwm], or VENDOR/CLASS=NAME by CDI"),
    values("--device-cgroup-rule", "RULE", "Let it use these devices too, like 'c 189:* rwm'"),
    values("--device-read-bps", "DISK:RATE", "Bytes a second that it reads at most, like /dev/sda:10mb"),
    values("--device-read-iops", "DISK:COUNT", "The same, in transfers a second"),
    values("--device-write-bps", "DISK:RATE", "Bytes a second that it writes at most"),
    values("--device-write-iops", "DISK:COUNT", "The same, in transfers a second"),
    flag("-d, --detach", "Run in the background and print the container's id"),
    value("--detach-keys", "KEYS", "Leave a container with a terminal by these keys, like ctrl-p,ctrl-q"),
    values("--dns", "ADDRESS", "Use this name server"),
    values("--dns-option", "OPTION", "Put this among the options of /etc/resolv.conf, like ndots:1"),
    values("--dns-search", "DOMAIN", "Look names up in this domain too; . for none"),
    value("--domainname", "NAME", "Its domain name, which is also put behind its own name in /etc/hosts"),
    value("--entrypoint", "COMMAND", "Use this and not the image's ENTRYPOINT; empty for none"),
    values("-e, --env", "NAME[=VALUE]", "Set a variable; without a value it comes from the environment"),
    values("--env-file", "FILE", "Read variables from a file"),
    values("--expose", "PORT[/PROTO]", "Count a port or a range among the exposed ones, for --publish-all"),
    value("--gpus", "WHICH", "Give it GPUs: all, how many, or device=0,1"),
    value("--health-cmd", "COMMAND", "Check with this command, run by a shell, whether the container works"),
    value("--health-interval", "TIME", "Time between two checks, like 30s"),
    value("--health-retries", "COUNT", "So many failures in a row make it unhealthy"),
    value("--health-start-interval", "TIME", "Time between two checks in the start period"),
    value("--health-start-period", "TIME", "Failures before this time has passed do not count"),
    value("--health-timeout", "TIME", "A check that takes longer has failed"),
    value("-h, --hostname", "NAME", "The container's host name"),
    values("--group-add", "GROUP", "Put its user into this group too, by name or number"),
    flag("--init", "Put an init before the command, which passes signals on and reaps processes"),
    flag("-i, --interactive", "Keep standard input open"),
    value("--ip", "ADDRESS", "Its IPv4 address on the network that you have made with --subnet"),
    value("--ip6", "ADDRESS", "The same for IPv6"),
    value("--ipc", "MODE", "Shared memory and queues: private, shareable, none, host or container:NAME"),
    values("--label-file", "FILE", "Read labels from a file"),
    values("-l, --label", "KEY=VALUE", "Put a label on the container"),
    value("--log-driver", "DRIVER", "Keep the output in: json-file, journald or none", default="json-file"),
    values("--log-opt", "NAME=VALUE", "Of json-file: max-size, like 10m, and max-file, how many of these"),
    value("-m, --memory", "BYTES", "The most memory, like 2g"),
    value("--memory-reservation", "BYTES", "Memory that is left to it where there is little"),
    value("--memory-swap", "BYTES", "The most memory and swap together, -1 for any swap"),
    value(
        "--memory-swappiness",
        "NUMBER",
        "How soon its memory is swapped out, 0 to 100",
    ),
    value("--mac-address", "ADDRESS", "Hardware address of the container's device, on root's bridge"),
    values("--mount", "OPTIONS", "Mount a folder, volume, image or tmpfs: type=bind,source=…,target=…"),
    value("--name", "NAME", "Give the container a name"),
    values(
        "--network",
        "NETWORK",
        "default, none, host, container:NAME, or one of your own: NAME or name=…,alias=…,ip=…",
    ),
    values("--network-alias", "NAME", "Be found by this name too on the network that you have made"),
    flag("--no-healthcheck", "Do not run the image's health check"),
    flag("--oom-kill-disable", "Let it wait, and not be killed, where its memory runs out"),
    value("--oom-score-adj", "NUMBER", "How soon it is killed where memory runs out, -1000 to 1000"),
    value("--pids-limit", "COUNT", "The most processes and threads, -1 for any number"),
    value("--pid", "MODE", "Processes: private, host to see this machine's, or container:NAME"),
    value("--pidfile", "FILE", "Write the number of the container's first process into this file"),
    value("--platform", "PLATFORM", "Take the image for this platform"),
    flag(
        "--privileged",
        "All rights in its user namespace, nothing hidden; this machine's only by --userns host",
    ),
    values("-p, --publish", "[IP:][PORT:]PORT[/PROTO]", "Publish a port of the container on this machine"),
    flag("-P, --publish-all", "Publish all exposed ports on free ports"),
    value("--pull", "WHEN", "Pull the image: always, missing or never", default="missing", choices=PULL),
    flag("-q, --quiet", "Do not show the progress of a pull"),
    flag("--read-only", "Make the container's files read-only"),
    value(
        "--restart",
        "POLICY",
        "Start it again: no, on-failure[:COUNT], always or unless-stopped",
        default="no",
    ),
    flag("--rm", "Remove the container when it ends, and its anonymous volumes"),
    values("--security-opt", "OPTION", "seccomp=FILE|unconfined, no-new-privileges:false, unmask=…"),
    value("--runtime", "NAME", "Start it by another OCI runtime: crun, runc, runsc or the path of one"),
    value("--shm-size", "BYTES", "Size of /dev/shm, like 2g"),
    value("--stop-signal", "SIGNAL", "The signal that asks the container to stop"),
    number("--stop-timeout", "SECONDS", "How long to wait after that signal"),
    flag("--sig-proxy", "Pass signals on; without, Ctrl-C leaves the container to go on", default=True),
    values("--sysctl", "NAME=VALUE", "Set a kernel parameter of the container's own namespaces"),
    values("--tmpfs", "PATH[:OPTIONS]", "Mount an empty file system in memory"),
    flag("-t, --tty", "Give the container a terminal"),
    values("--ulimit", "NAME=SOFT[:HARD]", "Limit what a process may use, like nofile=1024:4096"),
    value("-u, --user", "USER[:GROUP]", "Run as this user, by name or number"),
    value("--userns", "MODE", "Users: private, host, auto[:size=N], nomap or keep-id[:uid=N,gid=N]"),
    value("--uts", "MODE", "Host name: private, or host for this machine's"),
    values("-v, --volume", "SOURCE:TARGET[:OPTIONS]", "Mount a folder or a volume", dynamic="volumes"),
    values("--volumes-from", "CONTAINER[:ro]", "Mount what another container mounts", dynamic="containers"),
    flag("--wait", "With --detach: return when it runs and, if it has a health check, is healthy"),
    flag("--wait-healthy", "The same, for a container that must have a health check"),
    number("--wait-timeout", "SECONDS", "Give up waiting after this time"),
    value("-w, --workdir", "PATH", "The directory to start in"),
    *refuse(_KERNEL_MEMORY, "--kernel-memory="),
    *refuse(_QUOTA, "--storage-opt="),
    *refuse(_ADDRESSES, "--link-local-ip="),
    *refuse(_LINKS, "--link="),
    *refuse(_WINDOWS, "--cpu-count=0", "--cpu-percent=0", "--io-maxbandwidth=0", "--io-maxiops=0"),
    *refuse("use the global option: tiffin --isolation RUNG run", "--isolation=default"),
    *refuse("volumes are folders of this machine", "--volume-driver=local"),
    *refuse("there is no API socket", "--use-api-socket"),
    *ignore("--disable-content-trust"),
    values("--net", "NETWORK", ""),
    values("--net-alias", "NAME", ""),
)


def run(session: Session, arguments: Arguments) -> int:
    """Run a container; the status is the container's own, unless it is detached."""
    from tiffin.engine.running import run as run_container

    _check_flags(arguments, session.path)
    client = _client(session, arguments) if _needs_client(arguments) else None
    wanted = request(arguments, detach=arguments.flag("detach"), client=client)
    made: list[str] = []
    mode: Mode = "quiet" if arguments.flag("quiet") else "auto"
    with session.later_reporter(mode) as reporter, session.engine(reporter.emit) as engine:
        session.stdout.flush()
        status = run_container(engine, wanted, announce=_announce(session, arguments, made)) or 0
        if made and not status and _waits(arguments):
            from tiffin.engine.awaiting import await_start

            await_start(engine, made[0], arguments.number("wait-timeout"))
        return status


def request(arguments: Arguments, *, detach: bool, client: Client | None = None) -> RunRequest:
    """What is asked of the engine; `create` has the same options."""
    from tiffin.engine.request import Client
    from tiffin.engine.running import RunRequest

    image, *command = arguments.words
    network, networks = _networks(arguments)
    _check_cidfile(arguments.text("cidfile"))
    return RunRequest(
        image=image,
        command=tuple(command),
        name=arguments.text("name"),
        detach=detach,
        rm=arguments.flag("rm"),
        interactive=arguments.flag("interactive"),
        tty=arguments.flag("tty"),
        publish=arguments.texts("publish"),
        publish_all=arguments.flag("publish-all"),
        env=arguments.texts("env"),
        env_files=files(arguments.texts("env-file")),
        volumes=arguments.texts("volume"),
        mounts=_mounts(arguments.texts("mount")),
        volumes_from=arguments.texts("volumes-from"),
        tmpfs=arguments.texts("tmpfs"),
        workdir=arguments.text("workdir"),
        user=arguments.text("user"),
        entrypoint=arguments.text("entrypoint"),
        network=network,
        networks=networks,
        network_aliases=(*arguments.texts("network-alias"), *arguments.texts("net-alias")),
        ip=arguments.text("ip") or "",
        ip6=arguments.text("ip6") or "",
        domainname=arguments.text("domainname") or "",
        hostname=arguments.text("hostname"),
        labels=tuple(arguments.pairs("label").items()),
        label_files=files(arguments.texts("label-file")),
        annotations=tuple(arguments.pairs("annotation").items()),
        read_only=arguments.flag("read-only"),
        shm_size=_size(arguments.text("shm-size")),
        cap_add=arguments.texts("cap-add"),
        cap_drop=arguments.texts("cap-drop"),
        add_hosts=arguments.texts("add-host"),
        dns=arguments.texts("dns"),
        dns_search=arguments.texts("dns-search"),
        dns_options=arguments.texts("dns-option"),
        expose=arguments.texts("expose"),
        mac_address=arguments.text("mac-address"),
        stop_signal=arguments.text("stop-signal"),
        stop_timeout=arguments.number("stop-timeout"),
        restart=arguments.text("restart") or "no",
        health=_health(arguments),
        init=arguments.flag("init"),
        pidfile=_absolute(arguments.text("pidfile")),
        log_driver=(arguments.text("log-driver") or "") if "log-driver" in arguments.given else "",
        log_options=arguments.texts("log-opt"),
        security=_security(arguments),
        limits=_limits(arguments),
        gpus=arguments.text("gpus") or "",
        client=client or Client(),
        cdi_devices=tuple(text for text in arguments.texts("device") if not text.startswith("/")),
        devices=tuple(text for text in arguments.texts("device") if text.startswith("/")),
        runtime=arguments.text("runtime") or "",
        pull=arguments.text("pull") or "missing",
        platform=arguments.text("platform"),
    )


def _networks(arguments: Arguments) -> tuple[str, tuple[str, ...]]:
    """The network by its one name, and all that is said of networks if that is more than the mode of one."""
    from tiffin.engine.request import split_networks

    given = (*arguments.texts("network"), *arguments.texts("net"))
    more = any(arguments.given.intersection(("network-alias", "net-alias", "ip", "ip6")))
    return split_networks(given, more=more)


def _needs_client(arguments: Arguments) -> bool:
    """Whether it matters how this command is attached: mostly by all streams, and with no terminal."""
    terminal = arguments.flag("interactive") and arguments.flag("tty")
    return terminal or bool({"attach", "detach-keys", "sig-proxy"} & {*arguments.given})


def _client(session: Session, arguments: Arguments) -> Client:
    from tiffin.cli.clientflags import client, need_terminal

    asked = client(session, arguments)
    terminal = arguments.flag("interactive") and arguments.flag("tty") and not arguments.flag("detach")
    if terminal and asked.attaches("stdin"):
        need_terminal(session)
    return asked


def _mounts(texts: tuple[str, ...]) -> tuple[VolumeMount | TmpfsMount, ...]:
    if not texts:
        return ()
    from tiffin.container.mountoptions import parse_mount

    return tuple(map(parse_mount, texts))


def _absolute(path: str | None) -> str:
    return os.path.abspath(path) if path else ""  # noqa: PTH100 - links stay as they are


def _health(arguments: Arguments) -> tuple[tuple[str, str], ...]:
    given = [(name, arguments.text(f"health-{name}")) for name in HEALTH]
    none = (("none", ""),) if arguments.flag("no-healthcheck") else ()
    needs = "wait-healthy" in arguments.given and arguments.flag("wait-healthy")  # 'create' has it not
    needed = (("required", ""),) if needs else ()
    return (*((name, text) for name, text in given if text is not None), *none, *needed)


def _security(arguments: Arguments) -> tuple[tuple[str, str], ...]:
    flags = (("privileged", ""),) if arguments.flag("privileged") else ()
    named = [(name, text) for name in NAMESPACES if (text := arguments.text(name))]
    several = [(name, text) for name in SECURITY for text in arguments.texts(name)]
    return (*flags, *named, *several)


def _limits(arguments: Arguments) -> tuple[tuple[str, str], ...]:
    given = [(name, text) for name in LIMITS if (text := arguments.text(name)) is not None]
    several = ((name, text) for name in SEVERAL_LIMITS for text in arguments.texts(name))
    endless = (("oom-kill-disable", "true"),) if arguments.flag("oom-kill-disable") else ()
    return (*given, *endless, *several)


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    from tiffin.cli.units import parse_size

    return parse_size(text, "--shm-size")


def files(names: tuple[str, ...]) -> tuple[Path, ...]:
    """Names as paths."""
    if not names:
        return ()
    from pathlib import Path

    return tuple(Path(name) for name in names)


def _waits(arguments: Arguments) -> bool:
    return arguments.flag("wait") or arguments.flag("wait-healthy")


def _announce(session: Session, arguments: Arguments, made: list[str]) -> Callable[[str], None]:
    """What to do with the id, as soon as the container exists."""
    shown = arguments.flag("detach") or {text.lower() for text in arguments.texts("attach")} == {"stdin"}

    def announce(identity: str) -> None:
        write_cidfile(arguments, identity)
        made.append(identity)
        if shown:
            session.print(identity)
            session.stdout.flush()

    return announce


def write_cidfile(arguments: Arguments, identity: str) -> None:
    """Write the id where `--cidfile` says."""
    cidfile = arguments.text("cidfile")
    if cidfile:
        with open(cidfile, "x", encoding="ascii") as file:  # noqa: PTH123 - pathlib's open is the same, later
            file.write(identity)


def _check_cidfile(path: str | None) -> None:
    if path and os.path.lexists(path):
        from tiffin.errors import ConflictError

        raise ConflictError(
            f"--cidfile {path}: the file exists, so its container may be running",
            hint="remove the file, or name another",
        )


def _check_flags(arguments: Arguments, path: str) -> None:
    from tiffin.cli.options import usage

    limited = "wait-timeout" in arguments.given
    if not arguments.flag("detach") and (_waits(arguments) or limited):
        raise usage("--wait is for --detach: without that, the command waits for the container's end", path)
    if limited and not _waits(arguments):
        raise usage(
            "--wait-timeout limits how long --wait or --wait-healthy wait: give one of them too", path
        )
    if arguments.flag("detach") and "attach" in arguments.given:
        raise usage("conflicting options: cannot specify both --attach and --detach", path)


COMMAND = Command(
    "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
    run,
    options=OPTIONS,
    words=(1, MANY),
    names="images",
    wraps=True,
    passes_status=True,
    description=(
        "Everything after IMAGE belongs to the container: its command and arguments. "
        "The status is the container's; 125 if tiffin itself failed, 126 if the command cannot be run, "
        "127 if there is no such command."
    ),
    examples=(
        "tiffin run -p 8000:8000 finca-serving",
        "tiffin run -d --name serving -p 127.0.0.1:8000:8000 -e LOG_LEVEL=info finca-serving",
        "tiffin run --rm -it finca-serving sh",
    ),
)
