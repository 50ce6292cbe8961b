"""From a container that was made to one that runs: its network, its files, its plan, its supervisor."""

from __future__ import annotations

import os
from contextlib import contextmanager

from tiffin.container import job, state
from tiffin.container.foreground import Foreground, size_of_terminal
from tiffin.engine.etcfiles import lender_of, resolver_of, write_files
from tiffin.engine.standing import (
    EMPTY,
    UPPER,
    WORK,
    about,
    control_of,
    directory_of,
    lock_of,
    say,
    spec_of,
    volumes_of,
)
from tiffin.errors import ConflictError
from tiffin.linux.files import lock, sync_file
from tiffin.linux.isolation import Rung
from tiffin.network import publish, resolver
from tiffin.network.attach import examine
from tiffin.network.leases import state_directory
from tiffin.network.plan import NetworkPlan, choose, parse_mac
from tiffin.runtime.model import Rootfs, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tiffin.container.record import Record
    from tiffin.container.supervisor import Supervisor
    from tiffin.engine.engine import Engine
    from tiffin.engine.request import Client
    from tiffin.engine.standing import Made
    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.runtime.model import Inlay

DEFAULT_SIZE = (24, 80)
RULE = "device-cgroup-rule"
HOST = "host"


def start_detached(engine: Engine, made: Made) -> None:
    """Return when the container's program has begun, and goes on without us."""
    from tiffin.container import spawn

    record = made.record
    with locked(engine, made):
        notices, _ = spawn.spawn(job_of(engine, made))
        if not record.remove:
            sync_file(directory_of(engine, record) / state.FILE)  # that it ran is to be known
    for notice in notices:
        say(engine, notice)


@contextmanager
def locked(engine: Engine, made: Made) -> Iterator[int]:
    """Within the block nobody else starts the container, or prunes it."""
    if made.held < 0:
        with lock(lock_of(engine, made.record)) as fd:
            yield fd
        return
    try:
        yield made.held
    finally:
        os.close(made.held)


def run_foreground(engine: Engine, made: Made, client: Client, *, interactive: bool) -> int:
    """Run the container here, as its terminal, to its end; return its exit code."""
    from tiffin.container.supervisor import supervise

    with locked(engine, made) as held:
        todo = job_of(engine, made, interactive=interactive)
        running: list[Supervisor] = []

        def began(supervisor: Supervisor) -> None:
            os.set_inheritable(held, False)
            running.append(supervisor)
            for notice in supervisor.notices:
                say(engine, notice)

        streams = Foreground(
            lambda text: say(engine, text),
            0 if interactive and client.attaches("stdin") else -1,
            1 if client.attaches("stdout") else -1,
            2 if client.attaches("stderr") else -1,
        )
        code = supervise(todo._replace(remove=()), began, streams)
        if running and running[0].standing.oom:
            from tiffin.engine.limits import out_of_memory

            say(engine, out_of_memory(made.record.limits, running[0].standing.peak))
        return code


def plan_of(engine: Engine, record: Record, spec: RuntimeSpec) -> bytes:
    """The container's plan, packed."""
    if not engine.rung.has_walls:
        from tiffin.engine import chrooted  # of two rungs only

        return pack(chrooted.plan_of(engine, record, spec))
    from tiffin.runtime.plan import make_plan

    extra: tuple[Inlay, ...] = ()
    if record.mounts:
        from tiffin.engine.mounting import inlays

        extra = inlays(engine, record)
    rootfs = _rootfs(engine, record, directory_of(engine, record))
    plan = make_plan(equipped(engine, record, spec), rootfs, machine=os.uname().machine, extra=extra)
    if plan.joins:
        from tiffin.engine.sharing import inode  # the process of that number may be another one later

        plan = plan._replace(joins=tuple(join._replace(inode=inode(join.path)) for join in plan.joins))
    if engine.footing.records and not (record.runtime or plan.uid_maps):
        from tiffin.engine.recorded import keep_owners

        plan = plan._replace(process=keep_owners(engine, record, plan.process, spec.linux.seccomp))
    if ("userns", HOST) in record.security and engine.rung is Rung.ROOT:
        from tiffin.engine.hostusers import guarded

        plan = guarded(plan, record)
    return pack(plan)


def spec_at_start(engine: Engine, record: Record, network: NetworkPlan) -> RuntimeSpec:
    """The spec of a container that was made earlier, or whose network is another container's."""
    import msgspec

    from tiffin.oci.runtimespec import Namespace

    spec = spec_of(engine, record)
    if network.mode == "container":
        spaces = tuple(space for space in spec.linux.namespaces if space.type != "network")
        kept = {key: value for key, value in spec.linux.sysctl.items() if not key.startswith("net.")}
        linux = msgspec.structs.replace(
            spec.linux, namespaces=(*spaces, Namespace("network", network.join)), sysctl=kept
        )
        spec = msgspec.structs.replace(spec, linux=linux)
    if shares(record.network, record.security):
        from tiffin.engine.sharing import shared

        spec = shared(engine, record, spec)
    return spec


def equipped(engine: Engine, record: Record, spec: RuntimeSpec) -> RuntimeSpec:
    """The spec with what its devices take on this machine now."""
    if record.gpus or record.cdi_devices:
        from tiffin.engine.accelerators import with_accelerators  # few containers have any

        spec = with_accelerators(engine, spec, record.gpus, record.cdi_devices)
    if record.devices:
        from tiffin.engine.hostdevices import with_nodes

        spec = with_nodes(spec, engine.rung, record.devices)
    return spec


def shares(network: str, words: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether a container with this network and these options needs another one to be started."""
    return any(text.startswith("container:") for text in (network, *(text for _, text in words)))


def job_of(engine: Engine, made: Made, *, interactive: bool = False) -> job.Job:
    """What the supervisor is to do; `interactive` gives standard input to one that was not made so.

    Raises ConflictError if the container runs already.
    """
    record = made.record
    directory = directory_of(engine, record)
    if state.read(directory).running:
        raise ConflictError(f"the container {record.name} is already running", code="already-running")
    if engine.rung is Rung.SINGLE_ID and (record.runtime or not engine.footing.records):
        from tiffin.engine.recorded import tell

        tell(engine, record)
    for notice in engine.footing.notices:
        say(engine, notice)
    network = _network(engine, record)
    plan = made.plan or plan_of(engine, record, spec_at_start(engine, record, network))
    hosts = write_files(record, network, directory, lender_of(engine, record))
    lent = False
    if not engine.rung.has_walls:
        from tiffin.engine import chrooted  # of two rungs only

        lent = chrooted.furnish(engine, record)
    return job.Job(
        identity=record.id,
        directory=str(directory),
        control=str(control_of(engine, record)),
        plan=plan,
        network=network,
        hosts=hosts,
        terminal=(size_of_terminal(0) or DEFAULT_SIZE) if record.terminal else None,
        interactive=record.interactive or interactive,
        input_once=record.input_once,
        remove=(*_anonymous(engine, record), str(directory)) if record.remove else (),
        restart=record.restart,
        health=record.health,
        limits=limits_of(record),
        cgroup_parent=dict(record.limits).get("cgroup-parent", ""),
        log=_log(record),
        init=record.init,
        pidfile=record.pidfile,
        journal=str(engine.home.journal),
        about=about(record),
        external=_external(engine, record, network) if record.runtime else (),
        stays=not record.remove,
        lent=lent,
    )


def _external(engine: Engine, record: Record, network: NetworkPlan) -> tuple[Any, ...]:
    from tiffin.engine.runtimes import runtime_of  # few containers have another runtime than ours

    return tuple(runtime_of(engine, record, spec_at_start(engine, record, network)))


def limits_of(record: Record) -> tuple[Any, ...]:
    """What is written into the cgroup of the container, as `job.Job.limits`; nothing where none is needed."""
    if not (record.limits or record.devices):
        return ()
    from tiffin.engine.limits import writes  # most containers have none

    if not (record.devices or any(name == RULE for name, _ in record.limits)):
        return writes(record.limits)
    from tiffin.engine.hostdevices import rules_for

    rules = rules_for(record.devices, (text for name, text in record.limits if name == RULE))
    return writes(record.limits, rules)


def _log(record: Record) -> Any:
    """As `job.Job.log`; the fields are those of Docker's driver."""
    if not record.log_driver and not record.log_options:
        return job.Job._field_defaults["log"]
    from tiffin.engine.logoptions import limit_of

    names = ("CONTAINER_ID", "CONTAINER_ID_FULL", "CONTAINER_NAME", "CONTAINER_TAG", "IMAGE_NAME")
    values = (record.short, record.id, record.name, record.short, record.image)
    fields = (*zip(names, values, strict=True), ("SYSLOG_IDENTIFIER", record.short))
    return (record.log_driver or "json-file", *limit_of(record.log_options), fields)


def _anonymous(engine: Engine, record: Record) -> list[str]:
    """The directories of the volumes that go with the container."""
    anonymous = [mount.name for mount in record.mounts if mount.anonymous]
    return [str(volumes_of(engine).path(name).parent) for name in anonymous] if anonymous else []


def _rootfs(engine: Engine, record: Record, directory: Path) -> Rootfs:
    layers = engine.home.layers
    if engine.footing.plain:
        from tiffin.engine.plainroot import make_root  # where there are no overlays

        return Rootfs((), str(make_root(engine, record)), str(directory / WORK), readonly=record.read_only)
    names = [diff_id.partition(":")[2] for diff_id in reversed(record.layers)]
    lowers = tuple(f"{layers}/{name}" for name in names)
    shifted = record.keeps_id and engine.rung is not Rung.ROOT
    if shifted and engine.rung is Rung.ROOTLESS:
        from tiffin.engine.shifted import copies_for

        lowers = copies_for(engine, record.security, names)
    return Rootfs(
        lowers or (str(directory / EMPTY),),
        str(directory / UPPER),
        str(directory / WORK),
        readonly=record.read_only,
        shifted=shifted,
    )


def _network(engine: Engine, record: Record) -> NetworkPlan:
    if record.networks:
        from tiffin.engine.networking import network_plan  # most containers are on none that users have made

        return network_plan(engine, record)
    facts = examine(root=engine.rung is Rung.ROOT)
    choice = choose(record.network, facts)
    for notice in choice.notices:
        say(engine, notice)
    ports = tuple(publish.parse_all(record.publish))
    if not engine.rung.has_walls:
        ports = _beside_its_own(engine, ports)
    elif ports and choice.mode in ("host", "none"):
        say(engine, f"-p has no effect with --network {choice.mode}: {_WHY[choice.mode]}")
        ports = ()
    join = ""
    if choice.mode == "container":
        from tiffin.engine.sharing import partner  # few share the network of another

        join = f"/proc/{partner(engine, choice.target, f'--network container:{choice.target}')[1]}/ns/net"
    extra = [resolver.parse_extra_host(line) for line in record.extra_hosts]
    return NetworkPlan(
        mode=choice.mode,
        identity=record.id,
        state=str(state_directory(engine.home.run)),
        ports=ports,
        nft=facts.nft,
        pasta=facts.pasta,
        join=join,
        forward_dns=choice.mode == "pasta" and not record.dns and resolver_of(record, private=True).empty,
        map_gateway=any(line.address == resolver.HOST_GATEWAY for line in extra),
        insist=record.network == "pasta",
        mac=parse_mac(record.mac_address, choice.mode) if record.mac_address else "",
    )


def _beside_its_own(engine: Engine, ports: tuple[publish.Published, ...]) -> tuple[publish.Published, ...]:
    """The ports to forward where the container listens in our own network: those by another number."""
    for port in ports:
        if port.host == port.container:
            say(engine, f"port {port.host} is the container's own: it is in the network of this place")
    return tuple(port for port in ports if port.host != port.container)


_WHY = {"host": "its ports are the host's own", "none": "the container has no network"}
