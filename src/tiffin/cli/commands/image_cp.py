"""tiffin image cp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, usage
from tiffin.cli.platformflag import PLATFORM, platform_of
from tiffin.cli.policyflags import SIGN, SIGNATURE_POLICY, before_tag, use_policy

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Copy an image between registries, layouts, archives, Docker and the store; print its digest."""
    from tiffin.engine.imagecopy import copy_image
    from tiffin.engine.places import parse_place

    source, target = map(parse_place, arguments.words)
    quiet = arguments.flag("quiet")
    use_policy(session, arguments)
    signing = before_tag(session, arguments, judged=False)
    if signing is not None and target.kind != "docker":
        raise usage("only what goes to a registry (docker://NAME) can be signed", session.path)
    with session.reporter("quiet" if quiet else "auto") as reporter, session.engine(reporter.emit) as engine:
        descriptor = copy_image(
            engine,
            source,
            target,
            platform_of(arguments),
            signing,
            referrers=arguments.flag("referrers"),
        )
    session.print(str(descriptor.digest))
    return 0


COMMAND = Command(
    "cp [OPTIONS] SOURCE TARGET",
    run,
    options=(
        PLATFORM,
        flag("-q, --quiet", "Show no progress"),
        flag("--referrers", "Copy along what refers to the image: signatures, SBOMs, reports"),
        *SIGN,
        SIGNATURE_POLICY,
    ),
    words=(2, 2),
    names="images",
    description=(
        "Copy an image from one place to another, as it is.\n\n"
        "A place is docker://NAME, oci:FOLDER[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], "
        "docker-daemon:NAME, or NAME in the store."
    ),
    examples=(
        "tiffin image cp docker://registry.example.org/serving:1 docker://registry.example.com/serving:1",
        "tiffin image cp --referrers docker://registry.example.org/serving:1 oci:layout:1",
        "tiffin image cp finca-serving oci:layout:1.0",
        "tiffin image cp docker-daemon:finca-serving finca-serving",
    ),
)
