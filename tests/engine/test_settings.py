"""Settings from environment and command line."""

import datetime as dt
from pathlib import Path

import pytest

from tiffin.engine.settings import DEFAULT_EPOCH, Settings
from tiffin.errors import InvalidError

HOME = {"HOME": "/home/somebody", "TIFFIN_HOME": "/srv/store"}


def load(**environ):
    return Settings.load({**HOME, **environ})


def test_the_time_of_everything_is_one_that_zip_files_know():
    moment = dt.datetime.fromtimestamp(load().epoch, dt.UTC)
    assert (moment.isoformat(), load(SOURCE_DATE_EPOCH="").epoch) == (
        "1980-01-02T00:00:00+00:00",
        DEFAULT_EPOCH,
    )


@pytest.mark.parametrize(
    ("text", "epoch"), [("0", 0), ("1714557600", 1714557600), ("15032385535", 15032385535)]
)
def test_the_time_may_be_given(text, epoch):
    assert load(SOURCE_DATE_EPOCH=text).epoch == epoch


@pytest.mark.parametrize(
    "text", ["-1", "1.5", "yesterday", " 1", "١٢", "1e9", "0x10", "15032385536", "1714557600000", "9" * 5000]
)
def test_what_is_no_time_is_refused_in_words(text):
    with pytest.raises(InvalidError, match="SOURCE_DATE_EPOCH") as caught:
        load(SOURCE_DATE_EPOCH=text)
    assert caught.value.hint


def test_the_command_line_counts_more_than_the_environment():
    environ = {**HOME, "TIFFIN_ISOLATION": "rootless"}
    assert Settings.load(environ).isolation == "rootless"
    assert Settings.load(environ, isolation="root").isolation == "root"
    assert Settings.load(HOME).isolation == "auto"
    assert Settings.load(environ).home.root == Path("/srv/store")
    assert Settings.load(environ, root=Path("/other")).home.root == Path("/other")


def test_the_environment_is_kept_for_steps():
    assert load(HTTPS_PROXY="http://proxy").environ["HTTPS_PROXY"] == "http://proxy"
