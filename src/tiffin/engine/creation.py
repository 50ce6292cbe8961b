"""From a request to a container that is ready to start: image, mounts, user, spec, record, files."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tiffin.build.owner import find_user
from tiffin.container import environment, names
from tiffin.container.record import EndpointRecord, MountRecord, Record, Records
from tiffin.container.removal import put_away
from tiffin.engine.admission import check, check_programs
from tiffin.engine.lookup import find_complete, need_image
from tiffin.engine.prepared import Prepared, keep
from tiffin.engine.settings import real_name
from tiffin.engine.standing import FILES, Made, Top, directory_of, furnish, hold, name_of, tell
from tiffin.engine.starting import plan_of, shares
from tiffin.engine.variables import labels, variables
from tiffin.errors import NotFoundError
from tiffin.linux.files import lock
from tiffin.linux.isolation import Rung
from tiffin.network import publish, resolver
from tiffin.network.plan import parse_mac
from tiffin.oci.codec import encode
from tiffin.oci.platform import Platform
from tiffin.oci.runtimespec import Mount
from tiffin.runtime.seccomp import is_compat
from tiffin.runtime.spec import HOST, NEW, Options, make_spec
from tiffin.snapshot.unpack import unpack_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tiffin.engine.engine import Engine
    from tiffin.engine.lookup import Found
    from tiffin.engine.request import RunRequest
    from tiffin.oci.config import ContainerConfig, ImageConfig
    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.snapshot.merged import MergedTree
    from tiffin.store.leases import Lease


def create(engine: Engine, request: RunRequest) -> Record:
    """Make the container, without starting it; nothing of it is left if that fails."""
    made = make(engine, request._replace(image=real_name(engine, request.image)))
    os.close(made.held)
    tell(engine, made.record, "create")
    return made.record


def make(engine: Engine, request: RunRequest) -> Made:
    """The same, and its plan, if that does not depend on another container."""
    check(engine, request)
    if engine.footing.plain:
        request = _on_a_plain_root(engine, request)
    engine.enter()
    records = Records(engine.db)
    with engine.leases.hold("container") as lease, _ids(engine, request) as first_id:
        found = _image(engine, request, request.image)
        config, keeps = found.config.config, _keeps(found)
        lease.add_all(keeps)
        unpack_image(engine.fetcher, found.manifest, found.config, engine.layers)
        tree = engine.layers.tree(found.config.rootfs.diff_ids)
        check_programs(engine, request, found, tree)
        identity = names.new_id(os.urandom)
        name = name_of(records, request)
        gatherer = None
        # Without mounts, what an image has in its volumes is a part of its root anyway.
        volumes = config.volumes and engine.rung.has_walls
        if request.volumes or request.mounts or request.tmpfs or request.volumes_from or volumes:
            from tiffin.engine.mounting import Gatherer  # most containers have no mounts

            gatherer = Gatherer(engine, identity, tree, partial(_lease_image, engine, request, lease))
        directory, held = engine.home.containers / identity, -1
        try:
            mounted = gatherer.gather(request, config if volumes else None) if gatherer else ()
            record = _record(engine, request, found, (identity, name), mounted)
            if request.runtime or engine.settings.runtime:
                record = record._replace(runtime=_runtime(engine, request))
            if first_id:
                record = record._replace(first_id=first_id)
            spec, top = _spec(engine, request, record, found.config, tree), _top(engine, tree)
            if gatherer:
                gatherer.settle(record, spec)
            spec, top = _furnish(engine, record, spec, top, tree)
            plan = b"" if shares(record.network, record.security) else plan_of(engine, record, spec)
            held = hold(engine, record)
            records.add(record)
        except BaseException:
            if held >= 0:
                os.close(held)
            put_away(directory)
            if gatherer:
                gatherer.discard()
            raise
        if plan and found.reference is not None and not engine.footing.plain:
            keep(
                engine,
                request,
                Prepared(str(found.reference), str(found.descriptor.digest), record, encode(spec), plan, top),
            )
    return Made(record, plan, held)


def _furnish(
    engine: Engine, record: Record, spec: RuntimeSpec, top: Top, tree: MergedTree
) -> tuple[RuntimeSpec, Top]:
    """Make the container's directory; return its spec and the owner of its root, which may be others then."""
    directory, own = directory_of(engine, record), None
    if record.keeps_id:
        from tiffin.engine.keepid import keep_id  # few accounts are users of their own inside

        own = keep_id(engine, record, spec, top, tree)
        spec, top = own.spec, own.top
    furnish(engine, directory, top, encode(spec), stays=not record.remove)
    if own is not None:
        own.write(directory)
    return spec, top


def _on_a_plain_root(engine: Engine, request: RunRequest) -> RunRequest:
    """The request as it can be had where there are no overlays."""
    if not engine.rung.has_walls:
        from tiffin.engine import chrooted  # of two rungs only

        return chrooted.check(engine, request)
    from tiffin.engine import plainroot

    plainroot.check(request)
    return request


def network_name(request: str) -> str:
    """The network as it is kept: Docker's word for the default one is empty."""
    return "" if request in ("default", "bridge") else request


def _image(engine: Engine, request: RunRequest, name: str) -> Found:
    wanted = Platform.parse(request.platform) if request.platform else None
    asked = wanted or engine.platform
    found = find_complete(engine, name, asked) if request.pull != "always" else None
    if found is None and request.pull != "never":
        from tiffin.engine.transfers import pull  # most images are here, and the registry is much to load

        pull(engine, name, request.platform)
    found = found or need_image(engine, name, wanted)
    own = found.config.platform
    if wanted is not None and wanted.rank(own) is None:
        raise NotFoundError(f"the image {name} is for {own}, not for {request.platform}", exit_status=125)
    return found


def _lease_image(engine: Engine, request: RunRequest, lease: Lease, name: str) -> Found:
    """Another image than the container's own, which nobody takes away meanwhile."""
    found = _image(engine, request, name)
    lease.add_all(_keeps(found))
    unpack_image(engine.fetcher, found.manifest, found.config, engine.layers)
    return found


def _keeps(found: Found) -> tuple[tuple[str, str], ...]:
    blobs = (found.descriptor.digest, found.manifest.config.digest)
    return (
        *(("blob", str(digest)) for digest in blobs),
        *(("layer", str(diff_id)) for diff_id in found.config.rootfs.diff_ids),
    )


def _record(
    engine: Engine, request: RunRequest, found: Found, who: tuple[str, str], mounted: tuple[MountRecord, ...]
) -> Record:
    config = found.config.config
    published = publish.parse_all(request.publish)
    more = _exposed(request, config, published)
    for line in request.add_hosts:
        resolver.parse_extra_host(line)
    resolver.check(request.dns, request.dns_search, request.dns_options)
    if request.mac_address:
        parse_mac(request.mac_address, "bridge")  # whether there is a bridge, the start finds out
    mode, networks = _networks(engine, request)
    entrypoint = config.entrypoint or ()
    if request.entrypoint is not None:
        entrypoint = (request.entrypoint,) if request.entrypoint else ()
    image_command = (config.cmd or ()) if request.entrypoint is None else ()
    return Record(
        id=who[0],
        name=who[1],
        image=request.image,
        image_id=str(found.image_id),
        created=time.time_ns(),
        command=(*entrypoint, *(request.command or image_command)),
        layers=tuple(str(diff_id) for diff_id in found.config.rootfs.diff_ids),
        keeps=(*_keeps(found), *(("layer", layer) for mount in mounted for layer in mount.layers)),
        labels={**(config.labels or {}), **labels(request.label_files), **dict(request.labels)},
        mounts=mounted,
        volumes_from=request.volumes_from,
        publish=(*request.publish, *(f"{port.container}/{port.protocol}" for port in more)),
        network=mode,
        networks=networks,
        domainname=request.domainname,
        hostname=_hostname(request, who[0]),
        extra_hosts=request.add_hosts,
        gpus=request.gpus,
        cdi_devices=request.cdi_devices,
        devices=request.devices,
        dns=request.dns,
        dns_search=request.dns_search,
        dns_options=request.dns_options,
        mac_address=request.mac_address or "",
        terminal=request.tty,
        interactive=request.interactive,
        input_once=request.input_once,
        read_only=request.read_only,
        remove=request.rm,
        stop_signal=request.stop_signal or config.stop_signal or "",
        stop_timeout=request.stop_timeout,
        security=request.security,
        limits=request.limits,
        restart="" if request.restart == "no" else request.restart,
        health=_health(request, config),
        log_driver="" if request.log_driver == "json-file" else request.log_driver,
        log_options=request.log_options,
        init=request.init,
        pidfile=request.pidfile,
        entrypoint=entrypoint,
        user=(request.user if request.user is not None else config.user) or "",
        exposed=publish.spelled((*config.exposed_ports, *request.expose)),
        publish_all=request.publish_all,
        cap_add=request.cap_add,
        cap_drop=request.cap_drop,
    )


def _runtime(engine: Engine, request: RunRequest) -> str:
    from tiffin.engine.runtimes import chosen  # most containers have our own

    return chosen(engine, request)


def _networks(engine: Engine, request: RunRequest) -> tuple[str, tuple[EndpointRecord, ...]]:
    """The network as it is kept, and those that users have made."""
    if not request.networks:
        return network_name(request.network), ()
    from tiffin.engine.networking import places  # most containers are on none that users have made

    return places(engine, request)


def _health(request: RunRequest, config: ContainerConfig) -> tuple[Any, ...]:
    if config.healthcheck is None and not request.health:
        return ()
    from tiffin.container.healthflags import choose  # most images have no check

    return tuple(choose(config, request.health) or ())


def _exposed(
    request: RunRequest, config: ContainerConfig, published: list[publish.Published]
) -> list[publish.Published]:
    """What `-P` publishes; what is exposed beside the image's own is looked at in any case."""
    for text in request.expose:
        publish.parse_exposed(text, "--expose")
    exposed = (*config.exposed_ports, *request.expose)
    return publish.all_exposed(exposed, published) if request.publish_all else []


def _hostname(request: RunRequest, identity: str) -> str:
    if request.hostname:
        return request.hostname
    shared = request.network == "host" or ("uts", "host") in request.security
    return os.uname().nodename if shared else identity[:12]


def _spec(
    engine: Engine, request: RunRequest, record: Record, image: ImageConfig, tree: MergedTree
) -> RuntimeSpec:
    """The runtime spec of the container, whose directory is not made yet."""
    config, place = image.config, engine.footing.place()
    if record.runtime:
        place = place._replace(recorded=False)  # other runtimes answer no calls
    own = None
    if any(name == "userns" for name, _ in request.security):
        from tiffin.engine import userns

        place, own = userns.place(engine, record, place), userns.kept(engine, request.security)
        place = place._replace(recorded=place.recorded and not place.users.uids)
    kept, asked = environment.merge(config.env, variables(request.env, request.env_files, engine))
    options = Options(
        command=request.command,
        entrypoint=None if request.entrypoint is None else (request.entrypoint,),
        env=asked,
        working_dir=request.workdir or "",
        terminal=request.tty,
        hostname=record.hostname,
        domainname=record.domainname,
        mounts=_spec_mounts(engine, record, directory_of(engine, record)),
        network=HOST if record.network == "host" else NEW,
        readonly=request.read_only,
        cap_add=request.cap_add,
        cap_drop=request.cap_drop,
        shm_size=request.shm_size,
        compat=is_compat(place.machine, image.architecture),
    )
    groups: tuple[str, ...] = ()
    if request.security:
        from tiffin.engine.security import every, secure  # most containers are as they are by default

        options = secure(options, request.security, hostname=bool(request.hostname), network=record.network)
        groups = every(request.security, "group-add")
    if request.limits:
        from tiffin.engine.limits import parse_limits  # most containers have none

        options = options._replace(**parse_limits(request.limits)._asdict())
    asked_user = request.user if request.user is not None else config.user
    if own is not None and request.user is None:
        asked_user = f"{own[0]}:{own[1]}"
    user = find_user(asked_user, tree, groups)
    spec = make_spec(msgspec.structs.replace(config, env=kept), user, options, place)
    if request.annotations:
        spec = msgspec.structs.replace(spec, annotations=dict(request.annotations))
    if any(mount.propagation for mount in record.mounts):
        from tiffin.engine.mounting import propagation

        linux = msgspec.structs.replace(spec.linux, rootfs_propagation=propagation(record))
        spec = msgspec.structs.replace(spec, linux=linux)
    return spec


@contextmanager
def _ids(engine: Engine, request: RunRequest) -> Iterator[int]:
    """The first of the container's ids, if they are of its own, kept for it until it is recorded; else 0."""
    if not any(name == "userns" and text.startswith("auto") for name, text in request.security):
        yield 0
        return
    from tiffin.engine.userns import LOCK, reserve

    with lock(engine.home.locks / LOCK):
        yield reserve(engine, request.security)


def _top(engine: Engine, tree: MergedTree) -> Top:
    """What the root directory of the image is like, and so that of the container."""
    if tree.root is None:
        return Top(0, 0, 0o755)
    owners, root = engine.layers.owners, tree.root
    return Top(*owners.read(root.host, root.status), owners.mode(root.host, root.status))


def _spec_mounts(engine: Engine, record: Record, directory: Path) -> tuple[Mount, ...]:
    own = ("idmap",) if engine.rung is Rung.ROOT else ()
    bind = ("rbind", "rprivate", *own)
    generated = tuple(Mount(f"/etc/{name}", "bind", str(directory / name), bind) for name in FILES)
    if not record.mounts:
        return generated
    from tiffin.engine.mounting import spec_mounts

    return (*generated, *spec_mounts(engine, record))
