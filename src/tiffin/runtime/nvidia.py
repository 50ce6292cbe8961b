"""What an installation of NVIDIA's driver offers, as a CDI specification made on the spot. Pure.

The libraries of a driver fit the loaded kernel module of the very same version and no other, so a file that
lists them is wrong after each update; what is found at each start is not. Which library belongs to which
ability follows the documentation of the NVIDIA Container Toolkit (`NVIDIA_DRIVER_CAPABILITIES`).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux import interpreter
from tiffin.linux.ldcache import FLAGS
from tiffin.runtime.cdi import Device, DeviceNode, Edits, HookCall, HostMount, Specification
from tiffin.runtime.libraries import FindLibraries
from tiffin.runtime.plan import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KIND = "nvidia.com/gpu"
MADE = "tiffin.driver"
"""The annotation of a specification that was made here; its value is the version of the driver."""
DEFAULT = frozenset(("compute", "utility"))
ABILITIES = ("compute", "utility", "graphics", "video", "display", "ngx")
_EVERY = frozenset(ABILITIES)
_SPEECH = ("gpu", "nvidia")  # words of `--gpus capabilities=` that ask for the device, and no ability of it
_LIBRARY_ABILITIES = {
    "utility": ("ml", "cfg", "nscq", "nvsdm"),
    "compute": (
        *("cuda", "cudadebugger", "opencl", "gpucomp", "ptxjitcompiler", "fatbinaryloader", "allocator"),
        *("compiler", "pkcs11", "pkcs11-openssl3", "nvvm", "nvvm70", "sandboxutils", "tileiras"),
    ),
    "video": ("encode", "opticalflow", "nvcuvid", "vdpau_nvidia"),
    "graphics": (
        *("eglcore", "glcore", "tls", "glsi", "fbc", "ifr", "rtcore", "nvoptix", "GLX_nvidia", "EGL_nvidia"),
        *(
            "GLESv2_nvidia",
            "GLESv1_CM_nvidia",
            "glvkspirv",
            "cbl",
            "vulkan-producer",
            "present",
            "wayland-client",
        ),
    ),
    "ngx": ("ngx",),
}
_ABILITY = {stem: ability for ability, stems in _LIBRARY_ABILITIES.items() for stem in stems}
_SHARED = ("gpucomp", "allocator", "glvkspirv", "tls")  # which more than one ability needs
PROGRAMS = {
    "nvidia-smi": "utility",
    "nvidia-debugdump": "utility",
    "nvidia-persistenced": "utility",
    "nvidia-cuda-mps-control": "compute",
    "nvidia-cuda-mps-server": "compute",
}
_STEM = re.compile(r"lib(?:nvidia-)?(.+?)\.so(?:\..*)?")
_VERSIONED = re.compile(r"/lib(?:cuda|nvidia-ml)\.so\.(\d{3,}\.\d+(?:\.\d+)?)")
_CONTROL = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
_MODESET = "/dev/nvidia-modeset"
_READ = ("ro", "nosuid", "nodev", "rbind", "rprivate")
_SOCKET = ("ro", "nosuid", "nodev", "noexec", "rbind", "rprivate")
_LINKED = {"libcuda.so.1": "libcuda.so", "libnvidia-opticalflow.so.1": "libnvidia-opticalflow.so"}


class Library(NamedTuple):
    """A library of the driver: its path on this machine, without links in it, and its SONAME."""

    path: str
    soname: str


class Part(NamedTuple):
    """A part of a GPU that is one of its own (MIG), and the nodes that let it be used."""

    name: str
    nodes: tuple[str, ...]


class GPU(NamedTuple):
    """A GPU: its place in the order of the bus, its numbers, the device nodes of its own."""

    number: int
    minor: int
    uuid: str
    nodes: tuple[str, ...]
    display: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()


class Installation(NamedTuple):
    """What of a driver is on this machine. All paths are as its own programs see them, below `root`.

    `files` are other files by the ability that needs them, empty for all; a program is at another path
    in a container if it is reached by a link here.
    """

    root: str
    version: str
    machine: str
    gpus: tuple[GPU, ...]
    nodes: frozenset[str]
    libraries: tuple[Library, ...]
    programs: tuple[tuple[str, str], ...] = ()
    """Where programs look for it, and where it is."""
    files: tuple[tuple[str, str], ...] = ()
    sockets: tuple[str, ...] = ()


def abilities(words: Iterable[str]) -> frozenset[str]:
    """Return what the words of `--gpus capabilities=` or NVIDIA_DRIVER_CAPABILITIES ask for.

    Raises InvalidError or UnsupportedError.
    """
    wanted = {word for word in words if word and word not in _SPEECH}
    if "compat32" in wanted:
        raise UnsupportedError(
            "the 32-bit libraries of the driver (compat32) are not given to containers",
            code="driver-capability",
            hint="a CDI specification in /etc/cdi can list them",
            exit_status=125,
        )
    if unknown := sorted(wanted - _EVERY - {"all"}):
        raise InvalidError(
            f"NVIDIA's driver has no capability {unknown[0]}",
            code="driver-capability",
            hint=f"there are all, {', '.join(ABILITIES)}",
            exit_status=125,
        )
    return _EVERY if "all" in wanted else frozenset(wanted) or DEFAULT


def specification(found: Installation, wanted: frozenset[str] = DEFAULT) -> Specification:
    """Return the devices of this installation: each GPU by number and by id, parts of them, and all."""
    devices = []
    everything: dict[str, None] = {}
    for gpu in found.gpus:
        nodes = (*gpu.nodes, *(gpu.display if wanted & {"graphics", "display"} else ()))
        everything |= dict.fromkeys(nodes)
        edits = Edits(device_nodes=_nodes(found.root, nodes))
        devices += [Device(name, edits) for name in (str(gpu.number), gpu.uuid) if name]
        for part in gpu.parts:
            everything |= dict.fromkeys(part.nodes)
            devices.append(
                Device(part.name, Edits(device_nodes=_nodes(found.root, (*gpu.nodes, *part.nodes))))
            )
    if devices:
        devices.append(Device("all", Edits(device_nodes=_nodes(found.root, everything))))
    return Specification("0.6.0", KIND, tuple(devices), _general(found, wanted), {MADE: found.version})


def versions(edits: Iterable[Edits]) -> set[str]:
    """Return the versions of the drivers whose libraries are mounted."""
    paths = (mount.host_path for each in edits for mount in each.mounts)
    return {match[1] for path in paths if (match := _VERSIONED.search(path))}


def current(
    levels: Sequence[Sequence[Specification]], version: str
) -> tuple[list[list[Specification]], list[Specification], bool]:
    """Part specifications into those that may be right for the loaded driver, and those for another.

    The last value tells whether one for these GPUs is among the former.
    """
    stale = [
        each for level in levels for each in level if each.kind == KIND and versions_of(each) - {version}
    ]
    kept = [[each for each in level if not any(each is other for other in stale)] for level in levels]
    return kept, stale, any(each.kind == KIND for level in kept for each in level)


def versions_of(found: Specification) -> set[str]:
    """Return the same of a whole specification."""
    return versions([found.container_edits, *(device.container_edits for device in found.devices)])


def ability(library: str) -> str:
    """Return what the library of this name is for; nothing for one that is always wanted.

    >>> ability("libcuda.so.535.104.05"), ability("libnvidia-glcore.so.535.104.05"), ability("libnew.so.1")
    ('compute', 'graphics', '')
    """
    match = _STEM.fullmatch(library)
    stem = match[1] if match else ""
    return "" if stem in _SHARED else _ABILITY.get(stem, "")


def _general(found: Installation, wanted: frozenset[str]) -> Edits:
    """What all devices take: the nodes of the driver, its libraries and their links, programs, files."""
    libraries = [each for each in found.libraries if _chosen(ability(os.path.basename(each.path)), wanted)]
    programs = [
        (inside, path) for inside, path in found.programs if PROGRAMS[os.path.basename(inside)] in wanted
    ]
    control = (*_CONTROL, *([_MODESET] if wanted & {"graphics", "display"} else []))
    mounts = [_mount(found.root, each.path) for each in libraries]
    mounts += [HostMount(outside(found.root, path), inside, _READ) for inside, path in programs]
    mounts += [_mount(found.root, path) for need, path in found.files if _chosen(need, wanted)]
    mounts += [_mount(found.root, path, _SOCKET) for path in found.sockets]
    nodes = _nodes(found.root, (node for node in control if node in found.nodes))
    hook = _hook(libraries, found.machine)
    return Edits(device_nodes=nodes, mounts=tuple(mounts), hooks=(hook,) if libraries else ())


def _chosen(need: str, wanted: frozenset[str]) -> bool:
    return not need or need in wanted


def _hook(libraries: Sequence[Library], machine: str) -> HookCall:
    """What makes the links that programs ask for, and has the linker of the container find them."""
    links: dict[str, str] = {}
    names: dict[str, str] = {}
    for library in libraries:
        folder, file = os.path.split(library.path)
        if not library.soname:
            continue
        path = f"{folder}/{library.soname}"
        if library.soname != file:
            links[path] = file
        names.setdefault(library.soname, path)
        if plain := _LINKED.get(library.soname):
            links[f"{folder}/{plain}"] = library.soname
            names.setdefault(plain, f"{folder}/{plain}")
    todo = FindLibraries(tuple(links.items()), tuple(names.items()), FLAGS[machine])
    program, *words = interpreter.command("tiffin.runtime.libraries")
    return HookCall("createContainer", program, (LIBRARIES, *words, todo.to_text()))


def _nodes(root: str, paths: Iterable[str]) -> tuple[DeviceNode, ...]:
    return tuple(DeviceNode(path, outside(root, path) if root != "/" else "") for path in paths)


def _mount(root: str, path: str, options: tuple[str, ...] = _READ) -> HostMount:
    return HostMount(outside(root, path), path, options)


def outside(root: str, path: str) -> str:
    """Return where on this machine the path of a driver lies that is kept below `root`."""
    return f"{root.rstrip('/')}{path}"
