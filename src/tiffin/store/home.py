"""Where everything lies: the directories of one store, found from the environment once.

Knows names only; what is in the directories is known to the modules that fill them.
"""

from __future__ import annotations

import os
from pathlib import Path

from tiffin.errors import InvalidError
from tiffin.linux import files
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from tiffin.oci.digest import DiffID, Digest

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_NO_IMAGES = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'


class Home(NamedTuple):
    """The store below `root`, and the state of running things below `run`.

    `root` is an OCI image layout (`blobs`, `oci-layout`, `index.json`) with our
    own directories beside. Nobody else may enter it: layers hold set-user-id files.
    """

    root: Path
    run: Path

    @classmethod
    def locate(cls, environ: Mapping[str, str], euid: int) -> Self:
        """The home that `environ` names for the user `euid`; nothing is made yet."""
        root = _root(environ, euid)
        run = Path("/run/tiffin") if euid == 0 else _runtime(environ)
        # As after `su`: the directory of another user, into which we may not even look.
        if run is None or not (_writable(run) or (_writable(run.parent) and not run.exists())):
            run = root / "run"
        return cls(root, run)

    @property
    def blobs(self) -> Path:
        """Content by algorithm and digest."""
        return self.root / "blobs"

    @property
    def layers(self) -> Path:
        """Unpacked layers, read only once they are there."""
        return self.root / "layers"

    @property
    def work(self) -> Path:
        """What is being made; anything here may go when nobody holds its lock."""
        return self.root / "work"

    @property
    def partial(self) -> Path:
        """What has come of blobs that are not all here yet; made when there is one."""
        return self.root / "partial"

    @property
    def database(self) -> Path:
        """Names, layers, build cache, containers, leases."""
        return self.root / "tiffin.db"

    @property
    def containers(self) -> Path:
        """A directory for each kept container."""
        return self.root / "containers"

    @property
    def cache(self) -> Path:
        """What can be had again: package indexes, cache mounts."""
        return self.root / "cache"

    @property
    def journal(self) -> Path:
        """What happened, event by event."""
        return self.root / "events"

    @property
    def locks(self) -> Path:
        """Lock files with a name of their own; in the store, so that all who share it meet here."""
        return self.root / "locks"

    def blob(self, digest: Digest) -> Path:
        """Where the content `digest` lies, if it is here."""
        return self.blobs / digest.algorithm / digest.encoded

    def layer(self, diff_id: DiffID) -> Path:
        """Where the unpacked layer `diff_id` lies, if it is here. Hex only: overlayfs splits at colons."""
        return self.layers / diff_id.encoded

    def create(self) -> Self:
        """Make the directories that are missing, for the owner alone, and return this home."""
        places = (
            self.blobs / "sha256",
            self.layers,
            self.work,
            self.containers,
            self.cache,
            self.locks,
            self.run,
        )
        for place in places:
            if not place.is_dir():
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout = self.root / "oci-layout"
        if not layout.exists():
            self.root.chmod(0o700)
            index = self.root / "index.json"
            if not index.exists():
                files.atomic_write(index, _NO_IMAGES)
            files.atomic_write(layout, _LAYOUT)
        return self


def _root(environ: Mapping[str, str], euid: int) -> Path:
    chosen = environ.get("TIFFIN_HOME", "")
    if chosen:
        return Path(chosen).absolute()
    if euid == 0:
        return Path("/var/lib/tiffin")
    data = environ.get("XDG_DATA_HOME", "")
    if data.startswith("/"):  # the XDG specification: a relative path is to be ignored
        return Path(data) / "tiffin"
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        raise InvalidError(
            f"there is no place for the store: HOME is {home!r} and TIFFIN_HOME is not set",
            code="no-home",
            hint="set TIFFIN_HOME to a directory on a local disk",
        )
    return Path(home) / ".local" / "share" / "tiffin"


def _runtime(environ: Mapping[str, str]) -> Path | None:
    found = environ.get("XDG_RUNTIME_DIR", "")
    return Path(found) / "tiffin" if found.startswith("/") else None


def _writable(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=True)
