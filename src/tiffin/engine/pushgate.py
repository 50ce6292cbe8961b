"""What happens to an image that is in the registry and has no name there yet: it is signed, and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiffin.content.protocol import Fetcher
    from tiffin.engine.engine import Engine
    from tiffin.engine.sending import BeforeTag
    from tiffin.engine.signing import Signing
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.reference import Reference
    from tiffin.registry.access import Registries


def gate(signing: Signing | None, *, judged: bool) -> BeforeTag:
    """Return what is to be done: sign it with all that an index lists, and, if `judged`, ask the policy.

    An image that the policy would not let in again gets no name. Raises what `sign` and `admit` raise.
    """

    def before_tag(
        engine: Engine, registries: Registries, reference: Reference, source: Fetcher, root: Descriptor
    ) -> None:
        if signing is not None:
            from tiffin.engine.signing import sign

            sign(registries, reference, source, root, signing, recursive=True)
        if judged:
            from tiffin.engine.policyfile import admit

            admit(engine, reference, [root.digest], registries)

    return before_tag
