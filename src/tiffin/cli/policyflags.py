"""--signature-policy, and the options to sign what is pushed, named as in Podman and skopeo."""

from __future__ import annotations

from tiffin.cli.options import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.sending import BeforeTag

SIGNATURE_POLICY = value("--signature-policy", "FILE", "Let in only what this policy allows (policy.json)")
PUSH_POLICY = value("--signature-policy", "FILE", "Give the name only if this policy would let the image in")
SIGN = (
    value("--sign-by-sigstore-private-key", "FILE", "Sign it with this key before it gets its name"),
    value("--sign-passphrase-file", "FILE", "Read the password of that key from the first line of this file"),
)


def use_policy(session: Session, arguments: Arguments) -> bool:
    """Let the policy that was given be the one in force; whether one was."""
    policy = arguments.text("signature-policy")
    if policy is not None:
        session.overrides["signature-policy"] = policy
    return policy is not None


def before_tag(session: Session, arguments: Arguments, *, judged: bool) -> BeforeTag | None:
    """What is to be done with an image that is sent, before it gets its name; None if nothing is."""
    key, file = arguments.text("sign-by-sigstore-private-key"), arguments.text("sign-passphrase-file")
    if key is None and file is not None:
        from tiffin.cli.options import usage

        raise usage("--sign-passphrase-file needs --sign-by-sigstore-private-key", session.path)
    if key is None and not judged:
        return None
    from tiffin.engine.pushgate import gate

    if key is None:
        return gate(None, judged=judged)
    from tiffin.cli.signingkey import signing_of

    return gate(signing_of(session, key, file), judged=judged)
