import pytest

from tiffin.oci.reference import Reference
from tiffin.trust.identity import SignedIdentity

DIGEST = "@sha256:" + "ab" * 32
REPO = "r.example.org/ns/app"


@pytest.mark.parametrize(
    ("rule", "intended", "claimed", "accepted"),
    [
        (("matchExact",), f"{REPO}:1", f"{REPO}:1", True),
        (("matchExact",), f"{REPO}:1", f"{REPO}:2", False),
        (("matchExact",), f"{REPO}:1", REPO, False),
        (("matchExact",), f"{REPO}{DIGEST}", f"{REPO}:1", False),
        (("matchRepoDigestOrExact",), f"{REPO}:1", f"{REPO}:1", True),
        (("matchRepoDigestOrExact",), f"{REPO}:1", f"{REPO}:2", False),
        (("matchRepoDigestOrExact",), f"{REPO}:1", REPO, False),
        (("matchRepoDigestOrExact",), f"{REPO}{DIGEST}", f"{REPO}:9", True),
        (("matchRepoDigestOrExact",), f"{REPO}{DIGEST}", REPO, False),
        (("matchRepoDigestOrExact",), f"{REPO}{DIGEST}", "r.example.org/ns/other:9", False),
        (("matchRepository",), f"{REPO}:1", REPO, True),
        (("matchRepository",), f"{REPO}:1", f"{REPO}:2", True),
        (("matchRepository",), f"{REPO}:1", "r.example.org/ns/app2", False),
        (("matchRepository",), f"{REPO}:1", "", False),
        (("matchRepository",), f"{REPO}:1", "A B", False),
        (("matchRepository",), "python:3", "docker.io/library/python", True),
        (("exactReference", "v.example.org/x:1"), f"{REPO}:1", "v.example.org/x:1", True),
        (("exactReference", "v.example.org/x:1"), f"{REPO}:1", "v.example.org/x:2", False),
        (("exactReference", "v.example.org/x"), f"{REPO}:1", "v.example.org/x", False),
        (("exactRepository", "v.example.org/x"), f"{REPO}:1", "v.example.org/x:7", True),
        (("exactRepository", "v.example.org/x"), f"{REPO}:1", f"{REPO}:1", False),
        (("remapIdentity", "r.example.org/ns", "v.example.org"), f"{REPO}:1", "v.example.org/app:1", True),
        (("remapIdentity", "r.example.org/ns", "v.example.org"), f"{REPO}:1", f"{REPO}:1", False),
        (("remapIdentity", "r.example.org/n", "v.example.org"), f"{REPO}:1", f"{REPO}:1", True),
        (("remapIdentity", REPO, "v.example.org/x"), f"{REPO}:1", "v.example.org/x:1", True),
        (("remapIdentity", "r.example.org", "NO SUCH"), f"{REPO}:1", f"{REPO}:1", False),
    ],
)
def test_rules(rule, intended, claimed, accepted):
    assert SignedIdentity(*rule).accepts(Reference.parse(intended), claimed) is accepted


def test_every_rule_has_words():
    kinds = ("matchExact", "matchRepository", "exactReference", "exactRepository", "remapIdentity")
    words = {str(SignedIdentity(kind, "a.example.org/b", "c")) for kind in (*kinds, "matchRepoDigestOrExact")}
    assert len(words) == 6
