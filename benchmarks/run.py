"""Builds and container starts of tiffin and its peers, side by side on this machine, as one table.

    make bench                          everything; takes half an hour
    python benchmarks/run.py --quick    one round of each
    python benchmarks/run.py --only start,files

Every engine has a store of its own in a working folder that is removed at the end, and peers that are not
installed are said to be missing. See README.md beside this file for what is measured.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import contexts
from engines import Buildah, BuildKit, Crun, Engine, Tiffin, call
from measure import Contender, Result, Unavailable, machine, markdown, side_by_side

BASE, TAG = "localhost/bench-base:1", "localhost/bench-built:1"
KINDS = ("example", "stages", "small", "large", "start")


class Bench:
    """The engines that are here, the reasons of those that are not, and the results so far."""

    def __init__(self, work: Path, options: argparse.Namespace) -> None:
        self.work = work
        self.rounds = 1 if options.quick else options.rounds
        self.engines: dict[str, Engine] = {}
        self.missing: dict[str, str] = {}
        self.results: list[Result] = []
        self.closing = contextlib.ExitStack()
        for kind in (Tiffin, BuildKit, Buildah):
            if kind.__name__.lower() not in options.engines:
                self.missing[kind.name] = "left out"
                continue
            try:
                engine = kind(work)
            except Unavailable as error:
                self.missing[kind.name] = str(error)
                continue
            self.closing.callback(engine.close)
            self.engines[kind.name] = engine

    def compare(self, title: str, contenders: dict[str, Contender], rounds: int, warm: int = 0) -> Result:
        """Measure, and remember."""
        print(f"{title}:", flush=True)
        result = side_by_side(title, contenders, rounds, warm)
        self.results.append(result._replace(missing=self.missing | result.missing))
        return result

    def builds(
        self, title: str, folders: dict[str, Path], file: str, ready: Callable[[Engine], list[str]]
    ) -> None:
        """Cold, nothing changed, one file changed; `ready` gives an engine what it starts from."""
        options: dict[str, list[str]] = {}
        images: dict[str, str] = {}
        failed: dict[str, str] = {}

        def empty(name: str) -> None:
            self.engines[name].forget()
            options[name] = ready(self.engines[name])

        def build(name: str, *, same: bool | None) -> None:
            image = self.engines[name].build(folders[name], TAG, *options[name])
            if same is not None and (image == images[name]) is not same:
                raise Unavailable(f"built {image} after {images[name]}, which cannot be right")
            images[name] = image

        def edit(name: str) -> None:
            contexts.change(folders[name] / file, len(self.results))

        scenes: list[tuple[str, bool | None, Callable[[str], None], int]] = [
            ("cold", None, empty, self.rounds),
            ("nothing changed", True, lambda _: None, 3 * self.rounds),
            (f"{Path(file).name} changed", False, edit, 2 * self.rounds),
        ]
        for scene, same, before, rounds in scenes:
            contenders = {
                name: Contender(partial(build, name, same=same), partial(before, name))
                for name in self.engines
                if name not in failed
            }
            failed |= self.compare(f"{title}, {scene}", contenders, rounds).missing
            self.results[-1].missing.update(failed)

    def close(self) -> None:
        """End and remove everything."""
        self.closing.close()


def base_archive(work: Path) -> Path:
    """The bootstrapped base as an archive that every engine can load."""
    target = work / "base.tar"
    tiffin = str(Path(sys.executable).with_name("tiffin"))
    try:
        call([tiffin, "inspect", "finca-base"])
    except Unavailable:
        call([tiffin, "base", "--python", "-t", "finca-base"])
    call([tiffin, "save", "-o", str(target), "finca-base"])
    return target


def unpack(archive: Path, bundle: Path) -> tuple[str, str]:
    """Lay the root filesystem of an archive into a bundle; its name, and its Python's version."""
    rootfs = bundle / "rootfs"
    rootfs.mkdir(parents=True)
    with tarfile.open(archive) as file:
        (image,) = json.load(file.extractfile("manifest.json"))
        for layer in image["Layers"]:
            subprocess.run(["tar", "-x", "-C", str(rootfs)], input=file.extractfile(layer).read(), check=True)
    python = max(path.name for path in (rootfs / "usr" / "lib").glob("python3.*"))
    return image["RepoTags"][0], python.removeprefix("python")


def bench_example(bench: Bench, archive: Path, reference: str, python: str, cache: Path) -> None:
    """The serving example; its packages come from a server on this machine."""
    with contexts.served(contexts.wheels(cache, python)) as configuration:
        local = bench.work / "base"
        local.mkdir()
        (local / "pip.conf").write_text(configuration)
        (local / "Dockerfile").write_text(f"FROM {reference}\nCOPY pip.conf /etc/pip.conf\n")

        def ready(engine: Engine) -> list[str]:
            engine.load(archive)
            engine.build(local, BASE)
            return ["--build-arg", f"BASE={BASE}"]

        folders = {name: contexts.example(bench.work / f"example-{name}") for name in bench.engines}
        bench.builds("example", folders, "serve.py", ready)


def bench_stages(bench: Bench, archive: Path, reference: str) -> None:
    """Twenty stages that could all be built at once."""

    def ready(engine: Engine) -> list[str]:
        engine.load(archive)
        return []

    folders = {
        name: contexts.many_stages(bench.work / f"stages-{name}", reference, 20) for name in bench.engines
    }
    bench.builds("20 stages", folders, "part7", ready)


def bench_files(bench: Bench, title: str, files: int, size: int) -> None:
    """Many files, copied into an empty image."""
    folder = contexts.many_files(bench.work / title.replace(" ", "-"), files, size)
    one = max(folder.rglob("*.bin")).relative_to(folder)
    bench.builds(title, dict.fromkeys(bench.engines, folder), str(one), lambda _: [])


def bench_start(bench: Bench, archive: Path, reference: str, bundle: Path) -> None:
    """Start `true` in a container and wait for its end."""
    contenders: dict[str, Contender] = {}
    missing: dict[str, str] = {}
    for name, engine in bench.engines.items():
        if isinstance(engine, Tiffin | BuildKit):
            contenders[name] = Contender(partial(engine.run, reference, "/bin/true"))
            try:
                engine.load(archive)
            except Unavailable as error:
                missing[name] = str(error)
    try:
        crun = Crun(bench.work)
        crun.prepare(bundle, ["/bin/true"])
        bench.closing.callback(crun.close)
        contenders[crun.name] = Contender(partial(crun.run, bundle))
    except Unavailable as error:
        missing[Crun.name] = str(error)
    contenders = {name: contender for name, contender in contenders.items() if name not in missing}
    bench.compare("start of `true`, no network", contenders, 20 * bench.rounds, warm=1)
    bench.results[-1].missing.update(missing)


def versions(bench: Bench) -> str:
    """Who took part."""
    found = [engine.version() for engine in bench.engines.values()]
    with contextlib.suppress(Unavailable):
        found.append(Crun(bench.work).version())
    return ", ".join(found)


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument(
        "--engines", default="tiffin,buildkit,buildah", help="who builds (default %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--rounds", type=int, default=3, help="cold builds of each kind (default 3)")
    parser.add_argument("--archive", type=Path, help="a Docker archive of a base with Python and pip")
    parser.add_argument("--work", type=Path, help="where to make the working folder; needs 10 GB")
    parser.add_argument("--output", type=Path, help="write the table here too")
    options = parser.parse_args()
    options.only, options.engines = options.only.split(","), options.engines.split(",")
    if unknown := set(options.only) - set(KINDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


def main() -> None:
    """Measure and print."""
    options = parse()
    with tempfile.TemporaryDirectory(
        prefix="tiffin-bench-", dir=options.work, ignore_cleanup_errors=True
    ) as name:
        work = Path(name)
        bench = Bench(work, options)
        try:
            if {"example", "stages", "start"} & set(options.only):
                archive = options.archive or base_archive(work)
                reference, python = unpack(archive, work / "bundle")
                if "example" in options.only:
                    bench_example(bench, archive, reference, python, work / "wheels")
                if "stages" in options.only:
                    bench_stages(bench, archive, reference)
                if "start" in options.only:
                    bench_start(bench, archive, reference, work / "bundle")
            if "small" in options.only:
                bench_files(bench, "40,000 files of 200 B", 40_000, 200)
            if "large" in options.only:
                bench_files(bench, "40,000 files, 650 MB", 40_000, 16_250)
            names = [kind.name for kind in (Tiffin, BuildKit, Buildah, Crun)]
            table = markdown(bench.results, names, Tiffin.name)
            report = f"{table}\n\n{machine()}.\n{versions(bench)}.\n"
        finally:
            bench.close()
    print("\n" + report)
    if options.output:
        options.output.write_text(report)


if __name__ == "__main__":
    main()
