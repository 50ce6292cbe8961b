"""Builds the cases with Docker, and writes down what it makes of them: see README.md beside this."""

import argparse
import json
import re
import shlex
import sys
import tempfile
from pathlib import Path

from tests.conformance import base, contexts, facts, table
from tests.live import trees
from tests.live.dockerd import Docker

GOLDEN = Path(__file__).parent / "golden"
_PLUGIN = Path("usr/libexec/docker/cli-plugins/docker-buildx")


class Recorder:
    """Records with a running Docker."""

    def __init__(self, docker, place) -> None:
        self._docker = docker
        self._place = place
        base.write_archive(place / "base.tar")
        docker("load", "-i", place / "base.tar")
        self._bottom = facts.Base.of(*self._image(base.NAME))

    def record(self, case):
        """What Docker makes of `case`: the facts of its image, or the error."""
        place = self._place / f"{case.area}-{case.name}"
        folder = contexts.prepare(case, place)
        options = shlex.split(case.options.format(place=place))
        for number in range(1, len(case.dockerfiles) + 1):
            file = contexts.dockerfile(place, number)
            arguments = ["-f", file, "-t", f"made{number}", *options, folder]
            done = self._docker("buildx", "build", *_FIXED, *arguments, check=False)
            log = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
            if done.returncode:
                return {"fails": _message(done.stderr, place), "ran": _ran(log)}
        return self._facts(f"made{len(case.dockerfiles)}")

    def _facts(self, name):
        document, layers = self._image(name)
        return facts.of_built(document, lambda known: iter(layers[known:]), self._bottom)

    def _image(self, name):
        archive = self._place / "image.tar"
        self._docker("save", "-o", archive, name)
        return trees.documents(archive)


# There is no bridge that steps could use, so they share the host's network.
_FIXED = ("--network", "host", "--provenance=false", "--progress", "rawjson")


def _ran(log):
    """Whether any RUN had begun."""
    started = [each for entry in log for each in entry.get("vertexes", ()) if each.get("started")]
    return any("] RUN " in vertex["name"] for vertex in started)


# What a message tells of this one recording, and of the machine that it was made on.
_PASSING = {
    r"\bref \S+:": "ref ID:",
    r"/\S+/cachemounts/buildkit\d+": "ROOT",
    r"(lookup \S+) on \S+:": r"\1:",
}


def _message(text, place):
    """The last error, without what is another in each recording."""
    lines = [line for line in text.splitlines() if line.startswith("ERROR: ")]
    message = (lines[-1] if lines else text[-500:]).removeprefix("ERROR: ").replace(str(place), "PLACE")
    for pattern, replacement in _PASSING.items():
        message = re.sub(pattern, replacement, message)
    return message


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docker", type=Path, required=True, help="where Docker is unpacked")
    parser.add_argument("areas", nargs="*", help="subjects, or SUBJECT/CASE to print one case")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tiffin-record-") as folder:
        place = Path(folder)
        root = arguments.docker.resolve()
        docker = Docker(place / "docker", root)
        (docker.place / "cli-plugins").mkdir(parents=True)
        (docker.place / "cli-plugins" / _PLUGIN.name).symlink_to(root / _PLUGIN)
        # With Docker's older image store BuildKit cannot merge layers, nor keep all attributes.
        settings = place / "daemon.json"
        settings.write_text('{"features": {"containerd-snapshotter": true}}')
        with docker.running("--config-file", settings):
            _record(Recorder(docker, place), arguments.areas or table.areas())
            (GOLDEN / "VERSIONS").write_text(_versions(docker))


def _record(recorder, names):
    for name in names:
        area, _, wanted = name.partition("/")
        cases = [case for case in table.read(area) if not wanted or case.name == wanted]
        found = {case.name: recorder.record(case) for case in cases}
        for case in cases:
            if ("fails" in found[case.name]) != bool(case.fails) and not case.differs:
                print(
                    f"{area}/{case.name}: Docker says {found[case.name].get('fails', 'it is good')}",
                    file=sys.stderr,
                )
        if wanted:
            print(_encode(found))
        else:
            (GOLDEN / f"{area}.json").write_text(_encode(found))


def _encode(found):
    """JSON with a line for each fact, so that changes can be read."""
    return (
        _object({name: _object({k: _part(v) for k, v in case.items()}, 1) for name, case in found.items()})
        + "\n"
    )


def _part(value):
    lines = isinstance(value, dict) and value.keys() and "is" not in value
    return (
        _object({k: json.dumps(v, sort_keys=True) for k, v in value.items()}, 2)
        if lines
        else json.dumps(value)
    )


def _object(members, depth=0):
    lines = [f"{' ' * depth} {json.dumps(key)}: {text}" for key, text in sorted(members.items())]
    return "\n".join(["{", ",\n".join(lines), " " * depth + "}"])


def _versions(docker):
    shown = json.loads(docker("version", "--format", "{{json .Server}}").stdout)
    return f"dockerd {shown['Version']}\n{docker('buildx', 'version').stdout}"


if __name__ == "__main__":
    main()
