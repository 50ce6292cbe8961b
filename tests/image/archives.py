"""Archives for tests, member by member, in every form that tools have written them."""

import io
import json
import tarfile

from tiffin.oci.digest import Digest


def member(name, data=b"", kind=tarfile.REGTYPE, link="", **fields):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def pack(members, form=tarfile.PAX_FORMAT):
    """The tar of (TarInfo, data) pairs, headers as they are given, true or not."""
    out = io.BytesIO()
    for info, data in members:
        out.write(info.tobuf(form))
        out.write(data + bytes(-len(data) % 512))
    return out.getvalue() + bytes(1024)


def symlink(name, target):
    return member(name, kind=tarfile.SYMTYPE, link=target)


def old_docker(image, tags=("python:3",), *, shared=()):
    """What `docker save` of version 20 writes; layers of the given numbers are links to the first."""
    layers = [layer.open().read() for layer in image.layers]
    config = f"{image.id.encoded}.json"
    names = [f"{Digest.of(str(number).encode()).encoded}/layer.tar" for number in range(len(layers))]
    members = []
    for number, (name, data) in enumerate(zip(names, layers, strict=True)):
        folder = name.partition("/")[0]
        members += [
            member(f"{folder}/", kind=tarfile.DIRTYPE),
            member(f"{folder}/VERSION", b"1.0"),
            member(f"{folder}/json", b"{}"),
            symlink(name, f"../{names[0]}") if number in shared else member(name, data),
        ]
    listed = [{"Config": config, "RepoTags": list(tags) or None, "Layers": names}]
    return [
        *members,
        member(config, image.raw_config),
        member("manifest.json", json.dumps(listed).encode()),
        member("repositories", b"{}"),
    ]


def new_docker(image, tags=("python:3",), *, names=True):
    """What `docker save` of version 25 and later writes."""
    blobs = {image.descriptor.digest: image.raw_manifest, image.id: image.raw_config}
    blobs |= {layer.descriptor.digest: layer.open().read() for layer in image.layers}
    entry = {
        "mediaType": image.descriptor.media_type,
        "digest": image.descriptor.digest,
        "size": image.descriptor.size,
    }
    entries = [
        {
            **entry,
            "annotations": {
                "io.containerd.image.name": f"docker.io/library/{tag}",
                "org.opencontainers.image.ref.name": tag.partition(":")[2],
            },
        }
        for tag in tags
    ]
    listed = [
        {
            "Config": f"blobs/sha256/{image.id.encoded}",
            "RepoTags": list(tags) or None,
            "Layers": [f"blobs/sha256/{layer.descriptor.digest.encoded}" for layer in image.layers],
        }
    ]
    index = {"schemaVersion": 2, "manifests": entries if names and tags else [entry]}
    return [
        member("blobs/", kind=tarfile.DIRTYPE),
        member("blobs/sha256/", kind=tarfile.DIRTYPE),
        *(member(f"blobs/sha256/{digest.encoded}", data) for digest, data in blobs.items()),
        member("index.json", json.dumps(index).encode()),
        member("manifest.json", json.dumps(listed).encode()),
        member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
    ]
