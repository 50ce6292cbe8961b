"""A registry that means harm: all that it does ends in an error in words, within bounded memory and disk.

Each pull is a process of its own with a limit on its memory, from a real server on this machine.
"""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

import pytest
from tests.suites.images import open_engine

from tiffin.oci.descriptor import MediaType

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")

MEMORY = 600 << 20  # of addresses; an interpreter with all modules and threads of a pull takes half of it
PULL = """
import os, resource, sys
from pathlib import Path
from tiffin.engine.engine import Engine
from tiffin.engine.settings import DEFAULT_EPOCH, Settings
from tiffin.engine.transfers import pull
from tiffin.errors import TiffinError
from tiffin.store.home import Home
place, memory, *names = Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
settings = Settings(Home(place / "store", place / "store-run"), "auto", DEFAULT_EPOCH, {"HOME": str(place)})
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
for name in names:
    try:
        with Engine.open(settings) as engine:
            pull(engine, name)
    except TiffinError as error:
        print(f"{type(error).__name__} {error.code}: {error.message}".replace("\\n", " "))
    else:
        print("pulled")
"""


def descriptor(media_type, digest, size):
    return {"mediaType": media_type, "digest": digest, "size": size}


def serve(double, layers, *, diff_ids=None, name="me/evil"):
    """Have an image of these blobs, (bytes, media type) each; the config says what `diff_ids` says."""
    said = diff_ids or ["sha256:" + hashlib.sha256(plain(data)).hexdigest() for data, _ in layers]
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": said}}
    ).encode()
    entries = [descriptor(kind, double.put(name, data), len(data)) for data, kind in layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MediaType.OCI_MANIFEST,
        "config": descriptor(MediaType.OCI_CONFIG, double.put(name, config), len(config)),
        "layers": entries,
    }
    double.put(name, json.dumps(manifest).encode(), MediaType.OCI_MANIFEST, tag="1")
    return manifest


def plain(data):
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" and len(data) < 1 << 20 else data


def pull_all(double, place, names):
    """What pulls say in the end, one a line, and that those that failed leave no layer, and no work."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PULL,
            str(place),
            str(MEMORY),
            *(f"{double.address}/{name}:1" for name in names),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    with open_engine(place) as engine:
        if "pulled" not in said:
            assert engine.tags.all() == []
            assert engine.layers.all() == []
        assert [path for path in engine.home.work.iterdir() if not path.name.endswith(".lock")] == []
    return said


def pulled(double, place):
    (said,) = pull_all(double, place, ["me/evil"])
    return said


def tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, kind, extra in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            for key, value in extra.items():
                setattr(info, key, value)
            made.addfile(info, io.BytesIO(b"x" * info.size))
    return out.getvalue()


def layer(data):
    return gzip.compress(data, 1), MediaType.OCI_LAYER_GZIP


FILE, LINK, HARD, DIRECTORY, DEVICE = (
    tarfile.REGTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.DIRTYPE,
    tarfile.BLKTYPE,
)
REFUSED = {
    "a name that leads out": [("../../etc/evil", FILE, {"size": 1})],
    "a hard link to outside": [("shadow", HARD, {"linkname": "../../../etc/shadow"})],
    "a hard link to what is not there": [("shadow", HARD, {"linkname": "/etc/shadow"})],
    "a device that there is not": [("disk", DEVICE, {"devmajor": 4096, "devminor": 0})],
    "a name of a megabyte": [("x" * (1 << 20), FILE, {"size": 1})],
    "a path that is too deep": [("d/" * 3000 + "f", FILE, {"size": 1})],
    "links in a circle": [
        ("a", LINK, {"linkname": "b"}), ("b", LINK, {"linkname": "a"}), ("a/f", FILE, {"size": 1}),
    ],
    "a size of exabytes": [("f", FILE, {"pax_headers": {"size": "9" * 18}})],
    "a size that no number holds": [("f", FILE, {"pax_headers": {"size": "9" * 100}})],
    "attributes of many megabytes": [
        ("f", FILE, {"pax_headers": {f"SCHILY.xattr.user.{n}": "v" * 60_000 for n in range(40)}}),
    ],
    "a map of a sparse file without end": [
        ("f", FILE, {"pax_headers": {"GNU.sparse.map": ",".join(["1"] * 400_000), "GNU.sparse.size": "9"}})
    ],
}  # fmt: skip


def test_layers_that_mean_harm_are_refused(double, tmp_path):
    names = {f"me/evil{number}": what for number, what in enumerate(REFUSED)}
    for name, what in names.items():
        serve(double, [layer(tar(*REFUSED[what]))], name=name)
    for said, what in zip(pull_all(double, tmp_path, names), REFUSED, strict=True):
        assert said.startswith(("InvalidError", "CorruptError")), (what, said)


def test_links_to_outside_and_devices_stay_inside(double, tmp_path):
    members = [
        ("out", LINK, {"linkname": "/etc"}),
        ("out/evil", FILE, {"size": 1}),
        ("Etc", DIRECTORY, {}),
        ("Etc/Evil", FILE, {"size": 1}),
        ("disk", DEVICE, {"devmajor": 8, "devminor": 0}),
    ]
    serve(double, [layer(tar(*members))])
    assert pulled(double, tmp_path) == "pulled"
    assert not os.path.lexists("/etc/evil")


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_takes_neither_the_memory_nor_the_disk(double, tmp_path, kind):
    """A thousand times what came: a file of zeros on a disk of 64 MB, which keeps some room."""
    small = tmp_path / "disk"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", small], check=True)
    try:
        head = tarfile.TarInfo("zeros")
        head.size = 4 << 30
        start = head.tobuf(tarfile.GNU_FORMAT)
        if kind == "gzip":
            member = gzip.compress(bytes(1 << 24), 9)
            data, media_type = gzip.compress(start) + member * 8, MediaType.OCI_LAYER_GZIP
        else:
            zstd = pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")
            data, media_type = (
                zstd.compress(start) + zstd.compress(bytes(1 << 24)) * 8,
                MediaType.OCI_LAYER_ZSTD,
            )
        serve(double, [(data, media_type)], diff_ids=["sha256:" + "0" * 64])
        said = pulled(double, small)
        assert said.startswith("FailedError no-room"), said
        room = os.statvfs(small)
        assert room.f_bavail > room.f_blocks // 2
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_window_of_gigabytes_is_refused(double, tmp_path):
    frame = b"\x28\xb5\x2f\xfd" + b"\x00\xa0" + b"\x01\x00\x00"  # a window of 1 GiB, and an empty block
    serve(double, [(frame, MediaType.OCI_LAYER_ZSTD)], diff_ids=["sha256:" + "0" * 64])
    assert pulled(double, tmp_path).startswith("CorruptError compression-broken")


def test_a_manifest_of_a_gigabyte_is_not_read(double, tmp_path):
    def endless(handler):
        if "/manifests/" not in handler.path:
            return False
        handler.send_response(200)
        handler.send_header("Content-Type", MediaType.OCI_MANIFEST)
        handler.send_header("Content-Length", str(1 << 30))
        handler.send_header("Docker-Content-Digest", "sha256:" + "0" * 64)
        handler.end_headers()
        if handler.command == "GET":
            for _ in range(1024):
                handler.wfile.write(bytes(1 << 20))
        return True

    double.faults.append(endless)
    said = pulled(double, tmp_path)
    assert said.startswith(("CorruptError", "UnavailableError")), said


def test_json_that_is_nested_without_end(double, tmp_path):
    depth = 1 << 20
    data = b'{"schemaVersion":2,"layers":' + b"[" * depth + b"]" * depth + b"}"
    double.put("me/evil", data, MediaType.OCI_MANIFEST, tag="1")
    assert pulled(double, tmp_path).startswith("CorruptError")


def test_a_config_that_lies_about_its_layers(double, tmp_path):
    serve(double, [layer(tar(("f", FILE, {"size": 1})))], diff_ids=["sha256:" + "1" * 64])
    assert pulled(double, tmp_path).startswith("CorruptError")


def test_one_layer_a_great_many_times(double, tmp_path):
    """As often as a manifest can say it: it is fetched once, and unpacked once."""
    packed, kind = layer(tar(("f", FILE, {"size": 1})))
    digest = "sha256:" + hashlib.sha256(gzip.decompress(packed)).hexdigest()
    serve(double, [(packed, kind)] * 5_000, diff_ids=[digest] * 5_000)
    assert pulled(double, tmp_path) == "pulled"
    assert (
        len([path for path in double.requests("GET") if path.endswith(hashlib.sha256(packed).hexdigest())])
        == 1
    )


def test_an_index_that_says_it_holds_itself(double, tmp_path):
    def index(size):
        entry = descriptor(MediaType.OCI_INDEX, "sha256:" + "2" * 64, size)
        return json.dumps(
            {"schemaVersion": 2, "mediaType": MediaType.OCI_INDEX, "manifests": [entry]}
        ).encode()

    digest = double.put("me/evil", index(len(index(100))), MediaType.OCI_INDEX, tag="1")
    double.manifests["me/evil", "sha256:" + "2" * 64] = double.manifests["me/evil", digest]
    assert pulled(double, tmp_path).startswith("CorruptError")


def test_entries_without_end_are_given_up(tmp_path):
    """Names are counted by the memory that they take: a budget for a million here, for millions in truth."""
    from tiffin.errors import InvalidError
    from tiffin.layer.apply import Limits, apply
    from tiffin.layer.owners import TrueOwners

    def members():
        for number in range(10_000_000):
            info = tarfile.TarInfo(f"{number}")
            info.type = DIRECTORY
            yield info.tobuf(tarfile.USTAR_FORMAT)

    class Endless:
        def __init__(self) -> None:
            self.members, self.given = members(), 0

        def read(self, _size=-1):
            self.given += 1
            return b"".join(next(self.members, b"") for _ in range(64))

    (tmp_path / "root").mkdir()
    with pytest.raises(InvalidError, match="more entries than can be held"):
        apply(Endless(), tmp_path / "root", TrueOwners(), Limits(names=1 << 19))
    assert len(os.listdir(tmp_path / "root")) < 4000
