"""Options with Docker's habits: one table for parsing, help and completion.

The habits: `--flag=false`, `-it`, `-p8000:8000`, `-eA=b`, a value that begins
with a dash, options repeated, `--`, and for commands that start another
command, everything after the first word belongs to that command. An option that
Docker has and we have not is refused with the reason; nothing is ignored but
what Docker ignores itself.

Every command passes here, so this module imports nothing but what is needed to
report an error, and that only then.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FLAG, TEXT, LIST, NUMBER = "flag", "text", "list", "number"


class Option:
    """One option: how it is spelled, what it takes, and what is said about it."""

    __slots__ = (
        "choices",
        "default",
        "dynamic",
        "help",
        "ignored",
        "implied",
        "kind",
        "long",
        "metavar",
        "refused",
        "short",
    )

    def __init__(  # noqa: PLR0913 - a value whose fields are mostly left at their defaults
        self,
        spelling: str,
        kind: str,
        text: str = "",
        *,
        metavar: str = "",
        default: object = None,
        choices: tuple[str, ...] = (),
        refused: str = "",
        ignored: bool = False,
        dynamic: str = "",
        implied: str | None = None,
    ) -> None:
        *short, long = spelling.split(", ")
        self.short = short[0][1:] if short else ""
        self.long = long[2:]
        self.kind = kind
        self.help = text
        self.metavar = metavar
        self.default = default
        self.choices = choices
        self.refused = refused
        self.ignored = ignored
        self.dynamic = dynamic
        self.implied = "true" if kind == FLAG else implied

    @property
    def spelling(self) -> str:
        """As help and messages name it: `-p, --publish`."""
        return f"-{self.short}, --{self.long}" if self.short else f"--{self.long}"

    @property
    def takes_word(self) -> bool:
        """Whether the word after it is its value."""
        return self.implied is None

    @property
    def shown(self) -> bool:
        """Whether help and completion speak of it; what is refused or ignored has no text."""
        return bool(self.help)


def flag(spelling: str, text: str, *, default: bool = False) -> Option:
    """A switch."""
    return Option(spelling, FLAG, text, default=default)


def value(
    spelling: str,
    metavar: str,
    text: str,
    *,
    default: str | None = None,
    choices: tuple[str, ...] = (),
    dynamic: str = "",
) -> Option:
    """An option with one value; the last one counts."""
    return Option(spelling, TEXT, text, metavar=metavar, default=default, choices=choices, dynamic=dynamic)


def optional(spelling: str, metavar: str, text: str, *, implied: str) -> Option:
    """An option whose value, which follows `=`, can be left out: it is `implied` then."""
    return Option(spelling, TEXT, text, metavar=metavar, implied=implied)


def number(spelling: str, metavar: str, text: str, *, default: int | None = None) -> Option:
    """An option with a whole number."""
    return Option(spelling, NUMBER, text, metavar=metavar, default=default)


def values(spelling: str, metavar: str, text: str, *, dynamic: str = "") -> Option:
    """An option that may be repeated."""
    return Option(spelling, LIST, text, metavar=metavar, default=(), dynamic=dynamic)


def refuse(reason: str, *spellings: str) -> tuple[Option, ...]:
    """Options of Docker that are refused with `reason`; a final `=` says that the option takes a value.

    `--flag=off|none` refuses every value but those named, which mean what is done anyhow.
    """
    refused = []
    for spelling in spellings:
        name, takes, allowed = spelling.partition("=")
        choices = tuple(allowed.split("|")) if allowed else ()
        refused.append(Option(name, LIST if takes else FLAG, refused=reason, choices=choices))
    return tuple(refused)


def ignore(*spellings: str) -> tuple[Option, ...]:
    """Options that Docker accepts and does nothing with; a final `=` says that the option takes a value."""
    return tuple(
        Option(spelling.removesuffix("="), TEXT if spelling.endswith("=") else FLAG, ignored=True)
        for spelling in spellings
    )


class HelpAsked(Exception):  # noqa: N818 - no error: the user asked for the manual
    """`--help` is among the command's own words (or `-h`, where that means nothing else)."""


class Arguments:
    """What was written on the command line, by the long names of the options."""

    __slots__ = ("_values", "given", "words")

    def __init__(self, values: dict[str, object], given: frozenset[str], words: tuple[str, ...]) -> None:
        self._values = values
        self.given = given
        self.words = words

    def flag(self, name: str) -> bool:
        """Whether the switch is on."""
        return bool(self._values[name])

    def text(self, name: str) -> str | None:
        """The value of an option that takes one, or its default."""
        found = self._values[name]
        return None if found is None else str(found)

    def number(self, name: str) -> int | None:
        """The value of an option that takes a whole number."""
        found = self._values[name]
        return found if isinstance(found, int) else None

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of an option that may be repeated, in order."""
        found = self._values[name]
        return tuple(found) if isinstance(found, list | tuple) else ()

    def pairs(self, name: str) -> dict[str, str]:
        """`KEY=VALUE` values as a mapping; a key alone has an empty value; the last one counts."""
        return {key: text for key, _, text in (item.partition("=") for item in self.texts(name))}


def parse(
    options: Sequence[Option], words: Sequence[str], *, stop_at_word: bool = False, command: str = ""
) -> Arguments:
    """Read `words`; with `stop_at_word`, all from the first word on belongs to another command.

    Raises InvalidError for what Docker would refuse too, and for what we do not do.
    """
    collected: dict[str, object] = {option.long: option.default for option in options}
    if not words:
        return Arguments(collected, frozenset(), ())
    given, rest = spell(options, words, stop_at_word=stop_at_word, command=command)
    for option, text in given:
        if option.kind == LIST:
            collected[option.long] = (*_as_tuple(collected[option.long]), text)
        else:
            collected[option.long] = _convert(option, text, command)
        _check(option, text, collected[option.long], command)
    return Arguments(collected, frozenset(option.long for option, _ in given), tuple(rest))


def spell(
    options: Iterable[Option], words: Sequence[str], *, stop_at_word: bool = False, command: str = ""
) -> tuple[list[tuple[Option, str]], list[str]]:
    """Every option with its value as text, in order, and the words that are no options."""
    long = {option.long: option for option in options}
    short = {option.short: option for option in options if option.short}
    given: list[tuple[Option, str]] = []
    rest: list[str] = []
    queue = list(words)
    queue.reverse()
    while queue:
        word = queue.pop()
        if word == "--help" or (word == "-h" and "h" not in short):
            raise HelpAsked
        if word == "--":
            return given, rest + queue[::-1]
        if not word.startswith("-") or word == "-":
            rest.append(word)
            if stop_at_word:
                return given, rest + queue[::-1]
        elif word.startswith("--"):
            given.append(_long(word, long, queue, command))
        else:
            given += _cluster(word, short, queue, command)
    return given, rest


def _long(word: str, known: Mapping[str, Option], queue: list[str], command: str) -> tuple[Option, str]:
    name, equals, text = word[2:].partition("=")
    option = known.get(name)
    if option is None:
        raise _unknown(f"unknown flag: --{name}", name, known, command)
    if equals:
        return option, text
    if option.implied is not None:
        return option, option.implied
    if not queue:
        raise usage(f"flag needs an argument: --{name}", command)
    return option, queue.pop()


def _cluster(
    word: str, known: Mapping[str, Option], queue: list[str], command: str
) -> list[tuple[Option, str]]:
    """`-it`, `-p8000:8000`, `-eA=b`, `-d=false`: options without a value, and at most one that has it."""
    given: list[tuple[Option, str]] = []
    for position, letter in enumerate(word[1:], start=1):
        option = known.get(letter)
        rest = word[position + 1 :]
        if option is None:
            raise _unknown(f"unknown shorthand flag: {letter!r} in {word}", letter, {}, command)
        if rest.startswith("="):
            return [*given, (option, rest[1:])]
        if option.implied is None:
            if not rest and not queue:
                raise usage(f"flag needs an argument: {letter!r} in {word}", command)
            return [*given, (option, rest or queue.pop())]
        given.append((option, option.implied))
    return given


def _convert(option: Option, text: str, command: str) -> object:
    if option.kind == FLAG:
        if text == option.implied:
            return True
        from tiffin.booleans import EITHER, TRUE

        if text in EITHER:
            return text in TRUE
        raise usage(
            f'invalid argument "{text}" for "{option.spelling}" flag: it takes true or false',
            command,
        )
    if option.kind == NUMBER:
        try:
            return int(text)
        except ValueError:
            raise usage(
                f'invalid argument "{text}" for "{option.spelling}" flag: a whole number is needed', command
            ) from None
    return text


def _check(option: Option, text: str, found: object, command: str) -> None:
    """Refuse what we do not do, and values that are not among the choices; `found` is what `text` means."""
    if option.refused and not (text in option.choices or found is False):
        from tiffin.errors import UnsupportedError

        raise UnsupportedError(
            f"--{option.long} is not supported: {option.refused}",
            code="unsupported-flag",
            hint=f"leave --{option.long} away. {_see(command)} for what there is",
        )
    if option.choices and not option.refused and text not in option.choices:
        *most, last = option.choices
        allowed = f"{', '.join(most)} or {last}" if most else last
        raise usage(f'invalid argument "{text}" for "{option.spelling}" flag: it must be {allowed}', command)


def usage(message: str, command: str, advice: str = "") -> Exception:
    """An error in the words themselves, with where to read more."""
    from tiffin.errors import InvalidError

    see = _see(command)
    return InvalidError(message, code="usage", hint=f"{advice} {see}" if advice else see)


def _see(command: str) -> str:
    return f"See '{' '.join(('tiffin', *command.split()))} --help'"


def _unknown(message: str, name: str, known: Mapping[str, Option], command: str) -> Exception:
    from difflib import get_close_matches

    shown = [long for long, option in known.items() if option.shown]
    near = get_close_matches(name, shown, 3) if len(name) > 1 else []
    return usage(message, command, f"did you mean {' or '.join('--' + one for one in near)}?" if near else "")


def _as_tuple(found: object) -> tuple[object, ...]:
    return found if isinstance(found, tuple) else ()
