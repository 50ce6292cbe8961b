import pytest

from tiffin.base.deb import open_tar, read_control
from tiffin.errors import CorruptError, UnsupportedError

CONTROL = "Package: tool\nVersion: 1\n"
FILES = [("usr", None, 0o755), ("usr/tool", b"tool" * 1000, 0o755), ("etc/link", "../usr/tool", 0o777, b"2")]


@pytest.fixture
def write(tmp_path):
    def put(data):
        path = tmp_path / "tool.deb"
        path.write_bytes(data)
        return path

    return put


@pytest.mark.parametrize("kind", ["", ".gz", ".xz", ".zst"])
def test_every_compression(kit, write, kind):
    path = write(kit.deb_of(CONTROL, FILES, data_kind=kind, scripts=[("postinst", "#!/bin/sh\n")]))
    with open_tar(path, "data.tar", "tool") as archive:
        found = [
            (member.name, archive.extractfile(member).read() if member.isreg() else None)
            for member in archive
        ]
    assert found == [("./usr", None), ("./usr/tool", b"tool" * 1000), ("./etc/link", None)]
    control = read_control(path, "tool")
    assert control["control"] == CONTROL.encode()
    assert control["postinst"] == b"#!/bin/sh\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"PK" + data[2:], "not begin as an ar archive"),
        (lambda data: data[:100], "broken ar header|lacks one of"),
        (lambda data: data.replace(b"control.tar.gz", b"kontrol.tar.gz"), "lacks one of"),
        (lambda data: data[:66] + b"x" + data[67:], "broken ar header"),
        (lambda data: data[:-200], "cannot be read"),
    ],
)
def test_what_is_no_package(kit, write, change, message):
    path = write(change(kit.deb_of(CONTROL, FILES)))
    with pytest.raises(CorruptError, match=message), open_tar(path, "data.tar", "tool") as archive:
        archive.getmembers()


def test_an_unknown_compression(kit, write):
    path = write(kit.deb_of(CONTROL, FILES).replace(b"data.tar.xz ", b"data.tar.br "))
    with pytest.raises(UnsupportedError, match=r"\.br"), open_tar(path, "data.tar", "tool"):
        pass
