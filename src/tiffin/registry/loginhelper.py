"""Docker's credential helpers: programs that keep logins in a key ring, or make them for a cloud."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from tiffin.errors import InvalidError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX: Final = "docker-credential-"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATIENCE: Final = 60  # some open a browser, or ask a cloud
_UNKNOWN: Final = "credentials not found"


class _Answer(msgspec.Struct, rename="pascal"):
    username: str = ""
    secret: str = ""


class LoginHelper:
    """The helper `name`: the program docker-credential-NAME, which must be on the PATH of `environ`.

    It is given one text on standard input, and answers on standard output, errors too.
    """

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidError(f"{name!r} is no name of a credential helper")
        self.program = _PREFIX + name
        self._environ = environ

    def get(self, server: str) -> tuple[str, str] | None:
        """Name and secret for `server`; None when the helper has none. `UnavailableError` if it fails."""
        status, output = self._run("get", server.encode())
        if status != 0:
            if _UNKNOWN in output.decode(errors="replace").lower():
                return None
            raise self._failure("get", output)
        try:
            answer = msgspec.json.decode(output, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UnavailableError(f"the credential helper {self.program} gave no valid answer") from None
        return (answer.username, answer.secret) if answer.secret else None

    def store(self, server: str, username: str, secret: str) -> None:
        """Let the helper keep a login."""
        entry = {"ServerURL": server, "Username": username, "Secret": secret}
        status, output = self._run("store", msgspec.json.encode(entry))
        if status != 0:
            raise self._failure("store", output)

    def erase(self, server: str) -> None:
        """Let the helper forget a login."""
        status, output = self._run("erase", server.encode())
        if status != 0:
            raise self._failure("erase", output)

    def _run(self, verb: str, data: bytes) -> tuple[int, bytes]:
        import shutil
        import subprocess

        path = shutil.which(self.program, path=self._environ.get("PATH"))
        if path is None:
            raise UnavailableError(
                f"the credential helper {self.program} is not installed",
                code="credential-helper",
                hint="install it, or take it out of Docker's config.json",
            )
        try:
            done = subprocess.run(
                [path, verb],
                input=data,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(self._environ),
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(
                f"the credential helper {self.program} did not answer for {_PATIENCE} seconds",
                code="credential-helper",
            ) from None
        return done.returncode, done.stdout

    def _failure(self, verb: str, output: bytes) -> UnavailableError:
        # Of a failed `get` and `erase` the output is the helper's complaint; nothing secret was on its input.
        lines = output.decode(errors="replace").split("\n")
        said = "" if verb == "store" else "".join(char for char in lines[0][:200] if char.isprintable())
        return UnavailableError(
            f"the credential helper {self.program} could not {verb} a login" + (f": {said}" if said else ""),
            code="credential-helper",
            hint=f"try it by itself: echo SERVER | {self.program} {verb}",
        )
