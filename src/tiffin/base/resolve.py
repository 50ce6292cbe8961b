"""Which packages it takes: the closure of dependencies, the same for the same indexes. Pure.

No search that could surprise: every wanted name is taken in its newest version,
single dependencies are followed first, and a clause with alternatives is decided
only when no single one is left, for what is already chosen. What cannot be had
is an error that names the chain of packages that wanted it.
"""

from __future__ import annotations

import difflib
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from tiffin.base.relations import Clause, Relation, clause_text
from tiffin.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tiffin.base.index import Package, PackageIndex

_DEPENDS = ("pre-depends", "depends")


class Wanted(NamedTuple):
    """What a base is to contain: packages by name, and dependencies that it does without.

    `without` names packages that nothing needs here; `without_from` are pairs of a package
    and one of its dependencies.
    """

    names: tuple[str, ...]
    architecture: str
    without: frozenset[str] = frozenset()
    without_from: frozenset[tuple[str, str]] = frozenset()


def resolve(index: PackageIndex, wanted: Wanted) -> tuple[Package, ...]:
    """The packages to install, dependencies before what needs them.

    A dependency on a name in `wanted.without` is dropped unless the name is wanted
    itself. `NotFoundError` for what no index has, `ConflictError` for packages
    that exclude each other.
    """
    closure = _Closure(index, wanted)
    closure.run()
    chosen = closure.chosen
    for package in chosen.values():
        _check_conflicts(package, chosen)
    return installation_order(tuple(chosen[name] for name in sorted(chosen)))


def installation_order(packages: Sequence[Package]) -> tuple[Package, ...]:
    """The packages with dependencies first; cycles are broken at the name that comes first."""
    by_name = {package.name: package for package in packages}
    owners: dict[str, list[str]] = {}
    for package in packages:
        for clause in package.relations("provides"):
            owners.setdefault(clause[0].name, []).append(package.name)
    done: dict[str, Package] = {}
    entered: set[str] = set()

    def needs(package: Package) -> list[str]:
        clauses = package.relations(*_DEPENDS)
        named = [relation.name for clause in clauses for relation in clause]
        return [owner for name in named for owner in ([name] if name in by_name else owners.get(name, ()))]

    for package in packages:
        stack = [(package, iter(needs(package)))] if package.name not in entered else []
        entered.add(package.name)
        while stack:
            current, rest = stack[-1]
            following = next((name for name in rest if name not in entered), None)
            if following is None:
                done[current.name] = current
                stack.pop()
            else:
                entered.add(following)
                stack.append((by_name[following], iter(needs(by_name[following]))))
    return tuple(done.values())


class _Closure:
    """The set that grows: `chosen` by name, `wanted_by` remembers who asked first."""

    def __init__(self, index: PackageIndex, wanted: Wanted) -> None:
        self._index = index
        self._wanted = wanted
        self._without = wanted.without - set(wanted.names)
        self._wanted_by: dict[str, str] = {}
        self._provided: dict[str, list[Package]] = {}
        self._possible: dict[str, bool] = {}
        self._single: deque[tuple[Clause, str]] = deque()
        self._open: deque[tuple[Clause, str]] = deque()
        self.chosen: dict[str, Package] = {}

    def run(self) -> None:
        """Choose until nothing is missing."""
        for name in self._wanted.names:
            self._satisfy((Relation(name),), "")
        while self._single or self._open:
            clause, owner = (self._single or self._open).popleft()
            self._satisfy(clause, owner)

    def _satisfy(self, clause: Clause, owner: str) -> None:
        if any(self._is_met(relation) for relation in clause):
            return
        if any(self._is_dropped(owner, relation) for relation in clause):
            return
        candidates = [package for relation in clause for package in self._candidates(relation)]
        if candidates:
            # Where nothing will do, the first is followed to what is missing: the error must name that.
            self._choose(next(filter(self._is_possible, candidates), candidates[0]), owner)
            return
        raise self._unsatisfied(clause, owner)

    def _choose(self, package: Package, owner: str) -> None:
        other = self.chosen.get(package.name)
        if other is not None:
            raise ConflictError(
                f"the package {package.name} is needed in version {package.version}"
                f" by {owner or 'the request'} and in version {other.version}"
                f" by {self._wanted_by[package.name] or 'the request'}",
                code="package-conflict",
                hint="the indexes of the mirror do not fit together; wait for its next update or use another",
            )
        self.chosen[package.name] = package
        self._wanted_by[package.name] = owner
        for name in {package.name, *(clause[0].name for clause in package.relations("provides"))}:
            self._provided.setdefault(name, []).append(package)
        for clause in package.relations(*_DEPENDS):
            (self._single if len(clause) == 1 else self._open).append((clause, package.name))

    def _is_met(self, relation: Relation) -> bool:
        return any(
            self._fits(relation, package)
            and any(relation.accepts(version) for version in package.offers(relation.name))
            for package in self._provided.get(relation.name, ())
        )

    def _candidates(self, relation: Relation) -> list[Package]:
        """What could meet the relation: the package of that name, then those that provide it."""
        real = [
            package for package in self._index.versions(relation.name) if relation.accepts(package.version)
        ]
        virtual = [
            package
            for package in self._index.providers(relation.name)
            if package.name != relation.name and any(map(relation.accepts, package.offers(relation.name)))
        ]
        return [package for package in real[:1] + virtual if self._fits(relation, package)]

    def _fits(self, relation: Relation, package: Package) -> bool:
        """Whether the package is of an architecture that the relation and the image take."""
        ours = (self._wanted.architecture, "all")
        asked = relation.architecture in ("", "any", "native", *ours)
        return asked and package.architecture in ours

    def _is_possible(self, package: Package) -> bool:
        """Whether every single dependency exists, all the way down (what is underway counts as possible)."""
        key = f"{package.name}={package.version}"
        known = self._possible.get(key)
        if known is None:
            self._possible[key] = True
            known = self._possible[key] = all(
                self._can_meet(clause, package.name)
                for clause in package.relations(*_DEPENDS)
                if len(clause) == 1
            )
        return known

    def _is_dropped(self, owner: str, relation: Relation) -> bool:
        return relation.name in self._without or (owner, relation.name) in self._wanted.without_from

    def _can_meet(self, clause: Clause, owner: str) -> bool:
        return any(
            self._is_dropped(owner, relation)
            or self._is_met(relation)
            or any(map(self._is_possible, self._candidates(relation)))
            for relation in clause
        )

    def _unsatisfied(self, clause: Clause, owner: str) -> NotFoundError:
        chain = []
        while owner:
            chain.append(owner)
            owner = self._wanted_by.get(owner, "")
        wanted = f"needed by {', needed by '.join(chain)}" if chain else "asked for"
        first = clause[0]
        held = self._index.newest(first.name)
        if held is None:
            found = "no index has it"
        elif first.accepts(held.version):
            found = f"version {held.version} is there, but for another architecture"
        else:
            found = f"the newest version there is {held.version}"
        near = difflib.get_close_matches(first.name, self._index.names(), n=3, cutoff=0.75)
        return NotFoundError(
            f"package {clause_text(clause)}, {wanted}, cannot be had: {found}",
            code="package-not-found",
            hint=f"did you mean {' or '.join(near)}?"
            if near and held is None
            else "look at the suites and components of the mirror",
        )


def _check_conflicts(package: Package, chosen: dict[str, Package]) -> None:
    for relation in (relation for clause in package.relations("conflicts", "breaks") for relation in clause):
        for other in _holders(relation.name, chosen.values()):
            if other.name == package.name or not any(map(relation.accepts, other.offers(relation.name))):
                continue
            raise ConflictError(
                f"the packages {package.name} {package.version} and {other.name} {other.version}"
                f" exclude each other ({relation})",
                code="package-conflict",
                hint="leave one of them out",
            )


def _holders(name: str, packages: Iterable[Package]) -> list[Package]:
    return [package for package in packages if package.offers(name)]
