"""The written word: links lead somewhere, and no page lies about what is in the folder."""

import re

import pytest

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


def test_every_room_has_a_page(root):
    source = root / "src" / "tiffin"
    rooms = {path.parent.name for path in source.glob("*/*.py") if path.name != "__init__.py"}
    text = (root / "docs" / "architecture" / "README.md").read_text()
    table = set(re.findall(r"`(\w+)`", text))
    assert rooms - table == set()
