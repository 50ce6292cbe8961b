"""The build graph as values: what each step reads and does. Pure.

A `Graph` is a tuple of vertices in topological order: the inputs of a vertex
are indices below its own. Every vertex but `Local` results in a root
filesystem, known by the diff ids of its layers; `Local` stands for a build
context. What cannot change the result (display name, place in the Dockerfile)
is kept beside the operation, so that it cannot enter a cache key.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tiffin.errors import Where
from tiffin.oci.config import ContainerConfig, History, ImageConfig
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.platform import Platform


class BaseImage(msgspec.Struct, frozen=True):
    """A resolved image that a stage starts from or copies from; `digest` is of what its name stands for.

    Of one that is not `known` nothing could be read; only a check goes on with such.
    """

    reference: str
    config: ImageConfig
    diff_ids: tuple[DiffID, ...]
    digest: Digest | None = None
    known: bool = True


class Source(msgspec.Struct, frozen=True, tag="source"):
    """The root filesystem of an image; `scratch` has no layers. No inputs.

    `platform` is the one that was asked for, `digest` that of what the name stands for.
    """

    reference: str
    diff_ids: tuple[DiffID, ...]
    platform: Platform | None = None
    digest: Digest | None = None


MAIN = ""
"""The name of the main build context, which no other can have."""


class Local(msgspec.Struct, frozen=True, tag="local"):
    """A build context by its name. No inputs."""

    name: str


class Http(msgspec.Struct, frozen=True, tag="http"):
    """A file of the web, as a root filesystem with nothing in it but that file, called `name`. No inputs.

    `checksum` is the digest that it must have. With `unpack`, an archive stands for what is in it.
    """

    url: str
    name: str
    checksum: str | None = None
    unpack: bool = False


class Git(msgspec.Struct, frozen=True, tag="git"):
    """What is in a commit of a repository, as a root filesystem. No inputs.

    `ref` is a branch, a tag or a commit, empty for the default branch; `commit`
    the beginning of the commit that it must lead to, or empty; `subdir` the
    only folder that is wanted.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    commit: str = ""
    keep_git_dir: bool = False
    submodules: bool = True


class InlineFile(msgspec.Struct, frozen=True):
    """A here-document: its file name and its content after expansion."""

    name: str
    data: bytes


class Taken(msgspec.Struct, frozen=True):
    """Where one source of an ADD is: the number of its input, and whether an archive is unpacked there."""

    input: int
    unpack: bool = False


class Copy(msgspec.Struct, frozen=True, tag="copy", omit_defaults=True):
    """COPY and ADD. Inputs: the root filesystem to add to, then the source of `sources` if there are any.

    `sources` are patterns in Go's filepath.Match language, relative to the
    root of the source, with a trailing slash kept; `destination` is absolute,
    with the trailing slash that says "a directory" kept. `chown` is the
    expanded word (`user`, `user:group`, numbers), looked up in the root
    filesystem that is added to; `chmod` is octal digits or a symbolic mode.
    With `unpack`, a local archive named as a source is unpacked (ADD). With
    `parents`, sources keep their paths, from the part `/./` on if it is there;
    `exclude` are patterns of an ignore file. With `link`, the result does not
    depend on the root filesystem that is added to. Where some of the sources
    are fetched, `taken` says for each of them which input it is in.
    """

    sources: tuple[str, ...]
    files: tuple[InlineFile, ...]
    destination: str
    chown: str | None = None
    chmod: str | None = None
    unpack: bool = False
    exclude: tuple[str, ...] = ()
    parents: bool = False
    link: bool = False
    taken: tuple[Taken, ...] = ()


class MakeDirectory(msgspec.Struct, frozen=True, tag="mkdir"):
    """WORKDIR: `path` exists afterwards, missing parts owned by `user`. Input: a root filesystem."""

    path: str
    user: str


class BindMount(msgspec.Struct, frozen=True, tag="bind"):
    """`type=bind`: what lies at `source` in the vertex's input number `input`; writes are thrown away."""

    target: str
    source: str
    input: int
    writable: bool = False


class CacheMount(msgspec.Struct, frozen=True, tag="cache"):
    """`type=cache`: a directory that outlives the build, made from `source` of an input if there is one."""

    target: str
    id: str
    sharing: Literal["shared", "private", "locked"] = "shared"
    source: str = "/"
    input: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    read_only: bool = False


class TmpfsMount(msgspec.Struct, frozen=True, tag="tmpfs"):
    """`type=tmpfs`: memory, of `size` bytes at most."""

    target: str
    size: int | None = None


class SecretMount(msgspec.Struct, frozen=True, tag="secret"):
    """`type=secret`: a secret, by its name alone: as the file `target`, the variable `env`, or both."""

    id: str
    target: str | None
    env: str | None = None
    required: bool = False
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


class SshMount(msgspec.Struct, frozen=True, tag="ssh"):
    """`type=ssh`: the socket of an agent at `target`."""

    id: str
    target: str
    required: bool = False
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


Mount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount


class DeviceRequest(msgspec.Struct, frozen=True):
    """`RUN --device`: a device by its CDI name; one that is not `required` may be missing."""

    name: str
    required: bool = False


class Run(msgspec.Struct, frozen=True, tag="run"):
    """RUN. Inputs: the root filesystem to run in, then those that `mounts` name by their number.

    `arguments` is the argument vector, shell included; `env` is the whole
    environment of the instruction (ENV, then declared ARGs), each name once.
    `script` is the file of a here-document that starts with `#!`; it is put at
    `/dev/pipes/NAME`, which `arguments` names. `ambient` is present in the
    environment but not in the cache key: the predefined proxy arguments, and the
    time, which is in all keys.
    `hostname` is empty for the builder's own; `extra_hosts` are the names that
    `--add-host` gives, whose addresses are not in the key, as in BuildKit.
    `platform` is what the root filesystem holds programs for.
    """

    arguments: tuple[str, ...]
    env: tuple[str, ...]
    user: str
    directory: str
    network: Literal["default", "none", "host"] = "default"
    script: InlineFile | None = None
    ambient: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    hostname: str = ""
    security: Literal["sandbox", "insecure"] = "sandbox"
    devices: tuple[DeviceRequest, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    platform: Platform | None = None


Made = Copy | MakeDirectory | Run
"""What an instruction does to the root filesystem that it stands on, its first input."""

Op = Source | Local | Http | Git | Made


class Vertex(msgspec.Struct, frozen=True):
    """An operation, the vertices that it reads, and how to speak of it.

    `name` is what progress shows, such as `[train 2/5] RUN pip install …`;
    `stage` is the stage's name, or its index as text; `where` is the instruction;
    `arguments` are the names of the ARGs that it sees.
    """

    op: Op
    inputs: tuple[int, ...]
    name: str
    stage: str
    where: Where | None = None
    arguments: tuple[str, ...] = ()


class HistoryStep(msgspec.Struct, frozen=True):
    """An entry of the image's history, and the vertex that made its layer, if one can have."""

    history: History
    vertex: int | None = None


class Graph(msgspec.Struct, frozen=True):
    """What the target stage needs on one platform, and what the image will say of itself.

    `result` is the vertex of the final root filesystem; `config` the final
    container config; `base` the image at the bottom of the target stage's
    chain (its history and metadata come first); `steps` is the history after
    that; `platform` is what the image says it is for.
    """

    vertices: tuple[Vertex, ...]
    result: int
    config: ContainerConfig
    base: BaseImage | None
    steps: tuple[HistoryStep, ...]
    platform: Platform
    author: str = ""
    scans: tuple[tuple[str, int], ...] = ()
    scans_context: bool = False
