"""Platforms: parse, normalise, and say which of several a machine would rather run. Pure."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Final, Self

import msgspec

from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PART: Final = frozenset(string.ascii_letters + string.digits + "_.-")
_SYSTEMS: Final = frozenset({"android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "windows"})
# Spelling → (architecture, variant): names of kernels, distributions and compilers.
_ARCHITECTURES: Final = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "x86": ("386", ""),
    "aarch64": ("arm64", ""),
    "aarch64_be": ("arm64be", ""),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv5tel": ("arm", "v5"),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "powerpc64le": ("ppc64le", ""),
    "mips64el": ("mips64le", ""),
    "mipsel": ("mipsle", ""),
    "loongarch64": ("loong64", ""),
}
_KNOWN: Final = frozenset(
    {
        "386",
        "amd64",
        "arm",
        "arm64",
        "loong64",
        "mips",
        "mips64",
        "mips64le",
        "mipsle",
        "ppc64",
        "ppc64le",
        "riscv64",
        "s390x",
        "wasm",
    }
)
# A variant that is the same as none, or that none means.
_BASELINE: Final = {("amd64", "v1"): "", ("arm64", "v8"): "", ("arm64", "v8.0"): "", ("arm", ""): "v7"}


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """Operating system, architecture and variant, as in the platform object of the image-spec."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The normalised platform of `linux/arm64`, `linux/arm/v7` or just `arm64`."""
        parts = text.split("/")
        if not 1 <= len(parts) <= 3 or not all(part and _PART.issuperset(part) for part in parts):
            raise _invalid(text)
        if len(parts) == 1:
            only = parts[0].lower()
            if only not in _KNOWN and only not in _ARCHITECTURES:
                raise _invalid(text, "an architecture is missing" if only in _SYSTEMS else "")
            parts = ["linux", only]
        return cls(parts[0], parts[1], parts[2] if len(parts) == 3 else "").normalised()

    @classmethod
    def of_machine(cls, machine: str) -> Self:
        """The Linux platform of a kernel's machine name (`uname -m`)."""
        return cls("linux", machine).normalised()

    def normalised(self) -> Self:
        """The same platform in the spelling of the image-spec: x86_64 is amd64, arm is arm/v7."""
        system = self.os.lower()
        system = "darwin" if system == "macos" else system
        name = self.architecture.lower()
        architecture, implied = _ARCHITECTURES.get(name, (name, ""))
        variant = self.variant.lower() or implied
        if variant and variant[0].isdigit():
            variant = f"v{variant}"
        variant = _BASELINE.get((architecture, variant), variant)
        return type(self)(system, architecture, variant, self.os_version, self.os_features)

    def __str__(self) -> str:
        """`os/architecture` with the variant where there is one."""
        return f"{self.os}/{self.architecture}" + (f"/{self.variant}" if self.variant else "")

    def runnable(self) -> tuple[Platform, ...]:
        """Every platform that a machine of this one runs, the best first."""
        own = self.normalised()
        ladder = [(own.architecture, own.variant)]
        if own.architecture == "amd64":
            ladder += [("amd64", variant) for variant in _below(own.variant, lowest=2)]
            ladder += [("amd64", ""), ("386", "")]
        elif own.architecture == "arm":
            ladder += [("arm", variant) for variant in _below(own.variant, lowest=5)]
        elif own.architecture == "arm64":
            ladder += [("arm64", "")]
            ladder += [("arm", variant) for variant in ("v8", "v7", "v6", "v5")]
        return tuple(Platform(own.os, *step) for step in dict.fromkeys(ladder))

    def rank(self, offered: Platform) -> int | None:
        """How far `offered` is from the best that this machine runs (0 is best); None when it cannot."""
        plain = offered.normalised()
        wanted = Platform(plain.os, plain.architecture, plain.variant)
        ladder = self.runnable()
        return ladder.index(wanted) if wanted in ladder else None

    def choose(self, offered: Sequence[Platform | None]) -> int | None:
        """The index of the best offer, the first among equals; None when none runs.

        An offer without a platform says nothing about itself, so it is taken only when no other runs.
        """
        worst = len(self.runnable())
        ranks = [(worst if offer is None else self.rank(offer), at) for at, offer in enumerate(offered)]
        fitting = [(rank, at) for rank, at in ranks if rank is not None]
        return min(fitting)[1] if fitting else None


def _below(variant: str, *, lowest: int) -> list[str]:
    """The variants under `v7`: `v6`, `v5`, down to the lowest that exists."""
    number = variant.removeprefix("v")
    return [f"v{n}" for n in range(int(number) - 1, lowest - 1, -1)] if number.isdecimal() else []


def _invalid(text: str, why: str = "") -> InvalidError:
    return InvalidError(
        f"platform {text[:100]!r} is not understood" + (f": {why}" if why else ""),
        code="invalid-platform",
        hint="write os/architecture or os/architecture/variant, such as linux/amd64 or linux/arm64",
    )
