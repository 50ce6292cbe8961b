"""RUN, COPY, ADD and WORKDIR → operations of the graph. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.build import created_by
from tiffin.build.graph import Copy, DeviceRequest, InlineFile, MakeDirectory, Run
from tiffin.build.modes import change_mode
from tiffin.build.paths import absolute, destination, pivoted, relative
from tiffin.dockerfile import ast
from tiffin.dockerfile.ignore import IgnoreRules
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tiffin.build.addplan import Fetched
    from tiffin.build.draft import Draft
    from tiffin.build.graph import Made, Mount
    from tiffin.build.scope import Expander
    from tiffin.build.surroundings import Surroundings

_SCRIPTS = "/dev/pipes"


class Step(NamedTuple):
    """An operation, and the words that the history has for it.

    `fetched` is what fetches the sources of an ADD that are elsewhere.
    """

    op: Made
    history: str
    fetched: Fetched | None = None


def run_step(draft: Draft, instruction: ast.Run, around: Surroundings, mounts: tuple[Mount, ...]) -> Step:
    """Return what RUN does: its arguments, and the environment and the mounts with which they run."""
    arguments, script = _command(draft, instruction)
    environment = draft.environment
    op = Run(
        arguments=arguments,
        env=tuple(f"{name}={value}" for name, value in environment.items()),
        user=draft.config.user,
        directory=draft.config.working_dir or "/",
        network=instruction.network or "default",
        script=script,
        ambient=tuple(
            f"{name}={value}" for name, value in around.variables.items() if name not in environment
        ),
        mounts=mounts,
        hostname=around.hostname,
        security=instruction.security or "sandbox",
        devices=tuple(DeviceRequest(device.name, device.required) for device in instruction.devices),
        extra_hosts=around.hosts,
        platform=draft.platform,
    )
    return Step(op, created_by.run(arguments, draft.arguments))


def _command(draft: Draft, instruction: ast.Run) -> tuple[tuple[str, ...], InlineFile | None]:
    match instruction.command:
        case ast.ExecForm(arguments):
            return arguments, None
        case ast.ShellForm(line):
            line, script = _script(line, instruction)
            return draft.with_shell(line), script


def _script(line: str, instruction: ast.Run) -> tuple[str, InlineFile | None]:
    """Return what the shell is given, and the file of a here-document that is a program of its own.

    A command that is nothing but a here-document is its text; in any other
    the shell sees the here-documents as they stand, and handles them itself.
    """
    if instruction.whole:
        document = instruction.documents[0]
        if not document.stripped.startswith("#!"):
            return document.stripped, None
        return f"{_SCRIPTS}/{document.name}", InlineFile(document.name, _bytes(document.stripped))
    return "\n".join([line, *(f"{each.content}{each.name}" for each in instruction.documents)]), None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def workdir_step(draft: Draft, instruction: ast.Workdir, expander: Expander) -> Step | None:
    """Change the directory of `draft`; return what makes it, or None for `/`, which is there."""
    path = expander.word(instruction.path, draft.variables, instruction.span, draft.declared)
    directory = absolute(draft.config.working_dir, path)
    draft.change(working_dir=directory)
    history = f"WORKDIR {directory}"
    if directory == "/":
        draft.record(history)
        return None
    return Step(MakeDirectory(directory, draft.config.user), history)


def transfer_step(draft: Draft, instruction: ast.Copy | ast.Add, expander: Expander) -> Step:
    """Return what COPY or ADD does. Raises InvalidError or UnsupportedError at the instruction."""

    def word(text: str) -> str:
        return expander.word(text, draft.variables, instruction.span, draft.declared)

    transfer = instruction.transfer
    keyword = "ADD" if isinstance(instruction, ast.Add) else "COPY"
    sources = [word(source) for source in transfer.sources]
    fetched = _fetched(instruction, sources, word)
    into = word(transfer.destination)
    chown = word(transfer.chown or "") or None
    chmod = word(transfer.chmod or "") or None
    _check_mode(chmod, instruction)
    parents = isinstance(instruction, ast.Copy) and instruction.parents
    normal = pivoted if parents else relative
    op = Copy(
        sources=fetched.paths(sources) if fetched else tuple(map(normal, sources)),
        files=_files(draft, instruction, expander),
        destination=destination(draft.config.working_dir, into),
        chown=chown,
        chmod=chmod,
        unpack=isinstance(instruction, ast.Add)
        and bool(sources)
        and instruction.unpack is not False
        and fetched is None,
        exclude=_patterns(transfer.exclude, instruction),
        parents=parents,
        link=transfer.link,
        taken=fetched.taken if fetched else (),
    )
    flags = ["--parents"] * parents + [f"--chown={chown}"] * bool(chown) + [f"--chmod={chmod}"] * bool(chmod)
    marks = [f"<<{document.name}" for document in transfer.documents]
    shown = fetched.shown(sources) if fetched else sources
    return Step(op, " ".join([keyword, *flags, *shown, *marks, into]), fetched)


def _fetched(
    instruction: ast.Copy | ast.Add, sources: Sequence[str], word: Callable[[str], str]
) -> Fetched | None:
    """Return what fetches the sources that are elsewhere, if there are any."""
    checksum = instruction.checksum if isinstance(instruction, ast.Add) else None
    if checksum is None and not any("://" in source or "@" in source for source in sources):
        return None
    from tiffin.build.addplan import fetched_sources  # most builds fetch nothing

    return fetched_sources(instruction, sources, word(checksum or "") or None)


def _files(draft: Draft, instruction: ast.Copy | ast.Add, expander: Expander) -> tuple[InlineFile, ...]:
    def expand(text: str) -> str:
        return expander.document(text, draft.variables, instruction.span, draft.declared)

    return tuple(
        InlineFile(document.name, _bytes(expand(document.stripped) if document.expand else document.stripped))
        for document in instruction.transfer.documents
    )


def _patterns(patterns: tuple[str, ...], instruction: ast.Copy | ast.Add) -> tuple[str, ...]:
    """Return the patterns of --exclude if they are good."""
    try:
        IgnoreRules.of(patterns)
    except InvalidError as error:
        error.where = instruction.span.where
        raise
    return patterns


def _check_mode(chmod: str | None, instruction: ast.Copy | ast.Add) -> None:
    if chmod is None:
        return
    try:
        change_mode(0, chmod, directory=False)
    except InvalidError as error:
        error.where = instruction.span.where
        raise
