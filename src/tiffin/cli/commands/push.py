"""tiffin push."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.buildflags import SPLIT_LAYERS
from tiffin.cli.command import Command
from tiffin.cli.options import flag, ignore, usage, value
from tiffin.cli.platformflag import PLATFORM, platform_of
from tiffin.cli.policyflags import PUSH_POLICY, SIGN, before_tag, use_policy

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.packing import Compression

FORMS = ("gzip", "zstd", "none")


def run(session: Session, arguments: Arguments) -> int:
    """Send an image, or all of a repository, to the registry that its name begins with."""
    from tiffin.engine.packing import PushOptions
    from tiffin.oci.reference import Reference

    name, quiet = arguments.words[0], arguments.flag("quiet")
    options = PushOptions(
        platform_of(arguments),
        arguments.flag("split-layers"),
        _compression(arguments, session.path),
        before_tag(session, arguments, judged=use_policy(session, arguments)),
    )
    with session.reporter("quiet" if quiet else "auto") as reporter, session.engine(reporter.emit) as engine:
        if arguments.flag("all-tags"):
            from tiffin.engine.transfers import push_all

            names = push_all(engine, name, options)
        else:
            from tiffin.engine.transfers import push

            push(engine, name, options)
            names = [Reference.parse(name).tagged()]
    for reference in names if quiet else ():
        session.print(str(reference))
    return 0


def _compression(arguments: Arguments, path: str) -> Compression | None:
    """Read `--compression FORM[:LEVEL]` and `--force-compression`."""
    text, force = arguments.text("compression"), arguments.flag("force-compression")
    if text is None:
        if force:
            raise usage("--force-compression needs --compression", path)
        return None
    from tiffin.engine.packing import Compression, compression

    form, _, level = text.partition(":")
    if form not in FORMS or not (level.isdecimal() or (not level and ":" not in text)):
        raise usage(f"--compression {text!r} is not one of {', '.join(FORMS)}, or one with a :LEVEL", path)
    if form == "none":
        if level:
            raise usage("--compression none has no level", path)
        return Compression("none", force=force)
    return compression(form, int(level) if level else None, force=force)


COMMAND = Command(
    "push [OPTIONS] NAME[:TAG]",
    run,
    options=(
        flag("-a, --all-tags", "Send all images of the repository that are here"),
        value("--compression", "FORM[:LEVEL]", "Send layers that were built here as gzip, zstd or none"),
        flag("--force-compression", "Do so with layers that came compressed in another way, too"),
        flag("-q, --quiet", "Show no progress, and print the full name"),
        PLATFORM,
        *SIGN,
        PUSH_POLICY,
        SPLIT_LAYERS,
        *ignore("--disable-content-trust"),
    ),
    words=(1, 1),
    names="images",
    examples=(
        "tiffin push registry.example.org/finca/serving:1.2",
        "tiffin push --sign-by-sigstore-private-key cosign.key registry.example.org/finca/serving:1.2",
        "tiffin push --compression zstd:9 --split-layers registry.example.org/finca/serving:1.2",
    ),
)
