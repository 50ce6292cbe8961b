"""Dockerfiles as people write them for serving models, and what an image of each has to do.

Each lies in the folder of its name, unmodified; what cannot lie in a repository, like archives and model
files, is put into a copy of the folder by `prepared`. What they begin from is made from `bases`.
"""

import hashlib
import io
import shutil
import tarfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["CASES", "PROMPT", "Case", "prepared"]

PLACE = Path(__file__).parent


class Case(NamedTuple):
    """What is expected: either it `says` something and ends, or it answers on a port.

    `owners` are entries of the image with their owner, group and mode. `needs` names wheels that the public
    index does not have.
    """

    says: str = ""
    port: int = 0
    path: str = "/"
    owners: dict[str, str] = {}  # noqa: RUF012 - it is a tuple's
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


PROMPT = ("apt-heavy", "torch-multistage", "useradd-chown", "uv-sync")
"""Those which are built by the tests on every rung: the others take their time."""

CASES = {
    "add-archive": Case(
        "weights.bin(.|\n)*cat\ndog(.|\n)*kept",
        owners={
            "/opt/models/encoder-v1/weights.bin": "0:0 644",
            "/opt/models/encoder": "absent",
            "/opt/labels/labels.txt": "1000:1000 640",
        },
    ),
    "apt-heavy": Case(
        "answer 42\nStatus: install ok installed", owners={"/usr/bin/ssh-agent": "0:_ssh 2755"}
    ),
    "arg-matrix": Case(
        "variant gpu\narch amd64 on linux\nextra=cuda", options=("--build-arg", "VARIANT=gpu")
    ),
    "bento-layout": Case(
        '"bento":"bento","user":"bentoml"',
        3000,
        "/livez",
        {"/home/bentoml/bento/bento.yaml": "1034:1034 644"},
    ),
    "celery-redis": Case("result 42", owners={"/start.sh": "django:django 755", "/app": "django:django 755"}),
    "cmake-extension": Case("dot 25"),
    "cron": Case("15 3 \\* \\* \\*", owners={"/var/spool/cron/crontabs/retrain": "retrain:crontab 600"}),
    "distroless": Case("user 65532 processes True apt None", owners={"/app/app.py": "65532:65532 644"}),
    "entrypoint-gosu": Case("serving as redisai in /data, state by redisai", owners={"/data": "999:999 755"}),
    "fastapi-uvicorn": Case('"status":"ok"', 80, "/health"),
    "flask-gunicorn": Case('"user":"app"', 5000, "/ping", {"/home/app/web/wsgi.py": "app:app 644"}),
    "gpu-env": Case("== CUDA 12.4.1 ==\n/usr/local/cuda-12.4\n/usr/local/nvidia/lib(.|\n)*no devices"),
    "grpc": Case("score 7.0", owners={"/home/grpc/app": "10001:10001 755"}),
    "heredocs": Case(
        "args: \\$HOME literal: /root",
        owners={
            "/opt/app/version.txt": "0:0 644",
            "/opt/app/made": "0:0 644",
            "/opt/app/bin/start": "0:0 755",
        },
    ),
    "hf-cache": Case(
        "found hub/models--acme--tiny/snapshots/1234abcd/config.json size",
        owners={"/home/user/.cache/huggingface/hub/models--acme--tiny/refs/main": "user:user 644"},
    ),
    "jupyter": Case(
        '"version"', 8888, "/api", {"/home/jovyan/work": "1000:100 6775", "/etc/passwd": "0:0 664"}
    ),
    "lfs-model": Case("\\.gitattributes\nSHA256SUMS\n(.*\n)*model.bin\nwith space.txt"),
    "lightgbm-apt": Case("trees 5"),
    "locales-tz": Case("^3\n14 CEST\nEurope/Madrid"),
    "mlflow-serving": Case('"predictions":\\[2,4\\]', 8080, "/invocations"),
    "nginx-supervisord": Case(
        "proxied by www-data", 8080, "/", {"/var/www/app/static/index.html": "www-data:www-data 644"}
    ),
    "node-frontend": Case("<h1>Scores</h1>", 8000, "/"),
    "onbuild": Case("sha: abc123", options=("--build-arg", "GIT_SHA=abc123")),
    "onnxruntime": Case(
        "\\[2.0, 4.0, 6.0\\]",
        owners={"/models/model.onnx": "10001:10001 644", "/usr/local/bin/infer": "0:0 555"},
    ),
    "openai-server": Case('"id": "tiny"', 8000, "/v1/models"),
    "opencv": Case("middle 0.25"),
    "pip-tools": Case("Jinja2==3.1.4\nMarkupSafe=="),
    "poetry": Case("click 8.1.7"),
    "pyarrow": Case("rows 10"),
    "scratch-busybox": Case("0.25 0.75", 8000, "/weights.txt", {"/srv/weights.txt": "4000:4000 644"}),
    "secret-mount": Case("fetched\n0", options=("--secret", "id=hub_token,src=token")),
    "setcap": Case("bound 80", owners={"/usr/local/bin/python-low": "0:0 755 security.capability"}),
    "sklearn-train-serve": Case('"prediction": 0', 8080),
    "sshd": Case("configured\nsshd:", owners={"/root/.ssh": "0:0 700"}),
    "streamlit": Case("ok", 8501, "/_stcore/health"),
    "sudo": Case('{"user":"ray","root":"root"}', owners={"/usr/bin/sudo": "0:0 4755"}),
    "supervised-entrypoint": Case("gateway asked worker", 8000),
    "torch-multistage": Case(
        "probabilities \\[0", owners={"/home/worker/model.pt": "worker:worker 644"}, needs=("torch",)
    ),
    "transformers-tiny": Case("tokens 4", owners={"/data/huggingface": "0:0 777"}),
    "tritonclient": Case("models encoder,ranker \\[1, 2\\]"),
    "useradd-chown": Case(
        "uid=1500\\(serving\\) gid=1600\\(models\\)(.|\n)*staff(.|\n)*created",
        owners={
            "/srv/models": "1500:1600 2775",
            "/srv/models/a/weights.bin": "1500:1600 640",
            "/srv/models/b/created": "1500:1600 644",
            "/models": "1500:1600 777",
            "/var/log/serving": "auditor:adm 750",
            "/etc/serving/secrets.env": "auditor:adm 440",
            "/etc/serving/serving.yaml": "1500:1600 644",
            "/home/serving/work": "1500:1600 755",
            "/home/serving/work/cache/private": "auditor:1600 660",
        },
    ),
    "uv-pip": Case('"decoded":\\[1,2\\]'),
    "uv-sync": Case("score 5", owners={"/app/.venv/bin/scorer": "999:999 755"}),
    "venv-copied": Case("attrs 24.2.0 in /opt/venv"),
    "wheels-stage": Case("sum 4.0"),
}


def prepared(name: str, folder: Path, wheels: Path | None = None) -> Path:
    """Copy the context of a case into `folder`, with what a repository does not hold; return where it is."""
    place = folder / name
    shutil.copytree(PLACE / name, place, symlinks=True)
    if name == "add-archive":
        _archive(place / "model.tar.gz", "encoder/weights.bin", "encoder/tmp/part", mode=0o644)
        _archive(place / "labels.tar.xz", "labels.txt", mode=0o640, owner=1000)
    elif name == "lfs-model":
        _models(place / "models")
    elif name == "hf-cache":
        _hub(place / "cache/models--acme--tiny")
    elif name == "secret-mount":
        (place / "token").write_text("hf_secret_1")
    for wheel in CASES[name].needs:
        (place / "wheels").mkdir(exist_ok=True)
        for found in sorted((wheels or Path("/nowhere")).glob(f"{wheel}-*.whl")):
            shutil.copy(found, place / "wheels")
    return place


def _archive(path: Path, *names: str, mode: int, owner: int = 0) -> None:
    content = {"labels.txt": b"cat\ndog\n"}
    with tarfile.open(path, f"w:{path.suffix[1:]}") as archive:
        for name in names:
            data = content.get(name, b"\0" * 4096)
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.gid, entry.mtime = (
                len(data),
                mode,
                owner,
                owner,
                1700000000,
            )
            archive.addfile(entry, io.BytesIO(data))


def _models(place: Path) -> None:
    place.mkdir()
    lines = []
    for name in ("model.bin", "embeddings.bin"):
        data = hashlib.sha256(name.encode()).digest() * 40_000
        (place / name).write_bytes(data)
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    (place / "draft.bin").write_bytes(b"left out")
    (place / "SHA256SUMS").write_text("".join(lines))


def _hub(place: Path) -> None:
    """A cache as huggingface_hub lays it out: snapshots are links to blobs."""
    for folder in ("blobs", "refs", "snapshots/1234abcd"):
        (place / folder).mkdir(parents=True)
    (place / "refs/main").write_text("1234abcd")
    (place / "blobs/aaaa").write_text('{"hidden_size": 8}\n')
    (place / "blobs/aaaa.lock").touch()
    (place / "snapshots/1234abcd/config.json").symlink_to("../../blobs/aaaa")
