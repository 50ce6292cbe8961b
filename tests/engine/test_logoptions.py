import pytest

from tiffin.container.logs import Limit
from tiffin.engine.logoptions import check, limit_of
from tiffin.errors import TiffinError


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ((), Limit(50 << 20, 2)),
        (("max-size=10m",), Limit(10 << 20, 1)),
        (("max-size=1k", "max-file=5"), Limit(1024, 5)),
        (("max-file=5",), Limit(50 << 20, 5)),
        (("max-size=-1", "mode=blocking"), Limit(0, 1)),
    ],
)
def test_how_much_is_kept(options, limit):
    check("json-file", options)
    assert limit_of(options) == limit


@pytest.mark.parametrize(
    ("driver", "options", "what"),
    [
        ("syslog", (), "syslog"),
        ("json-file", ("max-size",), "value is missing"),
        ("json-file", ("max-size=big",), "no size"),
        ("json-file", ("max-size=0",), "no size"),
        ("json-file", ("max-file=0",), "1 to 1000"),
        ("json-file", ("labels=a",), "unknown log opt 'labels' for json-file"),
        ("none", ("max-size=1m",), "unknown log opt 'max-size' for none"),
        ("json-file", ("mode=non-blocking",), "mode"),
    ],
)
def test_what_is_refused(driver, options, what):
    with pytest.raises(TiffinError, match=what) as caught:
        check(driver, options)
    assert caught.value.exit_status == 125
