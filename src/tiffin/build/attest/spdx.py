"""An inventory as an SPDX 2.3 document (spdx.github.io/spdx-spec/v2.3). Pure.

The same inventory of the same image gives the same document: its namespace comes from the image's
digest, its date is the epoch.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tiffin.build.attest.licenses import NOTHING_SAID, declare
from tiffin.version import VERSION

if TYPE_CHECKING:
    from tiffin.build.attest.packages import Package
    from tiffin.build.attest.scan import Inventory

_DOCUMENT: Final = "SPDXRef-DOCUMENT"
_SPACE: Final = uuid.UUID("8b5f0c1e-3d0b-5c0e-9f5a-6f3a2d6b1c47")
_NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9.-]+")
_DATABASES: Final = {"deb": "dpkg", "apk": "apk", "rpm": "rpm"}
_LARGEST: Final = 500  # characters of a field that somebody else wrote


class Subject(NamedTuple):
    """What was looked at: how it is called, what tells it from all others, and its kind in SPDX's words."""

    name: str
    identity: str
    purpose: str = "CONTAINER"


def document(inventory: Inventory, subject: Subject, epoch: int) -> dict[str, Any]:
    """Return the document about `subject`; `epoch` is in seconds."""
    whole = _id("DocumentRoot", subject.name, subject.identity)
    texts: dict[str, str] = {}
    packages = [_package(each, texts) for each in inventory.packages]
    links = [(_DOCUMENT, "DESCRIBES", whole), *((whole, "CONTAINS", each["SPDXID"]) for each in packages)]
    found: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": subject.name,
        "documentNamespace": _namespace(subject),
        "creationInfo": {
            "created": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: tiffin-{VERSION}"],
        },
        "packages": [_root(whole, subject), *packages],
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
            for one, kind, other in links
        ],
    }
    if texts:
        found["hasExtractedLicensingInfos"] = [
            {"licenseId": name, "name": text[:_LARGEST], "extractedText": text[:_LARGEST]}
            for name, text in sorted(texts.items())
        ]
    if inventory.missed:
        found["comment"] = f"not read, and so not in this list: {', '.join(inventory.missed)}"[:_LARGEST]
    return found


def _namespace(subject: Subject) -> str:
    unique = uuid.uuid5(_SPACE, f"{subject.name} {subject.identity}")
    return f"https://spdx.org/spdxdocs/tiffin-{_NOT_IN_ID.sub('-', subject.name)}-{unique}"


def _id(*parts: str) -> str:
    """Return an identifier for what the parts name; the hash keeps two apart that are written alike."""
    readable = "-".join(filter(None, (_NOT_IN_ID.sub("-", part).strip("-") for part in parts[:2])))
    return f"SPDXRef-{readable[:120]}-{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:16]}"


def _root(identity: str, subject: Subject) -> dict[str, Any]:
    return {
        "SPDXID": identity,
        "name": subject.name,
        "versionInfo": subject.identity,
        "downloadLocation": NOTHING_SAID,
        "filesAnalyzed": False,
        "licenseConcluded": NOTHING_SAID,
        "licenseDeclared": NOTHING_SAID,
        "copyrightText": NOTHING_SAID,
        "primaryPackagePurpose": subject.purpose,
    }


def _package(package: Package, texts: dict[str, str]) -> dict[str, Any]:
    declared = declare((text[:_LARGEST] for text in package.licenses), texts)
    texts |= declared.references
    found: dict[str, Any] = {
        "SPDXID": _id(f"Package-{package.kind}", package.name, package.url, package.found),
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": NOTHING_SAID,
        "filesAnalyzed": False,
        "licenseConcluded": NOTHING_SAID,
        "licenseDeclared": declared.expression,
        "copyrightText": NOTHING_SAID,
        "sourceInfo": f"acquired package info from {_where(package)}: {package.found}",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package.url,
            }
        ],
    }
    if package.supplier:
        kind = "Organization" if package.kind == "rpm" else "Person"
        found["supplier"] = f"{kind}: {' '.join(package.supplier.split())[:_LARGEST]}"
    if re.fullmatch(r"https?://[!-~]{1,400}", package.homepage):
        found["homepage"] = package.homepage
    return found


def _where(package: Package) -> str:
    database = _DATABASES.get(package.kind)
    return f"the data base of {database}" if database else f"the metadata of a package ({package.kind})"
