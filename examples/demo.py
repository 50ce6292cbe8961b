"""The guide from start to end: make a base, build, run, ask for a prediction, look inside, clean up.

`make demo` runs this. It needs only the standard library, calls the `tiffin` command that is installed
beside this interpreter, and prints every command that it runs, so that each can be repeated by hand.
"""

import csv
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent / "finca-serving"
PROJECT = EXAMPLE.parents[1] / ".demo" / "finca-serving"
BASE, SERVING, NAIVE = "finca-base", "finca-serving", "finca-naive"
TIFFIN = Path(sys.executable).with_name("tiffin")
PATIENCE = 60.0

# What a project folder collects and a serving image has no use for: its name, and how it is told by its path.
LEFT_OUT: dict[str, Callable[[str], bool]] = {
    "notebooks": lambda path: path.endswith(".ipynb"),
    "training data": lambda path: path.startswith("data/") or path.endswith(".csv"),
    "training logs": lambda path: path.startswith("logs/"),
    "Git history": lambda path: path.startswith(".git/"),
    "virtual environment": lambda path: path.startswith(".venv/"),
    "training code": lambda path: path in {"train.py", "requirements-train.txt"},
}
# Run inside an image: which files lie in its working directory, and is scikit-learn installed?
LIST_FILES = """
import importlib.util, json, os
files = [os.path.relpath(os.path.join(folder, name)) for folder, _, names in os.walk(".") for name in names]
print(json.dumps({"files": files, "trains": importlib.util.find_spec("sklearn") is not None}))
"""
# Run inside the container: what of the host can be seen from here?
LOOK_AROUND = """
import json, os, socket
print(json.dumps({
    "hostname": socket.gethostname(), "uid": os.getuid(),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "interfaces": sorted(name for _, name in socket.if_nameindex()),
}))
"""


class DemoError(Exception):
    """A step did not work; the message says which and what was seen."""


class Screen:
    """Prints steps, commands and tables: with colours on a terminal, plain in a pipe; times every step."""

    def __init__(self) -> None:
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.times: list[tuple[str, float]] = []

    def paint(self, text: str, code: str) -> str:
        """The text in a colour, where colours are shown."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def say(self, text: str = "") -> None:
        """One line, at once: the commands that follow write to the same place."""
        print(text, flush=True)

    def command(self, arguments: Sequence[str]) -> None:
        """A tiffin command as one would type it."""
        self.say(self.paint("$ tiffin " + " ".join(arguments), "36"))

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Columns of the width that they need; the first to the left, the others to the right."""
        rows = [list(row) for row in rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            first = row[0].ljust(widths[0])
            rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
            self.say("  " + "   ".join([first, *rest]).rstrip())

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A heading, and the time that what follows took."""
        self.say("\n" + self.paint(f"== {title}", "1"))
        start = time.monotonic()
        yield
        self.times.append((title, time.monotonic() - start))


def run(screen: Screen, *arguments: str) -> None:
    """Run a tiffin command before the user's eyes."""
    screen.command(arguments)
    status = subprocess.run([TIFFIN, *arguments], check=False).returncode
    if status:
        raise DemoError(f"`tiffin {arguments[0]}` ended with status {status}")


def ask(*arguments: str) -> str:
    """What a tiffin command prints."""
    done = subprocess.run([TIFFIN, *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise DemoError(f"`tiffin {' '.join(arguments)}` ended with status {done.returncode}\n{done.stderr}")
    return done.stdout


def human(size: float) -> str:
    """A size as Docker prints it: decimal units, three digits."""
    power = 0
    while size >= 1000 and power < 3:
        size, power = size / 1000, power + 1
    return f"{size:.3g}{('B', 'kB', 'MB', 'GB')[power]}"


def duration(seconds: float) -> str:
    """A time in the unit in which it is easy to read."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def plural(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count} {noun}{'s' * (count != 1)}" if count else "none"


def lay_out(project: Path) -> None:
    """A working copy of the example with all that gathers around one: Git history, a venv, training logs."""
    project.mkdir(parents=True, exist_ok=True)
    for source in (path for path in EXAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        target = project / source.relative_to(EXAMPLE)
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(source, target)
    logs = project / "logs"
    logs.mkdir(exist_ok=True)
    (logs / "training.log").write_text("held-out accuracy: 0.978 (44 of 45 wines)\n")
    if not (project / ".venv").exists():
        venv.create(project / ".venv", with_pip=False, symlinks=True)
    if not (project / ".git").exists():
        git = ["git", "-C", str(project), "-c", "commit.gpgSign=false"]
        git += ["-c", "user.name=Finca", "-c", "user.email=finca@example.org"]
        for arguments in (
            ["init", "-q"],
            ["add", "."],
            ["commit", "-q", "--no-verify", "-m", "First pressing"],
        ):
            subprocess.run([*git, *arguments], check=True)


def free_port(wanted: int) -> int:
    """The port that is wanted if it can be had, else one that can."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
            return int(probe.getsockname()[1])
    raise DemoError("no free port")


def request(port: int, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    """One HTTP request to the container: status and decoded answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def wait_until_healthy(container: str, port: int) -> None:
    """Return once /healthz answers; say what the container printed if it never does."""
    start = time.monotonic()
    look = start + 1
    while time.monotonic() - start < PATIENCE:
        with suppress(OSError, http.client.HTTPException):
            if request(port, "GET", "/healthz")[0] == 200:
                return
        time.sleep(0.02)
        if time.monotonic() > look:  # now and then: has it ended?
            look += 1
            if not json.loads(ask("inspect", container))[0]["State"]["Running"]:
                break
    raise DemoError(f"the service did not become healthy; it printed:\n{ask('logs', container)}")


def predict(screen: Screen, port: int) -> None:
    """Ask about one wine of the harvest and show the answer."""
    with (EXAMPLE / "data" / "harvest.csv").open(newline="") as file:
        *_, wine = csv.DictReader(file)
    grape = wine.pop("cultivar")
    body = {name: float(value) for name, value in wine.items()}
    start = time.monotonic()
    status, answer = request(port, "POST", "/predict", body)
    elapsed = time.monotonic() - start
    if status != 200:
        raise DemoError(f"/predict answered {status}: {answer}")
    screen.say(screen.paint(f"POST http://localhost:{port}/predict", "36"))
    for name, chance in answer["probabilities"].items():
        screen.say(f"  {name:<11} {chance:7.2%}  {'#' * round(chance * 40)}".rstrip())
    verdict = screen.paint(str(answer["cultivar"]), "1;32")
    screen.say(f"  prediction: {verdict} (it is {grape}), after {duration(elapsed)}")


def show_isolation(screen: Screen, container: str) -> None:
    """The same questions asked inside and outside; the container must not know the host."""
    arguments = ("exec", container, "python", "-c", LOOK_AROUND)
    inside = json.loads(ask(*arguments))
    pid = json.loads(ask("inspect", container))[0]["State"]["Pid"]
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    outside_uid = status["Uid"].split()[1]
    screen.command((*arguments[:-1], "..."))
    host = [name for _, name in socket.if_nameindex()]
    processes = sum(entry.name.isdigit() for entry in Path("/proc").iterdir())
    screen.table(
        [
            ("", "in the container", "on the host"),
            ("host name", inside["hostname"], socket.gethostname()),
            ("user of the service", f"uid {inside['uid']}", f"uid {outside_uid}"),
            ("processes in sight", str(inside["processes"]), str(processes)),
            ("network interfaces", " ".join(inside["interfaces"]), " ".join(sorted(host))),
        ]
    )
    if inside["hostname"] == socket.gethostname() or outside_uid == "0":
        raise DemoError("the container is not isolated from the host")


def compare(screen: Screen) -> None:
    """What each image carries in its working directory, and what it weighs."""
    found = {
        image: json.loads(ask("run", "--rm", "--network", "none", image, "python", "-c", LIST_FILES))
        for image in (SERVING, NAIVE)
    }
    rows = [("", SERVING, NAIVE)]
    for name, belongs in LEFT_OUT.items():
        counts = [sum(map(belongs, seen["files"])) for seen in found.values()]
        rows.append((name, *(plural(count, "file") for count in counts)))
        if counts[0]:
            raise DemoError(f"{name} got into {SERVING}")
    rows.append(("scikit-learn", *("yes" if seen["trains"] else "none" for seen in found.values())))
    if found[SERVING]["trains"]:
        raise DemoError(f"the training libraries got into {SERVING}")
    rows.append(("image size", *(human(json.loads(ask("inspect", image))[0]["Size"]) for image in found)))
    screen.table(rows)
    screen.say("\n  in " + SERVING + ": " + ", ".join(sorted(found[SERVING]["files"])))


def build(screen: Screen) -> None:
    """The three images."""
    with screen.step("A base image from the distribution's signed packages"):
        if subprocess.run([TIFFIN, "inspect", BASE], check=False, capture_output=True).returncode:
            run(screen, "base", "--python", "-t", BASE)
        else:
            screen.say(f"  {BASE} is there")
    lay_out(PROJECT)
    folder = os.path.relpath(PROJECT)
    argument = ("--build-arg", f"BASE={BASE}")
    with screen.step("Build in two stages"):
        run(screen, "build", *argument, "-t", SERVING, folder)
    with screen.step("Build in one stage, for comparison"):
        run(screen, "build", *argument, "-t", NAIVE, "-f", f"{folder}/Dockerfile.naive", folder)


def serve(screen: Screen) -> None:
    """Run the image, use it, look at it; whatever happens, stop and remove the container."""
    container = f"finca-{os.getpid()}"
    try:
        with screen.step("Run it"):
            port = free_port(8000)
            run(screen, "run", "-d", "--name", container, "-p", f"{port}:8000", SERVING)
            wait_until_healthy(container, port)
        with screen.step("Ask for a prediction"):
            predict(screen, port)
        with screen.step("From inside, the host is out of sight"):
            show_isolation(screen, container)
        with screen.step("Stop it"):
            run(screen, "stop", container)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave the container behind
        subprocess.run([TIFFIN, "rm", "-f", container], check=False, capture_output=True)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> int:
    """Run all steps; 0 if each of them worked."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    screen = Screen()
    try:
        with screen.step("What this machine allows"):
            screen.command(["doctor"])
            screen.say("  " + ask("doctor").strip().splitlines()[0].strip())
        build(screen)
        serve(screen)
        with screen.step("What got in"):
            compare(screen)
        with screen.step("Layers"):
            run(screen, "history", SERVING)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; the container is removed", file=sys.stderr)
        return 130
    screen.say("\n" + screen.paint("== Times", "1"))
    screen.table([*((title, duration(seconds)) for title, seconds in screen.times)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
