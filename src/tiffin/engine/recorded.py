"""Owners where there is one id: how a container's calls are answered, and what is said where they are not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiffin.engine.standing import ROOT, UPPER, directory_of, say
from tiffin.oci.digest import DiffID
from tiffin.runtime.recording import JOURNAL, recording

if TYPE_CHECKING:
    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.oci.runtimespec import Seccomp
    from tiffin.runtime.process import Process

__all__ = ["keep_owners", "settle_owners", "tell"]

_NO_GROUPS = (
    "--group-add has no effect: a container has one user and one group here; "
    "`tiffin doctor` says how to get more"
)


def keep_owners(engine: Engine, record: Record, process: Process, profile: Seccomp | None) -> Process:
    """Return the process of the container with its owners kept."""
    journal = directory_of(engine, record) / JOURNAL
    layers = [str(engine.layers.path(DiffID(layer))) for layer in reversed(record.layers)]
    if engine.footing.plain:
        layers = [str(directory_of(engine, record) / ROOT)]
    return recording(process, profile, os.uname().machine, str(journal), layers)


def settle_owners(engine: Engine, record: Record) -> None:
    """Write down by name, in what the container has written, whose its links are."""
    directory = directory_of(engine, record)
    if (directory / JOURNAL).exists():
        from tiffin.engine.written import lower_of
        from tiffin.layer.links import settle

        written = directory / (ROOT if engine.footing.plain else UPPER)
        settle(written, directory / JOURNAL, lower_of(engine, record))


def tell(engine: Engine, record: Record) -> None:
    """Say what a container cannot have without answers to its calls."""
    if any(name == "group-add" for name, _ in record.security):
        say(engine, _NO_GROUPS)
