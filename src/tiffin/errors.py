"""The kinds of failure, as values that say what is wrong, where, and what to do.

Every room may import this module; it imports nothing of ours, so that a
command can fail well before anything else is loaded.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


# Every command loads this module, and few would load `typing`, which takes as long as all that they do.
class Where(namedtuple("Where", "file line column end_column text", defaults=(1, 1, ""))):  # noqa: PYI024
    """A place in a text: 1-based line and columns, and the line itself for the excerpt."""

    __slots__ = ()
    file: str
    line: int
    column: int
    end_column: int
    text: str


class Excerpt(namedtuple("Excerpt", "first lines start end")):  # noqa: PYI024
    """Lines of a text, `first` being the number of the first one; those from `start` to `end` are meant."""

    __slots__ = ()
    first: int
    lines: tuple[str, ...]
    start: int
    end: int


class TiffinError(Exception):
    """Something that a user can be told: one line for what is wrong, one for what to do.

    `message` says what was tried on which object and what was found; `hint` says
    what to do about it; `where` points into a text; `code` is a stable
    kebab-case name; `exit_status` overrides the status of the process.
    `excerpt` is what is shown of the text in the place of the one line at `where`.
    """

    kind: ClassVar[str] = "failed"
    excerpt: Excerpt | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        hint: str = "",
        where: Where | None = None,
        exit_status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.kind
        self.hint = hint
        self.where = where
        self.exit_status = exit_status


class NotFoundError(TiffinError):
    """A named thing does not exist."""

    kind = "not-found"


class ConflictError(TiffinError):
    """The name, port or state is taken by something else."""

    kind = "conflict"


class InvalidError(TiffinError):
    """The input breaks its own rules: a bad reference, option or Dockerfile."""

    kind = "invalid"


class DeniedError(TiffinError):
    """The system or a registry forbids it."""

    kind = "denied"


class UnauthorizedError(TiffinError):
    """Credentials are missing or wrong."""

    kind = "unauthorized"


class UnavailableError(TiffinError):
    """Something outside does not answer: a registry, a mirror, a disk that is full."""

    kind = "unavailable"


class UnsupportedError(TiffinError):
    """Valid, but it cannot be done here."""

    kind = "unsupported"


class CorruptError(TiffinError):
    """Bytes are not what their digest, size or format says."""

    kind = "corrupt"


class FailedError(TiffinError):
    """What was asked for ran, and failed: a step of a build, a container.

    `output` is the end of what it printed, for those who did not see it go by.
    """

    kind = "failed"
    output: str = ""
