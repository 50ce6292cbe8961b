"""What a build is asked to put out, read and checked before anything is built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.engine.annotations import parse_annotation
from tiffin.engine.building.outputspec import Output, parse_output, with_shorthands
from tiffin.errors import InvalidError
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from tiffin.engine.annotations import Annotated


class Asked(NamedTuple):
    """The words of the command line: those of `--output`, `--annotation` and `--tag`, and two switches."""

    outputs: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    tags: tuple[Reference, ...] = ()
    push: bool = False
    load: bool = False


def read_outputs(asked: Asked) -> tuple[Output, ...]:
    """Return what is to be put out; an image in the store if nothing else is asked for.

    Raises InvalidError or UnsupportedError for what cannot be, before anything is built.
    """
    outputs = tuple(parse_output(text) for text in asked.outputs)
    outputs = with_shorthands(outputs, push=asked.push, load=asked.load) or (Output("image"),)
    annotations = tuple(each for text in asked.annotations for each in parse_annotation(text))
    if annotations:
        outputs = tuple(_annotate(output, annotations) for output in outputs)
    for output in outputs:
        _check_place(output)
        _check_names(output, asked.tags)
    if sum(output.dest == "-" for output in outputs) > 1:
        raise InvalidError("two outputs cannot both go to standard output", hint="name files with dest=FILE")
    return outputs


def _annotate(output: Output, annotations: tuple[Annotated, ...]) -> Output:
    if not output.holds_image:
        return output
    if output.form.docker:
        raise InvalidError(
            "oci-mediatypes=false: Docker's media types have not got annotations", code="invalid-output"
        )
    # An output's own annotations come last, and win.
    form = output.form._replace(annotations=(*annotations, *output.form.annotations))
    return output._replace(form=form)


def _check_place(output: Output) -> None:
    """Refuse a place that cannot take the output, as long as nothing has been built."""
    if output.dest is None:
        return
    if output.dest == "-":
        if sys.stdout.isatty():
            raise InvalidError(
                f"an archive is not for a terminal: type={output.kind}",
                code="is-terminal",
                hint="name a file with dest=FILE, or send the output elsewhere",
            )
        return
    path = Path(output.dest)
    folder = output.kind == "local" or not output.archive
    if folder and path.exists() and not path.is_dir():
        raise InvalidError(f"--output type={output.kind}: {path} is no folder", code="output-in-the-way")
    if not folder and path.is_dir():
        raise InvalidError(
            f"--output type={output.kind}: {path} is a folder, and a file is written",
            code="output-in-the-way",
            hint=f"name a file: dest={path / 'image.tar'}",
        )


def _check_names(output: Output, tags: tuple[Reference, ...]) -> None:
    names = [Reference.parse(name) for name in output.names]
    if output.push and not (names or (tags and not output.by_digest)):
        raise InvalidError(
            "an image that is pushed needs a name",
            code="no-name",
            hint="name it with the registry: -t registry.example.org/NAME:TAG"
            if not output.by_digest
            else "name it in the output: type=image,name=registry.example.org/NAME,push-by-digest=true",
        )
    if output.by_digest and any(name.tag for name in names):
        raise InvalidError("push-by-digest pushes without a tag", hint=f"name it {names[0].familiar_name}")
    if any(name.digest is not None for name in (*names, *(tags if output.push else ()))):
        raise InvalidError("an image gets its digest by itself", hint="give a name with a tag, or without")
