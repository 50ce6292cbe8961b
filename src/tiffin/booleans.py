"""Yes and no as Go's strconv.ParseBool reads them, and so Docker, BuildKit and bake. Imports nothing."""

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
EITHER = TRUE | FALSE
