"""tiffin oci."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import HelpAsked, flag, parse, refuse, value

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.runtime.ocistate import Directory

_SYSTEMD = "cgroups are managed by tiffin; choose the driver cgroupfs in the engine above"
OPTIONS = (
    value("--root", "FOLDER", "Where the containers are kept, in memory best"),
    value("--log", "FILE", "Write errors and warnings into this file too"),
    value("--log-format", "FORMAT", "Of that file: text or json", default="text", choices=("text", "json")),
    flag("--debug", "Show a traceback when something fails"),
    *refuse(_SYSTEMD, "--systemd-cgroup"),
    value("--rootless", "WHICH", "What is found out anyway: true, false or auto", default="auto"),
)


class Call:
    """One call of a verb: its arguments, and where the containers are."""

    def __init__(self, session: Session, common: Arguments, arguments: Arguments) -> None:
        self.session = session
        self.arguments = arguments
        self._common = common

    @property
    def root(self) -> Path:
        """Where the containers are kept."""
        from pathlib import Path

        given = self._common.text("root")
        if given:
            return Path(given)
        # Root of a user namespace, as engines without root are, may not write there.
        root = os.geteuid() == 0 and os.access("/run", os.W_OK)
        own = "/run" if root else self.session.environ.get("XDG_RUNTIME_DIR")
        if not own:
            from tiffin.cli.options import usage

            raise usage(
                "without root, and without XDG_RUNTIME_DIR, --root has to say where containers are", "oci"
            )
        return Path(own) / "tiffin-runtime"

    @property
    def directory(self) -> Directory:
        """The container that the first word names."""
        from tiffin.runtime.ocistate import Directory

        return Directory(self.root, self.arguments.words[0])

    def say(self, text: str) -> None:
        """Warn."""
        self.session.stderr.write(f"warning: {text}\n")
        self.log("warning", text)

    def log(self, level: str, text: str) -> None:
        """Write a line into the file that the caller reads."""
        path = self._common.text("log")
        if not path:
            return
        import contextlib
        import datetime as dt
        import json

        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        line = json.dumps({"level": level, "msg": text, "time": now})
        if self._common.text("log-format") == "text":
            line = f"time={json.dumps(now)} level={level} msg={json.dumps(text)}"
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - pathlib's open is the same, later
            file.write(line + "\n")


def run(session: Session, arguments: Arguments) -> int:
    """Do one operation of an OCI runtime; the status is 0, 1, or of 'run' and 'exec' that of the process."""
    from tiffin.cli.commands import ociverbs
    from tiffin.cli.help import verb_manual
    from tiffin.cli.options import usage

    name, *words = arguments.words
    verb = ociverbs.VERBS.get(name)
    if verb is None:
        raise usage(f"'oci' has no verb {name!r}: there are {', '.join(ociverbs.VERBS)}", session.path)
    try:
        given = parse(verb.options, words, stop_at_word=verb.wraps, command=f"oci {name}")
    except HelpAsked:
        session.stdout.write(verb_manual(f"oci {name}", verb.usage, verb.summary, verb.options))
        return 0
    if not verb.least <= len(given.words) <= verb.most:
        raise usage(f"'oci {name}' takes {verb.usage}", session.path)
    call = Call(session, arguments, given)
    try:
        return verb.act(call)
    except Exception as error:
        call.log("error", _told(error))
        if arguments.flag("debug"):
            import traceback

            traceback.print_exception(error, file=session.stderr)
        raise


def _told(error: Exception) -> str:
    """What the engine above is told: by its words it knows a command that is missing."""
    message = str(getattr(error, "message", error))
    missing = getattr(error, "code", "") == "command-not-found"
    return f"{message}: executable file not found" if missing else message


COMMAND = Command(
    "oci [OPTIONS] VERB [OPTIONS] [ID]",
    run,
    options=OPTIONS,
    words=(1, MANY),
    wraps=True,
    description=(
        "The embedded runtime as an OCI runtime, beneath Docker, Podman, containerd or by hand: create, "
        "start, state, kill, delete, run, exec, pause, resume, update, ps, list and features, as of "
        "runc. A container comes as a bundle: a folder with config.json and a root filesystem. "
        "'tiffin oci VERB --help' tells more. The program tiffin-oci is the same, where a path is asked for."
    ),
    examples=(
        "tiffin oci create --bundle ./bundle serving",
        "tiffin oci start serving",
        "tiffin oci kill serving TERM",
        "tiffin oci delete serving",
    ),
)
