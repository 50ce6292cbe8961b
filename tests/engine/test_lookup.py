"""What a user may write for an image, and which one is meant."""

import os

import pytest
from tests.suites.images import make_image

from tiffin.engine.lookup import find_image, need_image
from tiffin.errors import InvalidError, NotFoundError
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


@pytest.mark.parametrize(
    "name", ["app", "app:latest", "library/app", "docker.io/app", "docker.io/library/app:latest"]
)
def test_every_spelling_of_a_name_is_the_same(engine, name):
    descriptor, image_id = make_image(engine, "app")
    found = need_image(engine, name)
    assert (found.descriptor, found.image_id, str(found.reference)) == (
        descriptor,
        image_id,
        "docker.io/library/app:latest",
    )


@pytest.mark.parametrize(
    "name", ["app:1", "other/app", "registry.example/app", "ap", "app@sha256:" + "0" * 64]
)
def test_another_name_is_another_image(engine, name):
    make_image(engine, "app")
    assert find_image(engine, name) is None


@pytest.mark.parametrize(
    "take",
    [
        lambda d: d,
        lambda d: d.encoded,
        lambda d: d.encoded[:12],
        lambda d: d.encoded[:4],
        lambda d: f"sha256:{d.encoded[:8]}",
    ],
)
@pytest.mark.parametrize("which", [0, 1], ids=["manifest", "config"])
def test_ids_and_their_beginnings(engine, take, which):
    made = make_image(engine, "app")
    name = take((made[0].digest, made[1])[which])
    found = need_image(engine, name)
    assert (found.descriptor, found.reference) == (made[0], None)


def test_too_few_digits_are_no_id(engine):
    _, image_id = make_image(engine)
    assert find_image(engine, image_id.encoded[:3]) is None


def test_a_name_wins_over_the_beginning_of_an_id(engine):
    _, image_id = make_image(engine, "app", layers=({"f": "1"},))
    other, _ = make_image(engine, image_id.encoded[:6], layers=({"f": "2"},))
    assert need_image(engine, image_id.encoded[:6]).descriptor == other


def test_a_beginning_of_several_ids_is_refused(engine):
    for last in "01":
        manifest = Descriptor(MediaType.OCI_MANIFEST, Digest("sha256:" + "cd" * 31 + "0" + last), 10)
        engine.images.add(manifest, Digest("sha256:" + "ab" * 31 + "0" + last))
    with pytest.raises(InvalidError, match="several image ids"):
        find_image(engine, "abab")


def test_a_digest_is_found_under_the_name_that_has_a_tag_too(engine):
    """What `inspect` shows as RepoDigests can be given back."""
    descriptor, _ = make_image(engine, "app:1")
    make_image(engine, "other", layers=({"f": "2"},))
    found = need_image(engine, f"app@{descriptor.digest}")
    assert (found.descriptor, found.reference) == (descriptor, Reference.parse("app:1"))
    assert find_image(engine, f"app:1@{descriptor.digest}") is not None
    assert find_image(engine, f"app:2@{descriptor.digest}") is None
    assert find_image(engine, f"other@{descriptor.digest}") is None


@pytest.mark.parametrize("name", ["", "UPPER", "a b", "a:b:c", "-x", "a/../b"])
def test_what_is_no_name_is_said_to_be_none(engine, name):
    with pytest.raises(InvalidError):
        find_image(engine, name)


def test_what_is_not_there_comes_with_the_nearest_names(engine):
    make_image(engine, "finca-serving:1.2")
    with pytest.raises(NotFoundError, match="no image finca-servin") as caught:
        need_image(engine, "finca-servin:1.2")
    assert "finca-serving:1.2" in caught.value.hint
    with pytest.raises(NotFoundError) as caught:
        need_image(engine, "zzzzzz")
    assert "tiffin images" in caught.value.hint
