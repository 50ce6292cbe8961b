"""What `run` is asked for, as a value that costs nothing to import."""

from __future__ import annotations

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.container.mounts import TmpfsMount, VolumeMount

__all__ = ["Client", "RunRequest", "split_networks"]

STREAMS = ("stdin", "stdout", "stderr")
_MODES = ("", "default", "bridge", "private", "none", "host", "pasta", "loopback")


def split_networks(given: tuple[str, ...], *, more: bool = False) -> tuple[str, tuple[str, ...]]:
    """Return the mode, and all that is said of networks if one of them was made by a user.

    `more` tells whether something else is said that such networks alone have.
    """
    asked = given or ("default",)
    if len(asked) == 1 and not more and (asked[0] in _MODES or asked[0].startswith("container:")):
        return asked[0], ()
    return asked[0], asked


class Client(NamedTuple):
    """How a command is attached to a container: by which streams, and how it leaves.

    `keys` are the bytes by which a user at a terminal leaves; with `proxy` signals go to the container.
    """

    streams: tuple[str, ...] = ()
    """Some of STREAMS; all if it is empty."""
    keys: bytes = b"\x10\x11"
    proxy: bool = True

    def attaches(self, stream: str) -> bool:
        """Whether this one of STREAMS is attached."""
        return not self.streams or stream in self.streams

    def without_input(self) -> Client:
        """The same, but for standard input."""
        return self._replace(streams=tuple(name for name in STREAMS[1:] if self.attaches(name)))


class RunRequest(NamedTuple):
    """What `run` was asked for, in the user's words."""

    image: str
    command: tuple[str, ...] = ()
    name: str | None = None
    detach: bool = False
    rm: bool = False
    interactive: bool = False
    tty: bool = False
    publish: tuple[str, ...] = ()
    publish_all: bool = False
    env: tuple[str, ...] = ()
    env_files: tuple[Path, ...] = ()
    volumes: tuple[str, ...] = ()
    mounts: tuple[VolumeMount | TmpfsMount, ...] = ()
    volumes_from: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    workdir: str | None = None
    user: str | None = None
    entrypoint: str | None = None
    network: str = "default"
    networks: tuple[str, ...] = ()
    """As given with `--network`, if any of them was made by a user."""
    network_aliases: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
    domainname: str = ""
    hostname: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    read_only: bool = False
    shm_size: int | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    add_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    mac_address: str | None = None
    stop_signal: str | None = None
    stop_timeout: int | None = None
    restart: str = ""
    health: tuple[tuple[str, str], ...] = ()
    """The options `--health-…` that were given, without that beginning; `none` for `--no-healthcheck`;
    `required` if there must be a check."""
    security: tuple[tuple[str, str], ...] = ()
    """The options about what it may do and shares, such as `privileged` and `security-opt`, as given."""
    limits: tuple[tuple[str, str], ...] = ()
    """The options that limit the container, such as `memory`, as given; of `ulimit` there may be several."""
    init: bool = False
    pidfile: str = ""
    log_driver: str = ""
    log_options: tuple[str, ...] = ()
    gpus: str = ""
    """As given with `--gpus`."""
    cdi_devices: tuple[str, ...] = ()
    """Devices by their CDI names, VENDOR/CLASS=NAME."""
    devices: tuple[str, ...] = ()
    """Devices by their paths, as given."""
    runtime: str = ""
    """As given with `--runtime`; empty for what the settings say."""
    label_files: tuple[Path, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    """What the runtime spec tells other programs of it."""
    client: Client = Client()
    pull: str = "missing"
    platform: str | None = None

    @property
    def input_once(self) -> bool:
        """Whether its standard input ends when the first that feeds it goes: we feed it, from the start."""
        return self.interactive and not self.detach and self.client.attaches("stdin")
