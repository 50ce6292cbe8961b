"""Every command: where it lives and what it does, in one line each.

Help and completion of the names need this table alone; the module of a command
is imported when it is chosen.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.cli.command import Command

# verb → (module[:NAME of the value], summary); the order is that of help.
COMMON = {
    "build": ("build", "Build an image from a Dockerfile"),
    "run": ("run", "Make a container from an image and run it"),
    "exec": ("exec", "Run a command in a running container"),
    "ps": ("ps", "List containers"),
    "images": ("images", "List images"),
    "base": ("base", "Make a base image from a distribution's signed packages"),
    "pull": ("pull", "Fetch an image from a registry"),
    "push": ("push", "Send an image to a registry"),
    "login": ("login", "Keep credentials for a registry"),
    "logout": ("logout", "Forget the credentials for a registry"),
    "doctor": ("doctor", "Say what works on this machine, what does not, and why"),
    "info": ("info", "Show how the engine is set up"),
    "version": ("version", "Show the version"),
}
OTHER = {
    "attach": ("attach", "Attach standard streams to a running container"),
    "bake": ("bake", "Build the targets of a bake file or a Compose file"),
    "commit": ("commit", "Make an image of what a container has become"),
    "completion": ("completion", "Print the completion script for a shell"),
    "cp": ("cp", "Copy files between a container and this machine"),
    "create": ("create", "Make a container from an image without starting it"),
    "diff": ("diff", "Show what a container has changed in its files"),
    "events": ("events", "Show what happens to containers, images and volumes"),
    "export": ("export", "Write the files of a container as a tar"),
    "help": ("help", "Explain a command"),
    "history": ("history", "Show the layers of an image and the instructions that made them"),
    "import": ("import_", "Make an image of the files in a tar"),
    "inspect": ("inspect", "Show everything known about containers, images, networks or volumes"),
    "kill": ("kill", "Send a signal to running containers, SIGKILL unless told otherwise"),
    "load": ("load", "Take in images from an archive"),
    "logs": ("logs", "Show what a container has written"),
    "pause": ("pause", "Hold all processes of containers still"),
    "oci": ("oci", "Be an OCI runtime for other engines, with the verbs of runc"),
    "port": ("port", "Show where the ports of a container are offered"),
    "rename": ("rename", "Give a container another name"),
    "restart": ("restart", "Stop containers, and start them again"),
    "rm": ("rm", "Remove containers"),
    "rmi": ("rmi", "Remove images"),
    "save": ("save", "Write images into an archive"),
    "spec": ("spec", "Print the OCI runtime spec of a container, of an image, or one to begin with"),
    "start": ("start", "Start containers that have stopped"),
    "stats": ("stats", "Show what containers use of processor, memory, network and disk"),
    "stop": ("stop", "Stop running containers, gently first"),
    "tag": ("tag", "Give an image another name"),
    "top": ("top", "Show the processes of a container"),
    "unpause": ("pause:UNPAUSE", "Let paused containers go on"),
    "update": ("update", "Change the limits and the restart policy of containers"),
    "wait": ("wait", "Wait until containers stop, and print their exit codes"),
}
HIDDEN = {"__complete": ("complete", "Names for shell completion")}

GROUPS: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "artifact": (
        "Send and fetch models and other files that are no images",
        {
            "attach": ("referrers:ATTACH", "Send files that are about an image, and refer to it"),
            "ls": ("artifact:LIST", "List the files of an artifact"),
            "pull": ("artifact:PULL", "Fetch the files of an artifact"),
            "push": ("artifact:PUSH", "Send files to a registry"),
            "referrers": ("referrers:REFERRERS", "List what refers to an image: signatures, SBOMs, reports"),
        },
    ),
    "builder": (
        "Look after the builder and its cache; 'buildx' is the same",
        {
            "build": COMMON["build"],
            "du": ("builder:USAGE", "Show what the build cache takes"),
            "inspect": ("builder:INSPECT", "Show the builder"),
            "ls": ("builder:LIST", "List the one builder"),
            "prune": ("prune:BUILDER", "Remove unused build cache"),
            "use": ("builder:USE", "Choose the builder, of which there is one"),
        },
    ),
    "container": (
        "Manage containers",
        {
            "attach": OTHER["attach"],
            "commit": OTHER["commit"],
            "cp": OTHER["cp"],
            "create": OTHER["create"],
            "diff": OTHER["diff"],
            "exec": COMMON["exec"],
            "export": OTHER["export"],
            "inspect": ("inspect:CONTAINER", "Show everything known about containers"),
            "kill": OTHER["kill"],
            "logs": OTHER["logs"],
            "ls": COMMON["ps"],
            "pause": OTHER["pause"],
            "port": OTHER["port"],
            "prune": ("prune:CONTAINERS", "Remove all stopped containers"),
            "rename": OTHER["rename"],
            "restart": OTHER["restart"],
            "rm": OTHER["rm"],
            "run": COMMON["run"],
            "start": OTHER["start"],
            "stats": OTHER["stats"],
            "stop": OTHER["stop"],
            "top": OTHER["top"],
            "unpause": OTHER["unpause"],
            "update": OTHER["update"],
            "wait": OTHER["wait"],
        },
    ),
    "generate": (
        "Print files for other programs",
        {"systemd": ("boot:SYSTEMD", "Print a unit that starts containers with the machine")},
    ),
    "image": (
        "Manage images",
        {
            "build": COMMON["build"],
            "cp": ("image_cp", "Copy an image between registries, layouts, archives and the store"),
            "history": OTHER["history"],
            "import": OTHER["import"],
            "inspect": ("inspect:IMAGE", "Show everything known about images"),
            "load": OTHER["load"],
            "ls": COMMON["images"],
            "prune": ("prune:IMAGES", "Remove unused images"),
            "pull": COMMON["pull"],
            "push": COMMON["push"],
            "rm": OTHER["rmi"],
            "save": OTHER["save"],
            "tag": OTHER["tag"],
        },
    ),
    "network": (
        "Manage networks",
        {
            "connect": ("network:CONNECT", "Put a container on a network"),
            "create": ("network:CREATE", "Make a network"),
            "disconnect": ("network:DISCONNECT", "Take a container off a network"),
            "inspect": ("network:INSPECT", "Show everything known about networks"),
            "ls": ("network:LIST", "List networks"),
            "prune": ("network:PRUNE", "Remove unused networks"),
            "rm": ("network:REMOVE", "Remove networks"),
        },
    ),
    "system": (
        "Look after the engine's disk",
        {
            "df": ("df", "Show what takes how much space"),
            "events": OTHER["events"],
            "export": ("airgap", "Write all images and what bases are made from into one archive"),
            "fsck": ("fsck", "Find what is damaged on disk, and mend it"),
            "import": ("load", "Take in what 'system export' wrote"),
            "info": COMMON["info"],
            "prune": ("prune:SYSTEM", "Remove what is unused"),
            "start-all": ("boot:START_ALL", "Start what is to run after a start of the machine"),
        },
    ),
    "trust": (
        "Sign images, and say whose signatures are needed",
        {
            "check": ("trustpolicy:CHECK", "Ask the policy whether an image may come in"),
            "inspect": ("trust:INSPECT", "Show who says to have signed an image"),
            "key": ("trustkey", "Make a key pair: 'trust key generate'"),
            "show": ("trustpolicy:SHOW", "Show which images the policy lets in"),
            "sign": ("trust:SIGN", "Sign an image in a registry with a key"),
            "verify": ("trust:VERIFY", "Check the signatures of an image"),
        },
    ),
    "volume": (
        "Manage volumes",
        {
            "create": ("volume:CREATE", "Make a volume"),
            "inspect": ("volume:INSPECT", "Show everything known about volumes"),
            "ls": ("volume:LIST", "List volumes"),
            "prune": ("prune:VOLUMES", "Remove unused volumes"),
            "rm": ("volume:REMOVE", "Remove volumes"),
        },
    ),
}

ALIASES = {
    "artifact discover": "artifact referrers",
    "container list": "container ls",
    "container ps": "container ls",
    "container remove": "container rm",
    "image list": "image ls",
    "image remove": "image rm",
    "network list": "network ls",
    "network remove": "network rm",
    "volume list": "volume ls",
    "volume remove": "volume rm",
    "builder b": "builder build",
    "buildx b": "builder build",
    "buildx build": "builder build",
    "buildx du": "builder du",
    "buildx inspect": "builder inspect",
    "buildx ls": "builder ls",
    "buildx prune": "builder prune",
    "buildx use": "builder use",
    "buildx version": "version",
    "buildx bake": "bake",
}

_SWARM = "tiffin runs on one machine; its images run on any Kubernetes"
_HERE = "there is one engine, this program; 'tiffin --home FOLDER' chooses another store"
_REGISTRY = "a build for several platforms makes the index: 'tiffin build --platform'"
# Verbs and groups of Docker that a user may expect here, and what to do instead.
ABSENT = {
    "checkpoint": "a container cannot be frozen into a file; 'tiffin commit' keeps its files as an image",
    "compose": "build the services with 'tiffin bake', and run them one by one with 'tiffin run'",
    "config": _SWARM,
    "context": _HERE,
    "manifest": _REGISTRY,
    "node": _SWARM,
    "plugin": "volumes are folders of this machine, and nothing is to be plugged in",
    "search": "look at the registry's own site",
    "secret": "give a build its secrets with 'tiffin build --secret', and a container with 'tiffin run -v'",
    "service": _SWARM,
    "stack": _SWARM,
    "swarm": _SWARM,
    "trust revoke": "a signature cannot be taken back: delete the tag sha256-….sig, or trust another key",
    "trust signer": "who may sign is a matter of the policy: 'tiffin trust show'",
    "volume update": "only volumes of a cluster can be changed, and these are folders of this machine",
}
_ONE = "there is one builder, tiffin itself, which is always there: use 'tiffin build'"
# The same for the verbs of buildx.
ABSENT_BUILDX = {
    "create": _ONE,
    "dial-stdio": _ONE,
    "history": "what was built is shown by 'tiffin history IMAGE', and the cache by 'tiffin builder du'",
    "imagetools": "use 'tiffin inspect IMAGE' for what is here, and 'tiffin image cp' to copy an index",
    "rm": _ONE,
    "stop": _ONE,
}


def paths() -> Iterator[tuple[str, str, str]]:
    """(path, location, summary) of every command that help shows, groups included: `image ls`."""
    for table in (COMMON, OTHER):
        for name, (location, summary) in table.items():
            yield name, location, summary
    for group, (_, verbs) in GROUPS.items():
        for name, (location, summary) in verbs.items():
            yield f"{group} {name}", location, summary


def find(path: str) -> tuple[str, str] | None:
    """Location and summary of the command at `path`, aliases resolved."""
    group, _, verb = ALIASES.get(path, path).partition(" ")
    if verb:
        return GROUPS[group][1].get(verb) if group in GROUPS else None
    return COMMON.get(group) or OTHER.get(group) or HIDDEN.get(group)


def is_group(name: str) -> bool:
    """Whether `name` is the first half of commands only, like `image`."""
    return name in GROUPS or name == "buildx"


def load(location: str) -> Command:
    """Import the module of a command and give its value."""
    module, _, name = location.partition(":")
    name = name or "COMMAND"
    # importlib.import_module would do the same and load two more modules for it
    command: Command = getattr(__import__(f"tiffin.cli.commands.{module}", fromlist=[name]), name)
    return command
