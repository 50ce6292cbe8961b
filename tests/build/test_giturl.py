"""URLs of repositories, as BuildKit reads them: what is one, and what stands behind it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.build.giturl import GitUrl, is_commit, parse_git_url, submodule_remote, without_login
from tiffin.errors import InvalidError

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "./.git", "../x.git", "dir/x.git", ".git", "custom.example/moby/buildkit.git",
        "https://example.org/", "https://example.org/foo", "https://example.org/foo.git/",
        "https://example.org/foo.git.bar", "https://example.org/foo?x=.git", "http://example.org/foo.git:#branch",
        "https://github.com/moby/buildkit", "ftp://example.org/foo.git", "file:///srv/foo.git",
        "ext::sh -c touch% /x", "C:/foo.git", "example.org:foo.git", "-u@example.org", "a@b", "https://[/x.git",
    ],
)  # fmt: skip
def test_what_is_no_repository(text):
    assert parse_git_url(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://example.org/foo.git", GitUrl("https://example.org/foo.git")),
        ("HTTPS://example.org/foo.git", GitUrl("https://example.org/foo.git")),
        ("http://example.org:80/a/foo.git#main", GitUrl("http://example.org:80/a/foo.git", "main")),
        ("https://u:p@example.org/foo.git", GitUrl("https://u:p@example.org/foo.git")),
        ("https://example.org/foo.git#release/1.2", GitUrl("https://example.org/foo.git", "release/1.2")),
        ("https://example.org/f.git#b/q:quux/quuz", GitUrl("https://example.org/f.git", "b/q", "quux/quuz")),
        ("https://example.org/foo.git#:dir", GitUrl("https://example.org/foo.git", subdir="dir")),
        ("https://example.org/foo.git#", GitUrl("https://example.org/foo.git")),
        ("git://example.org/foo", GitUrl("git://example.org/foo")),
        ("ssh://git@example.org:22/~/foo#v1", GitUrl("ssh://git@example.org:22/~/foo", "v1")),
        ("git@example.org:moby/buildkit", GitUrl("git@example.org:moby/buildkit")),
        ("git@example.org:a/b.git#main:d", GitUrl("git@example.org:a/b.git", "main", "d")),
        ("me-1@example.org:a.git?branch=x", GitUrl("me-1@example.org:a.git", "refs/heads/x")),
        ("github.com/moby/buildkit", GitUrl("https://github.com/moby/buildkit", doubtful=True)),
        ("github.com/a/b.git#v1:d", GitUrl("https://github.com/a/b.git", "v1", "d", doubtful=True)),
    ],
)
def test_the_forms(text, expected):
    assert parse_git_url(text) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?ref=v1&subdir=/sub", {"ref": "v1", "subdir": "/sub"}),
        ("?tag=v1", {"ref": "refs/tags/v1"}),
        ("?tag=refs/tags/v1", {"ref": "refs/tags/v1"}),
        ("?branch=a/b", {"ref": "refs/heads/a/b"}),
        ("?branch=b&subdir=d", {"ref": "refs/heads/b", "subdir": "d"}),
        (f"?commit={SHA}", {"ref": SHA, "commit": SHA}),
        (f"?checksum={SHA[:8]}&tag=v1", {"ref": "refs/tags/v1", "commit": SHA[:8]}),
        ("?keep-git-dir", {"keep_git_dir": True}),
        ("?keep-git-dir=0&submodules=false", {"keep_git_dir": False, "submodules": False}),
        ("?submodules=true", {"submodules": True}),
        ("?ref=v1#v1", {"ref": "v1"}),
        ("?subdir=d#main:d", {"ref": "main", "subdir": "d"}),
        ("?subdir=a%20b", {"subdir": "a b"}),
    ],
)
def test_the_query(query, expected):
    found = parse_git_url(f"https://example.org/x.git{query}")
    assert found == GitUrl("https://example.org/x.git")._replace(**expected)


@pytest.mark.parametrize(
    ("behind", "why"),
    [
        ("?tag=a&branch=b", "more than one ref: refs/heads/b and refs/tags/a"),
        ("?ref=a#b", "more than one ref: a and b"),
        ("?subdir=a#x:b", "more than one subdir: a and b"),
        ("?tag=a&tag=b", "tag has two values"),
        ("?ref=", "ref has no value"),
        ("?depth=1", "there is no depth"),
        ("?submodules=maybe", "submodules is 'maybe'"),
        ("?checksum=xyz", "'xyz' is no commit"),
        ("?commit=abc", "'abc' is no commit"),
        ("##ref=v1", "two # follow"),
        ("#--upload-pack=x", "name of no branch"),
        ("#-x", "name of no branch"),
        ("#a..b", "name of no branch"),
        ("#a b", "name of no branch"),
        ("#refs/heads/*", "name of no branch"),
        ("#a\x00b", "name of no branch"),
        ("#x.lock", "name of no branch"),
        ("#/x", "name of no branch"),
    ],
)
def test_what_is_wrong_is_told(behind, why):
    with pytest.raises(InvalidError) as caught:
        parse_git_url(f"https://u:secret@example.org/x.git{behind}")
    assert why in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["ssh://-oProxyCommand=x/y", "ssh://a@-oProxyCommand=x/y", "git@-x:y", "git://-x/y"]
)
def test_nothing_that_git_or_ssh_could_take_for_an_option(text):
    with pytest.raises(InvalidError):
        parse_git_url(text)


@pytest.mark.parametrize("text", ["https:///x.git", "ssh:///x", "https://h:port/x.git", "git://"])
def test_a_url_needs_a_host(text):
    with pytest.raises(InvalidError):
        parse_git_url(text)


@given(st.text(alphabet="git@:/#?=&-.%[]ahtps \x00é", max_size=40))
def test_no_text_breaks_it(text):
    for start in ("", "https://h/x.git", "git@h:", "ssh://"):
        try:
            found = parse_git_url(start + text)
        except InvalidError:
            continue
        assert found is None or not found.remote.startswith("-")
        assert found is None or not found.ref.startswith("-")


@pytest.mark.parametrize(
    ("remote", "url", "expected"),
    [
        ("https://h/a/b.git", "../c.git", "https://h/a/c.git"),
        ("https://h/a/b.git", "./c", "https://h/a/b.git/c"),
        ("https://h/b.git", "../../../../c", "https://h/c"),
        ("git@h:a/b.git", "../c", "git@h:a/c"),
        ("ssh://g@h:2/a/b", "../../c", "ssh://g@h:2/c"),
        ("https://h/a.git", "git@g:x/y.git", "git@g:x/y.git"),
        ("https://h/a.git", "https://g/x", "https://g/x"),
    ],
)
def test_where_submodules_are(remote, url, expected):
    assert submodule_remote(remote, url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "/etc", "file:///etc", "ext::sh -c x", "fd::7", "C:\\x", "x", "-u", "ssh://-oProxyCommand=x/y",
        "git@-x:y", "https::https://h/x", "ftp://h/x", "git@h:x\n", "",
    ],
)  # fmt: skip
def test_submodules_that_lead_elsewhere_are_refused(url):
    with pytest.raises(InvalidError):
        submodule_remote("https://h/a.git", url)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@h/x", "https://h/x"),
        ("https://token@h/x#y", "https://h/x#y"),
        ("ADD https://u:p@ss@h/x https://v:q@h/y /d", "ADD https://h/x https://h/y /d"),
        ("ssh://git@h/x", "ssh://git@h/x"),
        ("ssh://git:p@h/x", "ssh://h/x"),
        ("git@h:x", "git@h:x"),
        ("https://h/a@b", "https://h/a@b"),
    ],
)
def test_passwords_are_not_shown(text, shown):
    assert without_login(text) == shown


def test_a_commit_is_whole():
    assert is_commit(SHA)
    assert is_commit(SHA + SHA[:24])
    assert not is_commit(SHA[:39])
    assert not is_commit(SHA.upper())
