"""The one exception that is no error: a step was stopped because another one failed."""

from __future__ import annotations


class Canceled(Exception):  # noqa: N818  # not an error of its own
    """The build was stopped while this step ran."""
