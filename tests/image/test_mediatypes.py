from tiffin.image.mediatypes import docker_manifest, oci_descriptor, oci_manifest
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Manifest


def test_docker_s_words_become_oci_s_for_the_same_content():
    layer = Descriptor.of(b"x", MediaType.DOCKER_LAYER_GZIP)
    config = Descriptor.of(b"{}", MediaType.DOCKER_CONFIG)
    assert oci_manifest(Manifest(config, (layer,), media_type=MediaType.DOCKER_MANIFEST)) == Manifest(
        Descriptor.of(b"{}", MediaType.OCI_CONFIG), (Descriptor.of(b"x", MediaType.OCI_LAYER_GZIP),)
    )
    assert (
        oci_descriptor(Descriptor.of(b"x", MediaType.OCI_LAYER_ZSTD)).media_type == MediaType.OCI_LAYER_ZSTD
    )


def test_oci_s_words_become_docker_s_without_annotations():
    docker = Manifest(
        Descriptor.of(b"{}", MediaType.DOCKER_CONFIG),
        (Descriptor.of(b"x", MediaType.DOCKER_LAYER), Descriptor.of(b"y", MediaType.DOCKER_LAYER_GZIP)),
        media_type=MediaType.DOCKER_MANIFEST,
    )
    oci = oci_manifest(docker)
    assert docker_manifest(oci) == docker
    annotated = Manifest(oci.config, oci.layers, {"a": "b"})
    assert docker_manifest(annotated) == docker
