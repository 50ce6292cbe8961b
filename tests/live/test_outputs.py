"""What a build puts out, on every rung, and as the tools that take it see it."""

import io
import json
import os
import shutil
import stat
import subprocess
import tarfile

import pytest
from tests.live import cases, trees
from tests.suites.images import open_engine

from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.oci.descriptor import MediaType

pytestmark = pytest.mark.live

DOCKERFILE = """\
FROM {base}
RUN mkdir -p /d/e && echo made > /d/e/f && ln /d/e/f /d/hard && ln -s /etc/passwd /d/link && rm /etc/group
COPY --chown=1000:2000 --chmod=4750 tool /bin/tool
COPY --chown=anna tool /home/anna/
"""


@pytest.fixture
def context(folder, busybox):
    cases.write(folder, {"Dockerfile": DOCKERFILE.format(base=busybox), "tool": "#!/bin/sh\n"})
    return folder


def tree_of(folder):
    """The files of a folder as those of an image: read by tar, like these."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(folder, "")
    return trees.tree([out.getvalue()])


def image_tree(tiffin, name, archive):
    tiffin("save", "-o", archive, name)
    cases.own(archive)
    return trees.tree(trees.documents(archive)[1])


def as_written(tree):
    """A tree as it comes into a folder: owners are the caller's, and nothing lends rights to others."""
    return {
        path: node._replace(owner="", mode=node.mode and oct(int(node.mode, 8) & 0o1777))
        for path, node in tree.items()
    }


def test_files_come_out_as_they_are_in_the_image(tiffin, context):
    tiffin("build", "-q", "-t", "outputs", context)
    expected = image_tree(tiffin, "outputs", context / "image.tar")
    assert expected["bin/tool"].mode == "0o4750"
    assert "etc/group" not in expected
    done = tiffin("build", "-q", "-o", "-", context, text=False)
    assert trees.tree([done.stdout]) == expected
    tiffin("build", "-o", context / "out", context)
    assert as_written(tree_of(context / "out")) == as_written(expected)
    owner = context.stat()
    for path in (context / "out").rglob("*"):
        status = path.lstat()
        assert (status.st_uid, status.st_mode & (stat.S_ISUID | stat.S_ISGID)) == (owner.st_uid, 0), path
    # Once more, and over the first: the same again.
    tiffin("build", "-o", context / "out", context)
    assert as_written(tree_of(context / "out")) == as_written(expected)
    shutil.rmtree(context / "out")


def test_archives_are_the_same_on_every_rung(tiffin, context, first):
    cases.write(context, {"Dockerfile": "FROM scratch\nCOPY --chown=5:6 tool /bin/\nWORKDIR /w\n"})
    for output in ("type=oci", "type=oci,compression=zstd", "type=docker,dest=-", "type=tar"):
        data = tiffin("build", "-o", output, context, text=False).stdout
        assert first(output, data) == data


# Other tools. What they take is the same on every rung, so once is enough.


@pytest.fixture
def make(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("a store with true owners belongs to root")
    place = tmp_path / "context"
    (place / "data").mkdir(parents=True)
    (place / "data/model").write_bytes(b"model" * 100_000)
    (place / "app").write_text("#!app\n")
    (place / "Dockerfile").write_text(
        'FROM scratch\nCOPY --chown=5:6 --chmod=4755 app /bin/\nCOPY data /data/\nENTRYPOINT ["/bin/app"]\n'
    )
    with open_engine(tmp_path) as engine:
        yield lambda *outputs, **more: build(engine, BuildRequest(place, outputs=outputs, **more))


LAYERS = {
    "gzip": MediaType.OCI_LAYER_GZIP,
    "zstd": MediaType.OCI_LAYER_ZSTD,
    "uncompressed": MediaType.OCI_LAYER,
}


def tool(*words):
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.parametrize(
    ("kind", "transport"), [("oci", "oci-archive"), ("docker", "docker-archive"), ("oci-folder", "oci")]
)
@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed"])
def test_skopeo_takes_every_archive(make, tmp_path, kind, transport, compression):
    target = tmp_path / "out"
    output = f"type={kind.partition('-')[0]},dest={target},compression={compression}"
    result = make(output + (",tar=false" if kind == "oci-folder" else ""), tags=("finca/app:1",))
    source = f"{transport}:{target}:{'finca/app:1' if kind == 'docker' else '1'}"
    config = json.loads(tool("skopeo", "inspect", "--config", source))
    assert config["config"]["Entrypoint"] == ["/bin/app"]
    if kind != "docker":  # of Docker's archives, skopeo writes documents of its own
        raw = json.loads(tool("skopeo", "inspect", "--raw", source))
        assert raw["config"]["digest"] == result.image_id
        assert {layer["mediaType"] for layer in raw["layers"]} == {LAYERS[compression]}
    # On its way every digest is looked at, and every layer unpacked.
    tool("skopeo", "--insecure-policy", "copy", "--dest-decompress", source, f"dir:{tmp_path}/copy")
    plain = {path.name for path in (tmp_path / "copy").iterdir()}
    assert {digest.partition(":")[2] for digest in config["rootfs"]["diff_ids"]} <= plain


def test_umoci_unpacks_a_layout(make, tmp_path):
    make(
        f"type=oci,dest={tmp_path / 'layout'},tar=false,name=finca/app:1",
        f"type=tar,dest={tmp_path / 'a.tar'}",
    )
    tool("umoci", "unpack", "--image", f"{tmp_path}/layout:1", tmp_path / "bundle")
    with (tmp_path / "a.tar").open("rb") as stream:
        assert tree_of(tmp_path / "bundle/rootfs") == trees.tree([stream.read()])


def test_the_tar_of_the_system_unpacks_the_root_filesystem(make, tmp_path):
    make(f"type=tar,dest={tmp_path / 'a.tar'}", f"type=local,dest={tmp_path / 'out'}")
    (tmp_path / "tar").mkdir()
    tool("tar", "-C", tmp_path / "tar", "-xpf", tmp_path / "a.tar")
    assert as_written(tree_of(tmp_path / "tar")) == as_written(tree_of(tmp_path / "out"))
