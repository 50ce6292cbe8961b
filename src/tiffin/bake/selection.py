"""Targets and groups, and what is asked for → the targets to build, complete.

Pure. What a target inherits is merged in, overrides are applied, and the targets that
are used as contexts of others come along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.overrides import apply, matching, no_target
from tiffin.bake.target import Group, Target
from tiffin.dockerfile.match import has_wildcard, match
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tiffin.bake.overrides import Override

LINK = "target:"


class Config(NamedTuple):
    """All targets and groups that the files define."""

    targets: tuple[Target, ...]
    groups: tuple[Group, ...]

    @property
    def names(self) -> list[str]:
        """The names that may be asked for."""
        return list(dict.fromkeys([*(one.name for one in self.groups), *(one.name for one in self.targets)]))


class Selection(NamedTuple):
    """The targets to build, by name, and the groups that led to them."""

    targets: dict[str, Target]
    groups: dict[str, Group]

    def only(self, names: Iterable[str]) -> Selection:
        """Return what is needed to build the targets `names`."""
        return self._replace(targets={name: self.targets[name] for name in self._in_order(names)})

    def order(self) -> list[str]:
        """Return the names so that every target comes after those that it uses as contexts."""
        return self._in_order(self.targets)

    def _in_order(self, names: Iterable[str]) -> list[str]:
        found: dict[str, None] = {}

        def visit(name: str) -> None:
            if name not in found:
                for link in sorted(links(self.targets[name]).values()):
                    visit(link)
                found[name] = None

        for name in sorted(names):
            visit(name)
        return list(found)


def links(target: Target) -> dict[str, str]:
    """Return the contexts of `target` that are other targets, as context → target."""
    pairs = target.pairs("contexts").items()
    return {name: value.removeprefix(LINK) for name, value in pairs if value.startswith(LINK)}


def select(config: Config, wanted: Sequence[str], overrides: Sequence[Override]) -> Selection:
    """Return what `wanted` names, which may be targets, groups and patterns of them."""
    try:
        return _select(config, wanted, overrides)
    except RecursionError as error:
        raise InvalidError("targets lean on others too many times", code="bake-too-much") from error


def _select(config: Config, wanted: Sequence[str], overrides: Sequence[Override]) -> Selection:
    resolver = _Resolver(config, overrides)
    names = [name for pattern in wanted for name in _expand(config, pattern.replace(".", "_"))]
    names = list(dict.fromkeys(names))
    targets: dict[str, Target] = {}
    groups: dict[str, Group] = {}
    for name in names:
        members, passed = resolver.group(name)
        for member in members:
            targets[member] = targets.get(member) or resolver.resolve(member)
        groups.update({one: resolver.groups[one] for one in passed})
    done: set[str] = set()
    for name in list(targets):
        _load_links(resolver, name, targets, done, ())
    return Selection(targets, _default(groups, names))


def _expand(config: Config, pattern: str) -> list[str]:
    if not has_wildcard(pattern):
        return [pattern]
    found = [name for name in config.names if match(pattern, name)]
    if not found:
        raise no_target(pattern, config.names)
    return found


def _default(groups: Mapping[str, Group], names: Sequence[str]) -> dict[str, Group]:
    """Return the groups with the default one, which holds what was asked for."""
    found = dict(groups)
    default = found.get("default") or Group("default", ())
    asked = [name for name in names if not (name == "default" and "default" in groups)]
    members = sorted(dict.fromkeys([*default.targets, *asked]))
    found["default"] = default._replace(targets=tuple(members))
    return found


def _load_links(
    resolver: _Resolver, name: str, targets: dict[str, Target], done: set[str], above: tuple[str, ...]
) -> None:
    """Let the targets come along that `name` uses as contexts; `done` has those whose own have come."""
    if name in done:
        return
    above = (*above, name)
    target = targets[name]
    for link in links(target).values():
        if link in above:
            way = " → ".join([*above[above.index(link) :], link])
            raise InvalidError(f"a target cannot be its own context: {way}", code="bake-cycle")
        if link not in targets:
            resolved = resolver.resolve(link)
            resolved.values["output"] = ({"type": "cacheonly"},)
            resolved.linked = True
            targets[link] = resolved
        _load_links(resolver, link, targets, done, above)
        _inherit(target, targets[link])
    done.add(name)


def _inherit(target: Target, link: Target) -> None:
    """What a context needs is needed, and its platforms must be enough."""
    needed = [*target.texts("entitlements"), *link.texts("entitlements")]
    if needed:
        target.values["entitlements"] = tuple(dict.fromkeys(needed))
    mine, theirs = target.texts("platforms"), link.texts("platforms")
    if len(mine) > 1 and len(theirs) > 1 and not set(mine) <= set(theirs):
        raise InvalidError(
            f"the target {target.name} is for {', '.join(mine)}, and its context {link.name}"
            f" only for {', '.join(theirs)}",
            code="bake-platforms",
        )


class _Resolver:
    def __init__(self, config: Config, overrides: Sequence[Override]) -> None:
        self.groups = {group.name: group for group in reversed(config.groups)}
        self._targets = {target.name: target for target in config.targets}
        self._names = config.names
        self._overrides: dict[str, list[Override]] = {}
        for override in overrides:
            for name in matching(override.pattern, self._targets):
                self._overrides.setdefault(name, []).append(override)

    def group(self, name: str) -> tuple[list[str], list[str]]:
        """Return the targets that a name leads to, and the groups on the way; each once.

        Within a group its own name is that of a target: Compose files make such groups.
        """
        targets: dict[str, None] = {}
        passed: dict[str, None] = {}

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name not in self.groups or name in above:
                targets[name] = None
            elif name not in passed:
                passed[name] = None
                for member in self.groups[name].targets:
                    visit(member, (*above, name))

        visit(name, ())
        return list(targets), list(passed)

    def resolve(self, name: str) -> Target:
        """Return the complete target of this name."""
        target = self._inherited(name, {}, ())
        target.values.pop("inherits", None)
        target.values["context"] = target.text("context") or "."
        target.values["dockerfile"] = target.text("dockerfile") or "Dockerfile"
        return target

    def _inherited(self, name: str, known: dict[str, Target], above: tuple[str, ...]) -> Target:
        if name not in self._targets:
            raise no_target(name, self._names)
        if name in above:
            way = " → ".join([*above[above.index(name) :], name])
            raise InvalidError(f"targets inherit from each other: {way}", code="bake-cycle")
        if name in known:
            return known[name]
        merged = Target(name)
        for parent in self._targets[name].texts("inherits"):
            merged.merge(self._inherited(parent, known, (*above, name)))
        merged.merge(self._targets[name])
        apply(merged, self._overrides.get(name, ()))
        merged.normalise()
        known[name] = merged
        return merged
