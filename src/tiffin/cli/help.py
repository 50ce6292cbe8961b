"""Help texts, made from the tables; nothing is printed here."""

from __future__ import annotations

import os

from tiffin.cli import catalog
from tiffin.cli.command import MANY
from tiffin.cli.options import usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tiffin.cli.command import Command
    from tiffin.cli.options import Option

FOOT = "Run 'tiffin COMMAND --help' for more about a command."
NARROWEST, WIDEST = 60, 100
_WIDEST_HEAD = 34  # of an option with its value; a longer one has a line of its own


def overview() -> str:
    """What `tiffin --help` prints; imports no command."""
    from tiffin.cli.globals import OPTIONS

    lines = [
        "Usage:  tiffin [OPTIONS] COMMAND",
        "",
        "A container engine made for ML serving: no daemon, no root needed",
        "",
        "Common Commands:",
        *_rows((name, summary) for name, (_, summary) in catalog.COMMON.items()),
        "",
        "Management Commands:",
        *_rows((name, summary) for name, (summary, _) in catalog.GROUPS.items()),
        "",
        "Commands:",
        *_rows((name, summary) for name, (_, summary) in catalog.OTHER.items()),
        "",
        "Global Options:",
        *_options(OPTIONS),
        "",
        FOOT,
    ]
    return "\n".join(lines) + "\n"


def group(name: str) -> str:
    """What `tiffin image --help` prints."""
    name = "builder" if name == "buildx" else name
    summary, verbs = catalog.GROUPS[name]
    lines = [
        f"Usage:  tiffin {name} COMMAND",
        "",
        summary,
        "",
        "Commands:",
        *_rows((verb, text) for verb, (_, text) in verbs.items()),
        "",
        f"Run 'tiffin {name} COMMAND --help' for more about a command.",
    ]
    return "\n".join(lines) + "\n"


def manual(path: str, command: Command) -> str:
    """What `tiffin run --help` prints: usage, what it does, aliases, options, examples."""
    found = catalog.find(path)
    lines = [f"Usage:  tiffin {path}{_after_verb(command.usage)}", "", found[1] if found else ""]
    if command.description:
        lines += ["", *_wrapped(command.description)]
    if len(aliases := _aliases(path)) > 1:
        lines += ["", "Aliases:", "  " + ", ".join(f"tiffin {alias}" for alias in aliases)]
    if any(option.shown for option in command.options):
        lines += ["", "Options:", *_options(command.options)]
    if command.examples:
        lines += ["", "Examples:", *(f"  {example}" for example in command.examples)]
    return "\n".join(lines) + "\n"


def verb_manual(path: str, usage: str, summary: str, options: Iterable[Option]) -> str:
    """The same for a verb that stands in no table, behind options of its command."""
    lines = [f"Usage:  tiffin {path} {usage}".rstrip(), "", summary]
    shown = [option for option in options if option.shown]
    return "\n".join([*lines, *(["", "Options:", *_options(shown)] if shown else [])]) + "\n"


def unknown_command(path: str) -> Exception:
    """The error for a verb that there is not: nearest names, or what to do instead."""
    verb = path.rsplit(maxsplit=1)[-1]
    group_name = path.split(maxsplit=1)[0] if " " in path else ""
    builder = group_name in ("builder", "buildx")
    hint = _instead(path, group_name, verb)
    if hint is not None:
        from tiffin.errors import UnsupportedError

        return UnsupportedError(f"tiffin has no command '{path}'", code="unsupported-command", hint=hint)
    from difflib import get_close_matches

    group_name = "builder" if builder else group_name
    known = list(catalog.GROUPS[group_name][1]) if group_name in catalog.GROUPS else _top_level()
    near = get_close_matches(verb, known, 3)
    advice = f"did you mean {' or '.join(near)}?" if near else ""
    return usage(f"unknown command: tiffin {path}", group_name, advice)


def _instead(path: str, group_name: str, verb: str) -> str | None:
    """What to do in the place of a command that Docker has and we have not."""
    if group_name in ("builder", "buildx"):
        return catalog.ABSENT_BUILDX.get(verb)
    if group_name in ("", "container", "image", "system"):
        return catalog.ABSENT.get(verb)
    return catalog.ABSENT.get(path)


def wrong_count(path: str, command: Command) -> Exception:
    """The error for too few or too many words."""
    least, most = command.least, command.most
    if most == 0:
        needed = "accepts no arguments"
    elif least == most:
        needed = f"requires {least} argument{'s' if least > 1 else ''}"
    elif most >= MANY:
        needed = f"requires at least {least} argument{'s' if least > 1 else ''}"
    elif least == 0:
        needed = f"accepts at most {most} argument{'s' if most > 1 else ''}"
    else:
        needed = f"requires {least} to {most} arguments"
    return usage(f"'tiffin {path}' {needed}", path, f"usage: tiffin {path}{_after_verb(command.usage)}.")


def _after_verb(text: str) -> str:
    _, _, rest = text.partition(" ")
    return f" {rest}" if rest else ""


def _top_level() -> list[str]:
    return [*catalog.COMMON, *catalog.OTHER, *catalog.GROUPS]


def _aliases(path: str) -> list[str]:
    """All paths that lead to the same command, the one asked for first."""
    found = catalog.find(path)
    if found is None:
        return [path]
    same = [name for name, location, _ in catalog.paths() if location == found[0]]
    same += [alias for alias, target in catalog.ALIASES.items() if target in same]
    return [path, *sorted(name for name in same if name != path)]


def _rows(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"  {name:<12}{summary}" for name, summary in rows]


def _options(options: Iterable[Option]) -> Iterator[str]:
    shown = [option for option in options if option.shown]
    heads = [_head(option) for option in shown]
    column = min(max(map(len, heads)) + 3, _WIDEST_HEAD)
    for option, head in zip(shown, heads, strict=True):
        first, *rest = _wrapped(option.help + _default(option), _width() - column)
        if len(head) > column - 2:
            yield head
            head = ""  # noqa: PLW2901 - its text begins on the next line
        yield f"{head:<{column}}{first}"
        for line in rest:
            yield f"{'':<{column}}{line}"


def _head(option: Option) -> str:
    spelling = option.spelling if option.short else f"    {option.spelling}"
    if option.takes_word:
        return f"  {spelling} {option.metavar}"
    return f"  {spelling}{f'[={option.metavar}]' if option.metavar else ''}"


def _default(option: Option) -> str:
    if option.default in (None, False, ()):
        return ""
    return f" (default {'true' if option.default is True else option.default})"


def _width() -> int:
    try:
        columns = int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size(1).columns
    except (OSError, ValueError):
        columns = 80
    return min(max(columns, NARROWEST), WIDEST)


def _wrapped(text: str, width: int = 0) -> list[str]:
    """Lines of whole words (textwrap would do it, and load half of a parser for it)."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > max(20, width or _width()):
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
