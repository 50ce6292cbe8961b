"""What is sent and fetched: an image of five layers, torch as it is installed, and weights.

    python benchmarks/payloads.py mixed|torch|weights FOLDER BYTES

The same every time. It runs as a process of its own, whose memory would else count as that of what it starts.
"""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MEGA = 1 << 20
_UNIT = 64 * MEGA
_WORDS = 4096


def weights(size: int, seed: int = 1) -> Iterator[bytes]:
    """Numbers of 32 bits as trained weights have them: noise but for the exponent, which has few values."""
    generator = random.Random(seed)
    exponents = bytes(
        generator.choices((0x3B, 0x3C, 0x3D, 0xBB, 0xBC, 0xBD), (3, 9, 4, 3, 9, 4))[0] for _ in range(256)
    )
    count = _UNIT // 4
    unit = bytearray(_UNIT)
    for place in range(3):
        unit[place::4] = generator.randbytes(count)
    unit[3::4] = generator.randbytes(count).translate(exponents)
    while size > 0:
        yield bytes(unit[:size])
        size -= len(unit)


def weights_file(file: Path, size: int) -> Path:
    """A file of weights."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        for part in weights(size):
            stream.write(part)
    return file


def five_layers(folder: Path, size: int) -> Path:
    """A context for five layers of a fifth each: small texts, texts, half noise, noise, and weights."""
    fifth = size // 5
    generator = random.Random(5)
    text = _text(generator, 4 * MEGA)
    noise = generator.randbytes(4 * MEGA)

    def part(source: bytes, length: int) -> bytes:
        start = generator.randrange(len(source) - length)
        return source[start : start + length]

    kinds = {
        "small": (16 << 10, lambda length: part(text, length)),
        "texts": (256 << 10, lambda length: part(text, length)),
        "mixed": (1 * MEGA, lambda length: part(text, length // 2) + part(noise, length // 2)),
        "noise": (2 * MEGA, lambda length: part(noise, length)),
    }
    for name, (length, make) in kinds.items():
        for number in range(fifth // length):
            file = folder / name / f"{number // 100:03}" / f"{number % 100:02}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(make(length))
    weights_file(folder / "weights" / "model.safetensors", fifth)
    copies = [f"COPY {name} /data/{name}/\n" for name in (*kinds, "weights")]
    (folder / "Dockerfile").write_text("FROM scratch\n" + "".join(copies))
    return folder


def torch_image(folder: Path, _size: int) -> Path:
    """A context with torch as pip installs it, of which the package index is asked."""
    target = folder / "site-packages"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
    subprocess.run([*command, "torch"], check=True, stderr=subprocess.DEVNULL)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY site-packages /usr/lib/python3/dist-packages/\n")
    return folder


def weights_image(folder: Path, size: int) -> Path:
    """A context with one file of weights."""
    weights_file(folder / "model.safetensors", size)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY model.safetensors /model/\n")
    return folder


def _text(generator: random.Random, size: int) -> bytes:
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(generator.choices(letters, k=generator.randint(2, 10))) for _ in range(_WORDS)]
    text = " ".join(generator.choices(words, k=size // 4))
    return text.encode()[:size]


if __name__ == "__main__":
    {"mixed": five_layers, "torch": torch_image, "weights": weights_image}[sys.argv[1]](
        Path(sys.argv[2]), int(sys.argv[3])
    )
