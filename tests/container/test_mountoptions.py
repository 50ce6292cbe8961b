"""`--mount` as Docker's reference describes it, and what of it is refused."""

import pytest

from tiffin.container.mountoptions import parse_mount
from tiffin.container.mounts import TmpfsMount, VolumeMount
from tiffin.errors import InvalidError, NotFoundError, TiffinError

BIND = "type=bind,source=/,target=/a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BIND, VolumeMount("bind", "/", "/a")),
        ("type=bind,src=/,dst=/b,readonly", VolumeMount("bind", "/", "/b", read_only=True)),
        ("type=BIND,src=/,destination=/b,ro=0,consistency=cached", VolumeMount("bind", "/", "/b")),
        (f"{BIND},bind-propagation=rslave", VolumeMount("bind", "/", "/a", propagation="rslave")),
        (f"{BIND},bind-recursive=enabled", VolumeMount("bind", "/", "/a")),
        (f"{BIND},bind-recursive=disabled", VolumeMount("bind", "/", "/a", recursion="disabled")),
        (f"{BIND},bind-nonrecursive", VolumeMount("bind", "/", "/a", recursion="disabled")),
        (f"{BIND},ro,bind-recursive=writable", VolumeMount("bind", "/", "/a", True, recursion="writable")),
        (f"{BIND},U=true", VolumeMount("bind", "/", "/a", owned=True)),
        (
            "type=bind,src=/nope/x,dst=/a,bind-create-src=true",
            VolumeMount("bind", "/nope/x", "/a"),
        ),
        ("type=volume,source=models,destination=/c,ro=true", VolumeMount("volume", "models", "/c", True)),
        ("source=models,target=/d", VolumeMount("volume", "models", "/d")),
        ("type=volume,target=/a:b", VolumeMount("volume", "", "/a:b")),
        ("type=volume,src=models,dst=/e,volume-nocopy", VolumeMount("volume", "models", "/e", copy=False)),
        (
            "src=models,dst=/e,volume-subpath=a/./b,volume-driver=local",
            VolumeMount("volume", "models", "/e", subpath="a/b"),
        ),
        ("src=models,dst=/e,subpath=a", VolumeMount("volume", "models", "/e", subpath="a")),
        (
            'src=m1,dst=/e,volume-label=a=b,volume-label=c,volume-opt=type=tmpfs,"volume-opt=o=ro,size=1m"',
            VolumeMount(
                "volume",
                "m1",
                "/e",
                labels=(("a", "b"), ("c", "")),
                options=(("type", "tmpfs"), ("o", "ro,size=1m")),
            ),
        ),
        ("type=image,src=app:1,dst=/i", VolumeMount("image", "app:1", "/i", read_only=True)),
        (
            "type=image,src=app,dst=/i,image-subpath=etc",
            VolumeMount("image", "app", "/i", read_only=True, subpath="etc"),
        ),
        ("type=image,src=app,dst=/i,subpath=etc", VolumeMount("image", "app", "/i", True, subpath="etc")),
        ("type=tmpfs,target=/f", TmpfsMount("/f", ("nosuid", "nodev", "noexec"))),
        (
            "type=tmpfs,target=/f,tmpfs-size=1MB,tmpfs-mode=1770,ro",
            TmpfsMount("/f", ("nosuid", "nodev", "noexec", "size=1m", "mode=1770", "ro")),
        ),
    ],
)
def test_forms(text, expected):
    assert parse_mount(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=bind,target=/a", "a bind mount needs a source"),
        ("type=bind,source=/", "'' in the container is not absolute"),
        ("type=bind,source=/,target=a", "'a' in the container is not absolute"),
        ("type=bind,source=/,target=/b/..", "the root of the container cannot be mounted over"),
        ("type=npipe,source=/,target=/a", "mounts of the type 'npipe' are not supported"),
        ("", "not absolute"),
        ("type=volume,source=v/1,target=/a", "'v/1' cannot be the name of a volume"),
        ("type=volume,target=/a,volume-subpath=x", "a new volume has nothing at volume-subpath"),
        ("source=vol,target=/a,volume-subpath=../x", "relative path that stays below its source"),
        ("source=vol,target=/a,volume-subpath=/x", "relative path that stays below its source"),
        ("source=vol,target=/a,volume-driver=nfs", "there is no volume driver nfs"),
        ("type=image,target=/a", "needs its name as the source"),
        ("type=image,source=a,target=/a,ro=false", "images are mounted read-only"),
        (f"{BIND},volume-nocopy", "'volume-nocopy' is not for mounts of the type bind"),
        ("source=vol,target=/a,bind-propagation=shared", "is not for mounts of the type volume"),
        ("type=tmpfs,source=/x,target=/a,tmpfs-size=big", "invalid value 'big' for tmpfs-size"),
        ("type=tmpfs,target=/a,tmpfs-mode=9", "invalid value '9' for tmpfs-mode"),
        (f"{BIND},bind-propagation=up", "invalid value 'up' for bind-propagation"),
        (f"{BIND},readonly=perhaps", "invalid value 'perhaps' for readonly"),
        (f"{BIND},bind-propagation", "the option 'bind-propagation' needs a value"),
        (f"{BIND},bind-recursive=readonly", "bind-recursive=readonly is for mounts that are read-only"),
        (f"{BIND},bind-recursive=writable", "bind-recursive=writable is for mounts that are read-only"),
        (f"{BIND},ro,bind-recursive=readonly,bind-propagation=rslave", "needs bind-propagation=rprivate"),
        (f"{BIND},ro,bind-recursive=writable,bind-nonrecursive", "disagree"),
        (f'{BIND},"x', "a quote is not closed"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(TiffinError) as caught:
        parse_mount(text)
    assert message in caught.value.message
    assert caught.value.message.startswith(f"--mount {text}: ")


def test_unknown_options_are_named_with_the_nearest():
    with pytest.raises(InvalidError, match="unknown option 'bind-propagatoin'") as caught:
        parse_mount(f"{BIND},bind-propagatoin=shared")
    assert caught.value.hint == "did you mean bind-propagation?"


def test_a_missing_source_is_not_made_unless_asked_for(tmp_path):
    with pytest.raises(NotFoundError, match="there is no /nope/x") as caught:
        parse_mount("type=bind,source=/nope/x,target=/a")
    assert "bind-create-src" in caught.value.hint
