"""Images signed with keys, and let in by a policy that asks for these."""

from tests.engine.test_transfers import MANIFEST, both, digest_of, serve_image
from tests.engine.trusting.conftest import NEEDS, refer, refused, signed_by
from tests.suites.images import make_image

from tiffin.engine.imagecopy import copy_image
from tiffin.engine.packing import PushOptions
from tiffin.engine.places import parse_place
from tiffin.engine.pushgate import gate
from tiffin.engine.signing import Signing, sign_image
from tiffin.engine.transfers import pull, pull_all, push
from tiffin.engine.trusting import check_image, inspect_image, verify_image
from tiffin.oci.reference import Reference
from tiffin.trust.attached import tag_of
from tiffin.trust.keyfiles import load_private_key, new_key_pair
from tiffin.trust.verify import ByKey

pytestmark = NEEDS


def test_a_signed_image_comes_in_and_another_does_not(double, engine, policy, key, tmp_path):
    serve_image(double, "a", "1")
    serve_image(double, "a", "2", text="other")
    policy({double.address: signed_by(tmp_path)})
    name = f"{double.address}/a:1"
    refused(lambda: pull(engine, name), "it has no signature")
    assert [each.new for each in sign_image(engine, name, Signing(key))] == [True]
    assert [each.new for each in sign_image(engine, name, Signing(key))] == [False]
    assert pull(engine, name)
    refused(lambda: pull(engine, f"{double.address}/a:2"), "it has no signature")
    assert verify_image(engine, name, ByKey((key.public,)))[0].reference == name


def test_two_who_sign_at_once_both_stay(double, engine, key):
    """Another writes the list of signatures between our reading and writing: ours is added again."""
    digest = Reference.parse(f"a@{digest_of(serve_image(double, 'a', '1'))}").digest
    name, tag = f"{double.address}/a:1", tag_of(digest)
    other = new_key_pair(b"")
    second = load_private_key(other.private, lambda: b"", "other")
    sign_image(engine, name, Signing(second))
    theirs = double.manifests.pop(("a", tag))
    lost = []

    def overwrite(handler):
        ours = double.manifests.get(("a", tag))
        if handler.command == "HEAD" and handler.path.endswith(tag) and ours and not lost:
            lost.append(ours)
            double.manifests["a", tag] = theirs
        return False

    double.faults.append(overwrite)
    assert sign_image(engine, name, Signing(key))[0].new
    assert lost
    signers = {each.signer for each in verify_image(engine, name, ByKey((key.public, second.public)))}
    assert signers == {f"sha256:{each.public.id}" for each in (key, second)}


def test_all_tags_are_those_of_images(double, engine, key):
    serve_image(double, "a", "1")
    sign_image(engine, f"{double.address}/a:1", Signing(key))
    refer(double, "a", digest_of(b"another image"), b"{}")
    assert len([tag for place, tag in double.manifests if place == "a" and ":" not in tag]) == 3
    assert [str(each) for each in pull_all(engine, f"{double.address}/a")] == [f"{double.address}/a:1"]


def test_a_moved_tag_is_refused(double, engine, policy, key, tmp_path):
    """The tag of a good image is moved to another good one, which was signed for another name."""
    serve_image(double, "a", "1")
    serve_image(double, "a", "2", text="other")
    policy({double.address: signed_by(tmp_path)})
    for tag in ("1", "2"):
        sign_image(engine, f"{double.address}/a:{tag}", Signing(key))
    double.manifests["a", "1"] = double.manifests["a", "2"]
    refused(lambda: pull(engine, f"{double.address}/a:1"), "is for the name", "/a:2")
    policy({double.address: signed_by(tmp_path, signedIdentity={"type": "matchRepository"})})
    assert pull(engine, f"{double.address}/a:1")


def test_a_signature_of_another_digest_is_refused(double, engine, policy, key, tmp_path):
    good, bad = serve_image(double, "a", "1"), serve_image(double, "a", "2", text="other")
    policy({double.address: signed_by(tmp_path, signedIdentity={"type": "matchRepository"})})
    sign_image(engine, f"{double.address}/a:1", Signing(key))
    double.manifests["a", tag_of(Reference.parse(f"a@{digest_of(bad)}").digest)] = double.manifests[
        "a", tag_of(Reference.parse(f"a@{digest_of(good)}").digest)
    ]
    refused(lambda: pull(engine, f"{double.address}/a:2"), "is for another image")


def test_by_digest_the_network_is_asked_once(double, engine, policy, key, tmp_path, pair):
    data = serve_image(double, "a", "1")
    pinned = f"{double.address}/a@{digest_of(data)}"
    pull(engine, pinned)  # while there is no policy
    double.seen.clear()
    policy({double.address: signed_by(tmp_path)})
    refused(lambda: pull(engine, pinned), "no signature")
    sign_image(engine, f"{double.address}/a:1", Signing(key))
    pull(engine, pinned)
    double.seen.clear()
    pull(engine, pinned)
    assert double.seen == []
    other = new_key_pair(b"")
    (tmp_path / "cosign.pub").write_bytes(other.public)  # a key that is taken away does not count any more
    refused(lambda: pull(engine, pinned), "not by a key that is trusted")
    (tmp_path / "cosign.pub").write_bytes(pair.public)
    pull(engine, pinned)


def test_what_is_remembered_does_not_count_for_another_name(double, engine, policy, key, tmp_path):
    data = serve_image(double, "a", "1")
    serve_image(double, "b", "1")
    policy({double.address: signed_by(tmp_path)})
    sign_image(engine, f"{double.address}/a:1", Signing(key))
    pull(engine, f"{double.address}/a@{digest_of(data)}")
    refused(lambda: pull(engine, f"{double.address}/b@{digest_of(data)}"), "no signature")
    double.manifests["a", "evil"] = serve_pair(double)
    refused(lambda: pull(engine, f"{double.address}/a:evil"), "no signature")


def serve_pair(double):
    data = serve_image(double, "a", "3", text="evil")
    return (MANIFEST, data)


def test_of_an_index_either_it_or_the_image_may_be_signed(double, engine, policy, key, tmp_path):
    index, manifests = both(double, "a", "1")
    own = manifests[engine.platform.architecture]
    policy({double.address: signed_by(tmp_path)})
    name = f"{double.address}/a:1"
    refused(lambda: pull(engine, name))
    signed = sign_image(engine, name, Signing(key), recursive=True)
    assert {each.digest for each in signed} == {digest_of(index), *map(digest_of, manifests.values())}
    for digest in (digest_of(index), digest_of(own)):
        double.manifests.pop(("a", tag_of(Reference.parse(f"a@{digest}").digest)))
        if digest == digest_of(index):
            assert check_image(engine, name) == digest_of(index)  # the image itself is signed
    (engine.home.root / "verified").rename(engine.home.root / "forgotten")
    refused(lambda: check_image(engine, name))


def test_a_push_is_signed_and_judged_before_it_has_its_name(double, engine, policy, key, tmp_path):
    name = f"{double.address}/team/app:1"
    make_image(engine, name)
    policy({double.address: signed_by(tmp_path)})
    refused(lambda: push(engine, name, PushOptions(before_tag=gate(None, judged=True))), "no signature")
    assert ("team/app", "1") not in double.manifests
    sent = push(engine, name, PushOptions(before_tag=gate(Signing(key), judged=True)))
    assert check_image(engine, name) == sent.digest
    puts = [one for one in double.requests("PUT") if "/manifests/" in one]
    assert puts[-1] == "PUT /v2/team/app/manifests/1"
    assert puts[-2].endswith(".sig")


def test_a_copy_between_registries_brings_signatures_along_if_asked(double, engine, key, tmp_path):
    both(double, "a", "1")
    name, copied = f"{double.address}/a:1", f"{double.address}/b:1"
    signed = sign_image(engine, name, Signing(key), recursive=True)
    other = load_private_key(new_key_pair(b"").private, lambda: b"", "other")
    places = parse_place(f"docker://{name}"), parse_place(f"docker://{copied}")
    copy_image(engine, *places)
    assert inspect_image(engine, copied).claims == ()
    sign_image(engine, copied, Signing(other))
    for _ in range(2):
        copy_image(engine, *places, referrers=True)
        assert [claim.reference for claim in inspect_image(engine, copied).claims] == [copied, name]
    for each in signed[1:]:
        assert verify_image(engine, f"{double.address}/b@{each.digest}", ByKey((key.public,)))
