"""Licences in the words of packages → SPDX expressions (spdx.org, annex D of the specification). Pure.

A word that is no SPDX identifier is kept as it is, under a reference that the document explains.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOTHING_SAID: Final = "NOASSERTION"
# Those that are met in distributions and on package indexes; anything else is referred to.
_KNOWN: Final = [
    "0BSD",
    "AFL-2.1",
    "AFL-3.0",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-1.0",
    "Artistic-1.0-Perl",
    "Artistic-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-LBNL",
    "BSD-4-Clause",
    "BSD-4-Clause-UC",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDDL-1.0",
    "CDDL-1.1",
    "CECILL-2.1",
    "CNRI-Python",
    "CPL-1.0",
    "EPL-1.0",
    "EPL-2.0",
    "EUPL-1.2",
    "FSFAP",
    "FSFUL",
    "FSFULLR",
    "FTL",
    "GFDL-1.2-only",
    "GFDL-1.2-or-later",
    "GFDL-1.3-only",
    "GFDL-1.3-or-later",
    "GPL-1.0-only",
    "GPL-1.0-or-later",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "HPND-sell-variant",
    "ICU",
    "IJG",
    "ISC",
    "JSON",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "LPPL-1.3c",
    "Libpng",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-1.1",
    "MPL-2.0",
    "NCSA",
    "OFL-1.1",
    "OLDAP-2.8",
    "OpenSSL",
    "PHP-3.01",
    "PSF-2.0",
    "PostgreSQL",
    "Python-2.0",
    "Python-2.0.1",
    "QPL-1.0",
    "Ruby",
    "SGI-B-2.0",
    "SISSL",
    "SMLNJ",
    "SSH-OpenSSH",
    "Sleepycat",
    "TCL",
    "TCP-wrappers",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Vim",
    "W3C",
    "WTFPL",
    "X11",
    "Xfig",
    "XFree86-1.1",
    "ZPL-2.1",
    "Zlib",
    "bzip2-1.0.6",
    "curl",
    "libpng-2.0",
    "libtiff",
    "mpich2",
    "zlib-acknowledgement",
]
_EXCEPTIONS: Final = [
    "Autoconf-exception-2.0",
    "Autoconf-exception-3.0",
    "Bison-exception-2.2",
    "Classpath-exception-2.0",
    "Font-exception-2.0",
    "GCC-exception-2.0",
    "GCC-exception-3.1",
    "LLVM-exception",
    "Libtool-exception",
    "Linux-syscall-note",
    "OCaml-LGPL-linking-exception",
    "OpenSSL-exception",
    "Qt-GPL-exception-1.0",
    "u-boot-exception-2.0",
]
_BY_NAME: Final = {each.lower(): each for each in _KNOWN}
_EXCEPTION: Final = {each.lower(): each for each in _EXCEPTIONS}
# Names that mean one of them and nothing else: of trove classifiers, of Debian, of old SPDX.
_ALIASES: Final = {
    "mit license": "MIT",
    "the mit license": "MIT",
    "the mit license (mit)": "MIT",
    "expat": "MIT",
    "apache software license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache2": "Apache-2.0",
    "isc license (iscl)": "ISC",
    "isc license": "ISC",
    "python software foundation license": "PSF-2.0",
    "psf": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "new bsd license": "BSD-3-Clause",
    "the unlicense (unlicense)": "Unlicense",
    "zlib/libpng license": "Zlib",
}
_GNU: Final = re.compile(r"(GPL|LGPL|AGPL|GFDL)[-v]?(\d)(\.\d)?(\+|-or-later|-only)?", re.IGNORECASE)
_TOKEN: Final = re.compile(r"\(|\)|[A-Za-z0-9.+:-]+")
_OPERATORS: Final = ("AND", "OR", "WITH")
_REFERENCE: Final = re.compile(r"[^A-Za-z0-9.-]+")


class Declared(NamedTuple):
    """An expression, and the texts of the references by their names: those in it, and those known before."""

    expression: str
    references: dict[str, str]


def declare(licenses: Iterable[str], known: Mapping[str, str] = {}) -> Declared:
    """Return one expression for all that a package says, joined by AND.

    `known` are the references of the document so far: a name of one of them is not given to another text.
    """
    references = dict(known)
    parts = [_expression(text, references) for text in licenses if text.strip()]
    if not parts:
        return Declared(NOTHING_SAID, references)
    if len(parts) > 1:
        parts = [f"({part})" if " " in part else part for part in parts]
    return Declared(" AND ".join(dict.fromkeys(parts)), references)


def _expression(text: str, references: dict[str, str]) -> str:
    """Return `text` as an expression: as it is if it is one, else a word for all of it."""
    word = _identifier(text)
    if word:
        return word
    words = _TOKEN.findall(text)
    if "".join(words) == re.sub(r"\s+", "", text) and _is_expression(words):
        own = dict(references)
        written = [_written(word, words[at - 1] if at else "", own) for at, word in enumerate(words)]
        if all(written):
            references |= own
            return re.sub(r"\( | \)", lambda found: found[0].strip(), " ".join(written))
    return _refer(text, references)


def _is_expression(words: list[str]) -> bool:
    """Whether the words stand in the order of an expression: names between operators, brackets in pairs."""
    depth, name_next = 0, True
    for word in words:
        operator = word.upper() in _OPERATORS
        if word == "(" or (word not in ("(", ")") and not operator):
            if not name_next:
                return False
            depth += word == "("
            name_next = word == "("
        else:
            if name_next:
                return False
            depth -= word == ")"
            name_next = operator
        if depth < 0:
            return False
    return depth == 0 and not name_next and any(word.upper() in _OPERATORS for word in words)


def _written(word: str, before: str, references: dict[str, str]) -> str:
    """Return a word of an expression; empty for an exception that SPDX does not know."""
    if word in ("(", ")"):
        return word
    if word.upper() in _OPERATORS:
        return word.upper()
    if before.upper() == "WITH":
        return _EXCEPTION.get(word.lower(), "")
    return _identifier(word) or _refer(word, references)


def _identifier(text: str) -> str:
    """Return the SPDX identifier that `text` means; empty if there is none."""
    low = " ".join(text.lower().split())
    known = _BY_NAME.get(low) or _ALIASES.get(low)
    if known:
        return known
    gnu = _GNU.fullmatch(low)
    if gnu is None:
        return ""
    later = "or-later" if gnu[4] in ("+", "-or-later") else "only"
    return _BY_NAME.get(f"{gnu[1]}-{gnu[2]}{gnu[3] or '.0'}-{later}".lower(), "")


def _refer(text: str, references: dict[str, str]) -> str:
    """Return a reference to a licence that SPDX has no name for."""
    name = f"LicenseRef-{_REFERENCE.sub('-', text).strip('-')[:64] or 'unnamed'}"
    while references.get(name, text) != text:
        name += "-x"
    references[name] = text
    return name
