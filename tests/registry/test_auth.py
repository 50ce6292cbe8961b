import pytest

from tiffin.errors import DeniedError, UnauthorizedError
from tiffin.registry.auth import Challenge, parse_challenges


# RFC 9110, 11.6.1, RFC 6750 and what registries send.
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['Basic realm="x"'], [("basic", {"realm": "x"})]),
        (
            ['Bearer realm="https://auth.docker.io/token",service="registry.docker.io"'],
            [("bearer", {"realm": "https://auth.docker.io/token", "service": "registry.docker.io"})],
        ),
        (
            ['Bearer realm="https://a/t" , scope="repository:a/b:pull,push",error="insufficient_scope"'],
            [
                (
                    "bearer",
                    {
                        "realm": "https://a/t",
                        "scope": "repository:a/b:pull,push",
                        "error": "insufficient_scope",
                    },
                )
            ],
        ),
        (["bEaReR Realm=plain"], [("bearer", {"realm": "plain"})]),
        (
            ['Basic realm="a, Bearer realm=b", Bearer realm="c\\"d"'],
            [("basic", {"realm": "a, Bearer realm=b"}), ("bearer", {"realm": 'c"d'})],
        ),
        (['Basic realm="a"', 'Bearer realm="b"'], [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]),
        (["Negotiate, Basic realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
        (["Negotiate YWJj==, Basic realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
        (['Newauth realm="apps", type=1, title="Login, \\"now\\""'],
         [("newauth", {"realm": "apps", "type": "1", "title": 'Login, "now"'})]),
        ([], []),
        ([""], []),
        (["   ,,, "], []),
        (['="x"'], []),
        (['Basic realm="never closed'], [("basic", {})]),
    ],
)  # fmt: skip
def test_challenges_are_read_as_the_specification_says(values, expected):
    assert parse_challenges(values) == [Challenge(scheme, parameters) for scheme, parameters in expected]


@pytest.fixture
def bearer(double):
    double.scheme = "bearer"
    double.put("a/b", b"content")
    double.put("a/b", b"{}", "application/vnd.oci.image.index.v1+json", "1")
    return double


def tokens(double):
    return [one for one in double.seen if one.path.startswith("/token")]


def test_a_token_is_fetched_once_for_many_requests(bearer, ours, image):
    repository = ours.pull(f"{bearer.address}/a/b:1")
    for _ in range(3):
        with pytest.raises(Exception, match="does not exist"):
            repository.open(image[1])
    assert len(tokens(bearer)) == 1
    assert tokens(bearer)[0].path.count("scope=repository%3Aa%2Fb%3Apull") == 1
    assert "Authorization" not in tokens(bearer)[0].headers


def test_the_login_goes_to_the_token_server_and_only_the_token_to_the_registry(bearer, ours):
    bearer.users = {"u": "p"}
    ours.log_in(bearer.address, "u", "p")
    from tiffin.oci.reference import Reference

    ours.pull(f"{bearer.address}/a/b:1").resolve(Reference.parse(f"{bearer.address}/a/b:1"))
    assert tokens(bearer)[0].headers["Authorization"].startswith("Basic ")
    sent = {one.headers.get("Authorization", "")[:6] for one in bearer.seen if "/token" not in one.path}
    assert sent == {"", "Bearer"}


def test_a_token_that_has_run_out_is_renewed(bearer, ours, image):
    place, root = image
    bearer.put("a/b", place.blobs[root.digest], root.media_type)
    repository = ours.pull(f"{bearer.address}/a/b:1")
    repository.open(root).close()
    bearer.tokens.clear()  # as if all had run out
    repository.open(root).close()
    assert len(tokens(bearer)) == 2


def test_a_token_that_says_nothing_of_its_age_is_good_for_a_minute(bearer, ours, image):
    bearer.expires_in = None
    place, root = image
    bearer.put("a/b", place.blobs[root.digest], root.media_type)
    repository = ours.pull(f"{bearer.address}/a/b:1")
    for _ in range(2):
        repository.open(root).close()
    assert len(tokens(bearer)) == 1


def test_a_wrong_login_is_said_to_be_wrong_and_where_it_comes_from(bearer, ours, image):
    bearer.users = {"u": "right"}
    ours.log_in(bearer.address, "u", "secret-password")
    with pytest.raises(UnauthorizedError) as caught:
        ours.pull(f"{bearer.address}/a/b").open(image[1])
    assert "refuses the login of user u from" in caught.value.message
    assert ".docker/config.json" in caught.value.message
    assert caught.value.hint == f"log in again: tiffin login {bearer.address}"
    assert "secret-password" not in str(caught.value)


def test_what_needs_a_login_says_how_to_log_in(bearer, ours, image):
    bearer.forbidden = {"a/b"}
    with pytest.raises(UnauthorizedError, match=r"does not exist .* or needs a login") as caught:
        ours.pull(f"{bearer.address}/a/b").open(image[1])
    assert f"tiffin login {bearer.address}" in caught.value.hint


def test_what_a_login_may_not_use_is_denied_to_it(bearer, ours, image):
    bearer.users = {"u": "p"}
    bearer.forbidden = {"a/b"}
    ours.log_in(bearer.address, "u", "p")
    with pytest.raises(DeniedError, match="does not let u use"):
        ours.pull(f"{bearer.address}/a/b").open(image[1])


def test_a_helper_that_is_missing_is_named_when_a_login_is_needed(double, ours, image):
    double.scheme = "basic"
    (ours.root / "home/.docker").mkdir()
    (ours.root / "home/.docker/config.json").write_text('{"credsStore": "gone"}')
    with pytest.raises(UnauthorizedError) as caught:
        ours.pull(f"{double.address}/a/b").open(image[1])
    assert "docker-credential-gone is not installed" in caught.value.hint


def test_basic_logins_go_with_each_request_after_the_first(double, ours, image):
    place, root = image
    double.scheme, double.users = "basic", {"u": "p:w"}
    double.put("a", place.blobs[root.digest], root.media_type)
    ours.log_in(double.address, "u", "p:w")
    repository = ours.pull(f"{double.address}/a")
    for _ in range(2):
        repository.open(root).close()
    sent = [one.headers.get("Authorization", "") for one in double.seen if "manifests" in one.path]
    assert [bool(one) for one in sent] == [False, True, True]


def test_logging_in_checks_and_gives_a_refresh_token_that_works(bearer, ours, image):
    bearer.users = {"u": "p"}
    registries = ours.registries()
    found = registries.check_login(bearer.address, "u", "p")
    assert (found.username, found.password, found.identity_token) == ("u", "", "refresh-1")
    from tiffin.registry.credentials import CredentialStore

    CredentialStore(ours.environ).save(bearer.address, found)
    place, root = image
    bearer.put("a/b", place.blobs[root.digest], root.media_type)
    ours.pull(f"{bearer.address}/a/b").open(root).close()
    assert tokens(bearer)[-1].method == "POST"
    assert b"grant_type=refresh_token" in tokens(bearer)[-1].body


def test_a_wrong_password_is_not_kept(bearer, ours):
    bearer.users = {"u": "p"}
    with pytest.raises(UnauthorizedError):
        ours.registries().check_login(bearer.address, "u", "wrong")


def test_a_login_is_not_sent_to_a_token_server_without_tls_by_a_registry_with_it():
    from tiffin.registry.auth import Authorizer
    from tiffin.registry.credentials import Credentials

    def send(*_):
        pytest.fail("the login was sent")

    authorizer = Authorizer("r.example.org", Credentials("u", "p"), send, lambda: 0.0)
    for realm in ("http://r.example.org/token", "ftp://x", "", "https://"):
        with pytest.raises(DeniedError, match="would not be safe"):
            authorizer.learn([f'Bearer realm="{realm}"'], frozenset(), None, secure=True)
