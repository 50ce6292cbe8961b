"""The written word: links lead somewhere, and no page lies about what is in the folder."""

import functools
import re
import subprocess
import sys

import pytest

from tiffin.cli.catalog import is_group

LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def pages(root):
    return [*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "examples").rglob("*.md")]


def test_every_link_inside_the_project_leads_somewhere(root):
    links = [
        (page, target)
        for page in pages(root)
        for target in LINK.findall(re.sub(r"<!--.*?-->", "", page.read_text(), flags=re.DOTALL))
        if not target.startswith("http")
    ]
    assert len(links) > 30
    assert [f"{page}: {target}" for page, target in links if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("folder", ["docs/adr", "docs/architecture"])
def test_every_page_is_in_its_index(root, folder):
    index = set(LINK.findall((root / folder / "README.md").read_text()))
    assert {page.name for page in (root / folder).glob("[0-9]*.md")} <= index


def test_every_guide_is_named_by_the_readme(root):
    text = (root / "README.md").read_text()
    index = set(LINK.findall(text[text.index("## More") :]))
    assert {f"docs/{page.name}" for page in (root / "docs").glob("*.md")} <= index


def test_every_room_has_a_page(root):
    source = root / "src" / "tiffin"
    rooms = {path.parent.name for path in source.glob("*/*.py") if path.name != "__init__.py"}
    text = (root / "docs" / "architecture" / "README.md").read_text()
    table = set(re.findall(r"`(\w+)`", text))
    assert rooms - table == set()


def commands(root):
    """Every tiffin command in a console block: what follows `tiffin`, as words."""
    for page in pages(root):
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.splitlines():
                parts = line[2:].split("&&") if line.startswith("$ ") else []
                for words in (part.split("'")[0].split() for part in parts):
                    if words[:1] == ["tiffin"]:
                        yield words[1:]


@functools.cache
def help_of(*verb):
    command = [sys.executable, "-c", "from tiffin.cli.main import main; main()", *verb, "--help"]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_every_command_that_is_shown_exists_with_its_options(root):
    shown = list(commands(root))
    assert {"base", "build", "run"} <= {words[0] for words in shown}
    for words in shown:
        verb = words[:2] if is_group(words[0]) or words[0] == "oci" else words[:1]
        told = help_of(*verb)
        assert told.returncode == 0, f"tiffin {' '.join(words)}: {told.stderr}"
        known = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", told.stdout))
        options = {word.split("=")[0] for word in words if word.startswith("-")}
        if verb == ["exec"]:  # what follows the container's name is not ours
            options = set()
        assert options <= known, f"tiffin {' '.join(words)}"
