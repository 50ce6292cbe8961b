"""Builds as a user does them. Whether a step ran again is told by its effects, not by messages."""

import json
import os
import re
import subprocess
import time

import pytest

pytestmark = pytest.mark.live

STAMP = "RUN cat /proc/sys/kernel/random/uuid > /stamp\n"


def write(folder, files):
    owner = folder.stat()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in folder.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def show(tiffin, image, *command):
    return tiffin("run", "--rm", image, *command).stdout


def build(tiffin, folder, name, dockerfile=None, *options, **files):
    write(folder, {**({"Dockerfile": dockerfile} if dockerfile else {}), **files})
    tiffin("build", "-q", "-t", name, *options, folder)
    return name


def stamp(tiffin, image):
    return show(tiffin, image, "cat", "/stamp")


def test_a_step_runs_and_its_result_is_in_the_image(tiffin, busybox, folder):
    build(
        tiffin, folder, "one", f"FROM {busybox}\nWORKDIR /app\nRUN echo hello > greeting\nCMD cat greeting\n"
    )
    assert show(tiffin, "one") == "hello\n"


def test_only_what_a_change_touches_runs_again(tiffin, busybox, folder):
    text = f"FROM {busybox}\n{STAMP}COPY a /a\nRUN cat /proc/sys/kernel/random/uuid > /second\n"
    build(tiffin, folder, "again", text, a="1")
    first, second = stamp(tiffin, "again"), show(tiffin, "again", "cat", "/second")
    build(tiffin, folder, "again", a="2")
    assert stamp(tiffin, "again") == first
    assert show(tiffin, "again", "cat", "/second") != second


def test_what_cannot_matter_runs_nothing_again(tiffin, busybox, folder):
    build(tiffin, folder, "same", f"FROM {busybox}\nCOPY a /a\n{STAMP}", a="1")
    first = stamp(tiffin, "same")
    os.utime(folder / "a", (time.time() + 100, time.time() + 100))
    build(tiffin, folder, "same", f'# a comment\nfrom {busybox}\n\ncopy a /a\nLABEL x=y\n{STAMP}CMD ["x"]\n')
    assert stamp(tiffin, "same") == first


def test_going_back_hits_again(tiffin, busybox, folder):
    text = f"FROM {busybox}\nCOPY a /a\n{STAMP}"
    build(tiffin, folder, "back", text, a="1")
    first = stamp(tiffin, "back")
    build(tiffin, folder, "back", a="2")
    build(tiffin, folder, "back", a="1")
    assert stamp(tiffin, "back") == first


def test_no_cache_runs_everything(tiffin, busybox, folder):
    build(tiffin, folder, "fresh", f"FROM {busybox}\n{STAMP}")
    first = stamp(tiffin, "fresh")
    build(tiffin, folder, "fresh", None, "--no-cache")
    assert stamp(tiffin, "fresh") != first


def test_a_stage_with_the_same_output_invalidates_nothing(tiffin, busybox, folder):
    text = (
        f"FROM {busybox} AS make\nCOPY in /in\nRUN mkdir /out && head -c 3 /in > /out/result\n"
        f"FROM {busybox}\nCOPY --from=make /out /out\n{STAMP}"
    )
    build(tiffin, folder, "stages", text, **{"in": "abc-one"})
    first = stamp(tiffin, "stages")
    build(tiffin, folder, "stages", **{"in": "abc-two"})
    assert stamp(tiffin, "stages") == first
    build(tiffin, folder, "stages", **{"in": "xyz"})
    assert stamp(tiffin, "stages") != first


def test_stages_that_nobody_needs_do_not_run(tiffin, busybox, folder):
    build(tiffin, folder, "needed", f"FROM {busybox} AS broken\nRUN false\nFROM {busybox}\nRUN true\n")


def test_the_same_inputs_give_the_same_digest(tiffin, busybox, folder):
    text = f"FROM {busybox}\nCOPY . /app\nRUN echo x > /made && mkdir /d && touch /d/f\n"
    write(folder, {"Dockerfile": text, "src/f": "1"})
    first = tiffin("build", "-q", folder).stdout
    tiffin("build", "-q", "--no-cache", "-t", "digest", folder)
    assert tiffin("build", "-q", "--no-cache", folder).stdout == first
    assert first.startswith("sha256:")


def test_a_failing_step_passes_its_status_on_and_is_not_remembered(tiffin, busybox, folder):
    write(folder, {"Dockerfile": f"FROM {busybox}\n# why\nRUN echo to-the-user; exit 3\n"})
    for _ in range(2):
        done = tiffin("build", folder, check=False)
        assert done.returncode == 3
        assert "to-the-user" in done.stderr
        assert "Dockerfile:3" in done.stderr


# The step that fails waits until the other one has begun, and said something.
FAILING = """\
FROM {base} AS other
RUN --mount=type=cache,id={id},target=/c echo other-says; : > /c/begun; sleep 600
FROM {base} AS failing
RUN --mount=type=cache,id={id},target=/c \\
    echo failing-says; while ! test -e /c/begun; do sleep 0.05; done; \\
    rm /c/begun; echo why-it-fails; exit 3
RUN true # never-reached
FROM {base}
COPY --from=other / /o
COPY --from=failing / /f
"""


def test_one_failure_stops_the_rest_and_is_told_alone(tiffin, busybox, folder):
    write(folder, {"Dockerfile": FAILING.format(base=busybox, id=folder.name)})
    for mode in ("quiet", "plain", "rawjson") if tiffin.rung == "root" else ("quiet",):
        done = tiffin("build", "--progress", mode, folder, check=False)
        assert (done.returncode, done.stdout) == (3, "")
        *told, error = re.split("^error: ", done.stderr, flags=re.MULTILINE)
        assert error.startswith("Dockerfile:4: ")
        assert "\n   4 | >>> RUN --mount" in error
        assert "\n   6 | >>>     rm /c/begun" in error
        assert "\n   7 |     RUN true" in error
        if mode == "rawjson":
            events = [json.loads(line) for line in told[0].splitlines()]
            ends = {event["step"]: event["status"] for event in events if event["event"] == "done"}
            assert sorted(ends.values()) == ["canceled", "done", "failed"]
            assert len([event for event in events if event["event"] == "unreached"]) == 3
            assert (events[-1]["event"], events[-1]["line"]) == ("error", 4)
            continue
        *before, report = told[0].split("------\n > ")
        assert report.partition("\n")[0].startswith("[failing 2/3] RUN ")
        lines = [line.split(" ", mode == "plain")[-1] for line in report.splitlines()[1:]]
        assert lines == ["failing-says", "why-it-fails", "------"]
        assert "not reached: 3 steps" in before[0]
        assert "CACHED" not in done.stderr


def test_what_is_copied_and_kept_again_is_spoken_of(tiffin, busybox, folder):
    text = f"FROM {busybox}\nCOPY . /app\nRUN chown -R 1000:1000 /app\n"
    write(folder, {"Dockerfile": text, ".dockerignore": "*.pyc\n", "pkg/a.pyc": "1", ".env": "A=1"})
    with (folder / "weights").open("wb") as file:
        file.truncate(120_000_000)
    told = tiffin("build", folder).stderr
    found = re.findall(r"^warning: Dockerfile:(\d): (\w+): (.*)", told, re.MULTILINE)
    assert [each[:2] for each in found] == [
        ("2", "CopySecretFile"),
        ("2", "IgnorePatternAtRootOnly"),
        ("3", "FilesRepeatedInLayer"),
    ]
    assert all("120MB in 5 files" in message for _, name, message in found if name == "FilesRepeatedInLayer")
    assert "warning" not in tiffin("build", folder).stderr  # nothing is copied, and nothing kept


def test_mount_points_are_not_left_behind(tiffin, folder, busybox):
    text = f"FROM scratch\nCOPY --from={busybox} /bin /bin\nRUN echo x > /x\n"
    build(tiffin, folder, "clean", text)
    listed = show(tiffin, "clean", "find", "/", "-xdev", "-type", "f", "-path", "/[!bpsd]*").split()
    # What the container itself was given, and nothing of the build.
    assert set(listed) == {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/x"}
    archive = folder / "clean.tar"
    tiffin("save", "-o", archive, "clean")
    names = layer_names(archive)
    assert "x" in names
    assert not [name for name in names if name.startswith(("etc", "run", "dev/"))]


def layer_names(archive):
    names = []
    index = json.loads(
        subprocess.run(["tar", "-xOf", archive, "manifest.json"], capture_output=True, check=True).stdout
    )
    for layer in index[0]["Layers"]:
        data = subprocess.run(["tar", "-xOf", archive, layer], capture_output=True, check=True).stdout
        listed = subprocess.run(["tar", "-t"], input=data, capture_output=True, check=True).stdout.decode()
        names += [name.removeprefix("./").rstrip("/") for name in listed.splitlines()]
    return names


def test_deletions_reach_the_image(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\nRUN mkdir -p /d/sub && echo 1 > /d/f && echo 1 > /gone && ln -s f /d/l\n"
        "RUN rm -r /gone /d && mkdir /d && echo 2 > /d/new\n"
        "RUN mv /d /e\n"
    )
    build(tiffin, folder, "deleted", text)
    done = tiffin("run", "--rm", "deleted", "find", "/e", "/d", "/gone", check=False)
    assert done.stdout.split() == ["/e", "/e/new"]


def test_steps_with_the_same_outcome_are_one_layer_and_can_be_built_upon(tiffin, busybox, folder):
    # Made, away, made again: the third layer is the first one once more, and so is what chmod leaves.
    made = "RUN touch -d @1 /a\n"
    text = f"FROM {busybox}\n{made}RUN true\nRUN rm /a\n{made}RUN chmod 644 /a\nRUN true\n"
    (folder / "Dockerfile").write_text(f"{text}RUN test -e /a\n")
    tiffin("build", "-q", "-t", "again", folder)
    assert tiffin("run", "--rm", "--network", "none", "again", "ls", "/a").stdout == "/a\n"


def test_user_workdir_env_and_arguments(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\nARG VINTAGE=2019\nARG SECRET\nENV WINE=rioja-$VINTAGE\n"
        "WORKDIR /srv\nWORKDIR cellar\n"
        'RUN echo "$WINE $VINTAGE $SECRET $PWD $HOME" > /said\n'
    )
    build(tiffin, folder, "variables", text, "--build-arg", "VINTAGE=2020", "--build-arg", "SECRET=x")
    assert show(tiffin, "variables", "cat", "/said") == "rioja-2020 2020 x /srv/cellar /root\n"
    config = json.loads(tiffin("inspect", "variables").stdout)[0]["Config"]
    assert "WINE=rioja-2020" in config["Env"]
    assert not [entry for entry in config["Env"] if entry.startswith(("VINTAGE", "SECRET"))]


def test_owners_in_the_layer(tiffin, busybox, folder):
    text = f"FROM {busybox}\nCOPY --chown=anna:wine f /f\nCOPY --chown=1000 f /g\nCOPY f /h\n"
    build(tiffin, folder, "owners", text, f="1")
    archive = folder / "owners.tar"
    tiffin("save", "-o", archive, "owners")
    owners = {}
    index = json.loads(
        subprocess.run(["tar", "-xOf", archive, "manifest.json"], capture_output=True, check=True).stdout
    )
    for layer in index[0]["Layers"]:
        data = subprocess.run(["tar", "-xOf", archive, layer], capture_output=True, check=True).stdout
        for line in (
            subprocess.run(["tar", "--numeric-owner", "-tv"], input=data, capture_output=True, check=True)
            .stdout.decode()
            .splitlines()
        ):
            fields = line.split()
            owners[fields[5]] = fields[1]
    assert (owners["f"], owners["g"], owners["h"]) == ("1000/2000", "1000/1000", "0/0")


def test_ignored_files_stay_out_and_the_error_names_the_rule(tiffin, busybox, folder):
    files = {
        ".dockerignore": "*.csv\ndata\n!data/keep\n",
        "a.csv": "x",
        "data/keep": "1",
        "data/drop": "2",
        "app": "3",
    }
    write(folder, {"Dockerfile": f"FROM {busybox}\nCOPY . /ctx/\n", **files})
    build(tiffin, folder, "ignored")
    listed = show(tiffin, "ignored", "find", "/ctx", "-type", "f").split()
    assert sorted(listed) == ["/ctx/.dockerignore", "/ctx/Dockerfile", "/ctx/app", "/ctx/data/keep"]
    write(folder, {"Dockerfile": f"FROM {busybox}\nCOPY a.csv /\n"})
    done = tiffin("build", folder, check=False)
    assert done.returncode == 1
    assert "Dockerfile:2" in done.stderr
    assert "line 1 of .dockerignore" in done.stderr


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        ("FROM busybox\nCOPY none /\n", "none does not exist"),
        ("FROM busybox\nRUNN x\n", "did you mean RUN?"),
        ("FROM busyboks\n", "busybox"),
        ("", "empty"),
        ("FROM busybox\nRUN --security=insecure true\n", "Dockerfile:2"),
    ],
)
def test_bad_input_is_a_clear_line_and_changes_nothing(tiffin, busybox, folder, dockerfile, expected):
    write(folder, {"Dockerfile": dockerfile})
    before = tiffin("images", "-a", "-q").stdout
    done = tiffin("build", "-t", "bad", folder, check=False)
    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert tiffin("images", "-a", "-q").stdout == before


def test_a_build_that_was_killed_is_built_right_the_next_time(tiffin, busybox, folder):
    text = f"FROM {busybox}\n{STAMP}RUN echo begin > /half && sleep 2 && echo end > /half\n"
    write(folder, {"Dockerfile": text})
    for moment in (0.3, 0.7, 1.2):
        process = tiffin.popen(
            "build", "-t", "killed", folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moment)
        process.kill()
        process.wait()
    build(tiffin, folder, "killed")
    assert show(tiffin, "killed", "cat", "/half") == "end\n"


def test_two_builds_at_once_do_the_work_once(tiffin, busybox, folder):
    write(folder, {"Dockerfile": f"FROM {busybox}\nRUN sleep 1\n{STAMP}"})
    both = [
        tiffin.popen("build", "-q", "-t", f"twin{n}", folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for n in (1, 2)
    ]
    for process in both:
        _out, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
    assert stamp(tiffin, "twin1") == stamp(tiffin, "twin2")


def test_bytecode_made_by_a_step_stays_valid(tiffin, busybox, folder):
    """A .pyc holds the time of its source: both are set to the epoch together."""
    text = (
        f"FROM {busybox}\nRUN mkdir -p /p/__pycache__ && echo x > /p/m.py && touch -d @1700000000 /p/m.py"
        " && printf '\\247\\15\\15\\12\\0\\0\\0\\0\\0\\361\\123\\145\\2\\0\\0\\0'"
        " > /p/__pycache__/m.cpython-311.pyc\n"
    )
    build(tiffin, folder, "bytecode", text)
    shown = show(
        tiffin,
        "bytecode",
        "sh",
        "-c",
        "stat -c %Y /p/m.py; od -An -tu4 -j8 -N4 /p/__pycache__/m.cpython-311.pyc",
    )
    source, recorded = shown.split()
    assert source == recorded == "315619200"
