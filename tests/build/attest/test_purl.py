"""Package URLs against those of the specification's examples and of BuildKit (util/purl/image_test.go)."""

import pytest

from tiffin.build.attest.purl import image_url, package_url
from tiffin.oci.platform import Platform
from tiffin.oci.reference import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("arguments", "named", "expected"),
    [
        (("npm", "animation", "12.3.1"), {"namespace": "@angular"}, "pkg:npm/%40angular/animation@12.3.1"),
        (
            ("deb", "curl", "7.50.3-1"),
            {"namespace": "debian", "qualifiers": {"distro": "jessie", "arch": "i386"}},
            "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie",
        ),
        (("pypi", "django", "1.11.1"), {}, "pkg:pypi/django@1.11.1"),
        (("deb", "g++", "4:12+b1"), {"qualifiers": {"arch": ""}}, "pkg:deb/g%2B%2B@4:12%2Bb1"),
        (("pypi", "nothing"), {}, "pkg:pypi/nothing"),
        (("npm", "x y", "1?2#3"), {}, "pkg:npm/x%20y@1%3F2%233"),
    ],
)
def test_names_of_packages(arguments, named, expected):
    assert package_url(*arguments, **named) == expected


@pytest.mark.parametrize(
    ("name", "platform", "expected"),
    [
        ("alpine", None, "pkg:docker/alpine@latest"),
        ("alpine:3.17", "linux/amd64", "pkg:docker/alpine@3.17?platform=linux%2Famd64"),
        ("example.org/team/img:1", "linux/amd64", "pkg:docker/example.org/team/img@1?platform=linux%2Famd64"),
        ("foo/bar:v2", "linux/arm/v7", "pkg:docker/foo/bar@v2?platform=linux%2Farm%2Fv7"),
        (f"alpine@{DIGEST}", None, f"pkg:docker/alpine?digest={DIGEST}"),
        (f"localhost:5000/a:1@{DIGEST}", None, f"pkg:docker/localhost:5000/a@1?digest={DIGEST}"),
    ],
)
def test_names_of_images(name, platform, expected):
    assert image_url(Reference.parse(name), Platform.parse(platform) if platform else None) == expected
