"""tiffin pull."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, ignore, value
from tiffin.cli.policyflags import SIGNATURE_POLICY, use_policy

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Fetch an image, or all of a repository, and print the full names."""
    from tiffin.oci.reference import Reference

    name, platform = arguments.words[0], arguments.text("platform")
    quiet = arguments.flag("quiet")
    use_policy(session, arguments)
    with session.reporter("quiet" if quiet else "auto") as reporter, session.engine(reporter.emit) as engine:
        if arguments.flag("all-tags"):
            from tiffin.engine.transfers import pull_all

            names = pull_all(engine, name, platform)
        else:
            from tiffin.engine.settings import real_name
            from tiffin.engine.transfers import pull

            name = real_name(engine, name)
            pull(engine, name, platform)
            names = [Reference.parse(name).tagged()]
    for reference in names:
        session.print(str(reference))
    return 0


COMMAND = Command(
    "pull [OPTIONS] NAME[:TAG|@DIGEST]",
    run,
    options=(
        flag("-a, --all-tags", "Fetch the images of all tags that the repository has"),
        value("--platform", "PLATFORM", "Take the image for this platform, like linux/arm64"),
        flag("-q, --quiet", "Show no progress"),
        SIGNATURE_POLICY,
        *ignore("--disable-content-trust"),
    ),
    words=(1, 1),
    names="images",
    examples=("tiffin pull python:3.11.8-slim",),
)
