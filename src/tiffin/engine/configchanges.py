"""Changes of an image's config in the words of a Dockerfile, as `commit -c` and `import -c` take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.draft import Draft
from tiffin.build.metadata import Arguments, fold
from tiffin.build.scope import Expander
from tiffin.dockerfile import ast
from tiffin.dockerfile.lint.linter import Linter
from tiffin.dockerfile.parser import parse
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.oci.config import ContainerConfig
    from tiffin.oci.platform import Platform

_TAKEN = (
    ast.Cmd
    | ast.Entrypoint
    | ast.Env
    | ast.Expose
    | ast.Healthcheck
    | ast.Label
    | ast.OnBuild
    | ast.StopSignal
    | ast.User
    | ast.Volume
)


def changed(config: ContainerConfig, changes: Sequence[str], platform: Platform) -> ContainerConfig:
    """The config after `changes`, each a line like `CMD ["serve"]`. Raises InvalidError with the line."""
    if not changes:
        return config
    draft = Draft(0, None, platform)
    draft.config = config
    draft.variables = config.environment()
    expander = Expander("\\", Linter())
    for text in changes:
        try:
            for instruction in _instructions(text):
                _fold(draft, instruction, expander, text)
        except InvalidError as error:
            message = f"--change {text!r}: {error}"
            raise InvalidError(message, code="invalid-change", hint=error.hint) from None
    return draft.config


def _instructions(text: str) -> tuple[ast.Instruction, ...]:
    stages = parse(f"FROM scratch\n{text}\n").stages
    if len(stages) > 1 or not stages[0].instructions:
        raise InvalidError("it is no instruction that changes a config")
    return stages[0].instructions


def _fold(draft: Draft, instruction: ast.Instruction, expander: Expander, text: str) -> None:
    if isinstance(instruction, ast.Workdir):
        path = expander.word(instruction.path, draft.variables, instruction.span)
        base = draft.config.working_dir or "/"
        draft.change(working_dir=path if path.startswith("/") else f"{base.rstrip('/')}/{path}")
    elif isinstance(instruction, _TAKEN):
        fold(draft, instruction, Arguments({}, {}), expander)
    else:
        raise InvalidError(
            f"{text.split(maxsplit=1)[0].upper()} changes more than an image's config",
            code="invalid-change",
            hint="write it into a Dockerfile, and use 'tiffin build'",
        )
