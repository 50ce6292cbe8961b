"""A registry in this process, and ours to reach it with: no pause is ever slept through."""

import io

import pytest
from tests.image.images import draft_of, put

from tiffin.content.memory import MemoryPlace
from tiffin.oci.reference import Reference
from tiffin.registry.access import Registries


class Ours:
    """Registries with an environment of their own; the pauses they wanted are kept."""

    def __init__(self, root) -> None:
        self.root = root
        self.environ = {"HOME": str(root / "home"), "PATH": "/usr/bin:/bin"}
        self.pauses = []
        self.events = []
        self._open = []

    def registries(self, **options):
        found = Registries(
            self.environ, emit=self.events.append, root=self.root, sleep=self.pauses.append, **options
        )
        self._open.append(found)
        return found

    def pull(self, name, **options):
        return self.registries(**options).to_pull(Reference.parse(name))

    def push(self, name, mounts=None, **options):
        return self.registries(**options).to_push(Reference.parse(name), mounts)

    def log_in(self, registry, user, password):
        from tiffin.registry.credentials import Credentials, CredentialStore

        CredentialStore(self.environ).save(registry, Credentials(user, password))

    def close(self):
        for one in self._open:
            one.__exit__()


@pytest.fixture
def ours(tmp_path):
    (tmp_path / "home").mkdir()
    found = Ours(tmp_path)
    yield found
    found.close()


@pytest.fixture
def image():
    """An image in memory: the place, and the descriptor of its manifest."""
    place = MemoryPlace()
    return place, put(place, draft_of(place, b"layer one" * 999, b"layer two" * 99_999))


def offer(double, name, place, root, tag="latest"):
    """Let the double have an image."""
    for digest, data in place.blobs.items():
        if digest != root.digest:
            double.put(name, data)
    double.put(name, place.blobs[root.digest], root.media_type, tag)


def read(repository, descriptor):
    with repository.open(descriptor) as stream:
        assert isinstance(stream, io.BufferedIOBase)
        return stream.read()
