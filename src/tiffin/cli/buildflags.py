"""The flags of `tiffin build`, and why some of Docker's are refused."""

from __future__ import annotations

from tiffin.cli import stepflags
from tiffin.cli.options import flag, ignore, refuse, value, values

CALLS = ("build", "check", "outline", "targets")
MODES = ("auto", "tty", "plain", "quiet", "rawjson")
BUILDERS = ("default", "tiffin")
"""How the one builder is called by those who have to name one."""

# Those that `tiffin bake` has too.
CALL = value("--call", "METHOD", f"What to do: {', '.join(CALLS)}", default="build")
NO_CACHE = flag("--no-cache", "Run every instruction again")
PROGRESS = value(
    "--progress", "MODE", f"How to show progress: {', '.join(MODES)}", default="auto", choices=MODES
)
PULL = flag("--pull", "Ask the registry for newer base images")
SPLIT_LAYERS = flag(
    "--split-layers", "Make of a big layer several, of files that change together, so that less is sent later"
)
WHY = flag("--why", "Say of each step why it is remembered, or what changed")
OTHER_BUILDER = refuse("there is one builder, tiffin itself", f"--builder={'|'.join(BUILDERS)}")
POLICY = refuse("policies are not in this release", "--policy=")

OPTIONS = (
    values("--annotation", "[LEVEL:]KEY=VALUE", "Put an annotation on the manifest, or the index"),
    values("--attest", "type=TYPE[,…]", "Attest of the images: provenance, or sbom"),
    values(
        "--build-arg", "NAME[=VALUE]", "Set a build argument; without a value it comes from the environment"
    ),
    values(
        "--build-context",
        "NAME=SOURCE",
        "Give a further context a name: a folder, docker-image://IMAGE, oci-layout://PATH[:TAG][@DIGEST], "
        "or the URL of a Git repository or an archive",
    ),
    values(
        "--cache-from",
        "NAME|type=TYPE,…",
        "Look for steps in this cache too: registry (ref), local (src, tag), or an image that carries one",
    ),
    values(
        "--cache-to",
        "type=TYPE,…",
        "Write the cache for others: registry (ref), local (dest, tag), or inline; mode=max, mounts=true",
    ),
    CALL,
    flag("--check", "Look at the Dockerfile by all lint rules and build nothing, like --call=check"),
    value("-f, --file", "FILE", "The Dockerfile, '-' for standard input (PATH/Dockerfile if not given)"),
    value("--iidfile", "FILE", "Write the image id into this file"),
    values("--label", "KEY=VALUE", "Put a label on the image"),
    flag("--load", "Keep the image in the store, which is done unless --output says otherwise"),
    value("--metadata-file", "FILE", "Write digests and names of the result into this file, as JSON"),
    value("--network", "MODE", "Network of the RUN instructions: default, none or host", default="default"),
    NO_CACHE,
    values("--no-cache-filter", "STAGE[,STAGE]", "Run every instruction of these stages again"),
    values(
        "--platform",
        "PLATFORM[,…]",
        "Build for these platforms, like linux/arm64 or local; several make an index",
    ),
    value(
        "--provenance", "true|mode=max[,…]", "Say what the images were made from: --attest type=provenance"
    ),
    PROGRESS,
    values(
        "-o, --output",
        "TYPE|FOLDER|-",
        "Put the result out: type=local or tar (files), oci or docker (archives), image or registry",
    ),
    PULL,
    flag("--push", "Send the image to the registry of its names: --output=type=registry"),
    flag("-q, --quiet", "Print nothing but the image id"),
    values(
        "--secret",
        "id=ID[,src=FILE|env=NAME]",
        "Let steps mount a secret: a file, or an environment variable",
    ),
    values(
        "--ssh", "default|ID[=SOCKET|KEY[,KEY]]", "Let steps mount an SSH agent, or one that holds these keys"
    ),
    SPLIT_LAYERS,
    value("--sbom", "true|false", "List the packages in the images: --attest type=sbom"),
    values("-t, --tag", "NAME[:TAG]", "Give the image a name; can be repeated", dynamic="images"),
    value("--target", "STAGE", "Build this stage, and not the last one"),
    WHY,
    *stepflags.OPTIONS,
    *refuse("a step asks for rights by RUN --security=insecure, and --allow grants them", "--security-opt="),
    *refuse("layers are never squashed; use a stage of its own to leave files behind", "--squash"),
    *OTHER_BUILDER,
    *POLICY,
    *refuse("there are --memory, --cpu-quota and the like", "--resource="),
    *refuse("use the global option: tiffin --isolation RUNG build", "--isolation=default"),
    *ignore("--compress", "--disable-content-trust", "--force-rm", "--rm"),
)
