"""tiffin bake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.buildflags import CALLS, MODES
from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag, refuse, usage, value, values

if TYPE_CHECKING:
    from tiffin.bake.load import Loaded
    from tiffin.bake.request import BakeRequest
    from tiffin.bake.selection import Selection
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.buildrequest import BuildResult

_LISTS = ("targets", "variables")

OPTIONS = (
    values(
        "--allow",
        "NAME[=PATH]",
        "Let targets do this: network.host, ssh, fs=PATH, fs.read=PATH, fs.write=PATH",
    ),
    value("--call", "METHOD", f"What to do: {', '.join(CALLS)}", default="build"),
    flag("--check", "Look at the Dockerfiles by all lint rules and build nothing, like --call=check"),
    values("-f, --file", "FILE", "A bake or Compose file, '-' for standard input; can be repeated"),
    value("--list", "targets|variables", "List what the files define; also type=…,format=json"),
    flag("--load", "Keep the images in the store, like --set '*.load=true'"),
    value(
        "--metadata-file", "FILE", "Write digests and names of the results into this file, as JSON by target"
    ),
    flag("--no-cache", "Run every instruction again"),
    flag("--print", "Print the targets as they would be built, as JSON, and build nothing"),
    value("--progress", "MODE", f"How to show progress: {', '.join(MODES)}", default="auto", choices=MODES),
    value("--provenance", "VALUE", "Attest how the image was made, like --set '*.attest=type=provenance'"),
    flag("--pull", "Ask the registry for newer base images"),
    flag("--push", "Send the images to their registries, like --set '*.push=true'"),
    value("--sbom", "VALUE", "Attest what is in the image, like --set '*.attest=type=sbom'"),
    values("--set", "TARGET.KEY=VALUE", "Change targets: a pattern of their names, an attribute, += adds"),
    values("--var", "NAME=VALUE", "Set a variable of the files"),
    flag("--why", "Say of each step why it is remembered, or what changed"),
    *refuse("there is one builder, tiffin itself", "--builder=default|tiffin"),
    *refuse("policies are not in this release", "--policy="),
)


def run(session: Session, arguments: Arguments) -> int:
    """Build targets, or tell of them."""
    from tiffin.bake.files import refuse_remote
    from tiffin.bake.request import BakeRequest, choose, read

    if arguments.flag("print") and arguments.text("list"):
        raise usage("--print and --list exclude each other", session.path)
    for word in arguments.words:
        refuse_remote(word)
    request = BakeRequest(
        environ=session.environ,
        files=arguments.texts("file"),
        targets=tuple(arguments.words),
        overrides=_overrides(arguments, session.path),
        variables=arguments.texts("var"),
    )
    loaded = read(request)
    if wanted := arguments.text("list"):
        return _list(session, loaded, wanted)
    selection = choose(request, loaded)
    if arguments.flag("print"):
        from tiffin.bake.printing import print_selection

        selection.order()
        session.print(print_selection(selection))
        return 0
    _check_privileges(session, arguments, request, selection)
    return _bake(session, arguments, selection)


def _overrides(arguments: Arguments, path: str) -> tuple[str, ...]:
    """The texts of --set, and those that other options stand for."""
    found = list(arguments.texts("set"))
    found += [f"*.{name}=true" for name in ("push", "load") if arguments.flag(name)]
    if method := _method(arguments, path):
        found.append(f"*.call={method}")
    for name in ("no-cache", "pull"):
        if name in arguments.given:
            found.append(f"*.{name}={'true' if arguments.flag(name) else 'false'}")
    for name in ("sbom", "provenance"):
        if text := arguments.text(name):
            found.append(f"*.attest={_attestation(name, text)}")
    return tuple(found)


def _method(arguments: Arguments, path: str) -> str:
    """The method of --call as targets have it; a check is a lint there."""
    if arguments.given.isdisjoint(("call", "check")):
        return ""
    from tiffin.cli.calls import read_call

    method = read_call(arguments, path).method
    return {"check": "lint", "build": ""}.get(method, method)


def _attestation(name: str, text: str) -> str:
    from tiffin.cli.options import FALSE, TRUE

    if text in FALSE:
        return f"type={name},disabled=true"
    return f"type={name}" if text in TRUE else f"type={name},{text}"


def _check_privileges(
    session: Session, arguments: Arguments, request: BakeRequest, selection: Selection
) -> None:
    from pathlib import Path

    from tiffin.bake.overrides import parse_override
    from tiffin.bake.privileges import check, granted_by, needed, parse_allow

    allowed = parse_allow(arguments.texts("allow"))
    parsed = (parse_override(text, session.environ) for text in request.overrides)
    named = granted_by(override for override in parsed if override is not None)
    granted = allowed._replace(
        names=allowed.names | named.names,
        read=(*allowed.read, *named.read),
        write=(*allowed.write, *named.write),
    )
    check(needed(selection.targets.values()), granted, Path.cwd(), session.environ)


def _bake(session: Session, arguments: Arguments, selection: Selection) -> int:
    from tiffin.bake.building import bake, check_requests
    from tiffin.cli.commands.build import progress_mode

    check_requests(selection)
    if any(target.text("call") not in (None, "", "build") for target in selection.targets.values()):
        return _call(session, arguments, selection)
    mode = progress_mode(session, arguments)
    with session.reporter(mode) as reporter:

        def built(name: str, result: BuildResult) -> None:
            if result.kept:
                names = [reference.familiar for reference in result.tags]
                reporter.say(f"{name}: built {' '.join([*names, str(result.image_id)])}")

        with session.engine(reporter.emit) as engine:
            results = bake(engine, selection, built, why=arguments.flag("why") or mode == "rawjson")
    if path := arguments.text("metadata-file"):
        _write_metadata(path, results)
    return 0


def _write_metadata(path: str, results: dict[str, BuildResult]) -> None:
    import json
    from pathlib import Path

    from tiffin.engine.buildoutput import metadata
    from tiffin.linux.files import atomic_write

    document = {name: metadata(results[name]) for name in sorted(results)}
    atomic_write(Path(path), (json.dumps(document, indent=2) + "\n").encode())


def _call(session: Session, arguments: Arguments, selection: Selection) -> int:
    """Ask something of each target's Dockerfile; the worst status counts."""
    from tiffin.bake.building import inline_dockerfiles
    from tiffin.bake.requests import Inputs, build_request
    from tiffin.cli.calls import answer, read_call

    asked = read_call(arguments, session.path)
    status = 0
    with inline_dockerfiles(selection) as inline:
        shown = [name for name in sorted(selection.targets) if not selection.targets[name].linked]
        for number, name in enumerate(shown):
            target = selection.targets[name]
            method = target.text("call") or "build"
            if asked.json and len(shown) > 1:
                raise usage("--call with format=json is for one target at a time", session.path)
            if not asked.json:
                session.print(f"\n{name}\n" if number else f"{name}\n")
            call = asked._replace(method={"lint": "check"}.get(method, method))
            request = build_request(target, Inputs(inline, dict.fromkeys(selection.targets, "scratch")))
            status = max(status, answer(session, call, request))
    return status


def _list(session: Session, loaded: Loaded, wanted: str) -> int:
    from tiffin.bake.printing import list_targets, list_variables, write_json

    fields = {"type": wanted}
    if "=" in wanted:
        fields = dict(part.partition("=")[::2] for part in wanted.split(","))
    of, form = fields.pop("type", ""), fields.pop("format", "table")
    if of not in _LISTS or form not in ("table", "json") or fields:
        raise usage(
            f'invalid argument "{wanted}" for "--list" flag: targets, variables or type=TYPE,format=json',
            session.path,
        )
    items = list_targets(loaded.config) if of == "targets" else list_variables(loaded.variables)
    if form == "json":
        session.print(write_json(items.documents))
        return 0
    from tiffin.ui.columns import table

    for line in table(items.rows):
        session.print(line)
    return 0


COMMAND = Command(
    "bake [OPTIONS] [TARGET…]",
    run,
    options=OPTIONS,
    words=(0, MANY),
    description=(
        "Builds the targets of bake files (docker-bake.hcl or .json) and Compose files; without TARGET, "
        "the one named default. Variables of the files are taken from the environment, or from --var."
    ),
    examples=(
        "tiffin bake",
        "tiffin bake --print app",
        "tiffin bake -f compose.yaml --set '*.platform=linux/arm64' --push",
    ),
)
