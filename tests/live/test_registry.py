"""Registries as they are: the distribution's registry, and skopeo on the other side."""

import ctypes
import ctypes.util
import io
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.engine.test_transfers import built, layer
from tests.suites.attestations import check_statement
from tests.suites.content_place import PlaceSuite

from tiffin.engine import archives
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.engine import Engine
from tiffin.engine.lookup import need_image
from tiffin.engine.settings import Settings
from tiffin.engine.transfers import login, logout, pull, push
from tiffin.errors import TiffinError
from tiffin.events import StepDone
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.reference import Reference
from tiffin.registry.access import Registries
from tiffin.store.home import Home

DAEMON = shutil.which("docker-registry")
SKOPEO = shutil.which("skopeo")
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="layers are unpacked with their owners, which takes root"),
    pytest.mark.skipif(DAEMON is None, reason="the package docker-registry is not installed"),
    pytest.mark.skipif(SKOPEO is None, reason="the package skopeo is not installed"),
]

CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {root}/data}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:{port}
  secret: not-much-of-one
{auth}
"""


def bcrypt_hash(password):
    """What htpasswd -B writes: bcrypt, by the C library."""
    found = ctypes.util.find_library("crypt")
    if found is None:
        pytest.skip("there is no libcrypt to make a password file with")
    library = ctypes.CDLL(found)
    library.crypt.restype = ctypes.c_char_p
    hashed = library.crypt(password.encode(), b"$2b$04$abcdefghijklmnopqrstuu")
    if not hashed or not hashed.startswith(b"$2b$"):
        pytest.skip("libcrypt knows no bcrypt")
    return hashed.decode()


def serve(place, users=None):
    """A registry of our own on a free port; the process, and its address."""
    place.mkdir()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    auth = ""
    if users:
        lines = [f"{name}:{bcrypt_hash(password)}\n" for name, password in users.items()]
        (place / "htpasswd").write_text("".join(lines))
        auth = f"auth: {{htpasswd: {{realm: ours, path: {place}/htpasswd}}}}"
    (place / "config.yml").write_text(CONFIG.format(root=place, port=port, auth=auth))
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([DAEMON, "serve", place / "config.yml"], stdout=log, stderr=log)
    address = f"127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://{address}/v2/", timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
            break
        except OSError:
            if process.poll() is not None:
                pytest.fail((place / "log").read_text()[-2000:])
            time.sleep(0.05)
        else:
            break
    return process, address


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    process, address = serve(tmp_path_factory.mktemp("registry") / "open")
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    process, address = serve(tmp_path_factory.mktemp("registry") / "closed", {"anna": "pass:word"})
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture
def make(tmp_path):
    opened = []

    def new(name):
        environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        engine = Engine.open(Settings(Home(tmp_path / name, tmp_path / f"{name}-run"), "auto", 0, environ))
        opened.append(engine)
        return engine

    yield new
    for engine in opened:
        engine.__exit__(None, None, None)


@pytest.fixture
def skopeo(tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text(POLICY)

    def run(*words, check=True):
        command = [SKOPEO, "--policy", policy, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if check and done.returncode:
            pytest.fail(done.stderr)
        return done.stdout if check else done

    return run


class TestRegistry(PlaceSuite):
    @pytest.fixture
    def place(self, registry, tmp_path):
        with Registries({"HOME": str(tmp_path)}) as registries:
            name = f"{registry}/suite/{tmp_path.name.replace('_', '-').lower()[-40:].strip('-.')}"
            yield registries.to_push(Reference.parse(name))

    test_other_algorithms_name_content_too = None  # this registry keeps blobs by sha256 only


def test_what_we_push_skopeo_reads(registry, make, skopeo, tmp_path):
    engine = make("one")
    name = f"{registry}/ours/serving:1"
    image_id = built(engine, name, app="x" * 3_000_000, model="y" * 1_000_000)
    sent = push(engine, name)
    document = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{name}"))
    assert document["Digest"] == sent.digest
    raw = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}"))
    assert raw["config"]["digest"] == image_id
    # skopeo checks every digest, and with the conversion it unpacks every layer.
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path}/dir")
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"docker-archive:{tmp_path}/archive.tar:a:1")


def source_image(tmp_path, text):
    """An image as an OCI layout that skopeo made, from layers that we did not write."""
    import hashlib
    import io
    import tarfile

    layers = [layer(base="b" * 100_000 + text), layer(app="a" * 3_000_000, other=text)]
    config = {
        "architecture": os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64"),
        "os": "linux",
        "config": {"Cmd": ["/serve"], "Env": ["A=B"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(d).hexdigest() for d in layers]},
    }
    path = tmp_path / "source.tar"
    with tarfile.open(path, "w") as archive:
        entries = {"config.json": json.dumps(config).encode(), "0.tar": layers[0], "1.tar": layers[1]}
        manifest = [{"Config": "config.json", "RepoTags": ["source:1"], "Layers": ["0.tar", "1.tar"]}]
        entries["manifest.json"] = json.dumps(manifest).encode()
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return SimpleNamespace(path=f"docker-archive:{path}", diff_ids=config["rootfs"]["diff_ids"])


@pytest.mark.parametrize(
    "form",
    [
        (("--format", "v2s2"), MediaType.DOCKER_MANIFEST, MediaType.DOCKER_LAYER_GZIP),
        (("--format", "oci"), MediaType.OCI_MANIFEST, MediaType.OCI_LAYER_GZIP),
        (
            ("--format", "oci", "--dest-compress-format", "zstd"),
            MediaType.OCI_MANIFEST,
            MediaType.OCI_LAYER_ZSTD,
        ),
    ],
    ids=["schema2", "oci", "zstd"],
)
def test_what_skopeo_pushes_we_pull(registry, make, skopeo, tmp_path, form):
    words, manifest, packed = form
    # Other content for each form: skopeo remembers which blobs it has sent in another.
    source = source_image(tmp_path, packed + manifest)
    name = f"{registry}/theirs/{packed.rpartition('.')[2].replace('+', '-')}:1"
    skopeo("copy", "--dest-tls-verify=false", *words, source.path, f"docker://{name}")
    engine = make("one")
    found = pull(engine, name)
    image = need_image(engine, name)
    assert found.media_type == manifest
    assert {one.media_type for one in image.manifest.layers} == {packed}
    assert list(image.config.rootfs.diff_ids) == source.diff_ids
    assert (engine.layers.path(image.config.rootfs.diff_ids[1]) / "app").stat().st_size == 3_000_000
    with Path(os.devnull).open("wb") as nowhere:
        archives.save(engine, [name], nowhere)
    # And back, byte for byte.
    from tiffin.engine.images import tag

    tag(engine, name, f"{registry}/back/again:1")
    assert push(engine, f"{registry}/back/again:1") == found
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{registry}/back/again:1")
    assert Descriptor.of(raw.encode(), manifest).digest == found.digest


def test_logins_are_those_of_docker_and_skopeo(closed, make, skopeo, tmp_path):
    engine = make("one")
    name = f"{closed}/private/x:1"
    built(engine, name, app="1")
    with pytest.raises(TiffinError) as caught:
        push(engine, name)
    assert f"tiffin login {closed}" in caught.value.hint
    with pytest.raises(TiffinError, match="refuses the login of user anna"):
        login(engine.settings, closed, "anna", "wrong")
    login(engine.settings, closed, "anna", "pass:word")
    sent = push(engine, name)
    ours = tmp_path / ".docker/config.json"
    inspected = skopeo("inspect", "--authfile", ours, "--tls-verify=false", f"docker://{name}")
    assert json.loads(inspected)["Digest"] == sent.digest
    assert logout(engine.settings, closed)
    # skopeo's login, in podman's file, counts for us.
    theirs = tmp_path / ".config/containers/auth.json"
    theirs.parent.mkdir(parents=True)
    skopeo("login", "--authfile", theirs, "--tls-verify=false", "-u", "anna", "-p", "pass:word", closed)
    assert pull(make("two"), name).digest == sent.digest


def test_an_index_is_pushed_whole_as_it_was_built(registry, make, skopeo, tmp_path):
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY ${TARGETARCH} /name\n")
    for name in ("amd64", "arm64"):
        (context / name).write_text(name)
    name = f"{registry}/ours/both:1"
    wanted = BuildRequest(
        context, tags=(name,), platforms=("linux/amd64,linux/arm64",), push=True, annotations=("index:a=b",)
    )
    sent = build(make("one"), wanted)
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    assert Descriptor.of(raw.encode(), MediaType.OCI_INDEX).digest == sent.descriptor.digest
    assert json.loads(raw)["annotations"] == {"a": "b"}
    # skopeo checks every digest of every image.
    skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path}/dir")
    two = make("two")
    pull(two, name, "linux/arm64")
    diff_ids = need_image(two, name).config.rootfs.diff_ids
    assert (two.layers.path(diff_ids[0]) / "name").read_text() == "arm64"


def test_what_is_attested_goes_along_and_speaks_of_what_is_there(registry, make, skopeo, tmp_path):
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    name = f"{registry}/ours/attested:1"
    wanted = BuildRequest(context, tags=(name,), provenance="mode=max", sbom="true", push=True)
    build(make("one"), wanted)
    folder = tmp_path / "dir"
    skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{name}", f"dir:{folder}")
    image, attestation = json.loads((folder / "manifest.json").read_bytes())["manifests"]
    assert attestation["annotations"]["vnd.docker.reference.digest"] == image["digest"]
    beside = json.loads((folder / f"{attestation['digest'].partition(':')[2]}.manifest.json").read_bytes())
    for each in beside["layers"]:
        data = (folder / each["digest"].partition(":")[2]).read_bytes()
        check_statement(json.loads(data), image["digest"])
    assert "Architecture" in json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{name}"))


def test_a_cache_is_an_artifact_that_this_registry_takes(registry, make, skopeo, tmp_path):
    context = tmp_path / "context"
    context.mkdir()
    (context / "model").write_text("m" * 1_000_000)
    (context / "Dockerfile").write_text(
        "FROM scratch AS data\nCOPY model /\nFROM scratch\nCOPY --from=data / /a/\n"
    )
    option = f"type=registry,ref={registry}/ours/cached:cache"
    one, two = make("one"), make("two")
    first = build(one, BuildRequest(context, cache_to=(f"{option},mode=max",)))
    raw = json.loads(
        skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{registry}/ours/cached:cache")
    )
    assert raw["artifactType"] == "application/vnd.tiffin.cache.v1"
    assert {layer["mediaType"] for layer in raw["layers"]} == {MediaType.OCI_LAYER_GZIP}
    events = []
    two.emit = events.append
    assert build(two, BuildRequest(context, cache_from=(option,))) == first
    steps = [event.status for event in events if isinstance(event, StepDone) and event.step.isdigit()]
    assert steps == ["cached", "cached"]


def test_this_registry_gives_pieces_of_blobs(registry, tmp_path):
    data = bytes(range(256)) * 10_000
    blob = Descriptor.of(data, MediaType.OCI_LAYER)
    with Registries({"HOME": str(tmp_path)}) as registries:
        repository = registries.to_push(Reference.parse(f"{registry}/ours/pieces"))
        with io.BytesIO(data) as stream:
            repository.push(blob, stream)
        for start, stop in ((0, 1), (1000, 2000), (len(data) - 5, len(data))):
            with repository.open_piece(blob, start, stop) as piece:
                assert piece.read() == data[start:stop]
