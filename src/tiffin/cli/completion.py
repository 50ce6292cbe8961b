"""Completion scripts for bash, zsh and fish, made from the tables (pure text).

Verbs and options are written into the script, so that a press of Tab starts no
process for them; names of images, containers, networks and volumes are asked for with
`tiffin __complete KIND`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.cli import catalog
from tiffin.cli.globals import OPTIONS as GLOBAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.cli.options import Option

KINDS = ("containers", "images", "networks", "paused", "running", "stopped", "volumes")


class Entry(NamedTuple):
    """One command, as completion needs it."""

    path: str
    summary: str
    options: tuple[Option, ...]
    names: tuple[str, ...]
    wraps: bool


def entries() -> list[Entry]:
    """Every command that help shows; imports all of them."""
    found = []
    for path, location, summary in catalog.paths():
        command = catalog.load(location)
        shown = tuple(option for option in command.options if option.shown)
        found.append(Entry(path, summary, shown, tuple(command.names.split()), command.wraps))
    return found


def script(shell: str) -> str:
    """The script for `shell`."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](entries())


def _spellings(options: Sequence[Option]) -> list[str]:
    return [spelling for option in options for spelling in option.spelling.split(", ")]


def _table(found: Sequence[Entry]) -> str:
    """`case` lines that bash and zsh both read: what belongs to each command."""
    lines = []
    for entry in found:
        takes = _spellings([option for option in entry.options if option.takes_word])
        values = []
        for option in entry.options:
            source = ",".join(option.choices) or (f"@{option.dynamic}" if option.dynamic else "")
            values += [f"{spelling}={source}" for spelling in option.spelling.split(", ") if source]
        lines.append(
            f'    "{entry.path}") flags="{" ".join([*_spellings(entry.options), "--help"])}"'
            f' takes=" {" ".join(takes)} " values=" {" ".join(values)} "'
            f' names="{" ".join(entry.names)}" wraps="{"yes" if entry.wraps else ""}" ;;'
        )
    for group, (_, verbs) in catalog.GROUPS.items():
        lines.append(f'    "{group}") verbs="{" ".join(verbs)}" ;;')
    top = " ".join([*catalog.COMMON, *catalog.GROUPS, *catalog.OTHER])
    shown = [option for option in GLOBAL if option.shown]
    flags = " ".join(_spellings(shown))
    with_value = " ".join(_spellings([option for option in shown if option.takes_word]))
    chosen = " ".join(f"--{option.long}={','.join(option.choices)}" for option in shown if option.choices)
    lines.append(
        f'    "") verbs="{top}" flags="{flags} --help" takes=" {with_value} " values=" {chosen} " ;;'
    )
    return "\n".join(lines)


# Walks over the words before the cursor, given as positional parameters since arrays differ between shells.
# It leaves the path of the command, the option that waits for a value, and whether another command is meant.
_WALK = r"""
_tiffin_table() {
  verbs= flags= takes= values= names= wraps=
  case "$1" in
%(table)s
  esac
}

_tiffin_walk() {
  path= other= expects=
  _tiffin_table ""
  while [ $# -gt 0 ]; do
    if [ -n "$expects" ]; then
      expects=
    else
      case "$1" in
        -*)
          case "$takes" in *" $1 "*) expects=$1 ;; esac ;;
        *)
          if [ -n "$verbs" ]; then
            path="${path:+$path }$1"
            _tiffin_table "$path"
          elif [ -n "$wraps" ]; then
            other=yes
            return
          fi ;;
      esac
    fi
    shift
  done
}
"""

_BASH = r"""# Completion for tiffin in bash. Load it with: source <(tiffin completion bash)
%(walk)s
_tiffin() {
  local path other expects verbs flags takes values names wraps words cur kind option
  cur=${COMP_LINE:0:COMP_POINT}
  read -ra words <<< "$cur"
  case "$cur" in *[[:space:]]) cur= ;; *) cur=${words[${#words[@]}-1]}; unset "words[${#words[@]}-1]" ;; esac
  _tiffin_walk "${words[@]:1}"
  COMPREPLY=()
  [ -n "$other" ] && { COMPREPLY=($(compgen -f -- "$cur")); return; }
  option=$expects
  case "$cur" in --*=*) option=${cur%%%%=*}; cur=${cur#*=} ;; esac
  if [ -n "$option" ]; then
    for kind in $values; do
      case "$kind" in
        "$option=@"*) COMPREPLY=($(compgen -W "$(tiffin __complete "${kind#*@}" 2>/dev/null)" -- "$cur")) ;;
        "$option="*) COMPREPLY=($(compgen -W "$(echo "${kind#*=}" | tr , ' ')" -- "$cur")) ;;
      esac
    done
    [ ${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$cur"))
  else
    case "$cur" in
      -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
      *)
        [ -n "$verbs" ] && COMPREPLY=($(compgen -W "$verbs" -- "$cur"))
        for kind in $names; do
          case "$kind" in
            directories) COMPREPLY+=($(compgen -d -- "$cur")) ;;
            commands) _tiffin_table ""; COMPREPLY+=($(compgen -W "$verbs" -- "$cur")) ;;
            *) COMPREPLY+=($(compgen -W "$(tiffin __complete "$kind" 2>/dev/null)" -- "$cur")) ;;
          esac
        done ;;
    esac
  fi
  # bash takes a colon for the end of a word: what stands before it must not be given again
  case "$COMP_WORDBREAKS$cur" in
    *:*:*) local before=${cur%%"${cur##*:}"}; COMPREPLY=("${COMPREPLY[@]#"$before"}") ;;
  esac
}
complete -o filenames -F _tiffin tiffin
"""

_ZSH = r"""#compdef tiffin
# Completion for tiffin in zsh. Load it with: source <(tiffin completion zsh)
%(walk)s
_tiffin_names() {
  local -a found
  case "$1" in
    directories) _files -/ ;;
    commands) _tiffin_table ""; found=(${=verbs}); compadd -a found ;;
    *) found=(${(f)"$(tiffin __complete "$1" 2>/dev/null)"}); compadd -a found ;;
  esac
}

_tiffin() {
  emulate -L zsh
  local cmdpath other expects verbs flags takes values names wraps kind option cur
  local -a found before
  cur=${words[CURRENT]}
  before=("${(@)words[2,CURRENT-1]}")
  _tiffin_walk "${before[@]}"
  [[ -n $other ]] && { _files; return }
  option=$expects
  if [[ $cur == --*=* ]]; then option=${cur%%%%=*}; compset -P '*='; fi
  if [[ -n $option ]]; then
    for kind in ${=values}; do
      if [[ $kind == "$option=@"* ]]; then _tiffin_names "${kind#*@}"; return
      elif [[ $kind == "$option="* ]]; then found=(${(s:,:)${kind#*=}}); compadd -a found; return
      fi
    done
    _files
  elif [[ $cur == -* ]]; then
    found=(${=flags}); compadd -a found
  elif [[ -n $verbs ]]; then
    found=(${=verbs}); compadd -a found
  else
    for kind in ${=names}; do _tiffin_names "$kind"; done
  fi
}

if [ "${funcstack[1]}" = "_tiffin" ]; then
  _tiffin "$@"
else
  compdef _tiffin tiffin
fi
"""


def _bash(found: Sequence[Entry]) -> str:
    return _BASH % {"walk": _WALK % {"table": _table(found)}}


def _zsh(found: Sequence[Entry]) -> str:
    # zsh ties `path` to PATH: the walk must not write to it
    walk = (_WALK % {"table": _table(found)}).replace("path=", "cmdpath=").replace("$path", "$cmdpath")
    return _ZSH % {"walk": walk.replace("${path", "${cmdpath")}


_FISH = r"""# Completion for tiffin in fish. Load it with: tiffin completion fish | source
function __tiffin_at
  set -l path
  set -l skip
  for word in (commandline -opc)[2..]
    if test -n "$skip"
      set skip
    else if contains -- $word %(takes)s
      set skip yes
    else if not string match -q -- '-*' $word
      set path $path $word
    end
    test (count $path) -ge $argv[1]; and break
  end
  test "$path" = "$argv[2]"
end
complete -c tiffin -f
"""


def _fish(found: Sequence[Entry]) -> str:
    takes = _spellings([option for option in GLOBAL if option.shown and option.takes_word])
    lines = [_FISH % {"takes": " ".join(takes)}]
    top = [(name, text) for table in (catalog.COMMON, catalog.OTHER) for name, (_, text) in table.items()]
    top += [(name, text) for name, (text, _) in catalog.GROUPS.items()]
    lines += [_fish_line("1 ''", f"-a {name}", text) for name, text in top]
    lines += [_fish_line("1 ''", _fish_option(option), option.help) for option in GLOBAL if option.shown]
    for group, (_, verbs) in catalog.GROUPS.items():
        lines += [_fish_line(f"2 {group}", f"-a {verb}", text) for verb, (_, text) in verbs.items()]
    for entry in found:
        at = f"{len(entry.path.split())} '{entry.path}'"
        lines += [_fish_line(at, _fish_option(option), option.help) for option in entry.options]
        for kind in entry.names:
            source = (
                "'(__fish_complete_directories)'"
                if kind == "directories"
                else f"'(tiffin __complete {kind})'"
            )
            if kind == "commands":
                source = f"'{' '.join(name for name, _ in top)}'"
            lines.append(_fish_line(at, f"-a {source}", ""))
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    parts = [f"-s {option.short}"] if option.short else []
    parts.append(f"-l {option.long}")
    if option.takes_word:
        parts.append("-x" if option.choices or option.dynamic else "-r -F")
        if option.choices:
            parts.append(f"-a '{' '.join(option.choices)}'")
        elif option.dynamic:
            parts.append(f"-a '(tiffin __complete {option.dynamic})'")
    return " ".join(parts)


def _fish_line(at: str, what: str, text: str) -> str:
    described = " -d '" + text.replace("\\", "\\\\").replace("'", "\\'") + "'" if text else ""
    return f'complete -c tiffin -n "__tiffin_at {at}" {what}{described}'
