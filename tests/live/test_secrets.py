"""A network with rules of its own: a step reaches its package index, and nothing of it stays behind."""

import subprocess

import pytest
from tests.live import cases

pytestmark = pytest.mark.live

MARK = "zinfandel"  # in everything that is lent
LENT = {
    "http_proxy": f"http://user:{MARK}@proxy.invalid:3128",
    "HTTPS_PROXY": f"http://{MARK}.proxy.invalid:3128",
    "no_proxy": f"{MARK}.invalid",
    "PIP_INDEX_URL": f"https://{MARK}:secret@index.invalid/simple",
    "PIP_EXTRA_INDEX_URL": f"https://{MARK}.invalid/simple",
}
CA = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


@pytest.fixture
def lent(folder):
    """The environment of such a network; its CA bundle has the mark too."""
    bundle = folder / f"{MARK}-ca.pem"
    bundle.write_text(f"# {MARK}\n")
    cases.own(bundle)
    return {**LENT, **dict.fromkeys(CA, str(bundle))}


def everything(place):
    """All bytes below a folder, with the names, read as root."""
    for file in place.rglob("*"):
        yield str(file).encode("utf-8", "surrogateescape")
        if file.is_file() and not file.is_symlink():
            yield file.read_bytes()


def test_what_is_lent_is_there_and_leaves_nothing(tiffin, busybox, folder, lent):
    checks = [f'test "${name}" = "{value}"' for name, value in LENT.items()]
    checks += [f'grep -q {MARK} "${name}"' for name in CA]
    context = folder / "context"
    context.mkdir()
    text = f"FROM {busybox}\nCOPY check mark /\nRUN sh -e /check && date > /stamp\n"
    # The script must not hold the mark itself.
    script = "\n".join(checks).replace(MARK, "$(rev /mark)")
    cases.write(context, {"Dockerfile": text, "check": script, "mark": MARK[::-1]})
    tiffin("build", "-q", "--no-relay", "-t", "lent", context, env=lent)
    archive = folder / "lent.tar"
    tiffin("save", "-o", archive, "lent")
    texts = [tiffin("history", "--no-trunc", "lent").stdout, tiffin("inspect", "lent").stdout]
    assert MARK not in "".join(texts)
    assert not [name for name in (*LENT, *CA) if name.lower() in "".join(texts).lower()]
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", unpacked], check=True)
    for data in everything(unpacked):
        assert MARK.encode() not in data
        assert b"ca-certificates" not in data
    # Nor in the store: its layers, its cache, its database.
    assert (tiffin.store / "tiffin.db").exists()
    for data in everything(tiffin.store):
        assert MARK.encode() not in data


def test_the_relay_keeps_addresses_and_logins_outside(tiffin, busybox, folder, lent):
    # What is to be reached without a proxy is no secret, and the variables of the CA name a file in the step.
    look = 'env | grep -vi ^no_proxy | grep "$(rev /mark)"'
    text = f'FROM {busybox}\nCOPY mark /\nRUN test -n "$http_proxy" && ! {{ {look}; }}\n'
    cases.write(folder, {"Dockerfile": text, "mark": MARK[::-1]})
    tiffin("build", "-q", folder, env=lent)


def test_what_is_lent_is_not_in_the_cache_key(tiffin, busybox, folder, lent):
    cases.write(folder, {"Dockerfile": f"FROM {busybox}\nRUN cat /proc/sys/kernel/random/uuid > /stamp\n"})
    stamps = []
    for environment in (lent, {}, {**lent, "PIP_INDEX_URL": "https://other.invalid"}):
        tiffin("build", "-q", "-t", "key", folder, env=environment)
        stamps.append(tiffin("run", "--rm", "key", "cat", "/stamp").stdout)
    assert len(set(stamps)) == 1


def test_what_the_dockerfile_sets_wins(tiffin, busybox, folder, lent):
    text = f"FROM {busybox}\nENV PIP_INDEX_URL=https://own.invalid\nRUN echo $PIP_INDEX_URL > /index\n"
    cases.write(folder, {"Dockerfile": text})
    tiffin("build", "-q", "-t", "own", folder, env=lent)
    assert tiffin("run", "--rm", "own", "cat", "/index").stdout == "https://own.invalid\n"


def test_containers_are_lent_nothing(tiffin, busybox, lent):
    shown = tiffin("run", "--rm", busybox, "env", env=lent).stdout
    assert MARK not in shown
    assert "CERT" not in shown
