"""Fixtures and rules for every test."""

import os

import hypothesis
import pytest
from tests.doubles.registry import RegistryDouble
from tests.doubles.web import WebDouble

# A busy machine is no failure.
hypothesis.settings.register_profile("tiffin", deadline=None)
hypothesis.settings.load_profile("tiffin")

# Tests speak of modes; an account of one's own often has another umask than root.
os.umask(0o022)


@pytest.fixture
def double():
    """A registry in this process."""
    with RegistryDouble().serve() as served:
        yield served


@pytest.fixture
def web(tmp_path):
    """A web server in this process, and below `folder` the repositories that it serves."""
    (tmp_path / "served").mkdir()
    with WebDouble(tmp_path / "served").serve() as served:
        yield served


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a test that skips is a test that fails: what it needs has to be installed."""
    report = yield
    if report.skipped and os.environ.get("TIFFIN_TEST_NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may skip: {report.longrepr}"
    return report
