"""Where the policy for images is, if there is one: so that nothing more is loaded where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tiffin.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine
    from tiffin.engine.settings import Settings
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference
    from tiffin.registry.access import Registries

VARIABLE: Final = "TIFFIN_SIGNATURE_POLICY"
_MACHINE: Final = Path("/etc/containers/policy.json")


def policy_file(settings: Settings) -> Path | None:
    """The policy in force: the one that was named, the user's, or the machine's. None if there is none.

    Raises NotFoundError for a named one that is not there, InvalidError for a name that is empty, as in a
    script whose own variable was forgotten: no policy would mean that anything may come in.
    """
    named = settings.environ.get(VARIABLE)
    if named == "":
        raise InvalidError(
            f"--signature-policy, or {VARIABLE}, is empty and names no policy",
            code="no-policy-named",
            hint="name the policy; or leave it out, or unset the variable, for yours or the machine's",
        )
    if named is not None:
        path = Path(named).absolute()
        if not path.exists():
            raise NotFoundError(
                f"there is no policy {named}",
                code="no-such-file",
                hint=f"--signature-policy names it, or {VARIABLE}; without them yours or the machine's is",
            )
        return path
    home = settings.environ.get("HOME", "")
    own = Path(home) / ".config/containers/policy.json" if home.startswith("/") else None
    # Whatever is there counts, readable or not: a policy that cannot be read must not be as none at all.
    return next((path for path in (own, _MACHINE) if path is not None and _is_there(path)), None)


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def admit(
    engine: Engine, reference: Reference, digests: list[Digest], registries: Registries | None = None
) -> None:
    """See that the policy lets the image `reference` in; one of its manifests `digests` may be signed.

    Raises DeniedError if it does not, InvalidError for a policy that cannot be used.
    """
    path = policy_file(engine.settings)
    if path is None:
        return
    from tiffin.engine.policies import Judge

    Judge(engine, path).admit(reference, digests, registries)


def admit_file(engine: Engine, transport: str, path: str, tag: str = "") -> None:
    """See that the policy lets in what comes from a file or another engine. Raises as `admit`."""
    policy = policy_file(engine.settings)
    if policy is None:
        return
    from tiffin.engine.policies import Judge

    Judge(engine, policy).admit_file(transport, path, tag)
