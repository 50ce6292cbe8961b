"""tiffin trust show and check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.output import format_option, print_rows
from tiffin.cli.policyflags import SIGNATURE_POLICY, use_policy

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row

HEADINGS = {"Transport": "TRANSPORT", "Scope": "SCOPE", "Requirement": "REQUIREMENT"}


def run_show(session: Session, arguments: Arguments) -> int:
    """Print the policy in force, a line for each requirement."""
    from tiffin.engine.policyfile import policy_file
    from tiffin.engine.trusting import policy_rules

    use_policy(session, arguments)
    path = policy_file(session.settings())
    rows: list[Row] = []
    if path is None:
        session.stderr.write("there is no policy: every image is accepted\n")
    else:
        for rule in policy_rules(path):
            for requirement in rule.requirements:
                scope = rule.scope or ("(all others)" if rule.transport else "(default)")
                rows.append(
                    {
                        "Transport": rule.transport or "(all)",
                        "Scope": scope,
                        "Requirement": requirement,
                        "File": str(path),
                    }
                )
        if not arguments.text("format"):
            session.print(f"{path}:")
    print_rows(session, rows, HEADINGS, list(HEADINGS), arguments.text("format"))
    return 0


def run_check(session: Session, arguments: Arguments) -> int:
    """Print the digest of an image that the policy would let in; fail if it would not."""
    from tiffin.engine.trusting import check_image

    use_policy(session, arguments)
    with session.engine() as engine:
        session.print(str(check_image(engine, arguments.words[0])))
    return 0


SHOW = Command(
    "show [OPTIONS]",
    run_show,
    options=(format_option(), SIGNATURE_POLICY),
    description=(
        "Show which images may come in, and whose signatures they need: what policy.json says.\n\n"
        "The policy is in the file that --signature-policy or TIFFIN_SIGNATURE_POLICY names, else in "
        "~/.config/containers/policy.json, else in /etc/containers/policy.json."
    ),
    examples=("tiffin trust show",),
)

CHECK = Command(
    "check [OPTIONS] NAME[:TAG|@DIGEST]",
    run_check,
    options=(SIGNATURE_POLICY,),
    words=(1, 1),
    names="images",
    description="Ask the policy whether an image may come in from its registry, and print its digest if so.",
    examples=("tiffin trust check --signature-policy policy.json registry.example.org/finca/serving:1.2",),
)
