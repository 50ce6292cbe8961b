"""Which names a signature may have been made for (`signedIdentity` of containers-policy.json(5)). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tiffin.errors import InvalidError
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal[
    "matchExact",
    "matchRepoDigestOrExact",
    "matchRepository",
    "exactReference",
    "exactRepository",
    "remapIdentity",
]
FIELDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "matchExact": (),
    "matchRepoDigestOrExact": (),
    "matchRepository": (),
    "exactReference": ("dockerReference",),
    "exactRepository": ("dockerRepository",),
    "remapIdentity": ("prefix", "signedPrefix"),
}
"""The fields that each kind has, and must have."""


class SignedIdentity(NamedTuple):
    """A rule; `first` and `second` are the values of its fields."""

    kind: Kind = "matchRepoDigestOrExact"
    first: str = ""
    second: str = ""

    def accepts(self, intended: Reference, claimed: str) -> bool:
        """Whether a signature for the name `claimed` stands for `intended`, under which the image is fetched.

        A claim that is no name of an image, an empty one too, stands for nothing.
        """
        try:
            signed = Reference.parse(claimed)
            match self.kind:
                case "matchExact":
                    return _whole(intended) and str(signed) == str(intended)
                case "matchRepository":
                    return signed.name == intended.name
                case "exactReference":
                    expected = Reference.parse(self.first)
                    return _whole(expected) and str(signed) == str(expected)
                case "exactRepository":
                    return signed.name == Reference.parse(self.first).name
                case "remapIdentity":
                    return _exact_unless_pinned(self._remapped(intended), signed)
                case "matchRepoDigestOrExact":
                    return _exact_unless_pinned(intended, signed)
        except InvalidError:
            return False

    def _remapped(self, reference: Reference) -> Reference:
        name = reference.name
        if name != self.first and not name.startswith(self.first + "/"):
            return reference
        return Reference.parse(self.second + str(reference).removeprefix(self.first))

    def __str__(self) -> str:
        """The rule in words."""
        match self.kind:
            case "matchExact":
                return "for exactly this name"
            case "matchRepository":
                return "for any tag of this repository"
            case "exactReference":
                return f"for {self.first}"
            case "exactRepository":
                return f"for any tag of {self.first}"
            case "remapIdentity":
                return f"for the name with {self.second} in the place of {self.first}"
            case "matchRepoDigestOrExact":
                return "for this name"


def _whole(reference: Reference) -> bool:
    return reference.tag is not None or reference.digest is not None


def _exact_unless_pinned(intended: Reference, signed: Reference) -> bool:
    """The rule for names with a tag, and for those with a digest, which says by itself what is meant."""
    if not _whole(signed):
        return False
    if intended.tag is not None:
        return str(signed) == str(intended)
    return intended.digest is not None and signed.name == intended.name
