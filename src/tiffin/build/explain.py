"""Why a step was not remembered: its record beside that of the last time, in sentences. Pure.

It lies in this room, and not in `ml`, because the solver tells it while the build runs: before the step
that takes an hour, not after it.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from tiffin.build.linediff import arrow, changed_lines
from tiffin.build.oneline import short
from tiffin.build.steprecord import CONTEXT, variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.build.steprecord import Entry, Ground, Read, StepRecord

# All that the rule SecretsUsedInArgOrEnv knows, and more: a wrong guess costs little here.
_SECRET = re.compile(r"PASS|PWORD|SECRET|TOKEN|KEY|CREDENTIAL|AUTH(?!OR)", re.IGNORECASE)
_PLAIN = {
    "user": "USER",
    "directory": "WORKDIR",
    "network": "--network",
    "security": "--security",
    "destination": "destination",
    "chown": "--chown",
    "chmod": "--chmod",
    "link": "--link",
    "parents": "--parents",
    "unpack": "--unpack",
    "path": "WORKDIR",
}
_TOLD = frozenset(
    {
        *_PLAIN,
        "type",
        "env",
        "arguments",
        "mounts",
        "sources",
        "exclude",
        "files",
        "script",
        "ambient",
        "taken",
    }
)


def reasons(old: StepRecord, new: StepRecord) -> list[str]:
    """Return what changed in the step itself and in what it reads; empty for nothing."""
    found = list(_definition(old, new))
    if old.epoch != new.epoch:
        found.append(f"SOURCE_DATE_EPOCH {old.epoch} → {new.epoch}")
    for before, after in zip(old.reads, new.reads, strict=False):
        if before.content != after.content:
            found += _read(before, after)
    return found


def below(old: Ground, new: Ground, cause: str = "") -> list[str]:
    """Return what changed in what a step stands on; `cause` is the earlier instruction that it comes from."""
    if old.chain == new.chain:
        return []
    if new.image and old.image:
        if old.name != new.name:
            return [f"base image {arrow(old.name, new.name)}"]
        return [f"base image digest changed ({new.name} {_digest(old)} → {_digest(new)})"]
    if old.name == new.name or cause:
        return [f"{short(cause or new.name)} before it gave another result"]
    return [f"it stands on {short(new.name)} now, and stood on {short(old.name)}"]


def _definition(old: StepRecord, new: StepRecord) -> Iterator[str]:
    before, after = old.definition, new.definition
    if before.get("type") != after.get("type"):
        yield f"instruction changed: {arrow(old.text, new.text)}"
        return
    yield from _variables(old, new)
    yield from _command(before.get("arguments", ()), after.get("arguments", ()))
    for name, shown in _PLAIN.items():
        was, now = before.get(name), after.get(name)
        if isinstance(was, bool) or isinstance(now, bool):
            if bool(was) != bool(now):
                yield f"{shown} is {'new' if now else 'gone'}"
        elif was != now:
            yield f"{shown} {arrow(was or '', now or '')}"
    for name, shown in (("sources", "sources"), ("exclude", "--exclude")):
        if before.get(name) != after.get(name):
            yield f"{shown} {arrow(' '.join(before.get(name, ())), ' '.join(after.get(name, ())))}"
    yield from _mounts(before.get("mounts", ()), after.get("mounts", ()))
    files = [[*each.get("files", ()), *filter(None, [each.get("script")])] for each in (before, after)]
    yield from _documents(*files)
    other = sorted(name for name in {*before, *after} - _TOLD if before.get(name) != after.get(name))
    yield from (f"{name} changed" for name in other)


def _variables(old: StepRecord, new: StepRecord) -> Iterator[str]:
    before, after = variables(old.definition), variables(new.definition)
    for name in dict.fromkeys((*after, *before)):
        if before.get(name) == after.get(name):
            continue
        kind = "ARG" if name in (*new.arguments, *old.arguments) else "ENV"
        if _SECRET.search(name):
            yield f"{kind} {name} changed"
        elif name not in before:
            yield f"{kind} {name}={short(after[name])} is new"
        elif name not in after:
            yield f"{kind} {name} is gone"
        else:
            yield f"{kind} {name} {arrow(before[name], after[name])}"


def _command(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    if list(before) == list(after):
        return
    if before and after and list(before[:-1]) == list(after[:-1]):
        lines = changed_lines(before[-1], after[-1]) if "\n" in before[-1] and "\n" in after[-1] else []
        if lines:
            yield f"command changed in {_some(lines)}"
        else:
            yield f"command changed: {arrow(before[-1], after[-1])}"
        return
    yield f"command changed: {arrow(' '.join(before), ' '.join(after))}"


def _mounts(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> Iterator[str]:
    old, new = ({_target(each): each for each in mounts} for mounts in (before, after))
    for target in dict.fromkeys((*new, *old)):
        if old.get(target) != new.get(target):
            what = "is gone" if target not in new else "changed" if target in old else "is new"
            yield f"--mount of {target} {what}"


def _target(mount: dict[str, Any]) -> str:
    return str(mount.get("target") or mount.get("id"))


def _documents(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Tell of here-documents."""
    old, new = ({each["name"]: _text(each["data"]) for each in files} for files in (before, after))
    for name in dict.fromkeys((*new, *old)):
        if old.get(name) != new.get(name):
            lines = changed_lines(old.get(name, ""), new.get(name, "")) if name in old and name in new else []
            yield f"<<{name} {_some(lines) if lines else 'changed'}"


def _text(data: Any) -> str:
    return (data if isinstance(data, bytes) else b64decode(data)).decode(errors="replace")


def _read(old: Read, new: Read) -> Iterator[str]:
    """Tell how what was read of an origin differs; the context goes without saying."""
    told = list(_entries(old, new))
    if not told:
        cut = bool(old.entries) and not (old.whole and new.whole)
        more = f", perhaps beyond the first {len(old.entries)} files" if cut else ""
        yield f"what it reads of {new.origin} changed{more}"
        return
    prefix = "" if new.origin == CONTEXT else f"{new.origin} gave another result: "
    yield from (prefix + each for each in told)


def _entries(old: Read, new: Read) -> Iterator[str]:
    changed = [path for path, entry in new.entries.items() if _differs(old.entries.get(path), entry)]
    texts = [path for path in changed if path in old.texts and path in new.texts]
    told = [path for path in texts if old.texts[path] != new.texts[path]]
    if told:
        path = told[0]
        lines = changed_lines(old.texts[path], new.texts[path])
        yield f"{path} {_some(lines) if lines else 'changed'}{_more(len(changed) - 1, 'changed file')}"
    elif changed:
        path = changed[0]
        yield f"{path} {_difference(old.entries[path], new.entries[path])}{_more(len(changed) - 1)}"
    added = [path for path in new.entries if path not in old.entries]
    gone = [path for path in old.entries if path not in new.entries]
    if added and old.whole:
        yield f"new {_kind(new.entries[added[0]])} {added[0]}{_more(len(added) - 1)}"
    if gone and new.whole:
        yield f"{_kind(old.entries[gone[0]])} {gone[0]} is gone{_more(len(gone) - 1)}"


def _differs(old: Entry | None, new: Entry) -> bool:
    """Whether an entry that was there before is another now; a digest that nobody took is no difference."""
    if old is None:
        return False
    return (old.kind, old.mode) != (new.kind, new.mode) or _other_content(old, new)


def _other_content(old: Entry, new: Entry) -> bool:
    return old.size != new.size or bool(old.digest and new.digest and old.digest != new.digest)


def _difference(old: Entry, new: Entry) -> str:
    if old.kind != new.kind:
        return f"is a {_kind(new)} now, and was a {_kind(old)}"
    if _other_content(old, new):
        return "changed"
    return f"has another mode: {old.mode:04o} → {new.mode:04o}"


def _kind(entry: Entry) -> str:
    return {"f": "file", "d": "directory", "l": "link"}.get(entry.kind, "entry")


def _digest(ground: Ground) -> str:
    return (ground.digest or ground.chain)[:19] + "…"


def _some(phrases: Sequence[str]) -> str:
    """Return the first of some phrases, and how many more there are."""
    return phrases[0] + _more(len(phrases) - 1, "line")


def _more(count: int, what: str = "") -> str:
    if count < 1:
        return ""
    noun = f" {what}{'s' if count > 1 else ''}" if what else ""
    return f" (and {count} more{noun})"
