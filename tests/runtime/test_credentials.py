"""Who a process is after a call, where the kernel has one user: the rules of credentials(7)."""

import pytest

from tiffin.runtime.emulation.credentials import (
    NOBODY,
    ROOT,
    Ids,
    execute,
    may_access,
    may_give,
    set_files,
    set_id,
    set_three,
    set_two,
    whole,
)

ANNA = Ids(7, 7, 7, 7)
SET_ID = Ids(7, 0, 0, 0)


@pytest.mark.parametrize(
    ("ids", "new", "privileged", "expected"),
    [
        (Ids(), 7, True, ANNA),
        (ANNA, 7, False, ANNA),
        (ANNA, 0, False, None),
        (Ids(7, 0, 0, 0), 7, False, Ids(7, 7, 0, 7)),
        (Ids(7, 7, 0, 7), 0, False, SET_ID),
        (Ids(7, 7, 0, 7), 8, False, None),
    ],
)
def test_setuid(ids, new, privileged, expected):
    assert set_id(ids, new, privileged=privileged) == expected


@pytest.mark.parametrize(
    ("ids", "new", "privileged", "expected"),
    [
        (Ids(), (7, 7), True, ANNA),
        (Ids(), (NOBODY, 7), True, Ids(0, 7, 7, 7)),
        (Ids(), (NOBODY, 0), True, Ids()),
        (SET_ID, (NOBODY, 7), False, Ids(7, 7, 0, 7)),
        (SET_ID, (0, 7), False, Ids(0, 7, 7, 7)),
        (ANNA, (NOBODY, 8), False, None),
        (ANNA, (8, NOBODY), False, None),
        (ANNA, (NOBODY, NOBODY), False, ANNA),
    ],
)
def test_setreuid(ids, new, privileged, expected):
    assert set_two(ids, *new, privileged=privileged) == expected


@pytest.mark.parametrize(
    ("ids", "new", "privileged", "expected"),
    [
        (Ids(), (7, 8, 9), True, Ids(7, 8, 9, 8)),
        (Ids(), (NOBODY, 7, NOBODY), True, Ids(0, 7, 0, 7)),
        (SET_ID, (0, 7, NOBODY), False, Ids(0, 7, 0, 7)),
        (ANNA, (7, 0, 7), False, None),
        (ANNA, (NOBODY, NOBODY, NOBODY), False, ANNA),
    ],
)
def test_setresuid(ids, new, privileged, expected):
    assert set_three(ids, new, privileged=privileged) == expected


def test_setfsuid_changes_it_or_not_and_never_fails():
    assert set_files(Ids(), 7, privileged=True) == Ids(files=7)
    assert set_files(SET_ID, 7, privileged=False) == Ids(7, 0, 0, 7)
    assert set_files(ANNA, 8, privileged=False) == ANNA


@pytest.mark.parametrize(
    ("mode", "user", "group"),
    [
        (0o755, ANNA, ANNA),
        (0o4755, Ids(7, 3, 3, 3), ANNA),
        (0o2755, ANNA, Ids(7, 4, 4, 4)),
        (0o2745, ANNA, ANNA),
        (0o6755, Ids(7, 3, 3, 3), Ids(7, 4, 4, 4)),
    ],
)
def test_set_id_programs(mode, user, group):
    found = execute(whole(7, 7, (9,)), mode, (3, 4))
    assert (found.user, found.group, found.groups) == (user, group, (9,))


@pytest.mark.parametrize(
    ("new", "allowed"),
    [
        ((NOBODY, NOBODY), True),
        ((7, NOBODY), True),
        ((NOBODY, 9), True),
        ((7, 9), True),
        ((NOBODY, 8), False),
        ((8, NOBODY), False),
        ((0, 7), False),
    ],
)
def test_what_others_than_root_may_give(new, allowed):
    assert may_give(whole(7, 7, (9,)), (7, 7), new) is allowed
    assert not may_give(whole(6, 7), (7, 7), (NOBODY, NOBODY))


@pytest.mark.parametrize(
    ("who", "groups", "wanted", "allowed"),
    [
        ((0, 0), (), 7, True),
        ((7, 1), (), 6, True),
        ((7, 8), (8,), 1, False),
        ((6, 8), (), 4, True),
        ((6, 5), (8,), 2, False),
        ((6, 5), (), 1, True),
        ((6, 5), (), 4, False),
    ],
)
def test_who_may_do_what(who, groups, wanted, allowed):
    assert may_access(who, groups, (7, 8), 0o641, wanted) is allowed


def test_root_is_nobody_in_particular():
    assert whole(0, 0) == ROOT
    assert ROOT.is_in(0)
    assert not ROOT.is_in(5)
    assert whole(7, 7, (9,)).is_in(9)
