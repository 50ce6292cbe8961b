"""What a stage has come to while it is planned: its root filesystem, config, variables and history. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tiffin.build import created_by
from tiffin.build.graph import HistoryStep
from tiffin.build.scans import NAMES as SCANS
from tiffin.build.scope import DEFAULT_PATH
from tiffin.oci.config import ContainerConfig

if TYPE_CHECKING:
    from tiffin.build.graph import BaseImage
    from tiffin.oci.platform import Platform

_DEFAULT_SHELL = ("/bin/sh", "-c")


class Draft:
    """The state of one stage. A stage that begins FROM it takes a `child`.

    `variables` are ENV and ARG together, as they count for what follows: the
    later of one name wins. `declared` are the ARGs, also those without a value. `platform` is what
    the root filesystem is for: the base's own word counts, and without a base what was asked for.
    """

    def __init__(self, vertex: int, base: BaseImage | None, platform: Platform) -> None:
        self.vertex = vertex
        self.base = base
        self.platform = base.config.platform.normalised() if base else platform
        self.config = base.config.config if base else ContainerConfig(working_dir="/")
        self.author = base.config.author if base else ""
        self.steps: list[HistoryStep] = []
        self.variables: dict[str, str] = {}
        self.declared: dict[str, None] = {}
        self.scans: dict[str, str] = {}
        self.own_cmd = False
        env = self.config.environment()
        env.setdefault("PATH", DEFAULT_PATH)
        self.variables |= env
        self.change(env=_entries(env), on_build=())

    def child(self) -> Draft:
        """Return the state of a stage that begins where this one ended; triggers are not inherited."""
        draft = Draft(self.vertex, self.base, self.platform)
        draft.author = self.author
        draft.steps = list(self.steps)
        draft.variables = dict(self.variables)
        draft.declared = dict(self.declared)
        draft.scans = dict(self.scans)
        draft.config = msgspec.structs.replace(self.config, on_build=())
        return draft

    def change(self, **fields: Any) -> None:
        """Change fields of the config."""
        self.config = msgspec.structs.replace(self.config, **fields)

    def set_env(self, name: str, value: str) -> None:
        """Set a variable that stays in the image."""
        env = self.config.environment()
        env[name] = value
        self.variables[name] = value
        self.change(env=_entries(env))

    def set_argument(self, name: str, value: str | None) -> None:
        """Declare an ARG, and set it if it has a value; those that ask for scans are kept from all steps."""
        if name in SCANS:
            self.scans[name] = value or ""
            return
        self.declared[name] = None
        if value is not None:
            self.variables[name] = value

    @property
    def known(self) -> bool:
        """Whether it is known what the stage begins from."""
        return self.base is None or self.base.known

    @property
    def environment(self) -> dict[str, str]:
        """What a RUN sees: ENVs, then ARGs, each name once, with the value that counts."""
        names = [*self.config.environment(), *self.declared]
        return {name: self.variables[name] for name in names if name in self.variables}

    @property
    def arguments(self) -> dict[str, str]:
        """The declared ARGs with the values that a RUN sees; empty without one."""
        return {name: self.variables.get(name, "") for name in self.declared}

    def with_shell(self, line: str) -> tuple[str, ...]:
        """Return the arguments that run `line` in the stage's shell."""
        return (*(self.config.shell or _DEFAULT_SHELL), line)

    def record(self, text: str, vertex: int | None = None) -> None:
        """Add to the history what an instruction did, and the vertex that it made."""
        self.steps.append(HistoryStep(created_by.entry(text), vertex))


def _entries(env: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in env.items())
