"""Yes and no in arguments, as Go's strconv.ParseBool reads them, and so BuildKit. Pure."""

from __future__ import annotations

from typing import Final

TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
EITHER: Final = TRUE | FALSE
