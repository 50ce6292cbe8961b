"""What `--output` says, word for word, and what is refused by name."""

import pytest

from tiffin.engine.annotations import Annotated
from tiffin.engine.building.outputspec import Output, parse_output, with_shorthands
from tiffin.engine.packing import Compression, Form
from tiffin.errors import InvalidError, UnsupportedError
from tiffin.oci.platform import Platform

GZIP = Form(Compression("gzip"))


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("out", Output("local", "out")),
        ("./a,b", None),
        ("dest=x", Output("local", "dest=x")),
        ("-", Output("tar", "-")),
        ("type=local,dest=out", Output("local", "out")),
        ("type=local,dest=out,platform-split=false", Output("local", "out", split=False)),
        ("type=tar", Output("tar", "-")),
        ("type=tar,dest=a.tar,platform-split=true", Output("tar", "a.tar", split=True)),
        ("type=oci", Output("oci", "-", form=GZIP)),
        ('"type=oci","dest=a,b"', Output("oci", "a,b", form=GZIP)),
        ("type=oci,dest=x,tar=false", Output("oci", "x", archive=False, form=GZIP)),
        ("type=docker", Output("docker")),
        ("type=docker,dest=-", Output("docker", "-")),
        ("TYPE=docker,Dest=a", Output("docker", "a")),
        ("type=docker,dest=a,compression=gzip", Output("docker", "a", form=GZIP)),
        ("type=image", Output("image")),
        ("type=registry", Output("image", push=True)),
        ('type=image,"name=a,b",push=true', Output("image", names=("a", "b"), push=True)),
        ("type=image,push-by-digest=true", Output("image", by_digest=True)),
        ("type=image,name-canonical=1,store=0", Output("image", canonical=True, store=False)),
        ("type=image,compression-level=7", Output("image", form=Form(Compression("gzip", 7)))),
        (
            "type=image,compression=zstd,compression-level=19,force-compression=true",
            Output("image", form=Form(Compression("zstd", 19, force=True))),
        ),
        ("type=image,compression=uncompressed", Output("image", form=Form(Compression("none")))),
        ("type=image,oci-mediatypes=false", Output("image", form=Form(Compression("gzip"), docker=True))),
        ("type=image,oci-mediatypes=true,rewrite-timestamp=true,unpack=true", Output("image")),
        ("type=image,registry.insecure=false,oci-artifact=false", Output("image")),
        ("type=cacheonly", Output("cacheonly")),
    ],
)
def test_an_output_is_read(text, output):
    if output is None:
        with pytest.raises(InvalidError, match="no KEY=VALUE"):
            parse_output(text)
    else:
        assert parse_output(text) == output


def test_annotations_of_an_output_keep_their_case():
    text = "type=image,annotation.org.A=1,annotation-manifest[linux/arm64].b=2,annotation-index.c=x=y"
    assert parse_output(text).form.annotations == (
        Annotated("manifest", None, "org.A", "1"),
        Annotated("manifest", Platform("linux", "arm64"), "b", "2"),
        Annotated("index", None, "c", "x=y"),
    )


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("type=elsewhere", InvalidError, "no type elsewhere"),
        ("dest=x,name=y", InvalidError, "the type is missing"),
        ("type=local", InvalidError, "dest=FOLDER"),
        ("type=local,dest=-", InvalidError, "dest=FOLDER"),
        ("type=oci,tar=false", InvalidError, "dest=FOLDER"),
        ("type=docker,tar=false", UnsupportedError, "one tar"),
        ("type=local,dest=x,compression=gzip", InvalidError, "no option compression"),
        ("type=local,dest=x,annotation.a=b", InvalidError, r"no option annotation\.a"),
        ("type=oci,push=true", InvalidError, "no option push"),
        ("type=cacheonly,dest=x", InvalidError, "no option dest"),
        ("type=image,push=maybe", InvalidError, "push is 'maybe'"),
        ("type=image,name=a,b", InvalidError, "'b' is no KEY=VALUE"),
        ("type=image,compression=estargz", UnsupportedError, "packed as estargz"),
        ("type=image,compression=lz4", InvalidError, "no compression lz4"),
        ("type=image,compression-level=10", InvalidError, "gzip has no compression level 10"),
        ("type=image,compression=zstd,compression-level=23", InvalidError, "no compression level 23"),
        ("type=image,compression-level=high", InvalidError, "must be a number"),
        ("type=image,oci-mediatypes=false,compression=zstd", InvalidError, "zstd"),
        ("type=image,oci-mediatypes=false,annotation.a=b", InvalidError, "annotations"),
        ("type=image,registry.insecure=true", UnsupportedError, "registry.insecure"),
        ("type=image,oci-artifact=true", UnsupportedError, "oci-artifact"),
        ("type=image,attestation-inline=true", UnsupportedError, "attestation-inline"),
        ("type=image,dangling-name-prefix=x", UnsupportedError, "dangling-name-prefix"),
        ("type=image,annotation-leaf.a=b", InvalidError, "no level leaf"),
        ("type=image,annotation-index[linux/amd64].a=b", InvalidError, "for all platforms"),
        ("type=image,annotation-=b", InvalidError, "annotation.KEY=VALUE"),
        ('"type=oci,dest=x', InvalidError, "unexpected end"),
    ],
)
def test_what_cannot_be_put_out_is_said(text, kind, message):
    with pytest.raises(kind, match=message) as caught:
        parse_output(text)
    assert "\n" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("option", ["rewrite-timestamp=false", "unpack=false", "buildinfo=true"])
def test_an_option_that_changes_nothing_is_spoken_of(option):
    assert [option.partition("=")[0] in note for note in parse_output(f"type=image,{option}").notes] == [True]


@pytest.mark.parametrize(
    ("given", "push", "load", "expected"),
    [
        ((), False, False, ()),
        ((), True, False, (Output("image", push=True),)),
        ((), False, True, (Output("docker"),)),
        ((), True, True, (Output("image", push=True), Output("docker"))),
        ((Output("image"),), True, False, (Output("image", push=True),)),
        ((Output("local", "x"),), True, False, (Output("local", "x"), Output("image", push=True))),
        ((Output("docker"),), False, True, (Output("docker"),)),
        ((Output("docker", "x"),), False, True, (Output("docker", "x"), Output("docker"))),
    ],
)
def test_push_and_load_are_short_for_outputs(given, push, load, expected):
    assert with_shorthands(given, push=push, load=load) == expected
