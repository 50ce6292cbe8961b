"""`RUN --mount`: the options of each type, their defaults, and what is refused."""

import pytest

from tiffin.dockerfile.mounts import BindMount, CacheMount, SecretMount, SshMount, TmpfsMount, parse_mount
from tiffin.errors import InvalidError


def same(text):
    return text


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("target=/a", BindMount("/a")),
        ("type=bind,target=/a,source=b,from=c,rw", BindMount("/a", "b", "c", writable=True)),
        ("type=bind,dst=/a,src=b,readwrite=true", BindMount("/a", "b", writable=True)),
        ("destination=/a,ro=false", BindMount("/a", writable=True)),
        ("target=/a,readonly", BindMount("/a")),
        ("target=/a,rw,ro", BindMount("/a")),
        ("TYPE=BIND,Target=/a", BindMount("/a")),
        ('type=bind,"target=/a,b"', BindMount("/a,b")),
        ('"target=/a""b",rw', BindMount('/a"b', writable=True)),
        ("type=cache,target=/c", CacheMount("/c")),
        (
            "type=cache,id=i,target=/c,sharing=locked,from=f,source=s,mode=0755,uid=1,gid=2,ro",
            CacheMount("/c", "i", "locked", "s", "f", 0o755, 1, 2, read_only=True),
        ),
        ("type=tmpfs,target=/t", TmpfsMount("/t")),
        ("type=tmpfs,target=/t,size=1.5g", TmpfsMount("/t", 3 << 29)),
        ("type=tmpfs,target=/t,size=64MiB", TmpfsMount("/t", 64 << 20)),
        ("type=tmpfs,target=/t,size=100", TmpfsMount("/t", 100)),
        ("type=secret,id=s", SecretMount("s", "/run/secrets/s")),
        ("type=secret,source=s", SecretMount("s", "/run/secrets/s")),
        ("type=secret,target=/root/.netrc", SecretMount(".netrc", "/root/.netrc")),
        ("type=secret,id=s,env=S", SecretMount("s", None, "S")),
        (
            "type=secret,id=s,env=S,target=/t,required,mode=0400,uid=5,gid=6",
            SecretMount("s", "/t", "S", required=True, mode=0o400, uid=5, gid=6),
        ),
        ("type=ssh", SshMount()),
        ("type=ssh,id=i,target=/s,required=true,mode=600", SshMount("i", "/s", required=True, mode=0o600)),
    ],
)
def test_mounts(text, mount):
    found = parse_mount(text)
    assert found == mount
    assert type(found) is type(mount)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("type=volume,target=/a", "unknown type 'volume'", "bind, cache, tmpfs, secret, ssh"),
        ("type=secrets,id=a", "unknown type", "did you mean secret?"),
        ("targt=/a", "unknown option 'targt'", "did you mean target?"),  # codespell:ignore
        ("target", "needs a value", "target=…"),
        ("type=bind", "needs a target", "target=/path"),
        ("type=cache,target=", "needs a target", "target=/path"),
        ("type=tmpfs", "needs a target", "target=/path"),
        ("type=cache,target=/a,sharing=share", "unknown sharing", "did you mean shared?"),
        ("type=bind,target=/a,sharing=shared", "no option sharing", "source"),
        ("type=bind,target=/a,mode=755", "no option mode", "source"),
        ("type=tmpfs,target=/a,uid=1", "no option uid", "size"),
        ("type=cache,target=/a,required", "no option required", "sharing"),
        ("type=cache,target=/a,size=1g", "no option size", "sharing"),
        ("type=secret,from=a,id=b", "no option from", "env"),
        ("type=secret", "needs an id", "id=NAME"),
        ("type=secret,id=a,source=b", "both id and source", "keep id"),
        ("type=secret,id=a,required=maybe", "invalid value 'maybe'", "true or false"),
        ("target=/a,rw=2", "invalid value '2'", "true or false"),
        ("type=cache,target=/a,mode=9", "invalid value '9' for mode", "base 8"),
        ("type=cache,target=/a,mode=", "invalid value '' for mode", "base 8"),
        ("type=cache,target=/a,uid=-1", "for uid", "base 10"),
        ("type=cache,target=/a,gid=4294967296", "for gid", "base 10"),
        ("type=tmpfs,target=/a,size=big", "for size", "64m"),
        ("from=$stage,target=/a", "not expanded in from", "FROM $"),
        ('target="/a', "quote", "around the whole"),
        ('"target=/a', "quote", "around the whole"),
        ('"target=/a"b', "quote", "around the whole"),
        ("", "needs a target", "target"),
    ],
)
@pytest.mark.parametrize("expand", [None, same], ids=["parsed", "expanded"])
def test_what_is_refused(text, message, hint, expand):
    with pytest.raises(InvalidError) as caught:
        parse_mount(text, expand)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_variables_wait_for_their_values():
    text = "type=cache,target=$dir,id=$id,uid=$uid"
    assert parse_mount(text) is None
    values = {"$dir": "/c", "$id": "i", "$uid": "7"}
    assert parse_mount(text, lambda value: values.get(value, value)) == CacheMount("/c", "i", uid=7)
    with pytest.raises(InvalidError):
        parse_mount("type=cache,target=$dir,id=$id,colour=red")  # wrong whatever they are
