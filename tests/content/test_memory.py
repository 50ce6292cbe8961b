import pytest
from tests.suites.content_place import NamesSuite, PlaceSuite

from tiffin.content.memory import MemoryPlace
from tiffin.oci.descriptor import Descriptor, MediaType


class TestMemory(PlaceSuite, NamesSuite):
    @pytest.fixture
    def place(self):
        return MemoryPlace()


def test_writing_gives_the_descriptor():
    place = MemoryPlace()
    descriptor = place.write(b"{}", MediaType.OCI_CONFIG)
    assert descriptor == Descriptor.of(b"{}", MediaType.OCI_CONFIG)
    assert place.open(descriptor).read() == b"{}"
