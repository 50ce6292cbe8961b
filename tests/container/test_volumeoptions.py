"""Options of volumes: those of Docker's local driver."""

import pytest

from tiffin.container.volumeoptions import Device, parse_options
from tiffin.errors import TiffinError


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"type": "tmpfs", "device": "tmpfs"}, Device("tmpfs", "", ())),
        (
            {"type": "tmpfs", "device": "x", "o": "size=1m,uid=7,ro"},
            Device("tmpfs", "", ("size=1m", "uid=7", "ro")),
        ),
        ({"type": "none", "o": "bind", "device": "/srv"}, Device("bind", "/srv", ("bind",))),
        (
            {"type": "none", "o": "rbind,ro,noexec,dev", "device": "/srv"},
            Device("bind", "/srv", ("rbind", "ro", "noexec")),
        ),
    ],
)
def test_what_a_volume_is(options, expected):
    assert parse_options(options) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "1g"}, "--opt size: the driver local has no such option"),
        ({"type": "tmpfs"}, "needs --opt device="),
        ({"o": "bind", "device": "/srv"}, "needs --opt type="),
        ({"type": "none", "o": "bind", "device": "srv"}, "the path is not absolute"),
        ({"type": "none", "o": "bind,soft", "device": "/srv"}, "--opt o=soft: there is no such option"),
        ({"type": "tmpfs", "device": "x", "o": "colour=1"}, "--opt o=colour=1"),
        ({"type": "none", "device": "/srv"}, "--opt type=none: a volume is a folder"),
        ({"type": "nfs", "o": "addr=10.0.0.1", "device": ":/x"}, "--opt type=nfs: a volume is a folder"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(TiffinError) as caught:
        parse_options(options)
    assert message in caught.value.message
