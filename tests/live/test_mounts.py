"""RUN --mount, told by what steps see and what they leave: as Docker's reference describes it."""

import os
import subprocess
import time

import pytest
from tests.live import cases

pytestmark = pytest.mark.live

UUID = "cat /proc/sys/kernel/random/uuid"


def write(folder, files):
    owner = folder.stat()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in folder.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def build(tiffin, folder, name, dockerfile=None, *options, files=None, **more):
    """Build the Dockerfile, or the one that is there."""
    write(folder, {**(files or {}), **({"Dockerfile": dockerfile} if dockerfile else {})})
    return tiffin("build", "--progress", "plain", "-t", name, *options, folder, **more)


def show(tiffin, image, script):
    return tiffin("run", "--rm", image, "sh", "-c", f"{script}; true").stdout


def layers(tiffin, folder, image):
    """The names in the image's layers, and all its bytes."""
    archive = folder / "saved.tar"
    tiffin("save", "-o", archive, image)
    data = archive.read_bytes()
    archive.unlink()
    return data


# -- type=cache -------------------------------------------------------------------------------------


def test_a_cache_outlives_the_build_and_is_no_part_of_it(tiffin, busybox, folder):
    mount = "--mount=type=cache,target=/var/warm/store"
    script = "echo grape-$N >> /var/warm/store/f && cp /var/warm/store/f /seen"
    text = f"FROM {busybox}\nARG N\nRUN {mount} {script}\n"
    build(tiffin, folder, "warm", text, "--build-arg", "N=1")
    build(tiffin, folder, "warm", None, "--build-arg", "N=2")
    assert (
        show(tiffin, "warm", "cat /seen; ls -d /var/warm /var 2>&1 | grep -c 'No such'")
        == "grape-1\ngrape-2\n2\n"
    )
    # The content is no part of the key: the first step is remembered, though the cache holds more by now.
    build(tiffin, folder, "warm", None, "--build-arg", "N=1")
    assert show(tiffin, "warm", "cat /seen") == "grape-1\n"


def test_caches_are_found_by_their_id(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\nRUN --mount=type=cache,id=vat,target=/a echo red > /a/wine\n"
        "RUN --mount=type=cache,id=vat,target=/b/c cat /b/c/wine > /seen\n"
        "RUN --mount=type=cache,target=/a ls /a > /other\n"
    )
    build(tiffin, folder, "ids", text)
    assert show(tiffin, "ids", "cat /seen /other; ls -d /a /b 2>/dev/null") == "red\n"


def test_owner_and_mode_of_a_cache_count_when_it_is_made(tiffin, busybox, folder):
    options = "id=owned,mode=0750,uid=1000,gid=2000"
    text = (
        f"FROM {busybox}\nRUN --mount=type=cache,target=/c,{options} stat -c '%a %u:%g' /c > "
        "/seen && chmod 711 /c\n"
        f"RUN --mount=type=cache,target=/c,{options} stat -c '%a' /c >> /seen\n"
        "USER 1000:2000\n"
        f"RUN --mount=type=cache,target=/c,{options} touch /c/mine && test -w /c/mine\n"
    )
    build(tiffin, folder, "owned", text)
    first, second = show(tiffin, "owned", "cat /seen").splitlines()
    assert second == "711"
    assert first == "750 1000:2000"


def test_a_cache_can_begin_with_what_a_stage_has(tiffin, busybox, folder):
    text = (
        f"FROM {busybox} AS seed\nRUN mkdir -p /s/sub && echo must > /s/sub/f\n"
        f"FROM {busybox}\n"
        "RUN --mount=type=cache,target=/c,from=seed,source=/s/sub cat /c/f > /first && echo more >> /c/f\n"
        "RUN --mount=type=cache,target=/c,from=seed,source=/s/sub cat /c/f > /second\n"
        "RUN --mount=type=cache,target=/c,from=seed,source=/s/sub,ro (echo x > /c/f) "
        "2>/dev/null || echo ro > /third\n"
    )
    build(tiffin, folder, "seeded", text)
    assert show(tiffin, "seeded", "cat /first /second /third") == "must\nmust\nmore\nro\n"


@pytest.mark.parametrize(("sharing", "most"), [("locked", 1), ("shared", 2)])
def test_sharing(tiffin, busybox, folder, sharing, most):
    """Two stages at once: each notes how many were in the cache with it."""
    mount = f"--mount=type=cache,target=/c,sharing={sharing}"
    script = "n=$(mktemp /c/in.XXXXXX); sleep 1.5; ls /c/in.* | wc -l > /count; sleep 0.5; rm $n"
    text = (
        f"FROM {busybox} AS a\nRUN {mount} {script}\n"
        f"FROM {busybox} AS b\nRUN {mount} {script}; true\n"
        f"FROM {busybox}\nCOPY --from=a /count /a\nCOPY --from=b /count /b\n"
    )
    build(tiffin, folder, f"sharing-{sharing}", text)
    assert max(show(tiffin, f"sharing-{sharing}", "cat /a /b").split()) == str(most)


def test_a_private_cache_is_nobody_elses_while_it_is_used(tiffin, busybox, folder):
    mount = "--mount=type=cache,id=alone,target=/c,sharing=private"
    script = "touch /c/$(cat /proc/sys/kernel/random/uuid); sleep 1.5; ls /c | wc -l > /count"
    text = (
        f"FROM {busybox} AS a\nRUN {mount} {script}\nFROM {busybox} AS b\nRUN {mount} {script}; true\n"
        f"FROM {busybox}\nCOPY --from=a /count /a\nCOPY --from=b /count /b\n"
    )
    build(tiffin, folder, "private", text)
    assert show(tiffin, "private", "cat /a /b") == "1\n1\n"
    build(tiffin, folder, "private", f"FROM {busybox}\nRUN {mount} ls /c | wc -l > /count\n")
    assert show(tiffin, "private", "cat /count") == "1\n"


def test_two_locked_caches_in_either_order_do_not_wait_for_each_other(tiffin, busybox, folder):
    one, two = (f"--mount=type=cache,target=/{name},sharing=locked" for name in ("x", "y"))
    text = (
        f"FROM {busybox} AS a\nRUN {one} {two} sleep 0.5\nFROM {busybox} AS b\nRUN {two} {one} "
        f"{one} sleep 0.6\n"
        f"FROM {busybox}\nCOPY --from=a /etc/passwd /a\nCOPY --from=b /etc/passwd /b\n"
    )
    build(tiffin, folder, "either", text, timeout=60)


def test_a_failed_build_does_not_wait_for_a_locked_cache(tiffin, busybox, folder):
    mount = "--mount=type=cache,id=held,target=/c,sharing=locked"
    write(folder, {"holder": f"FROM {busybox}\nRUN {mount} touch /c/here && sleep 20\n"})
    holder = tiffin.popen(
        "build", "--progress", "plain", "-f", folder / "holder", folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        time.sleep(2)
        text = (
            f"FROM {busybox} AS waits\nRUN {mount} touch /x\nFROM {busybox} AS fails\nRUN sleep 1; exit 7\n"
            f"FROM {busybox}\nCOPY --from=waits /x /x\nCOPY --from=fails /x /y\n"
        )
        start = time.monotonic()
        assert build(tiffin, folder, "waits", text, check=False).returncode == 7
        assert time.monotonic() - start < 12
    finally:
        holder.terminate()
        holder.wait()


def test_caches_are_listed_and_pruned(tiffin, busybox, folder):
    text = f"FROM {busybox}\nRUN --mount=type=cache,id=big-vat,target=/c head -c 300000 /dev/urandom > /c/f\n"
    build(tiffin, folder, "pruned", text)
    listed = tiffin("system", "df", "-v").stdout
    assert "exec.cachemount" in listed
    tiffin("builder", "prune", "-a", "-f")
    assert "exec.cachemount" not in tiffin("system", "df", "-v").stdout
    build(
        tiffin,
        folder,
        "pruned",
        f"FROM {busybox}\nRUN --mount=type=cache,id=big-vat,target=/c ls /c > /seen\n",
    )
    assert show(tiffin, "pruned", "cat /seen") == ""


# -- type=bind --------------------------------------------------------------------------------------


def test_a_bind_of_the_context_is_read_only_and_its_content_is_in_the_key(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\nWORKDIR /app\nRUN --mount=type=bind,source=in.txt,target=sub/data.txt "
        f"cat sub/data.txt > seen; (echo x > sub/data.txt) 2>/dev/null || echo ro >> seen; {UUID} > id\n"
    )
    build(tiffin, folder, "bound", text, files={"in.txt": "must\n", "other": "1"})
    assert show(tiffin, "bound", "cat /app/seen; ls /app") == "must\nro\nid\nseen\n"
    first = show(tiffin, "bound", "cat /app/id")
    build(tiffin, folder, "bound", files={"other": "2"})
    assert show(tiffin, "bound", "cat /app/id") == first
    build(tiffin, folder, "bound", files={"in.txt": "wine\n"})
    assert show(tiffin, "bound", "cat /app/seen") == "wine\nro\n"


@pytest.mark.parametrize("rules", ["", "data\n*.csv\n!data/keep\n"])
@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_a_bind_of_the_whole_context(tiffin, busybox, folder, rules, mode):
    files = {"app/f": "1", "data/keep": "2", "data/drop": "3", "a.csv": "4", ".dockerignore": rules}
    text = (
        f"FROM {busybox}\nRUN --mount=type=bind,target=/ctx,{mode} cd /ctx && find . -type f | "
        "sort > /seen && "
        "stat -c %u:%g . app/f > /owners; touch app/new 2>/dev/null && cat app/f > /wrote; true\n"
    )
    build(tiffin, folder, "context", text, files=files)
    seen = show(tiffin, "context", "cat /seen").split()
    hidden = {"./a.csv", "./data/drop"}
    assert hidden & set(seen) == (set() if rules else hidden)
    assert {"./app/f", "./data/keep", "./Dockerfile"} <= set(seen)
    # As with COPY, the files of a context are root's.
    assert show(tiffin, "context", "cat /owners").split() == ["0:0", "0:0"]
    assert show(tiffin, "context", "cat /wrote 2>/dev/null; ls -d /ctx 2>/dev/null") == (
        "1" if mode == "rw" else ""
    )
    assert not (folder / "app/new").exists()


def test_a_bind_of_an_ignored_file_names_the_rule(tiffin, busybox, folder):
    text = f"FROM {busybox}\nRUN --mount=type=bind,source=a.csv,target=/a true\n"
    done = build(tiffin, folder, "x", text, files={"a.csv": "x", ".dockerignore": "*.csv\n"}, check=False)
    assert done.returncode == 1
    assert "line 1 of .dockerignore" in done.stderr
    assert "Dockerfile:2" in done.stderr


def test_a_bind_of_a_stage_by_content(tiffin, busybox, folder):
    """Layers merge, links are followed inside the stage, and a stage with the same output changes nothing."""
    text = (
        f"FROM {busybox} AS make\nARG N=1\nRUN mkdir -p /out/d && echo a > /out/d/a && echo gone "
        "> /out/d/gone\n"
        "RUN echo b > /out/d/b && rm /out/d/gone && ln -s /out /link\nRUN echo $N > /elsewhere\n"
        f"FROM {busybox}\nRUN --mount=from=make,source=/link/d,target=/m ls /m > /seen; cat /m/a "
        "/m/b >> /seen;"
        f" (touch /m/x) 2>/dev/null || echo ro >> /seen; {UUID} > /id\n"
    )
    build(tiffin, folder, "staged", text)
    assert show(tiffin, "staged", "cat /seen; ls -d /m 2>/dev/null") == "a\nb\na\nb\nro\n"
    first = show(tiffin, "staged", "cat /id")
    build(tiffin, folder, "staged", None, "--build-arg", "N=2")
    assert show(tiffin, "staged", "cat /id") == first


def test_writes_into_a_bind_are_thrown_away(tiffin, busybox, folder):
    text = (
        f"FROM {busybox} AS make\nRUN mkdir -p /out && echo a > /out/a && chmod 1777 /out && "
        "chown 1000:2000 /out\n"
        f"FROM {busybox}\nRUN --mount=from=make,source=/out,target=/m,rw stat -c '%a %u:%g' /m > /seen; "
        "echo b > /m/a; touch /m/b; cat /m/a >> /seen\n"
        "RUN --mount=from=make,source=/out,target=/m,rw cat /m/a >> /seen; ls /m >> /seen\n"
        "RUN --mount=from=make,source=/out/a,target=/f,rw echo c > /f; cat /f >> /seen\n"
        "RUN --mount=from=make,source=/out/a,target=/f cat /f >> /seen\n"
    )
    build(tiffin, folder, "thrown", text)
    assert show(tiffin, "thrown", "cat /seen") == "1777 1000:2000\nb\na\na\nc\na\n"


def test_a_bind_of_an_image_and_of_a_named_context(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\nRUN --mount=from={busybox},target=/other head -n 1 /other/etc/passwd > /seen\n"
        "RUN --mount=from=more,source=f,target=/f cat /f >> /seen\n"
    )
    more = folder / "more"
    write(folder, {"more/f": "named\n"})
    build(tiffin, folder, "named", text, "--build-context", f"more={more}")
    assert show(tiffin, "named", "cat /seen") == "root:x:0:0:root:/root:/bin/sh\nnamed\n"


def test_mount_options_know_variables(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\nARG WHERE=deep/down\nENV FILE=f\n"
        "RUN --mount=type=bind,source=${FILE}.txt,target=/$WHERE/${FILE:-x} cat /deep/down/f > /seen\n"
    )
    build(tiffin, folder, "variable", text, files={"f.txt": "1\n"})
    assert show(tiffin, "variable", "cat /seen; ls -d /deep 2>/dev/null") == "1\n"


# -- type=tmpfs and type=secret ---------------------------------------------------------------------


def test_a_tmpfs_is_memory_of_its_size(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\nRUN mkdir /old && echo below > /old/f\n"
        "RUN --mount=type=tmpfs,target=/old,size=2m ls /old > /seen; echo x > /old/new; "
        "df -k /old | tail -n 1 | awk '{print $1, $2}' >> /seen\n"
    )
    build(tiffin, folder, "memory", text)
    assert show(tiffin, "memory", "cat /seen /old/f; ls /old") == "tmpfs 2048\nbelow\nf\n"


SECRET = "quite-a-rare-vintage"


def store_of(tiffin):
    home = tiffin.env.get("TIFFIN_HOME")
    return home or f"{tiffin.home}/.local/share/tiffin"


def test_a_secret_is_seen_by_its_step_and_by_nobody_else(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\n"
        "RUN --mount=type=secret,id=key,env=KEY --mount=type=secret,id=key "
        "--mount=type=secret,id=file,target=/etc/keys/k,mode=0440,gid=2000 "
        "cat /run/secrets/key /etc/keys/k | wc -c > /seen; echo -n $KEY | wc -c >> /seen; "
        "stat -c %a /run/secrets/key /etc/keys/k >> /seen; "
        "grep -c ' /run/secrets/key tmpfs ' /proc/mounts >> /seen; "
        f"{UUID} > /id\n"
        'RUN ls -d /run /etc/keys 2>/dev/null >> /seen; echo "[$KEY]" >> /seen\n'
    )
    (folder.parent / "value").write_text(SECRET)
    os.chown(folder.parent / "value", folder.stat().st_uid, folder.stat().st_gid)
    options = ("--secret", "id=key,env=THE_KEY", "--secret", f"id=file,src={folder.parent / 'value'}")
    done = build(tiffin, folder, "secretive", text, *options, env={"THE_KEY": SECRET})
    size = len(SECRET)
    assert show(tiffin, "secretive", "cat /seen").split() == [
        str(2 * size),
        str(size),
        "400",
        "440",
        "1",
        "[]",
    ]
    told = done.stdout + done.stderr + tiffin("history", "--no-trunc", "secretive").stdout
    assert SECRET not in told + tiffin("inspect", "secretive").stdout
    assert SECRET.encode() not in layers(tiffin, folder, "secretive")
    found = subprocess.run(
        ["grep", "-r", "-l", "-a", SECRET, store_of(tiffin)], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (1, "")
    # Another value is no reason to run again.
    first = show(tiffin, "secretive", "cat /id")
    build(tiffin, folder, "secretive", None, *options, env={"THE_KEY": "new"})
    assert show(tiffin, "secretive", "cat /id") == first


def test_a_secret_that_is_not_given(tiffin, busybox, folder):
    mount = "--mount=type=secret,id=key,env=KEY,target=/k"
    build(
        tiffin,
        folder,
        "without",
        f'FROM {busybox}\nRUN {mount} echo "[$KEY]" > /seen; ls /k 2>/dev/null; true\n',
    )
    assert show(tiffin, "without", "cat /seen") == "[]\n"
    done = build(tiffin, folder, "without", f"FROM {busybox}\n\nRUN {mount},required true\n", check=False)
    assert done.returncode == 1
    assert "Dockerfile:3" in done.stderr
    assert "--secret id=key,src=FILE" in done.stderr


# -- type=ssh ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ssh_add(tiffin, busybox):
    """An image with OpenSSH's client for agents, and the folder of two keys that belong to the account."""
    folder = tiffin.home / "ssh"
    cases.copy_program("/usr/bin/ssh-add", folder / "tree")
    (folder / "Dockerfile").write_text(f"FROM {busybox}\nCOPY tree /\n")
    for name in ("agent", "file"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / ".dockerignore").write_text("agent*\nfile*\n")
    os.chown(folder, tiffin.home.stat().st_uid, tiffin.home.stat().st_gid)
    write(folder, {})
    tiffin("build", "-q", "-t", "ssh-add", folder)
    return folder


@pytest.fixture
def agent(tiffin, ssh_add):
    """The socket of an agent of the account's, with one key."""
    path = ssh_add / "socket"
    with subprocess.Popen(
        [*tiffin.command[:-1], "ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE, env=tiffin.env
    ) as process:
        process.stdout.readline()
        subprocess.run(
            ["ssh-add", "-q", ssh_add / "agent"], env={**os.environ, "SSH_AUTH_SOCK": str(path)}, check=True
        )
        yield path
        process.terminate()


def test_an_agent_is_forwarded_and_cannot_be_changed(tiffin, ssh_add, agent, folder):
    public = {name: (ssh_add / f"{name}.pub").read_text() for name in ("agent", "file")}
    text = (
        "FROM ssh-add\nCOPY agent.pub file.pub /\n"
        "RUN --mount=type=ssh --mount=type=ssh,id=own,target=/deep/own,mode=0660,uid=1000,gid=2000 "
        "{ ssh-add -T /agent.pub && echo signed $SSH_AUTH_SOCK; ssh-add -D || echo kept; "
        "stat -c '%a %u:%g %F' $SSH_AUTH_SOCK /deep/own; "
        "SSH_AUTH_SOCK=/deep/own ssh-add -L; ssh-add -L; } > /seen 2>/dev/null\n"
        'RUN ls -d /run /deep 2>/dev/null; echo "[$SSH_AUTH_SOCK]" >> /seen\n'
    )
    options = ("--ssh", f"own={ssh_add / 'file'}", "--ssh", "default")
    env = {"SSH_AUTH_SOCK": str(agent)}
    files = {f"{name}.pub": value for name, value in public.items()}
    build(tiffin, folder, "forwarded", text, *options, files=files, env=env)
    owner = "0:0" if tiffin.rung == "single-id" else "1000:2000"
    signed, kept, first, second, *keys, last = show(tiffin, "forwarded", "cat /seen").splitlines()
    assert signed == "signed /run/buildkit/ssh_agent.0"
    assert kept == "kept"
    assert (first, second) == ("600 0:0 socket", f"660 {owner} socket")
    assert [key.split()[1] for key in keys] == [public[name].split()[1] for name in ("file", "agent")]
    assert last == "[]"
    assert show(tiffin, "forwarded", "ls -d /run /deep 2>/dev/null") == ""
    # The keys are on no disk of ours, and another one is no reason to run again.
    secret = (ssh_add / "file").read_text().splitlines()[2]
    found = subprocess.run(["grep", "-rlaF", secret, store_of(tiffin)], capture_output=True, check=False)
    assert (found.returncode, found.stdout) == (1, b"")
    options = ("--ssh", f"own={ssh_add / 'agent'}", "--ssh", "default")
    build(tiffin, folder, "forwarded", None, *options, env=env)
    assert show(tiffin, "forwarded", "head -n 5 /seen | tail -n 1").split()[1] == public["file"].split()[1]


def test_an_agent_that_is_not_given(tiffin, busybox, folder):
    text = f'FROM {busybox}\nRUN --mount=type=ssh echo "[$SSH_AUTH_SOCK]" > /seen\n'
    build(tiffin, folder, "unforwarded", text)
    assert show(tiffin, "unforwarded", "cat /seen") == "[]\n"
    required = f"FROM {busybox}\n\nRUN --mount=type=ssh,id=git,required true\n"
    done = build(tiffin, folder, "unforwarded", required, check=False)
    assert done.returncode == 1
    assert "Dockerfile:3" in done.stderr
    assert "--ssh git" in done.stderr
    done = build(tiffin, folder, "unforwarded", None, "--ssh", "default", check=False)
    assert "SSH_AUTH_SOCK is not set" in done.stderr
