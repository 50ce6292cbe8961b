"""tiffin artifact attach and referrers, image cp --referrers, and --offline, as they are typed."""

from pathlib import Path
from types import SimpleNamespace

from tiffin.oci.descriptor import Descriptor, MediaType

MANIFEST = Descriptor.of(b"manifest", MediaType.OCI_MANIFEST)
SUBJECT = Descriptor.of(b"subject", MediaType.OCI_MANIFEST)


def test_what_is_attached_needs_a_type(tiffin, engine):
    engine.answers("referring", attach_files=(SUBJECT, MANIFEST))
    failed = tiffin("artifact", "attach", "r.example/app:1", "sbom.json")
    assert failed.status == 1
    assert "--artifact-type application/spdx+json" in failed.err
    words = (
        "--artifact-type",
        "a/b",
        "--annotation",
        "k=v",
        "--platform",
        "arm64",
        "r.example/app:1",
        "s.json",
    )
    done = tiffin("artifact", "attach", *words)
    assert done.out == f"{MANIFEST.digest}\n"
    assert f"attached to {SUBJECT.digest}" in done.err
    name, *rest = engine.calls[-1][1:]
    assert (name, *map(str, rest[:2])) == ("r.example/app:1", str([Path("s.json")]), "a/b")
    assert (rest[2], str(rest[3])) == ({"k": "v"}, "linux/arm64")


def test_what_refers_to_an_image_is_listed_and_cannot_play_tricks(tiffin, engine):
    beside = SimpleNamespace(
        artifact_type="a/b\x1b[31m", descriptor=MANIFEST, about="linux/arm64", kind="referrer"
    )
    engine.answers("referring", list_beside=[beside])
    lines = tiffin("artifact", "referrers", "r.example/app:1").out.splitlines()
    assert lines[0].split() == ["ARTIFACT", "TYPE", "ABOUT", "KIND", "DIGEST", "SIZE"]
    assert lines[1].split()[1:] == ["linux/arm64", "referrer", str(MANIFEST.digest), "8B"]
    assert "\x1b" not in lines[1]
    assert tiffin("artifact", "discover", "-q", "r.example/app:1").out == f"{MANIFEST.digest}\n"
    form = ("--format", "{{.Kind}} {{.Digest}}", "--artifact-type", "a/b")
    assert tiffin("artifact", "referrers", *form, "r.example/app:1").out == f"referrer {MANIFEST.digest}\n"
    assert engine.calls[-1][1:3] == ("r.example/app:1", "a/b")


def test_the_network_is_taken_from_any_command(tiffin, engine):
    engine.answers("transfers", pull=None)
    seen = []
    engine._load = lambda environ, **more: (
        seen.append(environ.get("TIFFIN_OFFLINE")) or SimpleNamespace(**more)
    )
    engine.module(
        "tiffin.engine.settings",
        Settings=SimpleNamespace(load=engine._load),
        real_name=lambda _engine, name: name,
    )
    tiffin("--offline", "pull", "-q", "python")
    tiffin("pull", "-q", "python")
    assert seen == ["1", None]
