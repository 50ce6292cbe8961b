"""tiffin run."""

from __future__ import annotations

import os

from tiffin.cli.command import MANY, Command
from tiffin.cli.containerflags import HEALTH, LIMITS, NAMESPACES, OPTIONS, SECURITY, SEVERAL_LIMITS

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
