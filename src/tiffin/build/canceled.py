"""The exceptions that are no errors: a step does not end, and the build knows what to do."""

from __future__ import annotations


class Canceled(Exception):  # noqa: N818  # not an error of its own
    """The build was stopped while this step ran."""


class LayerLost(Canceled):
    """A layer of which an imported cache spoke is not to be had: its step has to run after all."""
