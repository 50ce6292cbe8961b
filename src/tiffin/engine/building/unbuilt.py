"""An image that will be a named context, and is not built yet."""

from __future__ import annotations

from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest

# Stands for it in a request that is only looked at.
UNBUILT = Descriptor(MediaType.OCI_MANIFEST, Digest(f"sha256:{'0' * 64}"), 0)
