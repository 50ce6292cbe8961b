"""What a lint rule is, and what it found. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tiffin.dockerfile.source import Span

_DOCKER = "https://docs.docker.com/go/dockerfile/rule/"
_WORD = re.compile("[A-Z]+(?![a-z])|[A-Z][a-z]+")


class Rule(NamedTuple):
    """A rule: its name, as `# check=skip=` has it, what it asks for, and what it says where it is broken.

    `message` is a format with a place for each word of a finding. A rule of
    the `house` is not among BuildKit's, so it never fails a build that Docker
    would do. What is `check_only` is said by `--check` alone; what is
    `experimental` only if it is asked for by name. Rules `of_files` look at
    what a step takes from the context, or what it leaves in its layer.
    """

    name: str
    description: str
    message: str
    experimental: bool = False
    house: bool = False
    check_only: bool = False
    of_files: bool = False

    @property
    def slug(self) -> str:
        """The name as pages have it: `json-args-recommended`."""
        return "-".join(_WORD.findall(self.name)).lower()

    @property
    def url(self) -> str:
        """Where Docker explains it; empty for a rule that is ours."""
        return "" if self.house else f"{_DOCKER}{self.slug}/"


class Finding(NamedTuple):
    """A place where a rule is broken; `span` is None if that is no place in the Dockerfile."""

    rule: Rule
    message: str
    span: Span | None = None

    @property
    def short(self) -> str:
        """The finding in a line: `JSONArgsRecommended: JSON arguments …`."""
        return f"{self.rule.name}: {self.message}"
