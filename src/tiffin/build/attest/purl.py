"""Package URLs: names of packages of all kinds (github.com/package-url/purl-spec). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.oci.platform import Platform


def package_url(
    kind: str, name: str, version: str = "", *, namespace: str = "", qualifiers: Mapping[str, str] = {}
) -> str:
    """Return the URL of a package; `namespace` may have several parts, qualifiers without a value go."""
    path = "/".join(_quoted(part) for part in (*namespace.split("/"), name) if part)
    text = f"pkg:{kind}/{path}"
    if version:
        text += f"@{_quoted(version)}"
    pairs = "&".join(f"{key}={_quoted(value)}" for key, value in sorted(qualifiers.items()) if value)
    return f"{text}?{pairs}" if pairs else text


def image_url(reference: Reference, platform: Platform | None) -> str:
    """Return the URL of an image, as BuildKit names images in what it attests."""
    tagged = reference.tagged()
    namespace, _, name = reference.familiar_name.rpartition("/")
    qualifiers = {
        "digest": str(reference.digest or ""),
        "platform": str(platform.normalised()) if platform else "",
    }
    return package_url("docker", name, tagged.tag or "", namespace=namespace, qualifiers=qualifiers)


def source_url(source: str, platform: Platform | None) -> str:
    """Return the URL of an image that a stage begins from, by the name that the graph has for it.

    One that is in no registry, but in a layout or built just now, has a name of this machine alone.
    """
    name = local_name(source)
    if name is None:
        return image_url(Reference.parse(source), platform)
    qualifiers = {"platform": str(platform.normalised()) if platform else ""}
    return package_url("oci", name, qualifiers=qualifiers)


def local_name(source: str) -> str | None:
    """Return the last part of the name of an image that is in no registry; None for any other."""
    for scheme in ("oci-layout://", "built:"):
        if source.startswith(scheme):
            path = source.removeprefix(scheme).partition("@")[0].rstrip("/")
            return path.rpartition("/")[2].partition(":")[0].lower() or "layout"
    return None


def _quoted(text: str) -> str:
    return quote(text, safe=":")
