"""Images to and from registries: pull, push, login, logout."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.engine.incoming import Arriving, LocalFirst, present, turns
from tiffin.engine.lookup import find_image, need_image, of_platform, open_found
from tiffin.engine.packing import AS_IT_IS
from tiffin.engine.policyfile import admit
from tiffin.engine.room import check_room_for
from tiffin.errors import InvalidError, NotFoundError, TiffinError, UnavailableError, UnsupportedError
from tiffin.events import Notice
from tiffin.image.view import open_image
from tiffin.oci.platform import Platform
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine
    from tiffin.engine.packing import PushOptions
    from tiffin.engine.settings import Settings
    from tiffin.image.view import FetchedImage
    from tiffin.oci.descriptor import Descriptor
    from tiffin.registry.access import Registries
    from tiffin.store.leases import Lease

_THREADS: Final = 6
_ATTACHED: Final = (
    r"sha256-[0-9a-f]{64}(\.[a-z]+)?"  # cosign's tags, and those in the place of the referrers API
)


def pull(engine: Engine, name: str, platform: str | None = None) -> Descriptor:
    """Fetch the image `name` and unpack it; return what the name stands for now, an index perhaps.

    A name with a digest whose image is here already asks no network at all. Nothing gets
    the name before all of it is here and is what its digest says.
    """
    engine.enter()
    reference = Reference.parse(name).tagged()
    wanted = Platform.parse(platform) if platform else engine.platform
    with engine.leases.hold("pull") as lease:
        if reference.digest is not None:
            lease.add("blob", reference.digest)
            here = present(engine, reference.digest, wanted)
            if here is not None and (platform is None or wanted.rank(here[1].config.platform) is not None):
                lease.add_all(_contents(here[1]))
                admit(engine, reference, [here[0].digest, here[1].descriptor.digest])
                return _keep(engine, reference, here[0], here[1], native=platform is None)
        return _pull(engine, lease, _Wanted(reference, wanted, platform is not None))


def pull_all(engine: Engine, name: str, platform: str | None = None) -> list[Reference]:
    """Fetch every image of the repository `name`, which has no tag; return their names.

    Tags that hold what is attached to images, signatures for example, are none.
    """
    repository = _whole_repository(name)
    with engine.registries() as registries:
        tags = registries.to_pull(repository).tags()
    images = [tag for tag in tags if not re.fullmatch(_ATTACHED, tag)]
    found = [Reference(repository.registry, repository.repository, tag) for tag in images]
    for reference in found:
        pull(engine, str(reference), platform)
    return found


def _whole_repository(name: str) -> Reference:
    reference = Reference.parse(name)
    if reference.tag is not None or reference.digest is not None:
        raise InvalidError(f"--all-tags is for a name without a tag, and {name} has one")
    return reference


def pull_base(engine: Engine, name: str, platform: Platform, *, renew: bool = False) -> None:
    """Fetch the image `name` for `platform`, for a build; the name stands for the whole index, if it is one.

    An index that the name stands for here already is completed with the platform, not replaced by what
    the registry has now, unless `renew`. An image that is for one other platform alone is taken as it is.
    """
    engine.enter()
    reference = Reference.parse(name).tagged()
    known = engine.tags.get(reference)
    with engine.leases.hold("pull") as lease:
        root = known if known is not None and known.is_index and not renew else None
        _pull(engine, lease, _Wanted(reference, platform, root=root))


def push_all(engine: Engine, name: str, options: PushOptions = AS_IT_IS) -> list[Reference]:
    """Send every image of the repository `name` that is here; return their names.

    Raises InvalidError for a name with a tag, NotFoundError if there is none.
    """
    repository = _whole_repository(name)
    found = [tag.reference for tag in engine.tags.all() if tag.reference.name == repository.name]
    tagged = sorted((each for each in found if each.digest is None), key=str)
    if not tagged:
        raise NotFoundError(
            f"there is no image of the repository {repository.familiar}", code="no-such-image"
        )
    for reference in tagged:
        push(engine, str(reference), options)
    return tagged


def push(engine: Engine, name: str, options: PushOptions = AS_IT_IS) -> Descriptor:
    """Send the image `name` to the registry in its name; return the descriptor of the manifest there.

    Layers that were built here are sent compressed, so that the manifest there is another than here; the
    image id is the same, unless big layers are split. Of an index all images are sent if they are all here,
    else the one for this machine; or the one for the platform of `options`. The image here stays as it is.
    """
    engine.enter()
    reference = Reference.parse(name).tagged()
    if reference.tag is None or reference.digest is not None:
        raise InvalidError(f"{name} cannot be pushed under a digest", hint="give a name with a tag")
    found = need_image(engine, name)
    if found.reference is None:
        raise InvalidError(
            f"{name} is an image id, and only names can be pushed",
            hint=f"give it a name first: tiffin tag {name} REGISTRY/NAME:TAG",
        )
    from tiffin.engine.outgoing import GZIP, prepare
    from tiffin.engine.packing import Form
    from tiffin.engine.sending import send, to_send

    form = Form(options.compression) if options.compression else GZIP
    root = found.descriptor if options.platform is None else of_platform(engine, found, options.platform)
    root = to_send(engine, root, reference.familiar)
    with engine.leases.hold("push") as lease:
        lease.add("blob", found.descriptor.digest)
        splitter = None
        if options.split:
            from tiffin.engine.splitting import Splitter

            splitter = Splitter(engine, lease)
        sent = send(
            engine,
            [reference],
            lambda there: prepare(engine, root, form, there, splitter),
            before_tag=options.before_tag,
        )
    engine.happened("image", "push", found.image_id, name=reference.familiar)
    return sent


def login(settings: Settings, server: str, user: str, password: str) -> str:
    """Check the login with the registry `server` and keep it; return in words where.

    Raises UnauthorizedError when the registry refuses it, and keeps nothing then.
    """
    from tiffin.registry.access import Registries
    from tiffin.registry.credentials import CredentialStore

    registry = _registry(server)
    with Registries(settings.environ) as registries:
        credentials = registries.check_login(registry, user, password)
    return CredentialStore(settings.environ).save(registry, credentials)


def logout(settings: Settings, server: str) -> bool:
    """Forget the login for the registry `server`; whether there was one."""
    from tiffin.registry.credentials import CredentialStore

    return CredentialStore(settings.environ).erase(_registry(server))


def _registry(server: str) -> str:
    """The registry that a user names on the command line, by its host or by a URL."""
    from tiffin.registry.credentials import canonical_registry

    registry = canonical_registry(server.strip())
    try:
        return Reference(registry, "library/any").registry
    except InvalidError:
        raise InvalidError(
            f"{server!r} is not a registry",
            hint="give its host, such as registry.example.org or localhost:5000",
        ) from None


class _Wanted(NamedTuple):
    """What is fetched; `root` is what the name stands for, if that is known already.

    `chosen` says that the name shall stand for the image of this platform alone; None that it
    may be for any platform, and nobody has to be told.
    """

    reference: Reference
    platform: Platform
    chosen: bool | None = None
    root: Descriptor | None = None


def _pull(engine: Engine, lease: Lease, wanted: _Wanted) -> Descriptor:
    with engine.registries() as registries:
        try:
            return _fetch(engine, registries, lease, wanted)
        except (UnavailableError, NotFoundError) as error:
            raise _explained(engine, wanted.reference, error) from error


def _fetch(engine: Engine, registries: Registries, lease: Lease, wanted: _Wanted) -> Descriptor:
    from tiffin.content.copy import copy_graph

    reference, platform, chosen, root = wanted
    repository = registries.to_pull(reference)
    root = root or repository.resolve(reference)
    lease.add("blob", root.digest)
    source = LocalFirst(engine, repository)
    image = open_image(source, root, platform, what=reference.familiar)
    if chosen is not None:
        _check_platform(engine, reference, image, platform, chosen=chosen)
    admit(engine, reference, [root.digest, image.descriptor.digest], registries)
    lease.add_all(_contents(image))
    check_room_for(engine, image, reference.familiar)
    sink = Arriving(engine, image, repository, source.fetched)
    with turns():
        copy_graph(source, sink, image.descriptor.bare(), emit=engine.emit, threads=_THREADS)
    absent = [diff_id for diff_id in set(image.config.rootfs.diff_ids) if not engine.layers.has(diff_id)]
    if absent:
        raise UnsupportedError(
            f"{reference.familiar} has layers that its registry must not hand out", code="foreign-layers"
        )
    for descriptor in source.documents:
        with closing(source.open(descriptor)) as stream:
            engine.blobs.push(descriptor, stream)
    return _keep(engine, reference, root, image, native=not chosen)


def _keep(
    engine: Engine, reference: Reference, root: Descriptor, image: FetchedImage, *, native: bool
) -> Descriptor:
    """Give the image its name.

    The name stands for the whole index, whose digest is the same on every machine. It stands for
    the one image that was chosen, if one was: of an index, all others take what fits this machine.
    """
    named = (root if native else image.descriptor).bare()
    engine.layers.settle()
    image_id = open_found(engine, named, reference).image_id
    engine.keep(named, image_id, [reference])
    engine.happened("image", "pull", image_id, name=reference.familiar)
    return named


def _contents(image: FetchedImage) -> list[tuple[str, str]]:
    layers = [("layer", diff_id) for diff_id in image.config.rootfs.diff_ids]
    blobs = [image.descriptor, image.manifest.config, *image.manifest.layers]
    return [*layers, *(("blob", descriptor.digest) for descriptor in blobs)]


def _check_platform(
    engine: Engine, reference: Reference, image: FetchedImage, wanted: Platform, *, chosen: bool
) -> None:
    own = image.config.platform
    if wanted.rank(own) is not None:
        return
    if chosen:
        raise NotFoundError(
            f"{reference.familiar} is not made for {wanted}",
            code="no-such-platform",
            hint=f"it is made for {own}",
        )
    message = f"{reference.familiar} is made for {own}, and this machine is {wanted}: it will not run here"
    engine.emit(Notice(message))


def _explained(engine: Engine, reference: Reference, error: TiffinError) -> TiffinError:
    """The error of a pull in terms of the image, with what else could help."""
    familiar = reference.familiar
    hints = []
    if find_image(engine, familiar) is not None:
        message = f"{familiar} cannot be pulled, and stays as it is in the store: {error.message}"
    elif error.code == "offline":
        message = f"the image {familiar} is not here, and the network must not be used"
    else:
        message = f"the image {familiar} is not in the store, nor to be had from {reference.registry}"
        message += f": {error.message}"
        near = engine.tags.nearest(familiar)
        hints += [f"did you mean {' or '.join(near)}, which is here?"] if near else []
        if isinstance(error, UnavailableError):
            python = " --python" if reference.repository.rpartition("/")[2].startswith("python") else ""
            hints.append(f"an image from packages needs no registry: tiffin base{python} -t {familiar}")
    hints += [error.hint] if error.hint else []
    return type(error)(message, code=error.code, hint="; ".join(hints), exit_status=error.exit_status)
