"""The image `base` that cases begin from: a static busybox and its links, the same for every builder."""

import io
import json
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
NAME = "base"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\nodd:x:1001:2000::/odd:/bin/sh\n"
)
_GROUP = "root:x:0:\nanna:x:1000:\nwine:x:2000:anna\ncheese:x:2001:anna,odd\n"
_DIRECTORIES = {"bin": 0o755, "dev": 0o755, "etc": 0o755, "proc": 0o755, "root": 0o700, "sys": 0o755,
                "tmp": 0o1777, "run": 0o755}  # fmt: skip


def write_archive(path):
    """Write the image as an archive that `docker load` takes; the same busybox gives the same bytes."""
    layer = _layer()
    config = {
        "architecture": architecture(),
        "os": "linux",
        "config": {"Env": [_PATH], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "base"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": [f"{NAME}:latest"], "Layers": ["layer.tar"]}]
    members = {"config.json": config, "manifest.json": manifest}
    with tarfile.open(path, "w") as archive:
        for name, document in members.items():
            _add(archive, name, json.dumps(document).encode())
        _add(archive, "layer.tar", layer)


def _layer():
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, mode in _DIRECTORIES.items():
            _add(tar, name, mode=mode, type=tarfile.DIRTYPE)
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        for applet in sorted(set(applets) - {"busybox"}):
            _add(tar, f"bin/{applet}", type=tarfile.SYMTYPE, linkname="busybox", mode=0o777)
        _add(tar, "etc/passwd", _PASSWD.encode())
        _add(tar, "etc/group", _GROUP.encode())
    return out.getvalue()


def _add(archive, name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    archive.addfile(info, io.BytesIO(data))


def architecture():
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
