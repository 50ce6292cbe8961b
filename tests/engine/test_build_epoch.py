"""The one time that all of a build has: by the environment, or by a build argument."""

import os

import pytest

from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.lookup import need_image
from tiffin.errors import InvalidError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


@pytest.fixture
def made(engine, tmp_path):
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\nWORKDIR /w\n")

    def run(**build_args):
        build(engine, BuildRequest(context, tags=("app",), build_args=build_args))
        config = need_image(engine, "app").config
        paths = [engine.layers.path(diff_id) for diff_id in config.rootfs.diff_ids]
        times = {path.stat().st_mtime for top in paths for path in top.rglob("*")}
        return config.created, times

    return run


def test_a_build_argument_names_the_time(made):
    usual = made()
    assert made(SOURCE_DATE_EPOCH="86400") == ("1970-01-02T00:00:00Z", {86400.0})
    assert made() == usual
    assert made(SOURCE_DATE_EPOCH="") == usual
    assert made(SOURCE_DATE_EPOCH=None) == usual


def test_what_is_no_time_is_refused(made):
    with pytest.raises(InvalidError, match="SOURCE_DATE_EPOCH is 'yesterday'"):
        made(SOURCE_DATE_EPOCH="yesterday")
