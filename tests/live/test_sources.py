"""What a build fetches, as a user sees it, on every rung: files, repositories, contexts."""

import gzip
import subprocess

import pytest
from tests.doubles.web import Page, Repository
from tests.live.cases import own, write

pytestmark = pytest.mark.live


def run(tiffin, image, script):
    return tiffin("run", "--rm", image, "sh", "-c", script).stdout


def test_add_and_contexts_from_elsewhere(tiffin, busybox, folder, web):
    """Whoever builds: files are root's, and the second time nothing is done."""
    repository = Repository(web.folder, "repo")
    repository.commit({"tool": "#!/bin/sh\necho tool\n", "d/f": "in the repository\n"}, "v1")
    web.pages["/f"] = Page(b"of the web\n", {"ETag": '"1"'})
    text = (
        f"FROM {busybox}\nADD {web.url}/f /f\nADD --chmod=755 {web.url}/repo.git#v1 /r\n"
        "COPY --from=named d /n\nRUN --mount=from=named,target=/m cat /m/d/f > /read\n"
    )
    write(folder, {"Dockerfile": text})
    build = ("build", "-t", "sources", "--build-context", f"named={web.url}/repo.git", folder)
    tiffin(*build)
    seen = run(tiffin, "sources", "cat /f /n/f /read; /r/tool; stat -c '%a %u:%g' /f /r/d/f")
    assert seen == "of the web\nin the repository\nin the repository\ntool\n600 0:0\n755 0:0\n"
    again = tiffin(*build, "--progress=plain").stderr
    assert again.count(" DONE ") == 1  # the image that it begins from
    # The repository itself as the context, and an archive of it on standard input.
    repository.commit({"Dockerfile": f"FROM {busybox}\nCOPY d /d\n", ".dockerignore": "tool\n"})
    tiffin("build", "-q", "-t", "sources", f"{web.url}/repo.git")
    assert run(tiffin, "sources", "cat /d/f") == "in the repository\n"
    packed = subprocess.run(["tar", "-C", repository.work, "-c", "."], check=True, capture_output=True).stdout
    first, second = (
        tiffin("build", "-q", "-", input=data, text=False).stdout for data in (packed, gzip.compress(packed))
    )
    assert first == second
    assert run(tiffin, first.decode().strip(), "cat /d/f") == "in the repository\n"


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_what_a_user_reads_when_it_cannot_be_fetched(tiffin, folder):
    write(folder, {"Dockerfile": "FROM scratch\n\nADD http://127.0.0.1:9/f /f\n"})
    failed = tiffin("build", folder, check=False)
    assert failed.returncode == 1
    assert "Dockerfile:3" in failed.stderr
    assert "http://127.0.0.1:9/f cannot be fetched" in failed.stderr
    assert "Traceback" not in failed.stderr
    for context in ("http://127.0.0.1:9/x.git", "http://127.0.0.1:9/x.tar"):
        failed = tiffin("build", context, check=False)
        assert context in failed.stderr
        assert failed.returncode == 1


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_a_build_that_is_killed_while_it_fetches_leaves_nothing_half_done(tiffin, folder, web):
    """And the next one fetches it."""
    begun = []

    def slow(handler):
        if handler.path != "/f" or begun:
            return False
        begun.append(handler)
        handler.reply(200, {}, b"x" * (4 << 20), cut=3 << 20)
        build.kill()
        return True

    web.faults.append(slow)
    web.pages["/f"] = Page(b"whole\n")
    write(folder, {"Dockerfile": f"FROM scratch\nADD {web.url}/f /f\n"})
    own(folder)
    build = tiffin.popen("build", "-q", "-t", "killed", str(folder), stderr=subprocess.DEVNULL)
    build.wait()
    tiffin("build", "-q", "-t", "killed", folder)
    tiffin("system", "prune", "-f")
    work = [path for path in (tiffin.store / "work").iterdir() if path.is_dir()]
    assert work == []
