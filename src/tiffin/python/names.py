"""What `import tiffin` offers, in one place; loaded when one of the names is used."""

from tiffin.errors import TiffinError
from tiffin.python.calls import build, container, containers, image, images, pull, push, run
from tiffin.python.container import Container, Execution
from tiffin.python.image import Image, Layer

__all__ = [
    "Container",
    "Execution",
    "Image",
    "Layer",
    "TiffinError",
    "build",
    "container",
    "containers",
    "image",
    "images",
    "pull",
    "push",
    "run",
]
