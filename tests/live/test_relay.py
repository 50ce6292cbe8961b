"""The relay as steps of a build see it: its address, what they are told, and what they are not."""

import os
import shutil

import pytest
from tests.build.relay.conftest import LOGIN, Index, needs_login
from tests.doubles import pki
from tests.doubles.web import WebDouble

pytestmark = pytest.mark.live

INDEX = "awk '/^index-url/ {print $3}' ${XDG_CONFIG_DIRS%%:*}/pip/pip.conf"
FETCH = (
    f"RUN set -e; index=$({INDEX}); wget -qO /tmp/page $index/wine/; rm -f /wine.whl; "
    "wget -qO /wine.whl $(sed 's/.*href=\"\\([^\"#]*\\).*/\\1/' /tmp/page); rm /tmp/page\n"
)
LOOK = "RUN (env; cat $(find /dev/.tiffin -type f); find /dev/.tiffin) > /told\n"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """An index behind a login, over TLS by a CA of its own; yields it, and the CA."""
    place = pki.make(tmp_path_factory.mktemp("relay"))
    with WebDouble().serve(pki.tls(place)) as web:
        web.faults.append(needs_login)
        made = Index(web)
        made.add("wine", "1.0", size=100_000)
        yield made, place / "ca.crt"


@pytest.fixture
def build(tiffin, folder, busybox, index):
    """Builds a Dockerfile on busybox where the host knows the index; returns the image's id."""
    made, authority = index
    bundle = folder / "ca.crt"
    shutil.copy(authority, bundle)
    bundle.chmod(0o644)
    url = made.web.url.replace("://", f"://{LOGIN}@") + "/simple"

    def run(text, *options, **env):
        (folder / "Dockerfile").write_text(f"FROM {busybox}\n{text}")
        for path in folder.iterdir():
            os.chown(path, folder.stat().st_uid, folder.stat().st_gid)
        env = {"SSL_CERT_FILE": str(bundle), "PIP_INDEX_URL": url, **env}
        return tiffin("build", "-q", "-t", "relayed", *options, folder, env=env).stdout.strip()

    return run


def show(tiffin, path):
    return tiffin("run", "--rm", "--network", "none", "relayed", "cat", path).stdout


def test_a_step_gets_packages_but_no_secret_and_no_ca(tiffin, build, index):
    made, _ = index
    made.fetched()
    build(FETCH + LOOK, TIFFIN_RELAY="only")
    told = show(tiffin, "/told")
    assert "index-url = http://127.0.0.1:" in told
    for secret in ("s3cret", "CERTIFICATE", "ca-certificates", "SSL_CERT"):
        assert secret not in told
    build("ENV another=image\n" + FETCH)
    assert made.fetched() == ["wine-1.0-py3-none-any.whl"]
    build("ENV a=third\n" + FETCH, TIFFIN_OFFLINE="1")
    assert made.web.seen == []
    assert (
        f"{len(made.files['wine']['wine-1.0-py3-none-any.whl'])}"
        in tiffin("run", "--rm", "--network", "none", "relayed", "wc", "-c", "/wine.whl").stdout
    )
    listed = tiffin("builder", "du", "--format", "{{.Type}}").stdout
    assert "package" in listed.split()


def test_nothing_of_it_is_in_the_image(build):
    text = "RUN echo made > /made; mkdir -p /root/.config\nRUN ls -a /dev/.. > /list\n"
    assert build(text, "--no-cache") == build(text, "--no-cache", "--no-relay")


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_steps_without_one(tiffin, build):
    look = "echo relay ${XDG_CONFIG_DIRS:-none}"
    build(
        f"RUN --network=none {look} > /a\nENV HTTPS_PROXY=http://127.0.0.1:9\nRUN {look} > /b\n"
        f"ENV HTTPS_PROXY= XDG_CONFIG_DIRS=/own\nRUN {look} > /c\nRUN cat /a /b /c > /told\n"
    )
    assert show(tiffin, "/told").splitlines() == ["relay none", "relay none", "relay /own"]
    text = f"RUN {look} > /told\n"
    build(text, "--no-cache", "--no-relay")
    assert show(tiffin, "/told") == "relay none\n"
    build(text, "--no-cache", "--build-arg", "HTTP_PROXY=http://127.0.0.1:9")
    assert show(tiffin, "/told") == "relay none\n"


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_it_is_no_door_to_this_machine(build, index):
    made, _ = index
    before = len(made.web.seen)
    port = made.web.url.rpartition(":")[2]
    refused = "403 Forbidden"
    build(
        f"RUN export http_proxy=http://127.0.0.1:19090; wget -O- http://127.0.0.1:{port}/ 2>&1"
        f" | grep '{refused}' && wget -O- http://169.254.169.254/ 2>&1 | grep '{refused}'\n"
    )
    assert len(made.web.seen) == before
