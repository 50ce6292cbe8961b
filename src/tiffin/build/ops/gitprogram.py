"""Runs the host's git, for repositories that may be hostile.

Two kinds of commands: those that talk to servers have the user's settings, for there are
logins, proxies and keys; those that write files have none, so that every machine gets the
same files. Neither runs hooks, asks questions, or follows a server to anything but http, ssh and git.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tiffin.build.canceled import Canceled
from tiffin.build.giturl import without_login
from tiffin.errors import CorruptError, TiffinError, UnavailableError, UnsupportedError
from tiffin.offline import check_online
from tiffin.registry.hostfiles import HostFiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LIMIT: Final = 16 << 20  # bytes that a command may print
_TAIL: Final = 4 << 10
_PROTOCOLS: Final = ("http", "https", "ssh", "git")
_SETTINGS: Final = (
    "protocol.allow=never",
    *(f"protocol.{name}.allow=always" for name in _PROTOCOLS),
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "advice.detachedHead=false",
)
# What would lead git to another repository than the one that is meant, or to other programs.
_FOREIGN: Final = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES", "GIT_TEMPLATE_DIR", "GIT_EXEC_PATH",
    "GIT_ALLOW_PROTOCOL", "GIT_PROTOCOL_FROM_USER", "GIT_CONFIG_PARAMETERS", "GIT_DEFAULT_HASH",
    "GIT_ATTR_SOURCE", "GIT_SHALLOW_FILE", "GIT_EXTERNAL_DIFF", "GIT_PAGER",
)  # fmt: skip
_BUNDLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR")
_GITHUB: Final = ("https://github.com/", "https://www.github.com/")


class GitProgram:
    """The program git; `stop` ends it. `secrets` may hold what BuildKit calls GIT_AUTH_TOKEN and so on."""

    def __init__(
        self, environ: Mapping[str, str], secrets: Mapping[str, bytes], stop: threading.Event
    ) -> None:
        self._environ = {name: value for name, value in environ.items() if name not in _FOREIGN}
        self._secrets = secrets
        self._stop = stop
        self._guard = threading.Lock()
        self._running: set[int] = set()
        found = shutil.which("git", path=environ.get("PATH"))
        if found is None:
            raise UnsupportedError(
                "the program git is not here, and repositories are fetched with it",
                code="no-git",
                hint="install it (apt-get install git), or use the URL of an archive of the repository",
            )
        self._path = found

    def local(self, *arguments: str, tree: Path | None = None, repository: Path) -> bytes:
        """Return what a command prints that talks to nobody and reads no settings. Raises TiffinError."""
        places = [f"--git-dir={repository}", *([f"--work-tree={tree}"] if tree else [])]
        return self._run([*places, *arguments], _isolated(self._environ), tree or repository)

    def remote(self, remote: str, *arguments: str, main: str, repository: Path) -> bytes:
        """Return what a command prints that talks to `remote`, with the user's settings and logins.

        `main` is the repository that the build names; its secret is not for others. Raises TiffinError.
        """
        check_online(self._environ, without_login(remote))
        environ = _connected(self._environ) | self._logins(remote, main)
        return self._run([f"--git-dir={repository}", *arguments], environ, repository)

    def stop(self) -> None:
        """End what runs, with all its children."""
        with self._guard:
            for pid in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def _run(self, arguments: Sequence[str], environ: Mapping[str, str], place: Path) -> bytes:
        import subprocess
        from tempfile import TemporaryFile

        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        with TemporaryFile() as errors:
            process = subprocess.Popen(
                [self._path, *settings, *arguments],
                cwd=place,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                umask=0o022,
                start_new_session=True,  # no terminal to ask for passwords on, and one group to end
            )
            assert process.stdout is not None
            with self._guard:
                self._running.add(process.pid)
            try:
                if self._stop.is_set():
                    os.killpg(process.pid, signal.SIGKILL)
                output = process.stdout.read(_LIMIT + 1)
                if len(output) > _LIMIT:
                    os.killpg(process.pid, signal.SIGKILL)
                process.stdout.close()
                process.wait()
            finally:
                with self._guard:
                    self._running.discard(process.pid)
            if self._stop.is_set():
                raise Canceled
            if len(output) > _LIMIT:
                raise CorruptError(f"git tells of more than {_LIMIT >> 20} MiB of names", code="git-output")
            if process.returncode != 0:
                size = errors.seek(0, os.SEEK_END)
                errors.seek(max(0, size - _TAIL))
                raise _failure(errors.read().decode("utf-8", "replace"))
            return output

    def _logins(self, remote: str, main: str) -> dict[str, str]:
        """The secret for the host of `remote` as a setting, in the environment, where nobody else sees it."""
        parts = urlsplit(remote)
        if parts.scheme not in ("http", "https"):
            return {}
        scope = next((start for start in _GITHUB if remote.startswith(start)), remote)
        names = [(f"{kind}.{parts.hostname}", kind) for kind in ("GIT_AUTH_HEADER", "GIT_AUTH_TOKEN")]
        # Without a host in its name a secret is for the repository that was named, and what shares its scope.
        if main == remote or any(main.startswith(start) and remote.startswith(start) for start in _GITHUB):
            names += [(kind, kind) for kind in ("GIT_AUTH_HEADER", "GIT_AUTH_TOKEN")]
        for name, kind in names:
            if name in self._secrets:
                value = self._secrets[name].decode("utf-8", "surrogateescape").strip()
                if kind == "GIT_AUTH_TOKEN":
                    value = "basic " + b64encode(f"x-access-token:{value}".encode()).decode()
                count = int(self._environ.get("GIT_CONFIG_COUNT") or 0)
                return {
                    "GIT_CONFIG_COUNT": str(count + 1),
                    f"GIT_CONFIG_KEY_{count}": f"http.{scope}.extraHeader",
                    f"GIT_CONFIG_VALUE_{count}": f"Authorization: {value}",
                }
        return {}


def _isolated(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith(("GIT_", "XDG_"))}
    return kept | {
        "HOME": "/dev/null",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "LC_ALL": "C",
    }


def _connected(environ: Mapping[str, str]) -> dict[str, str]:
    found = {**environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    # The variables that other programs have for CAs, in git's words.
    if not {"GIT_SSL_CAINFO", "GIT_SSL_CAPATH"} & found.keys() and any(found.get(name) for name in _BUNDLES):
        bundle = HostFiles(environ).bundle()
        if bundle is not None:
            found["GIT_SSL_CAPATH" if bundle.is_dir() else "GIT_SSL_CAINFO"] = str(bundle)
    if "GIT_SSH_COMMAND" not in found and "GIT_SSH" not in found:
        command = _ssh_command(environ)
        if command:
            found["GIT_SSH_COMMAND"] = command
    return found


def _ssh_command(environ: Mapping[str, str]) -> str:
    """How to start ssh where we look like root: it asks for the home of that account, not for HOME."""
    import pwd

    home = environ.get("HOME", "")
    try:
        own = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        own = ""
    if not home or home == own:
        return ""
    folder = Path(home) / ".ssh"
    options = [f"-o 'UserKnownHostsFile={folder}/known_hosts'"]
    if (folder / "config").is_file():
        options.append(f"-F '{folder}/config'")
    keys = (folder / f"id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))
    options += [f"-i '{key}'" for key in keys if key.is_file()]
    return " ".join(["ssh", *options]) if "'" not in home else ""


def _failure(said: str) -> TiffinError:
    """What git says at its end, in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = (
        [line for line in lines if line.startswith(("fatal:", "error:", "remote: "))]
        or lines
        or ["it failed"]
    )
    line = "".join(character if character.isprintable() else " " for character in told[-1])
    for known, hint in _REMEDIES:
        if known in said:
            return UnavailableError(f"git: {line[:300]}", code="git-failed", hint=hint)
    return UnavailableError(f"git: {line[:300]}", code="git-failed", hint="try it by hand: git ls-remote URL")


_REMEDIES: Final = (
    ("Host key verification failed", "put the key of the host into ~/.ssh/known_hosts: ssh-keyscan HOST"),
    ("Permission denied (publickey", "give the key to your agent (ssh-add), or use https:// and a token"),
    (
        "could not read Username",
        "give a token with --secret id=GIT_AUTH_TOKEN,env=…, or use your git's login",
    ),
    ("Authentication failed", "the login or the token is wrong: --secret id=GIT_AUTH_TOKEN,env=…"),
    ("not found", "check the spelling; private repositories look like this too without a login"),
    ("Could not resolve host", "check the spelling, the network and the proxy (HTTPS_PROXY)"),
    ("Failed to connect", "check the network and the proxy (HTTPS_PROXY, NO_PROXY)"),
    ("certificate", "name the bundle with its CA in SSL_CERT_FILE"),
    ("transport '", "repositories are fetched by http, https, ssh and git only"),
)
