"""A Dockerfile as values: one frozen class for each instruction. Pure.

Every instruction has its place (`span`) and its text as it was written, with
continued lines joined and here-documents left out (`text`). Words are not
expanded: quotes, escapes and variables are still in them, and so are the tabs
of a `<<-` here-document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.dockerfile.heredoc import HereDocument
    from tiffin.dockerfile.lexer import Directives
    from tiffin.dockerfile.source import Source, Span

Network = Literal["default", "none", "host"]
Security = Literal["sandbox", "insecure"]


class ShellForm(NamedTuple):
    """A command for the shell, exactly as written."""

    line: str


class ExecForm(NamedTuple):
    """A command as its arguments: a JSON array."""

    arguments: tuple[str, ...]


Command = ShellForm | ExecForm


class Pair(NamedTuple):
    """A key and a value of ENV or LABEL, both to be expanded."""

    key: str
    value: str


class Declaration(NamedTuple):
    """One name of ARG, with its default (to be expanded) if it has one."""

    name: str
    default: str | None


class MountFlag(NamedTuple):
    """The value of one `--mount=`: `mounts.parse_mount` makes it a Mount when the variables are known."""

    text: str
    span: Span


class Device(NamedTuple):
    """The value of one `--device=`: a device by its CDI name."""

    name: str
    required: bool = False


class From(NamedTuple):
    """FROM: where a stage begins. `name` is in lower case."""

    span: Span
    text: str
    base: str
    name: str | None = None
    platform: str | None = None


class Arg(NamedTuple):
    """ARG."""

    span: Span
    text: str
    declarations: tuple[Declaration, ...]


class Env(NamedTuple):
    """ENV; `legacy` says that it is written with a blank in the place of the `=`."""

    span: Span
    text: str
    pairs: tuple[Pair, ...]
    legacy: bool = False


class Label(NamedTuple):
    """LABEL; `legacy` as in ENV."""

    span: Span
    text: str
    pairs: tuple[Pair, ...]
    legacy: bool = False


class Run(NamedTuple):
    """RUN. `documents` are the here-documents that the command line announces, in order.

    `whole` says that the command is one here-document and nothing else.
    """

    span: Span
    text: str
    command: Command
    documents: tuple[HereDocument, ...] = ()
    whole: bool = False
    mounts: tuple[MountFlag, ...] = ()
    network: Network | None = None
    security: Security | None = None
    devices: tuple[Device, ...] = ()


class Transfer(NamedTuple):
    """What COPY and ADD have in common: from where to where, and what changes on the way."""

    sources: tuple[str, ...]
    documents: tuple[HereDocument, ...]
    destination: str
    chown: str | None = None
    chmod: str | None = None
    link: bool = False
    exclude: tuple[str, ...] = ()


class Copy(NamedTuple):
    """COPY. `origin` is the stage, image or context that `--from` names."""

    span: Span
    text: str
    transfer: Transfer
    origin: str | None = None
    parents: bool = False


class Add(NamedTuple):
    """ADD. `unpack` and `keep_git_dir` are None where the flag is not given."""

    span: Span
    text: str
    transfer: Transfer
    checksum: str | None = None
    keep_git_dir: bool | None = None
    unpack: bool | None = None


class Workdir(NamedTuple):
    """WORKDIR."""

    span: Span
    text: str
    path: str


class User(NamedTuple):
    """USER."""

    span: Span
    text: str
    user: str


class Cmd(NamedTuple):
    """CMD."""

    span: Span
    text: str
    command: Command


class Entrypoint(NamedTuple):
    """ENTRYPOINT."""

    span: Span
    text: str
    command: Command


class Shell(NamedTuple):
    """SHELL."""

    span: Span
    text: str
    arguments: tuple[str, ...]


class Expose(NamedTuple):
    """EXPOSE: ports and ranges with or without protocol, not checked before they are expanded."""

    span: Span
    text: str
    ports: tuple[str, ...]


class Volume(NamedTuple):
    """VOLUME."""

    span: Span
    text: str
    paths: tuple[str, ...]


class StopSignal(NamedTuple):
    """STOPSIGNAL: a name or a number, not checked before it is expanded."""

    span: Span
    text: str
    signal: str


class Healthcheck(NamedTuple):
    """HEALTHCHECK: `command` is None for NONE; durations in nanoseconds, 0 for the default."""

    span: Span
    text: str
    command: Command | None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Maintainer(NamedTuple):
    """MAINTAINER."""

    span: Span
    text: str
    name: str


Trigger = (
    Arg
    | Env
    | Label
    | Run
    | Copy
    | Add
    | Workdir
    | User
    | Cmd
    | Entrypoint
    | Shell
    | Expose
    | Volume
    | StopSignal
    | Healthcheck
)


class OnBuild(NamedTuple):
    """ONBUILD: `expression` is the trigger as a Dockerfile of its own, as it goes into the image config."""

    span: Span
    text: str
    trigger: Trigger
    expression: str


Instruction = Trigger | OnBuild | Maintainer


class Stage(NamedTuple):
    """A FROM and what follows it."""

    start: From
    instructions: tuple[Instruction, ...]


class Dockerfile(NamedTuple):
    """A whole Dockerfile; `arguments` are the ARGs before the first FROM.

    `comments` are those above an instruction, by its line; `empty_lines` stand within one.
    """

    source: Source
    directives: Directives
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    comments: Mapping[int, tuple[str, ...]] = {}
    empty_lines: tuple[Span, ...] = ()

    def span_at(self, line: int) -> Span | None:
        """Return the place of the instruction that begins at `line`."""
        lines = (each for stage in self.stages for each in (stage.start, *stage.instructions))
        return next((each.span for each in (*self.arguments, *lines) if each.span.line == line), None)

    def description(self, line: int, name: str) -> str:
        """Return what a comment above the instruction at `line` says of `name`: `# name description`."""
        found = (comment.partition(" ") for comment in self.comments.get(line, ()))
        return next((rest for first, _, rest in found if first == name and rest), "")
