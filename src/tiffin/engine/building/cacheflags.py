"""`--cache-from` and `--cache-to` as they are written → where a cache comes from, where it goes. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from tiffin.booleans import EITHER, TRUE
from tiffin.engine.packing import KINDS, Compression, compression
from tiffin.errors import InvalidError, TiffinError, UnsupportedError
from tiffin.fields import split_fields
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference

Mode = Literal["min", "max"]

_ELSEWHERE = {
    "gha": "keep a folder with actions/cache and use type=local, or use type=registry",
    "s3": "use type=registry, or type=local and a tool that copies the folder",
    "azblob": "use type=registry, or type=local and a tool that copies the folder",
}
_FORM = ("mode", "compression", "compression-level", "force-compression", "image-manifest", "oci-mediatypes")
_FROM = {"registry": ("ref", "mounts"), "local": ("src", "tag", "digest", "mounts")}
_TO = {
    "registry": ("ref", *_FORM, "ignore-error", "mounts"),
    "local": ("dest", "tag", *_FORM, "ignore-error", "mounts"),
    "inline": (),
}


class CacheSource(NamedTuple):
    """A cache to read: in a registry or, if there is a `folder`, in that OCI layout, by tag or digest.

    `mounts` says whether cache mounts that are not here yet are filled from it.
    """

    name: str
    reference: Reference | None = None
    folder: Path | None = None
    tag: str = "latest"
    digest: Digest | None = None
    mounts: bool = True


class CacheTarget(NamedTuple):
    """A cache to write: into the image itself if there is neither `reference` nor `folder`."""

    name: str
    reference: Reference | None = None
    folder: Path | None = None
    tag: str = "latest"
    mode: Mode = "min"
    compression: Compression = Compression()
    ignore_error: bool = False
    mounts: bool = False

    @property
    def inline(self) -> bool:
        """Whether it goes into the image."""
        return self.reference is None and self.folder is None


def parse_source(text: str) -> CacheSource:
    """Return what `--cache-from text` means; a name alone is an image, or a cache in a registry."""
    fields = _Fields("--cache-from", text, _FROM)
    mounts = fields.flag("mounts", default=True)
    if fields.kind == "registry":
        reference = fields.reference()
        return CacheSource(reference.familiar, reference, mounts=mounts)
    folder, tag = Path(fields.need("src")), fields.get("tag") or "latest"
    digest = Digest(fields.get("digest")) if fields.get("digest") else None
    return CacheSource(f"{folder}:{digest or tag}", None, folder, tag, digest, mounts)


def parse_target(text: str) -> CacheTarget:
    """Return what `--cache-to text` means."""
    fields = _Fields("--cache-to", text, _TO)
    if fields.kind == "inline":
        return CacheTarget("the image")
    fields.insist("image-manifest", "the cache is always an image manifest, which every registry takes")
    fields.insist("oci-mediatypes", "an image manifest of a cache has the types of OCI")
    mode, packing = fields.mode(), fields.compression()
    careless, mounts = fields.flag("ignore-error"), fields.flag("mounts")
    if fields.kind == "registry":
        reference = fields.reference()
        if reference.digest is not None:
            raise fields.wrong("a digest cannot be written to", "give a name with a tag")
        return CacheTarget(
            reference.familiar, reference, None, "", mode, packing, ignore_error=careless, mounts=mounts
        )
    folder, tag = Path(fields.need("dest")), fields.get("tag") or "latest"
    return CacheTarget(
        f"{folder}:{tag}", None, folder, tag, mode, packing, ignore_error=careless, mounts=mounts
    )


class _Fields:
    """The fields of one option, `key=value` separated by commas as in CSV."""

    def __init__(self, option: str, text: str, known: dict[str, tuple[str, ...]]) -> None:
        self._option, self._text = option, text
        self._values: dict[str, str] = {}
        for item in self._split():
            key, equals, value = item.partition("=")
            if not equals:
                raise self.wrong(f"{item!r} is no KEY=VALUE")
            self._values[key.strip().lower()] = value
        self.kind = self._values.pop("type", "")
        if self.kind in _ELSEWHERE:
            raise UnsupportedError(
                f"{option} type={self.kind} is the service of one provider, and is not supported",
                code="unsupported-cache",
                hint=_ELSEWHERE[self.kind],
            )
        if self.kind not in known:
            raise self.wrong(f"there is no type {self.kind!r}" if self.kind else "the type is missing")
        for name in self._values:
            if name not in known[self.kind]:
                offered = ", ".join(known[self.kind]) or "none"
                raise self.wrong(f"type={self.kind} has no option {name!r}", f"its options are: {offered}")

    def _split(self) -> list[str]:
        try:
            items = split_fields(self._text)
        except ValueError as error:
            raise self.wrong(str(error)) from None
        if items and not any("=" in item for item in items):
            return ["type=registry", f"ref={self._text}"]
        return items

    def get(self, name: str) -> str:
        return self._values.get(name, "")

    def need(self, name: str) -> str:
        if not self.get(name):
            raise self.wrong(f"{name}= is missing")
        return self.get(name)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.get(name)
        if value and value not in EITHER:
            raise self.wrong(f"{name}={value} is neither true nor false")
        return value in TRUE if value else default

    def insist(self, name: str, reason: str) -> None:
        """Refuse what is asked for in a way that it is never done."""
        if not self.flag(name, default=True):
            raise UnsupportedError(
                f"{self._option} {self._text}: {reason}", code="unsupported-cache", hint=f"leave {name}= away"
            )

    def reference(self) -> Reference:
        return Reference.parse(self.need("ref")).tagged()

    def mode(self) -> Mode:
        mode = self.get("mode") or "min"
        if mode not in ("min", "max"):
            raise self.wrong(f"there is no mode {mode!r}")
        return "max" if mode == "max" else "min"

    def compression(self) -> Compression:
        name, level = self.get("compression") or "gzip", self.get("compression-level")
        if name not in KINDS:
            raise self.wrong(f"layers cannot be compressed as {name!r}", f"choose one of {', '.join(KINDS)}")
        if level and not level.isdecimal():
            raise self.wrong(f"compression-level={level} is no number")
        return compression(name, int(level) if level else None, force=self.flag("force-compression"))

    def wrong(self, why: str, hint: str = "") -> TiffinError:
        return InvalidError(
            f"{self._option} {self._text}: {why}",
            code="invalid-cache",
            hint=hint
            or f"write {self._option} type=registry,ref=NAME or type=local,"
            f"{'src' if self._option == '--cache-from' else 'dest'}=FOLDER",
        )
