"""The flags of `tiffin bake`, and those of them that stand for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.booleans import FALSE, TRUE
from tiffin.cli.buildflags import CALL, NO_CACHE, OTHER_BUILDER, POLICY, PROGRESS, PULL, SPLIT_LAYERS, WHY
from tiffin.cli.options import flag, value, values

if TYPE_CHECKING:
    from tiffin.cli.options import Arguments

OPTIONS = (
    values(
        "--allow",
        "NAME[=PATH]",
        "Let targets do this: network.host, security.insecure, device, ssh, fs, fs.read or fs.write=PATH",
    ),
    CALL,
    flag("--check", "Look at the Dockerfiles by all lint rules and build nothing, like --call=check"),
    values("-f, --file", "FILE", "A bake or Compose file, '-' for standard input; can be repeated"),
    value("--list", "targets|variables", "List what the files define; also type=…,format=json"),
    flag("--load", "Keep the images in the store, like --set '*.load=true'"),
    value(
        "--metadata-file", "FILE", "Write digests and names of the results into this file, as JSON by target"
    ),
    NO_CACHE,
    flag("--print", "Print the targets as they would be built, as JSON, and build nothing"),
    PROGRESS,
    value("--provenance", "VALUE", "Attest how the image was made, like --set '*.attest=type=provenance'"),
    PULL,
    flag("--push", "Send the images to their registries, like --set '*.push=true'"),
    value("--sbom", "VALUE", "Attest what is in the image, like --set '*.attest=type=sbom'"),
    values("--set", "TARGET.KEY=VALUE", "Change targets: a pattern of their names, an attribute, += adds"),
    SPLIT_LAYERS,
    values("--var", "NAME=VALUE", "Set a variable of the files"),
    WHY,
    *OTHER_BUILDER,
    *POLICY,
)


def overrides(arguments: Arguments, path: str) -> tuple[str, ...]:
    """Return the texts of --set, and those that other options stand for."""
    found = list(arguments.texts("set"))
    found += [f"*.{name}=true" for name in ("push", "load") if arguments.flag(name)]
    if method := _method(arguments, path):
        found.append(f"*.call={method}")
    for name in ("no-cache", "pull"):
        if name in arguments.given:
            found.append(f"*.{name}={'true' if arguments.flag(name) else 'false'}")
    for name in ("sbom", "provenance"):
        if text := arguments.text(name):
            found.append(f"*.attest={_attestation(name, text)}")
    return tuple(found)


def _method(arguments: Arguments, path: str) -> str:
    """The method of --call as targets have it; a check is a lint there."""
    if arguments.given.isdisjoint(("call", "check")):
        return ""
    from tiffin.cli.calls import read_call

    method = read_call(arguments, path).method
    return {"check": "lint", "build": ""}.get(method, method)


def _attestation(name: str, text: str) -> str:
    if text in FALSE:
        return f"type={name},disabled=true"
    return f"type={name}" if text in TRUE else f"type={name},{text}"
