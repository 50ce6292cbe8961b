"""What a request for a container may not ask for here: refused before anything of it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.container.signals import parse_signal
from tiffin.engine.starting import RULE
from tiffin.errors import InvalidError, UnsupportedError
from tiffin.events import Notice
from tiffin.linux.isolation import Rung

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine
    from tiffin.engine.lookup import Found
    from tiffin.engine.request import RunRequest
    from tiffin.snapshot.merged import MergedTree

__all__ = ["check", "check_programs"]


def check(engine: Engine, request: RunRequest) -> None:
    """Refuse what cannot be, before anything is made."""
    if engine.rung is Rung.NONE:
        raise UnsupportedError(
            f"containers cannot be run on the rung {engine.rung.value}",
            hint="`tiffin doctor` says what a higher rung would need",
            exit_status=125,
        )
    if request.detach and request.platform is None and not request.image:
        raise InvalidError("the name of the image is empty")
    if request.network.startswith("container:") and (request.publish or request.publish_all):
        raise InvalidError(
            "ports cannot be published with --network container: they are those of the other container",
            hint="publish them with the container that owns the network",
            exit_status=125,
        )
    if request.networks:
        from tiffin.engine.networking import places  # most containers are on none that users have made

        places(engine, request)
    if request.stop_signal is not None:
        parse_signal(request.stop_signal)
    if request.limits:
        from tiffin.engine.limits import parse_limits

        parse_limits(request.limits)
    if request.runtime or engine.settings.runtime:
        from tiffin.engine import runtimes

        runtimes.check(engine, request)
    if request.log_driver or request.log_options:
        from tiffin.engine import logoptions

        logoptions.check(request.log_driver or "json-file", request.log_options)
    if request.gpus or request.cdi_devices:
        from tiffin.engine.accelerators import find_offers

        find_offers(engine, request.gpus, request.cdi_devices)
    _check_rung(engine, request)
    if request.restart not in ("", "no"):
        _check_restart(request)


def _check_rung(engine: Engine, request: RunRequest) -> None:
    """Refuse what the rung does not have: users and devices."""
    if any(name == "userns" for name, _ in request.security):
        from tiffin.engine import userns

        userns.check(engine.rung, request.security, lent=engine.footing.isolation.lent)
    rules = [text for name, text in request.limits if name == RULE]
    if request.devices or rules:
        from tiffin.engine import hostdevices

        hostdevices.check(engine.rung, request.devices, rules)


def _check_restart(request: RunRequest) -> None:
    from tiffin.container.restart import parse_policy

    parse_policy(request.restart)
    if request.rm:
        raise InvalidError(
            "--restart and --rm exclude each other", hint="leave one of them out", exit_status=125
        )


def check_programs(engine: Engine, request: RunRequest, found: Found, tree: MergedTree) -> None:
    """Refuse an image whose programs this machine cannot run, by itself or by an emulator."""
    own = found.config.platform.normalised()
    if engine.platform.rank(own) == 0:
        return
    from tiffin.engine.foreign import obstacle

    reason = obstacle(engine, own, lambda path: tree.resolve(path).node is not None)
    if reason is not None:
        raise UnsupportedError(
            f"the image {request.image} is for {own}, and this machine, {engine.platform}, {reason[0]}",
            code="foreign-platform",
            hint=f"build or pull it for this machine; or {reason[1]}",
            exit_status=125,
        )
    if request.platform is None and own.architecture != engine.platform.architecture:
        engine.emit(Notice(f"the image {request.image} is for {own}, and this machine is {engine.platform}"))
