"""Policies in force: what may come in, and by which doors, against a registry in this process."""

import io
import sys
from pathlib import Path

import pytest
from tests.engine.test_transfers import serve_image
from tests.engine.trusting.conftest import ACCEPT, NEEDS, refused, signed_by
from tests.suites.images import make_image

from tiffin.engine import archives
from tiffin.engine.artifacts import pull_artifact, push_artifact
from tiffin.engine.building.cacheflags import CacheSource
from tiffin.engine.building.cacheimport import imported_caches
from tiffin.engine.imagecopy import copy_image
from tiffin.engine.lookup import find_image
from tiffin.engine.places import parse_place
from tiffin.engine.policies import judged_name
from tiffin.engine.policyfile import VARIABLE, policy_file
from tiffin.engine.transfers import pull, pull_base
from tiffin.engine.trusting import policy_rules
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.oci.reference import Reference

pytestmark = NEEDS


def test_without_a_policy_nothing_is_asked(double, engine):
    serve_image(double, "a", "1")
    pull(engine, f"{double.address}/a:1")
    assert not [one for one in double.requests() if ".sig" in one or "referrers" in one]


def test_where_the_policy_is(tmp_path, engine):
    settings = engine.settings._replace(environ={"HOME": str(tmp_path)})
    machine = Path("/etc/containers/policy.json")
    assert policy_file(settings) == (machine if machine.exists() else None)
    own = tmp_path / ".config/containers/policy.json"
    own.parent.mkdir(parents=True)
    own.write_text("{}")
    assert policy_file(settings) == own
    named = settings._replace(environ={"HOME": str(tmp_path), VARIABLE: str(tmp_path / "none.json")})
    with pytest.raises(NotFoundError):
        policy_file(named)


def test_a_policy_that_cannot_be_used_lets_nothing_in(double, engine, policy):
    serve_image(double, "a", "1")
    policy().write_text('{"default": [{"type": "insecureAcceptAnything", "more": 1}]}')
    with pytest.raises(InvalidError, match="unknown field 'more'"):
        pull(engine, f"{double.address}/a:1")
    assert engine.tags.all() == []


def test_accept_and_reject_by_scope(double, engine, policy):
    for name in ("a", "b"):
        serve_image(double, name, "1")
    policy({f"{double.address}/a": [ACCEPT]})
    assert pull(engine, f"{double.address}/a:1")
    error = refused(
        lambda: pull(engine, f"{double.address}/b:1"), "default rejects everything", "policy.json"
    )
    assert error.hint
    assert find_image(engine, f"{double.address}/b:1") is None
    assert not [one for one in double.requests() if ".sig" in one or "referrers" in one]


def test_names_as_they_are_judged():
    digest = "@sha256:" + "ab" * 32
    for name, judged in (
        ("R.Example.ORG/a/b:1", "r.example.org/a/b:1"),
        ("r.example.org/a", "r.example.org/a:latest"),
        (f"r.example.org/a:1{digest}", f"r.example.org/a{digest}"),
        ("python", "docker.io/library/python:latest"),
    ):
        assert str(judged_name(Reference.parse(name))) == judged


def test_gpg_lets_nothing_in(double, engine, policy):
    serve_image(double, "a", "1")
    policy({"": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/ring.gpg"}]})
    refused(lambda: pull(engine, f"{double.address}/a:1"), "GPG")


def test_without_the_library_a_policy_lets_in_only_what_needs_no_signature(
    double, engine, policy, tmp_path, monkeypatch
):
    for name in ("a", "b"):
        serve_image(double, name, "1")
    policy({f"{double.address}/a": [ACCEPT], f"{double.address}/b": signed_by(tmp_path)})
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert pull(engine, f"{double.address}/a:1")
    with pytest.raises(UnsupportedError, match="cryptography is not installed") as caught:
        pull(engine, f"{double.address}/b:1")
    assert "tiffin[trust]" in caught.value.hint
    assert find_image(engine, f"{double.address}/b:1") is None


def test_bases_of_builds_and_implicit_pulls_ask_too(double, engine, policy):
    serve_image(double, "a", "1")
    policy()
    refused(lambda: pull_base(engine, f"{double.address}/a:1", engine.platform))


def test_copies_archives_artifacts_and_caches_ask_too(double, engine, policy, tmp_path):
    serve_image(double, "a", "1")
    source, target = parse_place(f"docker://{double.address}/a:1"), parse_place(f"oci:{tmp_path}/layout:1")
    copy_image(engine, source, target)
    (tmp_path / "model").write_text("weights")
    push_artifact(engine, f"{double.address}/models:1", [tmp_path / "model"])
    archive = io.BytesIO()
    make_image(engine, "app")
    archives.save(engine, ["app"], archive)
    policy()
    refused(lambda: copy_image(engine, source, target))
    refused(lambda: copy_image(engine, target, parse_place("app")), "oci:")
    refused(lambda: pull_artifact(engine, f"{double.address}/models:1", tmp_path / "out"))
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    archive.seek(0)
    refused(lambda: archives.load(engine, archive), "docker-archive")
    cache = CacheSource("cache", Reference.parse(f"{double.address}/a:1"))
    with imported_caches(engine, [cache]) as caches:
        caches.record("key")
    policy(oci={str(tmp_path): [ACCEPT]}, **{"docker-archive": {"": [ACCEPT]}})
    assert copy_image(engine, target, parse_place("app"))
    archive.seek(0)
    assert archives.load(engine, archive) == ["app:latest"]
    assert copy_image(engine, parse_place("app"), target)  # what is in the store has been let in


def test_a_policy_in_words(policy, tmp_path):
    path = policy({"r.example.org": signed_by(tmp_path), "": [ACCEPT]})
    told = [(rule.scope, rule.requirements) for rule in policy_rules(path)]
    assert told == [
        ("", ("rejected",)),
        ("", ("accepted",)),
        ("r.example.org", (f"signed by {tmp_path}/cosign.pub, for this name",)),
    ]
