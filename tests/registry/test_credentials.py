import base64
import json
import stat

import pytest

from tiffin.errors import InvalidError
from tiffin.registry.credentials import Credentials, CredentialStore, canonical_registry


def packed(user, password):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".docker").mkdir()
    return tmp_path


def write(home, document, path=".docker/config.json"):
    (home / path).parent.mkdir(parents=True, exist_ok=True)
    (home / path).write_text(json.dumps(document))


def store(home, **environ):
    return CredentialStore({"HOME": str(home), "PATH": str(home / "bin"), **environ})


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("reg.example.org", "reg.example.org"),
        ("https://reg.example.org", "reg.example.org"),
        ("https://reg.example.org/v2/", "reg.example.org"),
        ("reg.example.org/v1/", "reg.example.org"),
        ("reg.example.org:5000", "reg.example.org:5000"),
    ],
)
def test_dockers_file_is_read_in_all_spellings_of_a_registry(home, key, registry):
    write(
        home, {"auths": {"other.example.org": {"auth": packed("o", "o")}, key: {"auth": packed("u", "p:w")}}}
    )
    found = store(home).find(registry, "some/thing")
    assert found
    assert (found.username, found.password) == ("u", "p:w")
    assert found.source == str(home / ".docker/config.json")


def test_a_registry_without_an_entry_has_no_login(home):
    write(home, {"auths": {"reg.example.org": {"auth": packed("u", "p")}, "empty.example.org": {}}})
    for registry in ("reg.example.org:5000", "example.org", "empty.example.org", "docker.io"):
        assert store(home).find(registry) is None


def test_nothing_at_all_is_no_login(tmp_path):
    assert store(tmp_path).find("docker.io") is None
    assert CredentialStore({}).find("docker.io") is None


def test_the_variable_names_another_folder(home):
    write(home, {"auths": {"r.example.org": {"auth": packed("home", "x")}}})
    write(home, {"auths": {"r.example.org": {"auth": packed("job", "x")}}}, "job/config.json")
    found = store(home, DOCKER_CONFIG=str(home / "job")).find("r.example.org")
    assert found
    assert found.username == "job"


def test_podmans_file_counts_where_dockers_has_nothing_and_the_longest_key_wins(home):
    write(
        home,
        {
            "auths": {
                "r.example.org": {"auth": packed("all", "x")},
                "r.example.org/team": {"auth": packed("team", "x")},
                "r.example.org/team/app": {"auth": packed("app", "x")},
            }
        },
        "run/containers/auth.json",
    )
    logins = store(home, XDG_RUNTIME_DIR=str(home / "run"))
    names = {
        repository: found.username
        for repository in ("x", "team/y", "team/app", "team/app/z", "team/apple", "teams/x")
        if (found := logins.find("r.example.org", repository))
    }
    assert names == {
        "x": "all",
        "team/y": "team",
        "team/app": "app",
        "team/app/z": "app",
        "team/apple": "team",
        "teams/x": "all",
    }
    write(home, {"auths": {"r.example.org": {"auth": packed("docker", "x")}}})
    found = logins.find("r.example.org", "team/y")
    assert found
    assert found.username == "docker"


def test_tokens_take_the_place_of_passwords(home):
    write(
        home,
        {"auths": {"a.b": {"auth": packed("u", ""), "identitytoken": "I"}, "c.d": {"registrytoken": "R"}}},
    )
    one, two = store(home).find("a.b"), store(home).find("c.d")
    assert one
    assert (one.username, one.password, one.identity_token) == ("u", "", "I")
    assert two
    assert two.registry_token == "R"


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": [1]}', '{"auths": {"a.b": {"auth": "!!"}}}'])
def test_a_damaged_file_is_an_error_with_its_path(home, text):
    (home / ".docker/config.json").write_text(text)
    with pytest.raises(InvalidError, match=r"config.json"):
        store(home).find("a.b")


def test_what_is_kept_is_found_by_us_and_laid_out_as_docker_does(home):
    write(home, {"auths": {"x.y": {"auth": "eDp5"}}, "HttpHeaders": {"A": "B"}})
    (home / ".docker/config.json").chmod(0o644)
    where = store(home).save("docker.io", Credentials("u", "p"))
    path = home / ".docker/config.json"
    assert where == str(path)
    assert json.loads(path.read_text()) == {
        "auths": {"x.y": {"auth": "eDp5"}, "https://index.docker.io/v1/": {"auth": packed("u", "p")}},
        "HttpHeaders": {"A": "B"},
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = store(home).find("docker.io")
    assert found
    assert (found.username, found.password) == ("u", "p")


def test_the_folder_is_made_for_its_owner_alone(tmp_path):
    store(tmp_path).save("r.example.org", Credentials("u", "", "token"))
    assert stat.S_IMODE((tmp_path / ".docker").stat().st_mode) == 0o700
    found = store(tmp_path).find("r.example.org")
    assert found
    assert (found.username, found.password, found.identity_token) == ("u", "", "token")


def test_a_link_to_a_file_elsewhere_stays_one(home):
    (home / "dotfiles").mkdir()
    (home / "dotfiles/docker.json").write_text("{}")
    (home / ".docker/config.json").symlink_to("../dotfiles/docker.json")
    store(home).save("r.example.org", Credentials("u", "p"))
    assert (home / ".docker/config.json").is_symlink()
    assert "r.example.org" in (home / "dotfiles/docker.json").read_text()


def test_what_is_forgotten_is_gone_in_every_spelling(home):
    write(
        home,
        {
            "auths": {
                "https://index.docker.io/v1/": {"auth": "YTpi"},
                "docker.io": {"auth": "YTpi"},
                "x.y": {},
            }
        },
    )
    assert store(home).erase("docker.io") is True
    assert json.loads((home / ".docker/config.json").read_text()) == {"auths": {"x.y": {}}}
    assert store(home).erase("docker.io") is False


HELPER = """#!/bin/sh
PATH=/usr/bin:/bin
echo "$1" >> "{log}"
case "$1" in
get) read -r server; [ "$server" = "{known}" ] || {{ echo "credentials not found in x"; exit 1; }}
     echo '{{"ServerURL":"x","Username":"{user}","Secret":"hidden"}}';;
store|erase) cat > "{log}.$1";;
esac
"""


def helper(home, name, known, user="u"):
    (home / "bin").mkdir(exist_ok=True)
    path = home / "bin" / f"docker-credential-{name}"
    path.write_text(HELPER.format(log=home / f"{name}.log", known=known, user=user))
    path.chmod(0o755)


def test_a_helper_is_asked_by_its_protocol(home):
    helper(home, "ring", "https://index.docker.io/v1/")
    write(home, {"credsStore": "ring", "auths": {"a.b": {"auth": packed("file", "x")}}})
    found = store(home).find("docker.io")
    assert found
    assert (found.username, found.password) == ("u", "hidden")
    assert found.source == "the helper docker-credential-ring"
    other = store(home).find("a.b")
    assert other
    assert other.username == "file"


def test_the_helper_of_one_registry_wins_over_that_of_all(home):
    helper(home, "ring", "r.example.org", "all")
    helper(home, "cloud", "r.example.org", "<token>")
    write(home, {"credsStore": "ring", "credHelpers": {"r.example.org": "cloud"}})
    found = store(home).find("r.example.org")
    assert found
    assert (found.username, found.password, found.identity_token) == ("", "", "hidden")


def test_a_helper_keeps_and_forgets(home):
    helper(home, "ring", "r.example.org")
    write(home, {"credsStore": "ring"})
    assert store(home).save("r.example.org", Credentials("u", "p")) == "the helper docker-credential-ring"
    kept = json.loads((home / "ring.log.store").read_text())
    assert kept == {"ServerURL": "r.example.org", "Username": "u", "Secret": "p"}
    assert packed("u", "p") not in (home / ".docker/config.json").read_text()
    assert store(home).erase("r.example.org") is True
    assert (home / "ring.log.erase").read_text() == "r.example.org"


def test_a_helper_that_is_missing_stands_in_nobodys_way_but_is_remembered(home):
    write(home, {"credsStore": "gone"})
    logins = store(home)
    assert logins.find("r.example.org") is None
    assert "docker-credential-gone is not installed" in logins.notes[0]


def test_a_helper_cannot_be_a_path(home):
    write(home, {"credsStore": "../../evil"})
    with pytest.raises(InvalidError, match="no name of a credential helper"):
        store(home).find("r.example.org")


def test_nothing_secret_is_in_the_text_of_a_login():
    found = Credentials("user", "password-1", "identity-1", "registry-1", "file")
    for text in (repr(found), str(found), f"{found}"):
        assert "user" in text
        assert "-1" not in text
    assert set(found.secrets()) == {"password-1", "identity-1", "registry-1", packed("user", "password-1")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("https://r.example.org/", "r.example.org"),
        ("r.example.org:5000", "r.example.org:5000"),
    ],
)
def test_a_registry_is_known_by_any_of_its_names(text, expected):
    assert canonical_registry(text) == expected
