# ruff: noqa: E501  # a table reads best with one case a line
import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tiffin.errors import CorruptError, InvalidError
from tiffin.layer.compress import compress, decompress
from tiffin.oci.digest import DiffID, Digest

TEXT = b" ".join(b"%d" % random.Random(number // 7).randrange(10**9) for number in range(300_000))
DATA = {
    "nothing": b"",
    "a byte": b"x",
    "a block": TEXT[: 1 << 20],
    "more": TEXT,
    "noise": os.urandom(1_500_000),
}


def packed(data, kind, **options):
    with compress(io.BytesIO(data), kind, **options) as stream:
        return b"".join(iter(lambda: stream.read(70_000), b"")), stream


@pytest.mark.parametrize("data", DATA.values(), ids=DATA.keys())
@pytest.mark.parametrize("kind", ["gzip", "zstd", "none"])
def test_what_is_packed_comes_out_again(kind, data):
    result, stream = packed(data, kind)
    assert decompress(io.BytesIO(result)).read() == data
    assert (stream.digest, stream.size) == (Digest.of(result), len(result))
    assert (stream.diff_id, stream.plain_size) == (DiffID.of(data), len(data))


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@pytest.mark.parametrize("data", DATA.values(), ids=DATA.keys())
def test_the_tools_of_the_system_read_it(kind, data):
    if shutil.which(kind) is None:
        pytest.skip(f"{kind} is not installed")
    out = subprocess.run([kind, "-dc"], input=packed(data, kind)[0], capture_output=True, check=True)
    assert out.stdout == data


@pytest.mark.parametrize("size", [4095, 4096, 65_535, 65_536, 2 * 65_535, 1 << 20, (1 << 20) + 1])
@pytest.mark.parametrize("level", [None, 1, 6])
def test_what_cannot_be_made_smaller_is_stored(size, level):
    data = random.Random(size).randbytes(size)
    result, _ = packed(data, "gzip", level=level)
    blocks, stored = -(-size // (1 << 20)), -(-size // 65_535) + 1
    assert len(result) <= size + blocks * 18 + stored * 5
    assert gzip.decompress(result) == data


def test_dense_data_between_other_data_costs_the_latter_nothing():
    noise = random.Random(1).randbytes(1 << 20)
    mixed = packed(TEXT[: 1 << 20] + noise + TEXT[: 1 << 20], "gzip")[0]
    text = packed(TEXT[: 1 << 20], "gzip")[0]
    assert len(mixed) < 2 * len(text) + len(noise) + 200
    assert gzip.decompress(mixed) == TEXT[: 1 << 20] + noise + TEXT[: 1 << 20]


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_the_bytes_do_not_depend_on_threads_or_on_how_the_stream_flows(kind):
    class Dribble(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 99_991))

    wanted = packed(TEXT, kind, threads=1)[0]
    assert packed(TEXT, kind, threads=3)[0] == wanted
    with compress(Dribble(TEXT), kind) as stream:
        assert stream.read() == wanted
    assert len(wanted) < len(TEXT) * 0.8


def test_gzip_names_no_time_and_no_system():
    assert packed(b"x", "gzip")[0][:10] == bytes.fromhex("1f8b08000000000000ff")


@pytest.mark.parametrize(
    ("kind", "level"), [("gzip", 10), ("gzip", -1), ("zstd", 0), ("zstd", 23), ("none", 1)]
)
def test_a_level_that_does_not_exist_is_refused(kind, level):
    with pytest.raises(InvalidError):
        compress(io.BytesIO(b""), kind, level)


@pytest.mark.parametrize(("kind", "level"), [("gzip", 0), ("gzip", 3), ("gzip", 9), ("zstd", 22)])
def test_every_level_can_be_read_and_is_the_same_for_any_number_of_threads(kind, level):
    data = TEXT[: 3 << 19]
    wanted = packed(data, kind, level=level, threads=1)[0]
    assert decompress(io.BytesIO(wanted)).read() == data
    assert packed(data, kind, level=level, threads=4)[0] == wanted


def test_levels_make_a_difference():
    source = b"".join(path.read_bytes() for path in sorted(Path(os.__file__).parent.glob("*.py")))
    sizes = [len(packed(source, "zstd", level=level)[0]) for level in (1, 9)]
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(TEXT), gzip.compress(TEXT[:99]) + gzip.compress(TEXT[99:]), bz2.compress(TEXT), lzma.compress(TEXT), TEXT,
    ],
    ids=["gzip", "members", "bzip2", "xz", "plain"],
)  # fmt: skip
def test_every_form_is_known_by_its_first_bytes(data):
    assert decompress(io.BytesIO(data)).read() == TEXT


def test_zstd_of_many_frames_and_skippable_ones():
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0note"
    data = skippable + packed(TEXT[:5], "zstd")[0] + packed(TEXT[5:], "zstd")[0]
    assert decompress(io.BytesIO(data)).read() == TEXT


@pytest.mark.parametrize("data", [b"", b"\x1f", b"BZ", b"\x28\xb5\x2f", b"\xfd7zXZ"])
def test_what_is_too_short_for_a_signature_is_plain(data):
    assert decompress(io.BytesIO(data)).read() == data


DAMAGE = {
    "gzip": (gzip.compress(TEXT), b"\x1f\x8b"),
    "zstd": (packed(TEXT, "zstd")[0], b""),
    "bzip2": (bz2.compress(TEXT), b""),
    "xz": (lzma.compress(TEXT), b""),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_cut_off_is_corrupt(kind):
    data = DAMAGE[kind][0]
    for length in (len(data) - 1, len(data) // 2, 30):
        with pytest.raises(CorruptError, match="damaged"):
            decompress(io.BytesIO(data[:length])).read()


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_was_altered_is_corrupt(kind):
    data = bytearray(DAMAGE[kind][0])
    for position in range(len(data) // 2, len(data) // 2 + 8):
        data[position] ^= 0xFF
    with pytest.raises(CorruptError):
        decompress(io.BytesIO(bytes(data))).read()


def test_a_window_that_would_fill_the_memory_is_refused():
    # A frame header (RFC 8878, 3.1.1.1) that asks for a window of 2 GiB.
    with pytest.raises(CorruptError):
        decompress(io.BytesIO(b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(40))).read()


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_is_read_in_small_pieces(kind):
    bomb = packed(bytes(256 << 20), kind)[0]
    assert len(bomb) < 4 << 20
    with decompress(io.BytesIO(bomb)) as stream:
        import resource

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        total = sum(len(piece) for piece in iter(lambda: stream.read(1 << 20), b""))
        assert total == 256 << 20
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_an_error_below_is_passed_on():
    class Breaks(io.BytesIO):
        def read(self, size=-1):
            data = super().read(min(size, 1000))
            if not data:
                raise ConnectionResetError(104, "gone")
            return data

    with pytest.raises(ConnectionResetError):
        decompress(Breaks(gzip.compress(os.urandom(5000))[:3000])).read()


def test_closing_early_ends_the_threads_and_leaves_the_stream():
    source = io.BytesIO(TEXT * 4)
    stream = compress(source, "gzip", threads=2)
    stream.read(10)
    stream.close()
    assert not source.closed
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("layer-compress")]


def test_it_can_be_stored_while_it_is_made():
    result, stream = packed(TEXT, "gzip")
    assert hashlib.sha256(result).hexdigest() == stream.digest.encoded
