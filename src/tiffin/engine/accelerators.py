"""Accelerators of a container: what `--gpus` and `--device VENDOR/CLASS=NAME` mean on this machine.

Only the words are kept with the container: what a device takes is found out at each start, because the
driver may be another one then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.ops.devices import give
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.events import Notice
from tiffin.runtime.cdifiles import read_catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tiffin.engine.engine import Engine
    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.runtime.gpu import Catalogue, Offer

KINDS = ("nvidia.com/gpu", "amd.com/gpu")
_DRIVERS = {"": KINDS, "cdi": KINDS, "nvidia": KINDS[:1], "amd": KINDS[1:]}
_ALL = -1
_ALL_OF_IT = "a device comes with all that its CDI specification has"


class Gpus(NamedTuple):
    """What `--gpus` asks for: so many, all (-1), or those of these names."""

    number: int = 0
    devices: tuple[str, ...] = ()
    driver: str = ""
    capabilities: tuple[str, ...] = ()


def parse_gpus(text: str) -> Gpus:
    """Read `all`, `2`, `device=0,1` or `count=2,driver=nvidia`. Raises InvalidError or UnsupportedError.

    Docker wants quotes around a list: `"device=0,1"`; they are taken too, and are not needed.
    """
    fields: dict[str, list[str]] = {}
    key = "count"
    for part in text.replace('"', "").split(","):
        name, equals, rest = part.strip().partition("=")
        key = name if equals else key
        fields.setdefault(key, []).append(rest if equals else name)
    known = {"count", "device", "driver", "capabilities"}
    if unknown := sorted(set(fields) - known):
        raise UnsupportedError(
            f"--gpus {text}: {unknown[0]} is not supported",
            hint="what there is: all, a number, device=…, driver=…, capabilities=…",
            exit_status=125,
        )
    counts, devices = fields.get("count", []), tuple(fields.get("device", ()))
    driver = fields.get("driver", [""])[0]
    if len(counts) + bool(devices) > 1 or not all(devices) or driver not in _DRIVERS:
        raise _wrong(text)
    count = _ALL if not devices and not counts else _count(text, counts[0]) if counts else 0
    return Gpus(count, devices, driver, tuple(fields.get("capabilities", ())))


def find_offers(
    engine: Engine, gpus: str, names: tuple[str, ...], *, env: Sequence[str] = (), quiet: bool = False
) -> list[Offer]:
    """Return the devices that are meant. Raises NotFoundError if one is not on this machine.

    `env` is that of the container, which may say what of a driver it needs. With `quiet` nothing is said
    of files that are no specifications, nor of words that select nothing.
    """
    for name in names:
        _check_name(name)
    wanted = parse_gpus(gpus) if gpus else None

    def tell(text: str) -> None:
        if not quiet:
            engine.emit(Notice(text))

    catalogue = read_catalogue(engine.settings.environ, tell, _abilities(wanted, env))
    try:
        found = [offer for name in names for offer in catalogue.need(name)]
    except NotFoundError as error:
        raise NotFoundError(error.message, code=error.code, hint=error.hint, exit_status=125) from None
    found += choose_gpus(catalogue, wanted) if wanted else []
    if wanted and set(wanted.capabilities) - {"gpu"} and not any(map(_is_made, found)):
        tell(f"--gpus capabilities={','.join(wanted.capabilities)} selects nothing: {_ALL_OF_IT}")
    return found


def with_accelerators(engine: Engine, spec: RuntimeSpec, gpus: str, names: tuple[str, ...]) -> RuntimeSpec:
    """Return the spec with the devices in it."""
    offers = find_offers(engine, gpus, names, env=spec.process.env, quiet=True)
    given = give(spec, offers, engine.footing.place())
    made = [offer.device.name for offer in offers if _is_made(offer)]
    if not made:
        return given
    import msgspec

    # What Docker says to programs in the container, of which some ask.
    wanted = parse_gpus(gpus) if gpus else None
    told = {
        "NVIDIA_VISIBLE_DEVICES": ",".join(made),
        "NVIDIA_DRIVER_CAPABILITIES": ",".join(sorted(_abilities(wanted, spec.process.env))),
    }
    own = (entry for entry in given.process.env if entry.partition("=")[0] not in told)
    env = (*own, *(f"{name}={value}" for name, value in told.items()))
    return msgspec.structs.replace(given, process=msgspec.structs.replace(given.process, env=env))


def _abilities(wanted: Gpus | None, env: Sequence[str]) -> frozenset[str]:
    """What of NVIDIA's driver a container needs: by `--gpus capabilities=`, or by its image, or the usual."""
    from tiffin.runtime.nvidia import ABILITIES, abilities  # only of a GPU is it asked

    asked = [word for word in (wanted.capabilities if wanted else ()) if word != "gpu"]
    if asked:
        return abilities(asked)
    own = dict(entry.partition("=")[::2] for entry in env).get("NVIDIA_DRIVER_CAPABILITIES", "")
    return abilities(word for word in own.split(",") if word in (*ABILITIES, "all"))


def _is_made(offer: Offer) -> bool:
    from tiffin.runtime.nvidia import MADE

    return MADE in offer.specification.annotations


def choose_gpus(catalogue: Catalogue, wanted: Gpus) -> list[Offer]:
    """Return the GPUs that are meant, of the first vendor that offers any. Raises NotFoundError. Pure."""
    offered = {name.partition("=")[0] for name in catalogue.names}
    kind = next((kind for kind in _DRIVERS[wanted.driver] if kind in offered), None)
    if kind is None:
        raise NotFoundError(
            f"--gpus: this machine offers no GPU: no CDI specification has {' or '.join(KINDS)}",
            code="no-gpu",
            hint="is the driver loaded? 'tiffin doctor --gpu' says what was found",
            exit_status=125,
        )
    if wanted.devices:
        found = [(name, catalogue.find(f"{kind}={name}")) for name in wanted.devices]
        if missing := [name for name, offers in found if not offers]:
            known = ", ".join(name for name in catalogue.names if name.startswith(f"{kind}="))
            raise NotFoundError(
                f"--gpus: there is no {kind}={missing[0]}",
                code="device-not-found",
                hint=f"the devices are {known}",
                exit_status=125,
            )
        return [offer for _, offers in found for offer in offers]
    if wanted.number == _ALL:
        return catalogue.find(f"{kind}=all") or catalogue.find(f"{kind}=*")
    single = _single(catalogue.find(f"{kind}=*"))
    if wanted.number > len(single):
        raise NotFoundError(
            f"--gpus {wanted.number}: this machine offers {len(single)} of {kind}",
            code="device-not-found",
            hint="ask for fewer, or for all",
            exit_status=125,
        )
    return single[: wanted.number]


def _single(offers: list[Offer]) -> list[Offer]:
    """A GPU may be offered by its number and by its id: each counts once, and `all` not at all."""
    numbered = [offer for offer in offers if offer.device.name.isdecimal()]
    return numbered or [offer for offer in offers if offer.device.name != "all"]


def device_requests(gpus: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The same in the words of Docker's `inspect`."""
    found: list[dict[str, Any]] = []
    if gpus:
        wanted = parse_gpus(gpus)
        abilities = [[*dict.fromkeys(("gpu", *wanted.capabilities))]]
        found.append(_request(wanted.driver, wanted.number, list(wanted.devices) or None, abilities))
    if names:
        found.append(_request("cdi", 0, list(names), None))
    return found


def _request(
    driver: str, count: int, devices: list[str] | None, abilities: list[list[str]] | None
) -> dict[str, Any]:
    return {
        "Driver": driver,
        "Count": count,
        "DeviceIDs": devices,
        "Capabilities": abilities,
        "Options": {},
    }


def _check_name(name: str) -> None:
    kind, equals, device = name.partition("=")
    if "/" not in kind or not equals or not device:
        raise InvalidError(
            f"--device {name} is no device: a path or VENDOR/CLASS=NAME is needed",
            hint="such as: --device /dev/fuse, --device nvidia.com/gpu=0",
            exit_status=125,
        )


def _count(text: str, word: str) -> int:
    if word in ("all", "-1"):
        return _ALL
    if not (word.isascii() and word.isdecimal() and 0 < int(word) < 1 << 16):
        raise _wrong(text)
    return int(word)


def _wrong(text: str) -> InvalidError:
    return InvalidError(
        f"--gpus {text} is neither all, nor a number, nor a list of devices",
        hint="such as: --gpus all, --gpus 2, --gpus device=0,1",
        exit_status=125,
    )
