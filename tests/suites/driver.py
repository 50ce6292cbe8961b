"""Installations of NVIDIA's driver that are made up: what is loaded, what lies in /dev, and its libraries."""

import os
import struct
from pathlib import Path

from tiffin.linux import ldcache

VERSION = "535.104.05"
CLOSED = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Sat Aug 19 01:15:15 UTC 2023\nGCC version:  12.2.0\n"
)
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (x)\n"
UUID = "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c1{:02x}"
NODES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
LIBRARIES = {
    "libcuda": 1,
    "libnvidia-ml": 1,
    "libnvidia-ptxjitcompiler": 1,
    "libnvidia-glcore": VERSION,
    "libGLX_nvidia": 0,
    "libnvcuvid": 1,
    "libnvidia-gpucomp": VERSION,
}


def library(soname, machine=62, kind=3):
    """The least shared library with a name: a header, two segments, a dynamic section, strings."""
    strings = b"\0" + soname.encode() + b"\0"
    dynamic = struct.pack("<qQqQqQ", 5, 0x1000 + 300, 14, 1, 0, 0)
    header = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    header += struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0x1000, 0, 1024, 1024, 4096)
    section = struct.pack("<IIQQQQQQ", 2, 4, 200, 0x1000 + 200, 0, len(dynamic), len(dynamic), 8)
    data = (header + load + section).ljust(200, b"\0") + dynamic
    return (data.ljust(300, b"\0") + strings).ljust(1024, b"\0")


class Driver:
    """An installation below `root`."""

    def __init__(self, root: Path, version=VERSION, *, words=CLOSED) -> None:
        self.root = root
        self.version = version
        self.write("/proc/driver/nvidia/version", words.format(version))
        for name in NODES:
            self.node(f"/dev/{name}")

    def write(self, path, content="", mode=0o644):
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        place.chmod(mode)

    def link(self, path, target):
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def node(self, path):
        """A device that anybody can have: what it leads to is outside, as devices are."""
        self.link(path, "/dev/null")

    def gpu(self, number, minor, bus):
        told = f"Model: \t\t Tin 100\nGPU UUID: \t {UUID.format(number)}\nDevice Minor: \t {minor}\n"
        self.write(f"/proc/driver/nvidia/gpus/0000:{bus}:00.0/information", told)
        self.node(f"/dev/nvidia{minor}")

    def part(self, minor, instance, compute, caps):
        place = f"/proc/driver/nvidia/capabilities/gpu{minor}/mig/gi{instance}"
        for path, number in zip((place, f"{place}/ci{compute}"), caps, strict=True):
            self.write(f"{path}/access", f"DeviceFileMinor: {number}\nDeviceFileMode: 292\n")
            self.write(f"/dev/nvidia-caps/nvidia-cap{number}")

    def libraries(self, folder, names=LIBRARIES):
        """Those of this version, as they are installed: the file, and a link by its name for programs."""
        for name, major in names.items():
            soname = f"{name}.so.{self.version if major == VERSION else major}"
            self.write(f"{folder}/{name}.so.{self.version}", library(soname))
            if soname != f"{name}.so.{self.version}":
                self.link(f"{folder}/{soname}", f"{name}.so.{self.version}")

    def cache(self, **libraries):
        entries = [ldcache.Entry(f"{name}.so.1", path, 0x0303) for name, path in libraries.items()]
        self.write("/etc/ld.so.cache", ldcache.encode(entries))


def whole(root):
    """Two GPUs and all that belongs to them, as on Debian's multiarch."""
    made = Driver(root)
    made.gpu(0, 1, "3b")
    made.gpu(1, 0, "b3")
    made.libraries("/usr/lib/x86_64-linux-gnu")
    made.write("/usr/bin/nvidia-smi", "#!/bin/sh\necho smi\n", 0o755)
    return made


def mounted(edits):
    return sorted(os.path.basename(mount.container_path) for mount in edits.mounts)
