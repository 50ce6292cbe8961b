"""What the published schemas say of attestations: the keys, which must be there, and the form of values.

From spdx-schema.json of SPDX 2.3, the in-toto attestation specification v0.1 and v1, and slsa.dev/provenance.
"""

import re

_ID = r"SPDXRef-[A-Za-z0-9.-]+"
_TEXT = r"(?s).+"
_LICENSE = r"NONE|NOASSERTION|[A-Za-z0-9.+() -]+"
_URI = r"(?s)https?://\S+|NONE|NOASSERTION"
_AGENT = r"NOASSERTION|(Person|Organization): .+"
# key → (must be there, form of the value)
DOCUMENT = {
    "spdxVersion": (True, r"SPDX-2\.3"),
    "dataLicense": (True, r"CC0-1\.0"),
    "SPDXID": (True, "SPDXRef-DOCUMENT"),
    "name": (True, _TEXT),
    "documentNamespace": (True, r"https?://[^\s#]+"),
    "creationInfo": (True, None),
    "packages": (False, None),
    "relationships": (False, None),
    "hasExtractedLicensingInfos": (False, None),
    "comment": (False, _TEXT),
}
CREATION = {"created": (True, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "creators": (True, None)}
PACKAGE = {
    "SPDXID": (True, _ID),
    "name": (True, _TEXT),
    "downloadLocation": (True, _URI),
    "versionInfo": (False, _TEXT),
    "filesAnalyzed": (False, None),
    "licenseConcluded": (False, _LICENSE),
    "licenseDeclared": (False, _LICENSE),
    "copyrightText": (False, _TEXT),
    "supplier": (False, _AGENT),
    "homepage": (False, _URI),
    "sourceInfo": (False, _TEXT),
    "externalRefs": (False, None),
    "primaryPackagePurpose": (False, "CONTAINER|SOURCE"),
}
REFERENCE = {
    "referenceCategory": (True, "PACKAGE-MANAGER"),
    "referenceType": (True, "purl"),
    "referenceLocator": (True, r"pkg:[a-z]+/\S+"),
}
RELATIONSHIP = {
    "spdxElementId": (True, _ID),
    "relationshipType": (True, "DESCRIBES|CONTAINS"),
    "relatedSpdxElement": (True, _ID),
}
EXTRACTED = {
    "licenseId": (True, r"LicenseRef-[A-Za-z0-9.-]+"),
    "extractedText": (True, _TEXT),
    "name": (False, _TEXT),
}
STATEMENT = {
    "_type": (True, r"https://in-toto\.io/Statement/(v0\.1|v1)"),
    "subject": (True, None),
    "predicateType": (True, r"https://\S+"),
    "predicate": (True, None),
}
SUBJECT = {"name": (True, r"_|pkg:docker/\S+"), "digest": (True, None)}
PROVENANCE_02 = {
    "builder": (True, None),
    "buildType": (True, r"https://\S+"),
    "invocation": (False, None),
    "buildConfig": (False, None),
    "metadata": (False, None),
    "materials": (False, None),
}
MATERIAL = {"uri": (True, _TEXT), "digest": (False, None)}
DEFINITION_1 = {
    "buildType": (True, r"https://\S+"),
    "externalParameters": (True, None),
    "internalParameters": (False, None),
    "resolvedDependencies": (False, None),
}
DETAILS_1 = {"builder": (True, None), "metadata": (False, None), "byproducts": (False, None)}


def fits(value, keys):
    """Assert that an object has the keys it must have, none that the schema does not know, in their form."""
    assert {key for key, (needed, _) in keys.items() if needed} <= set(value) <= set(keys), sorted(value)
    for key, found in value.items():
        form = keys[key][1]
        if form is not None:
            assert isinstance(found, str), key
            assert re.fullmatch(form, found), (key, found)


def check_spdx(document):
    """Assert that it is an SPDX 2.3 document, and that what it refers to is in it."""
    fits(document, DOCUMENT)
    fits(document["creationInfo"], CREATION)
    assert all(
        re.fullmatch(r"(Tool|Person|Organization): .+", one) for one in document["creationInfo"]["creators"]
    )
    ids = ["SPDXRef-DOCUMENT"]
    licenses = set()
    for package in document["packages"]:
        fits(package, PACKAGE)
        ids.append(package["SPDXID"])
        licenses |= set(re.findall(r"LicenseRef-[A-Za-z0-9.-]+", package["licenseDeclared"]))
        for reference in package.get("externalRefs", []):
            fits(reference, REFERENCE)
    assert len(ids) == len(set(ids))
    for relationship in document["relationships"]:
        fits(relationship, RELATIONSHIP)
        assert {relationship["spdxElementId"], relationship["relatedSpdxElement"]} <= set(ids)
    extracted = document.get("hasExtractedLicensingInfos", [])
    for each in extracted:
        fits(each, EXTRACTED)
    assert licenses == {each["licenseId"] for each in extracted}


def check_statement(statement, digest=None):
    """Assert that it is an in-toto statement about the manifest `digest`, with the predicate that it says."""
    fits(statement, STATEMENT)
    assert statement["subject"]
    for subject in statement["subject"]:
        fits(subject, SUBJECT)
        assert re.fullmatch(r"[0-9a-f]{64}", subject["digest"]["sha256"])
        assert digest is None or f"sha256:{subject['digest']['sha256']}" == digest
    predicate, kind = statement["predicate"], statement["predicateType"]
    if kind == "https://spdx.dev/Document":
        check_spdx(predicate)
    elif kind == "https://slsa.dev/provenance/v0.2":
        fits(predicate, PROVENANCE_02)
        assert set(predicate["builder"]) == {"id"}
        assert set(predicate["metadata"]["completeness"]) == {"parameters", "environment", "materials"}
        assert isinstance(predicate["metadata"]["reproducible"], bool)
        for material in predicate["materials"]:
            fits(material, MATERIAL)
    else:
        assert kind == "https://slsa.dev/provenance/v1"
        assert set(predicate) == {"buildDefinition", "runDetails"}
        fits(predicate["buildDefinition"], DEFINITION_1)
        fits(predicate["runDetails"], DETAILS_1)
        for material in predicate["buildDefinition"]["resolvedDependencies"]:
            fits(material, MATERIAL)
