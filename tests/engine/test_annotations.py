"""Which document an annotation goes to."""

import pytest

from tiffin.engine.annotations import Annotated, check_annotations, chosen, parse_annotation
from tiffin.errors import InvalidError
from tiffin.oci.platform import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=b", [Annotated("manifest", None, "a", "b")]),
        ("a=", [Annotated("manifest", None, "a", "")]),
        ("a=http://x=y", [Annotated("manifest", None, "a", "http://x=y")]),
        ("index:a=b", [Annotated("index", None, "a", "b")]),
        ("manifest[linux/amd64]:a=b", [Annotated("manifest", AMD64, "a", "b")]),
        (
            "index,manifest-descriptor[linux/arm64],index-descriptor:a=b",
            [
                Annotated("index", None, "a", "b"),
                Annotated("manifest-descriptor", ARM64, "a", "b"),
                Annotated("index-descriptor", None, "a", "b"),
            ],
        ),
    ],
)
def test_an_annotation_is_read(text, found):
    assert list(parse_annotation(text)) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "KEY=VALUE"),
        ("=b", "KEY=VALUE"),
        ("index:=b", "KEY=VALUE"),
        ("leaf:a=b", "no level leaf"),
        (":a=b", "is no level"),
        ("manifest[:a=b", "is no level"),
        ("index[linux/amd64]:a=b", "for all platforms"),
        ("manifest[linux/]:a=b", "platform 'linux/'"),
    ],
)
def test_what_is_no_annotation_is_refused(text, message):
    with pytest.raises(InvalidError, match=message):
        parse_annotation(text)


def test_a_platform_s_own_wins_whatever_the_order():
    for order in (1, -1):
        given = [Annotated("manifest", ARM64, "a", "arm"), Annotated("manifest", None, "a", "all")][::order]
        assert chosen(given, "manifest", ARM64) == {"a": "arm"}
        assert chosen(given, "manifest", AMD64) == {"a": "all"}
        assert chosen(given, "index") == {}


def test_an_annotation_without_a_place_is_refused():
    check_annotations([Annotated("index", None, "a", "b")], [AMD64], index=True)
    with pytest.raises(InvalidError, match="one image for one platform has none"):
        check_annotations([Annotated("index-descriptor", None, "a", "b")], [AMD64], index=False)
    with pytest.raises(InvalidError, match="linux/arm64, which is not built") as caught:
        check_annotations([Annotated("manifest", ARM64, "a", "b")], [AMD64], index=False)
    assert caught.value.hint == "built is: linux/amd64"
