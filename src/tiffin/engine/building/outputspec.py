"""What `--output` asks for, as values: the words that buildx has for it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tiffin.booleans import FALSE
from tiffin.engine.annotations import parse_option
from tiffin.engine.building.outputoptions import Options, invalid, read_field, read_fields
from tiffin.engine.packing import KINDS, Form, compression
from tiffin.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.annotations import Annotated

Kind = Literal["local", "tar", "oci", "docker", "image", "cacheonly"]

_FORM: Final = frozenset(
    {
        "attestation-inline",
        "buildinfo",
        "buildinfo-attrs",
        "compression",
        "compression-level",
        "force-compression",
        "oci-artifact",
        "oci-mediatypes",
        "prefer-nondist-layers",
        "rewrite-timestamp",
    }
)
_KEYS: Final[dict[Kind, frozenset[str]]] = {
    "local": frozenset({"dest", "platform-split"}),
    "tar": frozenset({"dest", "platform-split"}),
    "oci": _FORM | {"dest", "name", "tar"},
    "docker": _FORM | {"dest", "name", "tar"},
    "image": _FORM
    | {
        "dangling-name-prefix",
        "name",
        "name-canonical",
        "push",
        "push-by-digest",
        "registry.insecure",
        "store",
        "unpack",
    },
    "cacheonly": frozenset(),
}
# Options that are refused unless they are off, and why.
_REFUSED: Final = {
    "attestation-inline": "attestations are entries of an index here",
    "dangling-name-prefix": "an image without a name is found by its id; give it a name with -t",
    "oci-artifact": "attestations have the form that every registry takes",
    "prefer-nondist-layers": "layers that a registry must not hand out keep their type anyhow",
    "registry.insecure": "name the registry in registries.conf, with insecure = true, for all commands",
}


class Output(NamedTuple):
    """One `--output`, with a word for each option; `notes` say which of them change nothing here.

    `dest` is None where none was given, and `-` for standard output. `split` is None unless asked for.
    """

    kind: Kind
    dest: str | None = None
    names: tuple[str, ...] = ()
    push: bool = False
    by_digest: bool = False
    canonical: bool = False
    store: bool = True
    archive: bool = True
    split: bool | None = None
    form: Form = Form()
    notes: tuple[str, ...] = ()

    @property
    def keeps(self) -> bool:
        """Whether the image goes into the store."""
        return (self.kind == "image" and self.store) or (self.kind == "docker" and self.dest is None)

    @property
    def holds_image(self) -> bool:
        """Whether an image comes out of it, and not only files."""
        return self.kind in ("image", "docker", "oci")


def parse_output(text: str) -> Output:
    """Return what `--output text` asks for. Raises InvalidError, or UnsupportedError by the option's name."""
    fields = read_fields(text)
    if len(fields) == 1 and fields[0] == text and not text.startswith("type="):
        return Output("tar" if text == "-" else "local", text)
    options = dict(read_field(field, text) for field in fields)
    word = options.pop("type", "")
    if not word:
        raise invalid(text, "the type is missing")
    if word == "registry":
        word, options = "image", {"push": "true", **options}
    kind = _kind(word, text)
    annotations = []
    for key in list(options):
        annotated = parse_option(key, options[key]) if _KEYS[kind] & _FORM else None
        if annotated is not None:
            annotations.append(annotated)
            del options[key]
        elif key not in _KEYS[kind]:
            raise invalid(text, f"there is no option {key}", _known(kind))
    return _output(kind, Options(text, options), tuple(annotations))


def with_shorthands(outputs: Sequence[Output], *, push: bool, load: bool) -> tuple[Output, ...]:
    """Return `outputs` and what `--push` and `--load` add: an option to one that is there, or one more."""
    found = list(outputs)
    if push and not any(output.kind == "image" for output in found):
        found.append(Output("image"))
    if push:
        found = [output._replace(push=True) if output.kind == "image" else output for output in found]
    if load and not any(output.kind == "docker" and output.dest is None for output in found):
        found.append(Output("docker"))
    return tuple(found)


def _output(kind: Kind, options: Options, annotations: tuple[Annotated, ...]) -> Output:
    for key, why in _REFUSED.items():
        if options.given(key) and options.get(key) not in FALSE:
            raise UnsupportedError(
                f"--output {options.text}: {key} is not supported: {why}", code="output-option"
            )
    archive = options.flag("tar", default=True)
    if kind == "docker" and not archive:
        raise UnsupportedError(
            f"--output {options.text}: Docker's archive is one tar",
            code="output-option",
            hint="use type=oci,tar=false for a folder",
        )
    names = tuple(name.strip() for name in (options.get("name") or "").split(",") if name.strip())
    output = Output(
        kind,
        options.get("dest") or None,
        names,
        push=options.flag("push"),
        by_digest=options.flag("push-by-digest"),
        canonical=options.flag("name-canonical"),
        store=options.flag("store", default=True),
        archive=archive,
        split=options.flag("platform-split") if options.given("platform-split") else None,
        form=_form(kind, options, annotations),
        notes=_notes(options),
    )
    if kind == "local" and output.dest in (None, "-"):
        raise invalid(options.text, "type=local writes a folder; name it with dest=FOLDER")
    if kind == "oci" and not archive and output.dest in (None, "-"):
        raise invalid(options.text, "tar=false writes a folder; name it with dest=FOLDER")
    if kind in ("tar", "oci") and output.dest is None:
        output = output._replace(dest="-")
    return output


def _form(kind: Kind, options: Options, annotations: tuple[Annotated, ...]) -> Form:
    word = options.get("compression")
    if word in ("estargz", "nydus"):
        raise UnsupportedError(
            f"--output {options.text}: layers cannot be packed as {word}",
            code="compression",
            hint="use gzip, zstd or uncompressed",
        )
    if word is not None and word not in KINDS:
        raise invalid(options.text, f"there is no compression {word}; it is gzip, zstd or uncompressed")
    level, force = options.number("compression-level"), options.flag("force-compression")
    docker = not options.flag("oci-mediatypes", default=True)
    # Docker's manifests know no layers but those; and a layout is what a registry would get.
    packed = word is not None or level is not None or force or docker or kind == "oci"
    packing = compression(word or "gzip", level, force=force) if packed else None
    if docker and (word == "zstd" or annotations):
        what = "annotations" if annotations else "a type for layers packed with zstd"
        raise invalid(options.text, f"oci-mediatypes=false: Docker's media types have not got {what}")
    return Form(packing, docker, annotations)


def _notes(options: Options) -> tuple[str, ...]:
    """Say of options that mean something elsewhere what they mean here."""
    notes = []
    if options.given("rewrite-timestamp") and not options.flag("rewrite-timestamp"):
        notes.append("rewrite-timestamp=false changes nothing: new files have one fixed time always")
    if options.given("unpack") and not options.flag("unpack"):
        notes.append("unpack=false changes nothing: layers lie in the store unpacked")
    notes += [
        f"{key} changes nothing: it was given up in favour of provenance attestations"
        for key in ("buildinfo", "buildinfo-attrs")
        if options.given(key)
    ]
    return tuple(notes)


def _kind(word: str, text: str) -> Kind:
    for kind in _KEYS:
        if kind == word:
            return kind
    raise invalid(text, f"there is no type {word}; there are {', '.join(sorted([*_KEYS, 'registry']))}")


def _known(kind: Kind) -> str:
    known = sorted(_KEYS[kind] - set(_REFUSED))
    return f"type={kind} has {', '.join(known)}" if known else f"type={kind} has no options"
