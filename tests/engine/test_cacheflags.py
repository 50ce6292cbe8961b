"""`--cache-from` and `--cache-to`: what is understood, and what is refused with which words."""

from pathlib import Path

import pytest

from tiffin.engine.building.cacheflags import CacheSource, CacheTarget, parse_source, parse_target
from tiffin.engine.packing import Compression
from tiffin.errors import InvalidError, UnsupportedError
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference

REFERENCE = Reference.parse("ghcr.io/me/app:cache").tagged()
DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ghcr.io/me/app:cache", CacheSource("ghcr.io/me/app:cache", REFERENCE)),
        ("type=registry,ref=ghcr.io/me/app:cache", CacheSource("ghcr.io/me/app:cache", REFERENCE)),
        (
            "type=registry,ref=ghcr.io/me/app:cache,mounts=false",
            CacheSource("ghcr.io/me/app:cache", REFERENCE, mounts=False),
        ),
        ("type=local,src=/c", CacheSource("/c:latest", folder=Path("/c"))),
        ("type=local,src=/c,tag=x", CacheSource("/c:x", folder=Path("/c"), tag="x")),
        (
            f"type=local,src=/c,digest={DIGEST}",
            CacheSource(f"/c:{DIGEST}", folder=Path("/c"), digest=Digest(DIGEST)),
        ),
        ('type=local,"src=/a,b"', CacheSource("/a,b:latest", folder=Path("/a,b"))),
    ],
)
def test_sources(text, expected):
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ghcr.io/me/app:cache", CacheTarget("ghcr.io/me/app:cache", REFERENCE, None, "")),
        (
            "type=registry,ref=ghcr.io/me/app:cache,mode=max,image-manifest=true,oci-mediatypes=true",
            CacheTarget("ghcr.io/me/app:cache", REFERENCE, None, "", "max"),
        ),
        ("type=local,dest=/c", CacheTarget("/c:latest", None, Path("/c"))),
        (
            "type=local,dest=/c,tag=main,mode=min,compression=zstd,compression-level=9,force-compression=1",
            CacheTarget("/c:main", None, Path("/c"), "main", "min", Compression("zstd", 9, force=True)),
        ),
        (
            "type=local,dest=/c,ignore-error=true,mounts=true,compression=uncompressed",
            CacheTarget(
                "/c:latest", None, Path("/c"), compression=Compression("none"), ignore_error=True, mounts=True
            ),
        ),
        ("type=inline", CacheTarget("the image")),
    ],
)
def test_targets(text, expected):
    assert parse_target(text) == expected
    assert parse_target(text).inline == (text == "type=inline")


@pytest.mark.parametrize("kind", ["gha", "s3", "azblob"])
def test_the_services_of_providers_are_refused_with_what_to_use(kind):
    for parse in (parse_source, parse_target):
        with pytest.raises(UnsupportedError, match=f"type={kind} is the service") as caught:
            parse(f"type={kind},scope=x")
        assert "type=local" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=inline,mode=max", "type=inline has no option 'mode'"),
        ("type=tarball,dest=x", "there is no type 'tarball'"),
        ("dest=x", "the type is missing"),
        ("", "the type is missing"),
        ("type=local", "dest= is missing"),
        ("type=registry", "ref= is missing"),
        ("type=local,dest=x,mode=most", "there is no mode 'most'"),
        ("type=local,dest=x,compression=estargz", "cannot be compressed as 'estargz'"),
        ("type=local,dest=x,compression-level=best", "is no number"),
        ("type=local,dest=x,compression-level=10", "gzip has no compression level 10"),
        ("type=local,dest=x,ignore-error=maybe", "neither true nor false"),
        ("type=local,dest=x,ignore-error", "'ignore-error' is no KEY=VALUE"),
        ('type=local,"dest=x', "a quote is not closed"),
        ("type=local,src=x", "type=local has no option 'src'"),
        (f"type=registry,ref=a/b@{DIGEST}", "a digest cannot be written to"),
    ],
)
def test_bad_targets(text, message):
    with pytest.raises(InvalidError) as caught:
        parse_target(text)
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["image-manifest", "oci-mediatypes"])
def test_what_is_never_done_otherwise_is_refused(name):
    with pytest.raises(UnsupportedError) as caught:
        parse_target(f"type=registry,ref=a/b,{name}=false")
    assert caught.value.hint == f"leave {name}= away"


@pytest.mark.parametrize("text", ["type=inline", "type=local,dest=x", "type=local,src=x,digest=sha256:1"])
def test_bad_sources(text):
    with pytest.raises(InvalidError):
        parse_source(text)
