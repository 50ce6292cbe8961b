"""The ladder: which facts lead to which rung, and what is said about the rungs above."""

import pytest

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux.isolation import Rung, decide
from tiffin.linux.namespace import IdMap, host_id
from tiffin.linux.probe import Facts

EVERYTHING = (1 << 41) - 1
DOCKER = 0xA80425FB
INITIAL = (IdMap(0, 0, 4294967295),)
RANGE = (IdMap(0, 200000, 65536),)

ROOT = Facts(
    euid=0,
    egid=0,
    user="root",
    capabilities=EVERYTHING,
    kernel=(6, 1),
    machine="x86_64",
    memory=1 << 30,
    uid_map=INITIAL,
    gid_map=INITIAL,
    max_user_namespaces=1000,
    store_filesystem="ext4",
)
USER = ROOT._replace(
    euid=1000, egid=1000, user="ada", capabilities=0, subuids=RANGE, subgids=RANGE, map_tools=True
)


SETFCAP = 1 << 31
SYS_CHROOT = 1 << 18


def test_root_of_a_container_lends_its_own_ids():
    found = decide(ROOT._replace(capabilities=DOCKER, user_namespaces="", uid_map=(IdMap(0, 5000, 1000),)))
    assert found.uids == (IdMap(0, 0, 1), IdMap(1, 1, 999))


def test_the_map_of_lent_ids_is_not_that_of_the_first_namespace():
    found = decide(ROOT._replace(store_filesystem="overlay"))
    assert found.uids == found.gids == (IdMap(0, 0, 1), IdMap(1, 1, 4294967294))


@pytest.mark.parametrize(("filesystem", "plain"), [("ext4", False), ("overlay", True), ("nfs", True)])
@pytest.mark.parametrize("facts", [USER, USER._replace(subuids=()), ROOT._replace(uid_map=(IdMap(0, 1, 9),))])
def test_where_no_overlay_can_be_written_roots_are_plain(facts, filesystem, plain):
    assert decide(facts._replace(store_filesystem=filesystem)).plain == plain


@pytest.mark.parametrize(
    ("facts", "rung", "enter"),
    [
        (ROOT, Rung.ROOT, False),
        (USER, Rung.ROOTLESS, True),
        (USER._replace(subuids=()), Rung.SINGLE_ID, True),
        (USER._replace(subgids=()), Rung.SINGLE_ID, True),
        (USER._replace(map_tools=False), Rung.SINGLE_ID, True),
        (USER._replace(map_refusal="no_new_privs is on"), Rung.SINGLE_ID, True),
        (ROOT._replace(uid_map=(IdMap(0, 1000, 65536),)), Rung.ROOTLESS, False),
        (ROOT._replace(uid_map=(IdMap(0, 1000, 1),)), Rung.SINGLE_ID, True),
        (ROOT._replace(idmap="Invalid argument", subuids=RANGE, subgids=RANGE), Rung.ROOTLESS, True),
        (ROOT._replace(capabilities=DOCKER, user_namespaces=""), Rung.ROOTLESS, True),
        (ROOT._replace(capabilities=DOCKER & ~SETFCAP, user_namespaces=""), Rung.SINGLE_ID, True),
        (ROOT._replace(store_filesystem="overlay"), Rung.ROOTLESS, True),
        (ROOT._replace(capabilities=DOCKER, user_namespaces="no"), Rung.CHROOT, False),
        (ROOT._replace(capabilities=DOCKER, max_user_namespaces=0), Rung.CHROOT, False),
        (ROOT._replace(capabilities=DOCKER, user_namespaces="no", kernel=(5, 10)), Rung.CHROOT, False),
        (ROOT._replace(capabilities=DOCKER & ~SYS_CHROOT, user_namespaces="no"), Rung.TRACED, False),
        (ROOT._replace(capabilities=0, user_namespaces="no"), Rung.TRACED, False),
        (USER._replace(user_namespaces="Operation not permitted"), Rung.TRACED, False),
        (USER._replace(max_user_namespaces=0), Rung.TRACED, False),
        (USER._replace(kernel=(4, 19), missing_calls=("open_tree",)), Rung.TRACED, False),
        (ROOT._replace(missing_calls=("open_tree",)), Rung.CHROOT, False),
        (ROOT._replace(idmap="Invalid argument", old=True), Rung.ROOT, False),
    ],
)
def test_the_strongest_possible_rung_is_taken(facts, rung, enter):
    found = decide(facts)
    assert (found.rung, found.enter) == (rung, enter)


@pytest.mark.parametrize("overlay", ["", "Operation not permitted"])
def test_where_the_kernel_maps_no_owners_containers_of_root_have_its_ids(overlay):
    found = decide(ROOT._replace(kernel=(5, 10), old=True, idmap="Function not implemented", overlay=overlay))
    assert (found.uids == found.gids, found.lent, found.plain) == (True, True, bool(overlay))
    assert {host_id(found.uids, number) for number in (0, 1000, 4294967294)} == {0, 1000, 4294967294}


def test_containers_of_root_get_ids_that_nobody_has():
    assert decide(ROOT).uids == (IdMap(0, 100000, 65536),)
    taken = (IdMap(0, 165536, 65536), IdMap(0, 100000, 65536), IdMap(0, 900000, 10))
    assert decide(ROOT._replace(taken_ids=taken)).uids == (IdMap(0, 231072, 65536),)


def test_a_user_is_root_and_the_subordinate_ids_follow():
    found = decide(USER._replace(subuids=(*RANGE, IdMap(0, 500000, 10))))
    assert found.uids == (IdMap(0, 1000, 1), IdMap(1, 200000, 65536), IdMap(65537, 500000, 10))
    assert found.gids == (IdMap(0, 1000, 1), IdMap(1, 200000, 65536))


def test_alone_a_user_is_only_root():
    found = decide(USER, "single-id")
    assert found.uids == found.gids == (IdMap(0, 1000, 1),)


def test_obstacles_name_what_is_missing_and_the_remedy():
    found = decide(USER._replace(subuids=()))
    reasons = {obstacle.rung: obstacle for obstacle in found.obstacles}
    assert "not root" in reasons[Rung.ROOT].reason
    assert "/etc/subuid has no entry for ada" in reasons[Rung.ROOTLESS].reason
    assert "usermod --add-subuids" in reasons[Rung.ROOTLESS].remedy


@pytest.mark.parametrize(
    ("facts", "wanted", "reason", "remedy"),
    [
        (USER, "root", "not root", "as root"),
        (USER._replace(max_user_namespaces=0), "single-id", "max_user_namespaces is 0", "sysctl -w user"),
        (USER._replace(map_tools=False), "rootless", "newuidmap", "uidmap"),
        (
            USER._replace(kernel=(4, 19), missing_calls=("open_tree", "pidfd_open")),
            "rootless",
            "the kernel is 4.19, which has no open_tree, pidfd_open",
            "use Linux 5.3 or newer",
        ),
        (
            ROOT._replace(kernel=(4, 19), missing_calls=("open_tree", "pidfd_open")),
            "chroot",
            "the kernel is 4.19, which has no pidfd_open",
            "use Linux 5.3 or newer",
        ),
        (
            USER._replace(userns_restriction="kernel.apparmor_restrict_unprivileged_userns=1"),
            "rootless",
            "apparmor",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            USER._replace(userns_restriction="kernel.unprivileged_userns_clone=0", user_namespaces="no"),
            "single-id",
            "a user namespace cannot be used: no",
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (USER._replace(user_namespaces="Operation not permitted"), "single-id", "not permitted", "seccomp"),
        (ROOT._replace(idmap="no", store_filesystem="nfs"), "root", "nfs cannot be mapped", "TIFFIN_HOME"),
        (USER, "chroot", "not root", "as root"),
        (
            ROOT._replace(capabilities=0, user_namespaces="no"),
            "chroot",
            "capabilities SYS_CHROOT, CH",
            "the surr",
        ),
        (
            ROOT._replace(capabilities=DOCKER & ~SYS_CHROOT, user_namespaces="no"),
            "chroot",
            "root has no capability SYS_CHROOT here",
            "capability SYS_CHROOT",
        ),
    ],
)
def test_a_rung_out_of_reach_is_an_error_with_a_remedy(facts, wanted, reason, remedy):
    with pytest.raises(UnsupportedError) as caught:
        decide(facts, wanted)
    assert reason in caught.value.message
    assert remedy in caught.value.hint
    assert caught.value.exit_status == 125


def test_the_last_rung_says_why_it_is_no_other():
    found = decide(USER._replace(user_namespaces="Operation not permitted"))
    assert found.plain
    assert [obstacle.rung for obstacle in found.obstacles] == list(Rung)[:4]
    assert "seccomp profile" in found.obstacles[2].remedy


def test_a_tried_user_namespace_overrules_a_setting():
    restricted = USER._replace(userns_restriction="kernel.unprivileged_userns_clone=0", user_namespaces="")
    assert decide(restricted).rung is Rung.ROOTLESS


def test_an_unknown_isolation_is_refused():
    with pytest.raises(InvalidError, match="jail"):
        decide(ROOT, "jail")


def test_the_ids_that_root_is_to_lend_are_nobodys_yet():
    others = (IdMap(0, 100000, 65536), IdMap(0, 165536, 65536))
    remedy = decide(USER._replace(subuids=(), taken_ids=others)).obstacles[-1].remedy
    assert remedy == "usermod --add-subuids 231072-296607 --add-subgids 231072-296607 ada (as root)"


def test_who_has_no_name_gets_no_subordinate_ids():
    reason = decide(USER._replace(user="")).obstacles[-1].reason
    assert reason == "the user 1000 has no name in /etc/passwd, by which newuidmap finds ids"
