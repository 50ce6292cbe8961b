"""Mounts of containers on every rung: as root, as a user with subordinate ids, and as one without."""

import pytest
from tests.live import mountcases

pytestmark = pytest.mark.live


def run(tiffin, busybox, *options, script, check=True):
    return tiffin("run", "--rm", "--network", "none", *options, busybox, "sh", "-c", script, check=check)


def test_images_parts_and_other_containers(tiffin, busybox, folder):
    shown = run(
        tiffin,
        busybox,
        *("--mount", f"type=image,source={busybox},target=/i,image-subpath=etc"),
        script="ls /i; touch /i/x || echo refused",
    )
    assert shown.stdout == "group\npasswd\nrefused\n"
    run(tiffin, busybox, "-v", "parts:/v", script="mkdir -p /v/a && touch /v/a/f && ln -s /etc /v/evil")
    part = "type=volume,source=parts,target=/p"
    assert run(tiffin, busybox, "--mount", f"{part},volume-subpath=a", script="ls /p").stdout == "f\n"
    out = run(tiffin, busybox, "--mount", f"{part},volume-subpath=evil", script="ls /p", check=False)
    assert (out.returncode, out.stderr.splitlines()[0][:26]) == (125, "error: there is no evil in")
    tiffin("run", "-d", "--name", "holds", "--network", "none", "-v", "/own", busybox, "sleep", "100")
    seen = run(tiffin, busybox, "--volumes-from", "holds", script="touch /own/f && ls /own")
    assert seen.stdout == "f\n"
    assert tiffin("exec", "holds", "ls", "/own").stdout == "f\n"
    tiffin("rm", "-f", "-v", "holds")
    assert tiffin("volume", "ls", "-q").stdout == "parts\n"
    tiffin("volume", "rm", "parts")


def test_a_folder_is_given_to_the_user_of_the_container(tiffin, busybox, folder):
    inside = run(
        tiffin, busybox, "-u", "anna", "-v", f"{folder}:/x:U", script="touch /x/f; stat -c %u /x /x/f"
    )
    assert inside.stdout == "1000\n1000\n", inside.stderr
    run(tiffin, busybox, "-v", f"{folder}:/x:U", script="true")
    own = tiffin.home.stat().st_uid
    assert folder.stat().st_uid == own
    if tiffin.rung == "rootless":
        kept = run(tiffin, busybox, "--userns=keep-id", "-v", f"{folder}:/x:U", script="stat -c %u /x")
        assert (kept.stdout, folder.stat().st_uid) == (f"{own}\n", own)


@pytest.mark.parametrize("tiffin", ["rootless"], indirect=True)
def test_ordinary_users_cannot_look_below_mounts(tiffin, busybox, folder):
    bare = "type=bind,source=/dev,target=/x,bind-recursive=disabled"
    refused = run(tiffin, busybox, "--mount", bare, script="true", check=False)
    assert refused.returncode == 125
    assert "/dev cannot be mounted without what is mounted below it" in refused.stderr


def test_ordinary_users_share_no_mounts(tiffin, busybox, folder):
    """Whether root's folder is shared depends on the machine; what an ordinary user cannot have does not."""
    done = run(tiffin, busybox, "-v", f"{folder}:/x:rshared", script="true", check=False)
    assert ("cannot be seen outside" in done.stderr) == (tiffin.rung != "root")


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_mounts_are_as_docker_has_them(tiffin, busybox, folder):
    mountcases.build(tiffin, busybox, folder)
    told = mountcases.told(tiffin, folder / "place")
    assert told.splitlines() == mountcases.GOLDEN.read_text().splitlines()
