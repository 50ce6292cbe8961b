"""Models and other files as OCI artifacts: one layer for each file, as it is. Pure.

Written as the ModelPack specification (CNCF model-spec 0.0.7) says: media types by what a file is for, its
path in an annotation. Read in those words and in those of ORAS (`org.opencontainers.image.title`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tiffin.errors import InvalidError
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tiffin.oci.digest import Digest

MODEL: Final = "application/vnd.cncf.model.manifest.v1+json"
FILEPATH: Final = "org.cncf.model.filepath"
TITLE: Final = "org.opencontainers.image.title"
_CONFIG: Final = "application/vnd.cncf.model.config.v1+json"
_UNTESTED: Final = "org.cncf.model.file.mediatype.untested"
_ANY: Final = "application/octet-stream"
_BIG: Final = 10 << 20
_PATTERNS: Final = (
    (
        "weight",
        r"[^/]*\.(safetensors|gguf|ggml|bin|pth?|ckpt|onnx|pb|hdf?5|keras|tflite|msgpack|np[yz]|pkl|mar|plan)",
    ),
    (
        "doc",
        r"(readme|license|notice|copying|authors|changelog)[^/]*|[^/]*\.(md|rst|pdf|html?|png|jpe?g|svg|gif)",
    ),
    ("code", r"[^/]*\.(py|ipynb|sh|cpp|cc|c|h|hpp|cu|go|rs|js|ts|java|jinja|jinja2)"),
    ("dataset", r"[^/]*\.(csv|tsv|jsonl|parquet|arrow|tfrecord)"),
    ("weight.config", r"[^/]*\.(json|ya?ml|toml|txt|ini|cfg|conf|xml|vocab|spm|model|tiktoken|index|proto)"),
)


class _ModelFiles(msgspec.Struct, rename="camel"):
    diff_ids: tuple[str, ...]
    type: str = "layers"


class _Model(msgspec.Struct, omit_defaults=False):
    descriptor: dict[str, str]
    modelfs: _ModelFiles
    config: dict[str, str]


class Part(NamedTuple):
    """A file of an artifact: its path, with `/` and relative, and its content as it is stored."""

    path: str
    descriptor: Descriptor

    @property
    def is_archive(self) -> bool:
        """Whether it is a tar of files, perhaps compressed, to be unpacked where the artifact goes."""
        return re.search(r"\.tar(\+(gzip|zstd))?$", self.descriptor.media_type) is not None


class Artifact(NamedTuple):
    """The documents of an artifact, to be stored after its files."""

    config: bytes
    config_descriptor: Descriptor
    manifest: bytes
    descriptor: Descriptor


def kind_of(path: str, size: int) -> str:
    """What a file of a model is for: weight, weight.config, doc, code or dataset."""
    name = path.rpartition("/")[2].lower()
    for kind, pattern in _PATTERNS:
        if re.fullmatch(pattern, name):
            return kind
    return "weight" if size >= _BIG else "weight.config"


def described(path: str, digest: Digest, size: int, artifact_type: str) -> Descriptor:
    """The descriptor of one file; of a model, with the media type of what it is for."""
    if artifact_type != MODEL:
        return Descriptor(_ANY, digest, size, annotations={TITLE: path})
    annotations = {FILEPATH: path, TITLE: path, _UNTESTED: "true"}
    media_type = f"application/vnd.cncf.model.{kind_of(path, size)}.v1.raw"
    return Descriptor(media_type, digest, size, annotations=annotations)


def compose(
    files: Sequence[Descriptor],
    name: str,
    artifact_type: str,
    annotations: Mapping[str, str],
    subject: Descriptor | None = None,
) -> Artifact:
    """Return the documents: the same files give the same bytes. `name` is the model's.

    `subject` is what it is about, if it refers to something.
    """
    if artifact_type == MODEL:
        model = _Model({"name": name}, _ModelFiles(tuple(str(file.digest) for file in files)), {})
        config, media_type = codec.encode(model), _CONFIG
    else:
        config, media_type = b"{}", MediaType.OCI_EMPTY
    described_config = Descriptor.of(config, media_type)
    manifest = codec.encode(
        Manifest(described_config, tuple(files), dict(annotations), subject, artifact_type)
    )
    return Artifact(config, described_config, manifest, Descriptor.of(manifest, MediaType.OCI_MANIFEST))


def parts_of(manifest: Manifest) -> tuple[Part, ...]:
    """Return the files of an artifact. Raises InvalidError for paths that lead elsewhere, or meet."""
    found = []
    for number, layer in enumerate(manifest.layers):
        named = layer.annotations.get(FILEPATH) or layer.annotations.get(TITLE)
        found.append(Part(_checked(named or f"{number}-{layer.digest.short}"), layer))
    check_paths([part.path for part in found if not part.is_archive])
    return tuple(found)


def check_paths(paths: Sequence[str]) -> None:
    """Raise InvalidError if two files have one path, or one lies where another needs a folder."""
    folders = {path[: match.start()] for path in paths for match in re.finditer("/", path)}
    seen: set[str] = set()
    for path in paths:
        if path in seen or path in folders:
            raise InvalidError(f"the artifact has more than one file at {path!r}", code="artifact-path")
        seen.add(path)


def _checked(path: str) -> str:
    parts = path.split("/")
    if "\0" in path or path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise InvalidError(
            f"the artifact has a file {path[:200]!r}, and a path must be relative and lead nowhere else",
            code="artifact-path",
        )
    return path
