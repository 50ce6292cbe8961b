"""How the relay logs in: with what the settings of this machine have for an address, and nowhere else."""

from __future__ import annotations

import threading
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from tiffin.build.relay.target import is_below, origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.build.relay.sources import Sources

_PATIENCE: Final = 20  # seconds for a keyring, which may want to ask somebody


class Logins:
    """The logins of `sources`, then those of netrc, then, if it was configured, those of the keyring."""

    def __init__(self, sources: Sources, environ: Mapping[str, str]) -> None:
        self._sources = sources
        self._environ = environ
        self._guard = threading.Lock()
        self._asked: dict[tuple[str, str, int], str] = {}

    def authorization(self, url: str) -> str:
        """The value of Authorization for a request to `url`, or nothing."""
        own = [source for source in self._sources.all if source.authorization and is_below(url, source.url)]
        own += [
            source
            for source in self._sources.all
            if source.authorization and origin(source.url) == origin(url)
        ]
        if own:
            return own[0].authorization
        with self._guard:
            if (asked := self._asked.get(origin(url))) is not None:
                return asked
        return self._of_netrc(origin(url)[1])

    def ask(self, url: str) -> str:
        """What the keyring knows for `url`, which was refused without; nothing where none is configured."""
        if not self._sources.keyring or self.authorization(url):
            return ""
        with self._guard:
            if origin(url) not in self._asked:
                self._asked[origin(url)] = self._of_keyring(url)
            return self._asked[origin(url)]

    def _of_netrc(self, host: str) -> str:
        import netrc

        home = self._environ.get("HOME", "")
        named = self._environ.get("NETRC") or (f"{home}/.netrc" if home else "")
        try:
            found = netrc.netrc(named).authenticators(host) if named else None
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
            return ""
        return _basic(found[0], found[2]) if found else ""

    def _of_keyring(self, url: str) -> str:
        import json
        import subprocess

        source = next((each.url for each in self._sources.all if is_below(url, each.url)), url)
        for service in (source, origin(url)[1]):
            try:
                done = subprocess.run(
                    ["keyring", "--mode=creds", "--output=json", "get", service],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                    timeout=_PATIENCE,
                    env=dict(self._environ),
                )
                if done.returncode == 0:
                    found = json.loads(done.stdout)
                    return _basic(str(found["username"]), str(found["password"]))
            except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
                continue
        return ""


def _basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
