"""Where packages come from: the sources of the machine's own apt, in both of its formats.

Nothing here knows the name of a mirror: a base is made from what the machine
itself is updated from, or from what the user names.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.base.deb822 import Paragraph, parse_paragraphs
from tiffin.errors import InvalidError, NotFoundError, Where

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FALSE: Final = frozenset({"no", "false", "without", "off", "disable", "0"})
_PART: Final = re.compile(r"[A-Za-z0-9_.-]+\.(?:list|sources)")
_ONE_LINE: Final = re.compile(r"(?P<type>deb(?:-src)?)\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>.+)")
# Updates and security fixes of a release belong into its base; backports and proposed updates do not.
COMPANIONS: Final = ("", "-updates", "-security")


class Source(NamedTuple):
    """One suite of one archive, and the keys that must have signed it (none: the machine's trusted keys)."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: tuple[str, ...] = ()
    inline_key: str = ""
    architectures: tuple[str, ...] = ()
    check_valid_until: bool = True
    optional: bool = False

    @property
    def base_suite(self) -> str:
        """The release that the suite belongs to: `bookworm` for `bookworm-updates` and `bookworm/updates`."""
        name = self.suite.removesuffix("/updates")
        for companion in COMPANIONS[1:]:
            name = name.removesuffix(companion)
        return name

    def of_release(self, release: str) -> Source:
        """The same kind of suite of another release; only its main suite is sure to exist."""
        kind = self.suite.removeprefix(self.base_suite)
        return self._replace(suite=release + kind, optional=bool(kind))


def read_sources(root: Path) -> tuple[Source, ...]:
    """The binary package sources that are switched on below `root`, in apt's order."""
    etc = root / "etc/apt"
    parts = sorted((etc / "sources.list.d").glob("*")) if (etc / "sources.list.d").is_dir() else []
    found: list[Source] = []
    for path in [etc / "sources.list", *(part for part in parts if _PART.fullmatch(part.name))]:
        if path.is_file():
            text = path.read_text(errors="replace")
            parse = parse_deb822 if path.suffix == ".sources" else parse_one_line
            found += [expanded for source in parse(text, str(path)) for expanded in _expand(source, root)]
    return tuple(dict.fromkeys(found))


def parse_one_line(text: str, file: str) -> Iterator[Source]:
    """The sources of a file in the one-line format: `deb [options] URI suite component…`."""
    for number, line in enumerate(text.split("\n"), 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        form = _ONE_LINE.fullmatch(content)
        words = form["rest"].split() if form else []
        if form is None or len(words) < 2:
            where = Where(file, number, 1, len(line) + 1, line)
            raise InvalidError(
                f"{file}:{number}: not a package source: {line.strip()[:100]!r}",
                code="source-syntax",
                hint="a source is: deb [options] URI suite component…",
                where=where,
            )
        if form["type"] != "deb":
            continue
        options: Paragraph = {}
        for word in shlex.split(form["options"] or ""):
            name, _, value = word.partition("=")
            options[name.rstrip("+-").lower()] = value.replace(",", " ")
        yield _source(words[0], words[1], tuple(words[2:]), options)


def parse_deb822(text: str, file: str) -> Iterator[Source]:
    """The sources of a file in the deb822 format: one for every URI and suite of a paragraph."""
    for paragraph in parse_paragraphs(text, file):
        if "deb" not in paragraph.get("types", "").split():
            continue
        if paragraph.get("enabled", "yes").lower() in _FALSE:
            continue
        for uri in paragraph.get("uris", "").split():
            for suite in paragraph.get("suites", "").split():
                yield _source(uri, suite, tuple(paragraph.get("components", "").split()), paragraph)


def parse_mirror(text: str, suite: str, components: tuple[str, ...] = ("main",)) -> Source:
    """A source that the user names: a URI for the asked suite, or a line as in sources.list."""
    if text.startswith("deb "):
        return next(parse_one_line(text, "--mirror"))
    if "://" not in text and not text.startswith("file:"):
        raise InvalidError(
            f"--mirror {text}: this is not a URI",
            code="mirror-uri",
            hint="give http://, https:// or file: with the path that holds dists/ and pool/",
        )
    return Source(text.rstrip("/"), suite, components)


def sources_for(sources: tuple[Source, ...], codename: str, suite: str) -> tuple[Source, ...]:
    """Those of the machine's sources that make up the release `suite`, its main suite first.

    For a release that the machine does not run itself, the suites of its own
    release (`codename`) are asked for under the other name. Whether all of them
    are the same distribution is told by their signed Release files, not here.
    """
    usable = [s for s in sources if "main" in s.components and s.suite.startswith(s.base_suite)]
    usable = [s for s in usable if s.suite == s.base_suite or s.suite.removeprefix(s.base_suite) in _OURS]
    own = [s for s in usable if s.base_suite == suite] or [
        s.of_release(suite) for s in usable if s.base_suite == codename
    ]
    if not own:
        # The machine names its release by its state ("stable"), or runs no release of this distribution.
        names = sorted({s.base_suite for s in usable})
        if len(names) == 1 and suite == codename:
            own = usable
    if not any(s.suite == s.base_suite for s in own):
        raise NotFoundError(
            f"the package sources of this machine name no archive for {suite or 'its release'}",
            code="no-package-source",
            hint="name one: --mirror URI",
        )
    return tuple(sorted(own, key=lambda s: (s.suite != s.base_suite, s.suite.endswith("-security"))))


_OURS: Final = frozenset({*COMPANIONS, "/updates"})


def _source(uri: str, suite: str, components: tuple[str, ...], options: Paragraph) -> Source:
    signed_by = options.get("signed-by", "").strip()
    inline = signed_by.startswith("-----BEGIN")
    return Source(
        uri.rstrip("/"),
        suite,
        components,
        () if inline else tuple(signed_by.split()),
        _armour(signed_by) if inline else "",
        tuple((options.get("architectures") or options.get("arch", "")).split()),
        options.get("check-valid-until", "yes").lower() not in _FALSE,
    )


def _armour(text: str) -> str:
    """A key in the text of a field, where a lone dot stands for an empty line."""
    return "\n".join("" if line.strip() == "." else line.strip() for line in text.split("\n")) + "\n"


def _expand(source: Source, root: Path) -> Iterator[Source]:
    """A list of mirrors in a file (`mirror+file:`) becomes its first entry; odd schemes are left out."""
    scheme = source.uri.partition(":")[0]
    if scheme in {"mirror+file", "mirror+copy"}:
        path = root / source.uri.partition(":")[2].lstrip("/")
        lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
        first = next((line.split()[0] for line in lines if line.strip() and not line.startswith("#")), "")
        if first:
            yield source._replace(uri=first.rstrip("/"))
    elif scheme in {"http", "https", "file", "copy"}:
        yield source
