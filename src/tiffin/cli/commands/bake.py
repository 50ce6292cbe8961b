"""tiffin bake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.bakeflags import OPTIONS, overrides
from tiffin.cli.command import MANY, Command
from tiffin.cli.options import usage

if TYPE_CHECKING:
    from contextlib import ExitStack

    from tiffin.bake.files import File
    from tiffin.bake.load import Loaded
    from tiffin.bake.request import BakeRequest
    from tiffin.bake.selection import Selection
    from tiffin.cli.calls import Call
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.building.request import BuildResult
    from tiffin.engine.engine import Engine
    from tiffin.events import Emit

_LISTS = ("targets", "variables")


class _Opening:
    """The engine, opened when it is first needed and for the rest of the command."""

    def __init__(self, session: Session, stack: ExitStack) -> None:
        self._session, self._stack = session, stack
        self._engine: Engine | None = None

    def engine(self, emit: Emit) -> Engine:
        """Return the engine, which tells `emit` from now on."""
        if self._engine is None:
            self._engine = self._stack.enter_context(self._session.engine(emit))
        self._engine.emit = emit
        return self._engine


def run(session: Session, arguments: Arguments) -> int:
    """Build targets, or tell of them."""
    from contextlib import ExitStack

    if arguments.flag("print") and arguments.text("list"):
        raise usage("--print and --list exclude each other", session.path)
    with ExitStack() as stack:
        return _run(session, arguments, _Opening(session, stack))


def _run(session: Session, arguments: Arguments, opening: _Opening) -> int:
    from tiffin.bake.remote import rebase, split_words
    from tiffin.bake.request import BakeRequest, choose, read

    url, context, targets = split_words(arguments.words)
    request = BakeRequest(
        environ=session.environ,
        files=arguments.texts("file"),
        targets=targets,
        overrides=overrides(arguments, session.path),
        variables=arguments.texts("var"),
        context=context,
    )
    loaded = read(request, _files(session, arguments, request, opening, url))
    if wanted := arguments.text("list"):
        return _list(session, loaded, wanted)
    selection = choose(request, loaded)
    if url:
        rebase(selection, url)
    if arguments.flag("print"):
        from tiffin.bake.printing import print_selection

        session.print(print_selection(selection))
        return 0
    calls = _calls(session, arguments, selection)
    _check_privileges(session, arguments, request, selection)
    built = [name for name, target in selection.targets.items() if not (target.linked or name in calls)]
    if built or not calls:
        _bake(session, arguments, opening, selection.only(built))
    return _answer(session, opening, selection, calls) if calls else 0


def _files(
    session: Session, arguments: Arguments, request: BakeRequest, opening: _Opening, url: str
) -> list[File]:
    """The bake files: those here, or those of what `url` names."""
    from tiffin.bake.request import find_files

    if not url:
        return find_files(request)
    from tiffin.bake.files import named_files, read_remote
    from tiffin.cli.commands.build import progress_mode
    from tiffin.engine.building.remotefiles import open_remote

    with (
        session.reporter(progress_mode(session, arguments)) as reporter,
        open_remote(opening.engine(reporter.emit), url) as place,
    ):
        return read_remote(place, named_files(request.files, session.environ))


def _check_privileges(
    session: Session, arguments: Arguments, request: BakeRequest, selection: Selection
) -> None:
    from pathlib import Path

    from tiffin.bake.overrides import parse_override
    from tiffin.bake.privileges import check, granted_by, needed, parse_allow

    parsed = (parse_override(text, session.environ) for text in request.overrides)
    named = granted_by(override for override in parsed if override is not None)
    granted = parse_allow(arguments.texts("allow")).joined(named)
    wanted = needed(selection.targets.values(), session.environ)
    check(wanted, granted, Path.cwd(), session.environ)


def _calls(session: Session, arguments: Arguments, selection: Selection) -> dict[str, Call]:
    """What is asked of targets, by name, instead of building them."""
    from tiffin.cli.calls import parse_call, read_call
    from tiffin.errors import InvalidError

    asked = read_call(arguments, session.path)
    calls: dict[str, Call] = {}
    for name, target in sorted(selection.targets.items()):
        text = target.text("call")
        if target.linked or not text:
            continue
        try:
            call = parse_call(text)
        except InvalidError as error:
            raise InvalidError(
                f"the target {name}: call = {text!r}: {error.message}", code="bake-call"
            ) from None
        if call.method != "build":
            # the option has set the method for all targets, and how the answers are to look
            calls[name] = call if asked.method == "build" else asked._replace(method=call.method)
    if len(calls) > 1 and any(call.json for call in calls.values()):
        raise usage("--call with format=json is for one target at a time", session.path)
    return calls


def _bake(session: Session, arguments: Arguments, opening: _Opening, selection: Selection) -> None:
    from tiffin.bake.building import bake
    from tiffin.cli.commands.build import progress_mode, summary, write_metadata

    mode = progress_mode(session, arguments)
    with session.reporter(mode) as reporter:

        def built(name: str, result: BuildResult) -> None:
            if result.kept:
                reporter.say(f"{name}: {summary(result)}")

        engine = opening.engine(reporter.emit)
        results = bake(
            engine,
            selection,
            built,
            split=arguments.flag("split-layers"),
            why=arguments.flag("why") or mode == "rawjson",
        )
    if path := arguments.text("metadata-file"):
        from tiffin.engine.building.results import metadata

        write_metadata(path, {name: metadata(results[name]) for name in sorted(results)})


def _answer(session: Session, opening: _Opening, selection: Selection, calls: dict[str, Call]) -> int:
    """Ask what `calls` say of each target's Dockerfile; the worst status counts."""
    from tiffin.bake.building import inline_dockerfiles
    from tiffin.bake.requests import Inputs, build_request
    from tiffin.cli.calls import answer_by

    status = 0
    with inline_dockerfiles(selection) as inline:
        for number, (name, call) in enumerate(calls.items()):
            if not call.json:
                session.print(f"\n{name}\n" if number else f"{name}\n")
            request = build_request(selection.targets[name], Inputs(inline))
            status = max(status, answer_by(opening.engine(session.notices), session, call, request))
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
    "bake [OPTIONS] [URL] [TARGET…]",
    run,
    options=OPTIONS,
    words=(0, MANY),
    description=(
        "Builds the targets of bake files (docker-bake.hcl or .json) and Compose files; without TARGET, "
        "the one named default. Variables of the files are taken from the environment, or from --var. "
        "URL is a repository or a file; what its targets read is there too, but for what begins with cwd://."
    ),
    examples=(
        "tiffin bake",
        "tiffin bake --print app",
        "tiffin bake -f compose.yaml --set '*.platform=linux/arm64' --push",
    ),
)
