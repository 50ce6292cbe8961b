"""An image as HTML: bars by size, and nothing of the image as markup."""

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tiffin.python.html import show
from tiffin.python.image import Image, Layer

ID = "sha256:" + "ab" * 32


class Tags(HTMLParser):
    def __init__(self, page) -> None:
        super().__init__()
        self.found, self.text = [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text += data


def test_bars_are_as_long_as_their_part_of_the_size():
    page = show(
        ["a:1"], ID, 400, [Layer("COPY a", 300, 0, ""), Layer("ENV A=1", 0, 0, ""), Layer("RUN", 100, 0, "")]
    )
    assert re.findall(r"background:#4c78a8;width:([\d.]+)%", page) == ["75.0", "25.0"]
    assert "300B" in page
    assert "abababababab" in page
    assert "<b>a:1</b>" in page


def test_an_image_without_name_layers_or_bytes_is_shown():
    assert "an image without a name" in show([], ID, 0, [])
    assert "width:0" not in show([], ID, 0, [Layer("CMD", 0, None, "")])


def test_what_is_long_is_cut_and_whole_in_the_title():
    page = show([], ID, 1, [Layer("x" * 500, 1, 0, "")])
    assert f'title="{"x" * 500}"' in page
    assert f"<code>{'x' * 199}…</code>" in page


@given(st.text(), st.text(), st.text())
def test_nothing_of_an_image_becomes_markup(by, tag, comment):
    layers = [Layer(by, 5, None, comment)]
    plain = Tags(show(["a"], ID, 5, [Layer("b", 5, None, "")]))
    assert Tags(show([tag], ID, 5, layers)).found == plain.found


def test_a_script_stays_text():
    page = show(
        ['"><script>'], ID, 5, [Layer("RUN echo '<img src=x onerror=alert(1)>' \"'\x1b[31m", 5, None, "")]
    )
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "<img src=x" in Tags(page).text


def test_an_image_asks_for_its_layers_once(monkeypatch):
    asked = []

    def call(verb, arguments):
        asked.append((verb, arguments))
        rows = [{"created_by": by, "size": 1, "created": None, "comment": ""} for by in ("second", "first")]
        return type("Answer", (), {"value": rows})

    monkeypatch.setattr("tiffin.python.image.call", call)
    fields = {"id": ID, "references": ["a:1"], "digest": ID, "size": 2, "created": 0.0, "labels": {}}
    image = Image(fields)
    assert image._repr_html_().index("first") < image._repr_html_().index("second")
    assert asked == [("history", {"name": ID})]
    assert (str(image), repr(image)) == ("a:1", "<tiffin.Image a:1 abababababab>")
