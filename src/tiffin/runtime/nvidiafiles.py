"""Finds an installation of NVIDIA's driver: in /proc what is loaded, in /dev its devices, and its libraries.

The kernel module says its version; libraries of that version belong to it. The directory they are in is that
of libcuda.so.1, which the linker's cache knows, or a usual one. All is looked for below a `root`, which is
another than / where a driver is kept apart from the system.
"""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.linux import ldcache
from tiffin.linux.elf import MACHINES, library_name
from tiffin.runtime.nvidia import GPU, PROGRAMS, Installation, Library, Part, outside

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRIVER = "/proc/driver/nvidia"
_LOADED = re.compile(r"NVRM version:.*?\s(\d{3,}\.\d+(?:\.\d+)?)\s")
_TRIPLETS = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}
_FOLDERS = (
    *("/usr/lib/{triplet}", "/usr/lib64", "/usr/lib", "/lib/{triplet}", "/lib64"),
    *(
        "/usr/lib/{triplet}/nvidia/current",
        "/usr/lib/{triplet}/nvidia",
        "/usr/lib64/nvidia",
        "/usr/lib/nvidia",
    ),
    *("/usr/local/nvidia/lib64", "/home/kubernetes/bin/nvidia/lib64", "/opt/nvidia/lib64"),
    *("/run/opengl-driver/lib", "/usr/local/lib", "/usr/lib/{triplet}/tegra"),
)
_BELOW = ("", "vdpau", "nvidia")  # where a driver puts further libraries
_BINARIES = ("/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/nvidia/bin", "/opt/bin",
             "/home/kubernetes/bin/nvidia/bin", "/run/current-system/sw/bin")  # fmt: skip
_SOCKETS = ("/run/nvidia-persistenced/socket", "/run/nvidia-fabricmanager/socket")
_GRAPHICS = (
    *("/usr/share/glvnd/egl_vendor.d/10_nvidia.json", "/usr/share/nvidia/nvoptix.bin"),
    *("/etc/vulkan/icd.d/nvidia_icd.json", "/usr/share/vulkan/icd.d/nvidia_icd.json"),
    *(
        "/etc/vulkan/implicit_layer.d/nvidia_layers.json",
        "/usr/share/vulkan/implicit_layer.d/nvidia_layers.json",
    ),
    *("/usr/share/egl/egl_external_platform.d/15_nvidia_gbm.json",),
    *("/usr/share/egl/egl_external_platform.d/10_nvidia_wayland.json",),
)
_MOST_LINKS = 40
_LARGEST_CACHE = 64 << 20


def loaded_version(root: str) -> str:
    """Return the version of the driver that is loaded, by its own words; nothing if none is."""
    match = _LOADED.search(_text(outside(root, f"{_DRIVER}/version")))
    return match[1] if match else ""


def find_installation(root: str = "/", machine: str = "") -> Installation | None:
    """Return the installation that belongs to the loaded driver; None if none is loaded or it is not here."""
    version = loaded_version(root)
    machine = machine or os.uname().machine
    if not version or machine not in _TRIPLETS:
        return None
    libraries = tuple(_libraries(root, version, machine))
    if not libraries:
        return None
    return Installation(
        root=root,
        version=version,
        machine=machine,
        gpus=tuple(_gpus(root)),
        nodes=frozenset(f"/dev/{name}" for name in _names(root, "/dev") if name.startswith("nvidia")),
        libraries=libraries,
        programs=tuple(_programs(root)),
        files=tuple(_files(root, version)),
        sockets=tuple(path for path in _SOCKETS if os.path.exists(outside(root, path))),
    )


def _gpus(root: str) -> Iterator[GPU]:
    """The GPUs, in the order of the bus, which is that of nvidia-smi."""
    for index, address in enumerate(_names(root, f"{_DRIVER}/gpus")):
        told = _fields(_text(outside(root, f"{_DRIVER}/gpus/{address}/information")))
        minor = told.get("Device Minor", "")
        if not (minor.isascii() and minor.isdigit()):
            continue
        uuid = told.get("GPU UUID", "")
        yield GPU(
            index,
            int(minor),
            uuid if re.fullmatch(r"GPU-[0-9a-f-]+", uuid) else "",  # it is ??? until the GPU is set up
            (f"/dev/nvidia{int(minor)}",),
            tuple(_display(root, address)),
            tuple(_parts(root, index, int(minor))),
        )


def _display(root: str, address: str) -> Iterator[str]:
    for kind in ("card", "render"):
        path = _real(root, f"/dev/dri/by-path/pci-{address}-{kind}")
        if path is not None and os.path.exists(outside(root, path)):
            yield path


def _parts(root: str, index: int, minor: int) -> Iterator[Part]:
    """The parts of a GPU that instances for computing were made of; each is numbered as it is found."""
    place = f"{_DRIVER}/capabilities/gpu{minor}/mig"
    found = 0
    for instance in _numbered(root, place, "gi"):
        for compute in _numbered(root, f"{place}/{instance}", "ci"):
            numbers = [
                _fields(_text(outside(root, f"{path}/access"))).get("DeviceFileMinor", "")
                for path in (f"{place}/{instance}", f"{place}/{instance}/{compute}")
            ]
            if all(number.isascii() and number.isdigit() for number in numbers):
                nodes = tuple(f"/dev/nvidia-caps/nvidia-cap{int(number)}" for number in numbers)
                yield Part(f"{index}:{found}", nodes)
                found += 1


def _libraries(root: str, version: str, machine: str) -> Iterator[Library]:
    """The libraries of this very version, and of those beside them that have versions of their own."""
    folder = _home(root, version, machine)
    seen: set[str] = set()
    if folder is None:
        return
    for below in _BELOW:
        place = f"{folder}/{below}".rstrip("/")
        for name in _names(root, place):
            if not re.fullmatch(rf"lib[\w.+-]+\.so\.{re.escape(version)}", name):
                continue
            path = _real(root, f"{place}/{name}")
            if path is None or path in seen:
                continue
            seen.add(path)
            soname = _soname(outside(root, path), machine)
            if soname is not None:
                yield Library(path, soname)


def _home(root: str, version: str, machine: str) -> str | None:
    """The directory in which the driver's libcuda really is."""
    triplet = _TRIPLETS[machine]
    candidates = _cached(root, machine)
    candidates += [f"{folder.format(triplet=triplet)}/libcuda.so.{version}" for folder in _FOLDERS]
    for candidate in candidates:
        path = _real(root, candidate)
        fits = path is not None and path.endswith(f"/libcuda.so.{version}")
        if fits and _soname(outside(root, str(path)), machine) is not None:
            return os.path.dirname(str(path))
    return None


def _cached(root: str, machine: str) -> list[str]:
    try:
        with Path(outside(root, "/etc/ld.so.cache")).open("rb") as file:
            entries = ldcache.decode(file.read(_LARGEST_CACHE))
    except (OSError, ValueError):
        return []
    flags = ldcache.FLAGS[machine]
    return [entry.path for entry in entries if entry.name == "libcuda.so.1" and entry.flags == flags]


def _programs(root: str) -> Iterator[tuple[str, str]]:
    for name in PROGRAMS:
        for folder in _BINARIES:
            path = _real(root, f"{folder}/{name}")
            if path is not None and os.access(outside(root, path), os.X_OK):
                yield f"/usr/bin/{name}", path
                break


def _files(root: str, version: str) -> Iterator[tuple[str, str]]:
    """Other files, with the ability that needs them: firmware for the GPU, and what graphics reads."""
    for place in (f"/lib/firmware/nvidia/{version}", f"/usr/lib/firmware/nvidia/{version}"):
        found = [path for name in _names(root, place) if (path := _real(root, f"{place}/{name}"))]
        yield from (("", path) for path in found if path.endswith(".bin"))
        if found:
            break
    yield from (("graphics", path) for path in _GRAPHICS if os.path.isfile(outside(root, path)))


def _soname(path: str, machine: str) -> str | None:
    """The SONAME of a library for this machine; None for what is none."""
    try:
        with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return library_name(data, MACHINES[machine])
    except (OSError, ValueError):
        return None


def _real(root: str, path: str) -> str | None:
    """The path of what is there, below `root`, without links; None if it is not there."""
    done: list[str] = []
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            done = done[:-1]
            continue
        here = f"/{'/'.join([*done, part])}"
        try:
            target = os.readlink(outside(root, here))
        except OSError:
            if not os.path.lexists(outside(root, here)):
                return None
            done.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        done = [] if target.startswith("/") else done
        todo += [piece for piece in reversed(target.split("/")) if piece not in ("", ".")]
    return f"/{'/'.join(done)}"


def _names(root: str, path: str) -> list[str]:
    """What is in a directory, sorted; nothing if there is none."""
    try:
        return sorted(os.listdir(outside(root, path)))
    except OSError:
        return []


def _numbered(root: str, path: str, kind: str) -> list[str]:
    """Of these the ones that are called so and numbered, as people count: gi2 before gi10."""
    names = [name for name in _names(root, path) if re.fullmatch(rf"{kind}\d+", name)]
    return sorted(names, key=lambda name: int(name.removeprefix(kind)))


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
