"""An ordinary user without namespaces: the same images as everywhere. `test_pods` has it in a container."""

import io
import json
import os
import tarfile

import pytest
from tests.live import cases

pytestmark = pytest.mark.live

BESIDE = pytest.mark.parametrize("tiffin", ["root", "traced"], indirect=True)
HERE = pytest.mark.parametrize("tiffin", ["traced"], indirect=True)

COPIES = """\
FROM scratch AS made
ADD files.tar /
COPY --chown=7:8 --chmod=0440 a /shut/
COPY --chmod=0555 a /shut/b
FROM scratch
COPY --from=made / /
COPY --from=made --chown=3:4 /shut /again
COPY --from=made /shut/secret /secret
WORKDIR /shut/work
"""
CAPABILITY = b"\x01\x00\x00\x02" + (1 << 10).to_bytes(4, "little") + bytes(12)


def archive():
    """A tar with all that an ordinary user could not make."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, fields in [
            ("shut", tarfile.DIRTYPE, {"uid": 33, "gid": 34, "mode": 0o555}),
            ("shut/secret", tarfile.REGTYPE, {"uid": 5, "mode": 0}),
            ("shut/hard", tarfile.LNKTYPE, {"linkname": "shut/secret"}),
            ("sudo", tarfile.REGTYPE, {"mode": 0o4111}),
            ("ping", tarfile.REGTYPE, {"mode": 0o755}),
            ("disk", tarfile.BLKTYPE, {"gid": 6, "mode": 0o660, "devmajor": 8, "devminor": 1}),
            ("fifo", tarfile.FIFOTYPE, {"uid": 9, "mode": 0o600}),
            ("link", tarfile.SYMTYPE, {"linkname": "shut", "uid": 12, "gid": 13}),
        ]:
            info = tarfile.TarInfo(name)
            info.type = kind
            for field, value in fields.items():
                setattr(info, field, value)
            if name == "ping":
                info.pax_headers = {"SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1")}
            tar.addfile(info)
    return out.getvalue()


def layers(tiffin, image):
    return json.loads(tiffin("inspect", image).stdout)[0]["RootFS"]["Layers"]


@BESIDE
def test_copies_have_the_layers_of_the_rung_root(tiffin, folder, first):
    cases.write(folder, {"Dockerfile": COPIES, "a": "content\n"})
    (folder / "files.tar").write_bytes(archive())
    tiffin("build", "-q", "-t", "copies", folder)
    found = json.dumps(layers(tiffin, "copies")).encode()
    assert found == first("traced-copies", found)
    tiffin("save", "-o", folder / "copies.tar", "copies")
    tiffin("rmi", "copies")
    tiffin("load", "-q", "-i", folder / "copies.tar")
    tiffin("build", "-q", "-t", "more", "-", input="FROM copies\nCOPY --from=copies /again /shut/work/\n")
    found = json.dumps(layers(tiffin, "more")).encode()
    assert found == first("traced-more", found)
    if tiffin.rung == "traced":
        assert not [path for path in tiffin.store.rglob("*") if path.lstat().st_uid != os.stat(folder).st_uid]
