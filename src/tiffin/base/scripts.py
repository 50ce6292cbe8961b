"""What maintainer scripts would have done, as far as it can be read from them without running them. Pure."""

from __future__ import annotations

import re
import shlex
from typing import Final, NamedTuple

_ALTERNATIVE: Final = re.compile(r"\bupdate-alternatives\s[^;&|\n]*?--install\b[^;&|\n]*")
# Work that extraction cannot do for an arbitrary package; said to the user, never left out in silence.
_WORK: Final = {
    "adduser": "create users",
    "addgroup": "create groups",
    "useradd": "create users",
    "groupadd": "create groups",
    "systemd-sysusers": "create users",
    "setcap": "set capabilities",
    "dpkg-divert": "divert files",
    "dpkg-statoverride": "change owners",
}
_COMMAND: Final = re.compile(rf"^[ \t]*(?:if[ \t]+!?[ \t]*)?({'|'.join(_WORK)})\b", re.MULTILINE)


class Alternative(NamedTuple):
    """One `update-alternatives --install`: the generic path, its name, the file, its priority, and slaves."""

    link: str
    name: str
    path: str
    priority: int
    slaves: tuple[tuple[str, str, str], ...] = ()


def alternatives(script: str) -> list[Alternative]:
    """The alternatives that a postinst installs, where they are spelled out; others are not found."""
    found = []
    for call in _ALTERNATIVE.finditer(script.replace("\\\n", " ")):
        if "$" in call[0] or "`" in call[0]:
            continue
        try:
            words = shlex.split(call[0])
        except ValueError:
            continue
        start = words.index("--install") + 1 if "--install" in words else len(words)
        fields = words[start : start + 4]
        if len(fields) < 4 or not fields[3].lstrip("-").isdigit():
            continue
        slaves = [
            (words[at + 1], words[at + 2], words[at + 3])
            for at, word in enumerate(words)
            if word == "--slave" and at + 3 < len(words)
        ]
        found.append(Alternative(fields[0], fields[1], fields[2], int(fields[3]), tuple(slaves)))
    return found


def unmet_work(script: str) -> list[str]:
    """In a few words, what the script would have done that nobody does in its place."""
    return sorted({_WORK[command] for command in _COMMAND.findall(script)})
