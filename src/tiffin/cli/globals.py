"""The options that stand before the command."""

from __future__ import annotations

from tiffin.cli.options import HelpAsked, flag, parse, refuse, value

NO_DAEMON = "there is no daemon to connect to"
RUNGS = ("auto", "root", "rootless", "single-id", "chroot", "traced")

OPTIONS = (
    flag("-D, --debug", "Show a traceback when something fails (as TIFFIN_DEBUG=1 does)"),
    value("--home", "DIR", "Keep images and containers in this folder (as TIFFIN_HOME does)"),
    value("--isolation", "RUNG", f"Force a rung of isolation: {', '.join(RUNGS)}", choices=RUNGS),
    flag("--offline", "Use no network, and say what is missing (as TIFFIN_OFFLINE=1 does)"),
    value("--signature-policy", "FILE", "Let in only what this policy allows (policy.json)"),
    flag("-v, --version", "Print the version and exit"),
    *refuse(
        NO_DAEMON,
        "-c, --context=",
        "-H, --host=",
        "--tls",
        "--tlscacert=",
        "--tlscert=",
        "--tlskey=",
        "--tlsverify",
    ),
    *refuse("credentials are read where Docker keeps them; set DOCKER_CONFIG instead", "--config="),
    *refuse("use --debug for more, and --quiet of a command for less", "-l, --log-level="),
)


def read(words: list[str]) -> tuple[dict[str, str], list[str], bool]:
    """Overrides for the settings, the words from the command on, and whether to debug."""
    try:
        arguments = parse(OPTIONS, words, stop_at_word=True)
    except HelpAsked:
        return {}, ["help"], False
    names = ("home", "isolation", "signature-policy")
    overrides = {name: text for name in names if (text := arguments.text(name)) is not None}
    if arguments.flag("offline"):
        overrides["offline"] = "1"
    rest = ["version"] if arguments.flag("version") else list(arguments.words)
    return overrides, rest or ["help"], arguments.flag("debug")
