"""Which files hold keys and passwords, by their names. Pure.

Names alone are looked at, so they are those that hardly anything else has.
"""

from __future__ import annotations

NAMES = frozenset(
    {
        ".env",
        ".git-credentials",
        ".htpasswd",
        ".netrc",
        ".pgpass",
        ".pypirc",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
        "id_rsa",
        "kubeconfig",
    }
)
ENDINGS = frozenset({"jks", "kdbx", "p12", "pem", "pfx"})
# These names say something only in the folder that they are usual in.
IN_FOLDERS = {
    "application_default_credentials.json": "gcloud",
    "config": ".kube",
    "config.json": ".docker",
    "credentials": ".aws",
    "token": "huggingface",
}
_ENVIRONMENT = ".env."
_EXAMPLES = frozenset({"dist", "example", "sample", "template", "tmpl"})
# Certificates of authorities are for everybody, and lie in many packages.
_PUBLIC = ("ca", "cert", "chain", "fullchain", "public", "dhparam", "roots")


def is_secret(path: str) -> bool:
    """Whether the file `path` is likely to hold a secret."""
    folder, _, name = path.rpartition("/")
    if name in NAMES:
        return True
    if name.startswith(_ENVIRONMENT):
        return name.rpartition(".")[2] not in _EXAMPLES
    if name in IN_FOLDERS:
        return folder.rpartition("/")[2] == IN_FOLDERS[name]
    stem, dot, ending = name.rpartition(".")
    if not dot or ending not in ENDINGS:
        return False
    return ending != "pem" or not stem.lower().startswith(_PUBLIC)
