"""tiffin doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, value
from tiffin.cli.output import print_document
from tiffin.ui.columns import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.doctor import Report


def run(session: Session, arguments: Arguments) -> int:
    """Say on which rung of isolation containers run here, and why; 1 if they cannot run at all."""
    from tiffin.engine.doctor import examine

    settings = session.settings()
    report = examine(settings)
    if arguments.flag("gpu"):
        from tiffin.engine.gpudoctor import examine_gpus

        report = report._replace(checks=(*report.checks, *examine_gpus(settings.environ)))
    form = "json" if arguments.flag("json") else arguments.text("format")
    if form is not None:
        print_document(session, document(report), form)
    else:
        for line in lines(report):
            session.print(line)
    return 0 if report.rung else 1


def lines(report: Report) -> Iterator[str]:
    """The verdict first, then why, then every check and what would mend it."""
    yield (
        f"Containers run here, isolated on the rung: {report.rung}"
        if report.rung
        else "Containers cannot run here"
    )
    for reason in report.reasons:
        yield f"  {reason}"
    yield ""
    rows = [["ok" if check.ok else "no", check.name, check.found] for check in report.checks]
    yield from table(rows)
    remedies = [check for check in report.checks if not check.ok and check.remedy]
    if remedies:
        yield ""
        yield "What would help:"
        for check in remedies:
            yield f"  {check.name}: {check.remedy}"


def document(report: Report) -> dict[str, object]:
    """The same for programs."""
    checks = [
        {"Name": check.name, "Ok": check.ok, "Found": check.found, "Remedy": check.remedy}
        for check in report.checks
    ]
    return {"Rung": report.rung or "", "Reasons": list(report.reasons), "Checks": checks}


COMMAND = Command(
    "doctor [OPTIONS]",
    run,
    options=(
        value("-f, --format", "FORMAT", "Print as 'json' or through a TEMPLATE such as {{.Rung}}"),
        flag("--json", "The same as --format json"),
        flag("--gpu", "Look at GPUs and other CDI devices too, and what a container would get of them"),
    ),
    examples=("tiffin doctor", "tiffin doctor --gpu", "tiffin doctor --format '{{.Rung}}'"),
)
