#!/usr/bin/env python3
"""Draws what a command prints on a terminal as an SVG: the picture in the README is a real run.

    tools/picture.py docs/demo.svg -- .venv/bin/python examples/demo.py
    tools/picture.py --from capture.txt docs/demo.svg

The first form runs the command on a pseudo-terminal and passes its output through; `--save` keeps the
capture for the second. Lines that a live display has rewritten are shown as they were at the end.
"""

import argparse
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from html import escape
from pathlib import Path
from typing import NamedTuple

FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
CELL, LINE, MARGIN, BAR = 8.0, 18, 16, 34
BACKGROUND, FOREGROUND = "#1d1f27", "#d7dae0"
COLOURS = ("#5b6070", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0")
BRIGHT = ("#7f848e", "#f0868f", "#b5e08f", "#f5d491", "#82c4ff", "#dc9bf0", "#7fd3de", "#ffffff")
SEQUENCE = re.compile(
    r"\x1b\[([?>=]?)([0-9;]*)([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b.|.", re.DOTALL
)


class Style(NamedTuple):
    """How a character looks."""

    colour: str = FOREGROUND
    bold: bool = False
    dim: bool = False


PLAIN = Style()


class Screen:
    """As much of a terminal as progress displays use: the cursor, erasing, colours; nothing scrolls away."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines: list[dict[int, tuple[str, Style]]] = [{}]
        self.row = self.column = 0
        self.style = PLAIN

    def feed(self, text: str) -> None:
        """Take what a program wrote."""
        for match in SEQUENCE.finditer(text):
            if match[3] and not match[1]:
                self.control(match[3], [int(number or 0) for number in match[2].split(";")])
            elif len(match[0]) == 1:
                self.put(match[0])

    def put(self, character: str) -> None:
        """Write one character, or obey it."""
        if character == "\n":
            self.move(self.row + 1, self.column)
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(0, self.column - 1)
        elif character == "\t":
            self.column += 8 - self.column % 8
        elif character >= " ":
            if self.column >= self.columns:
                self.move(self.row + 1, 0)
            self.lines[self.row][self.column] = (character, self.style)
            self.column += 1

    def move(self, row: int, column: int) -> None:
        """Go to a place, and make the lines on the way."""
        self.row, self.column = max(0, row), max(0, column)
        self.lines.extend({} for _ in range(self.row + 1 - len(self.lines)))

    def control(self, final: str, numbers: list[int]) -> None:
        """Obey one control sequence."""
        count = max(1, numbers[0])
        match final:
            case "A":
                self.move(self.row - count, self.column)
            case "B":
                self.move(self.row + count, self.column)
            case "C":
                self.column += count
            case "D":
                self.column = max(0, self.column - count)
            case "E":
                self.move(self.row + count, 0)
            case "F":
                self.move(self.row - count, 0)
            case "G":
                self.column = count - 1
            case "J":
                self.erase(numbers[0])
                del self.lines[self.row + 1 :]
            case "K":
                self.erase(numbers[0])
            case "m":
                self.paint(numbers)
            case _:
                pass

    def erase(self, kind: int) -> None:
        """Erase in the line: to its end, to its start, or all of it."""
        line = self.lines[self.row]
        for column in list(line):
            if kind == 2 or (kind == 0 and column >= self.column) or (kind == 1 and column <= self.column):
                del line[column]

    def paint(self, numbers: list[int]) -> None:
        """Change the style of what follows."""
        rest = iter(numbers)
        for number in rest:
            if number == 0:
                self.style = PLAIN
            elif number == 1:
                self.style = self.style._replace(bold=True)
            elif number == 2:
                self.style = self.style._replace(dim=True)
            elif number == 22:
                self.style = self.style._replace(bold=False, dim=False)
            elif 30 <= number <= 37:
                self.style = self.style._replace(colour=COLOURS[number - 30])
            elif 90 <= number <= 97:
                self.style = self.style._replace(colour=BRIGHT[number - 90])
            elif number == 39:
                self.style = self.style._replace(colour=FOREGROUND)
            elif number in {38, 48}:  # an extended colour: take its numbers, keep the palette small
                for _ in range(1 if next(rest, 5) == 5 else 3):
                    next(rest, None)


def draw_line(line: dict[int, tuple[str, Style]], y: int) -> str:
    """One line: a run of characters of one style is one text element, pinned to its column."""
    spans: list[tuple[int, Style, str]] = []
    for column in sorted(line):
        character, style = line[column]
        if spans and spans[-1][1] == style and spans[-1][0] + len(spans[-1][2]) == column:
            spans[-1] = (spans[-1][0], style, spans[-1][2] + character)
        else:
            spans.append((column, style, character))
    out = []
    for column, style, text in spans:
        if not text.strip():
            continue
        weight = ' font-weight="bold"' if style.bold else ""
        opacity = ' opacity="0.6"' if style.dim else ""
        place = f'x="{MARGIN + column * CELL:g}" y="{y}" textLength="{len(text) * CELL:g}"'
        look = f'fill="{style.colour}"{weight}{opacity}'
        out.append(f'<text {place} xml:space="preserve" {look}>{escape(text)}</text>')
    return "\n".join(out)


def draw(screen: Screen, title: str) -> str:
    """The whole picture."""
    lines = screen.lines
    while lines and not any(character.strip() for character, _ in lines[-1].values()):
        lines = lines[:-1]
    width = round(2 * MARGIN + screen.columns * CELL)
    height = BAR + len(lines) * LINE + MARGIN
    dots = "".join(
        f'<circle cx="{20 + 18 * i}" cy="17" r="5.5" fill="{COLOURS[c]}"/>' for i, c in enumerate((1, 3, 2))
    )
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    heading = f'<text x="{width / 2:g}" y="21" text-anchor="middle" fill="{BRIGHT[0]}">{escape(title)}</text>'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONT}" font-size="13.3">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>{dots}{heading}',
            *filter(None, (draw_line(line, BAR + 14 + index * LINE) for index, line in enumerate(lines))),
            "</svg>\n",
        ]
    )


def capture(command: list[str], columns: int) -> bytes:
    """What a command writes on a terminal of this width; it is passed through as it comes."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.environ["TERM"] = "xterm-256color"
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            os._exit(127)
    taken = bytearray()
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        taken += data
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    if status := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        sys.exit(f"the command ended with status {status}; nothing is drawn")
    return bytes(taken)


def main() -> None:
    """Capture or read, then draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--from", dest="source", type=Path, help="draw this capture; run nothing")
    parser.add_argument("--save", type=Path, help="keep the capture here")
    parser.add_argument("--columns", type=int, default=110)
    parser.add_argument("--title", default="make demo")
    parser.add_argument("svg", type=Path)
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    if bool(options.source) == bool(options.command):
        parser.error("give either --from or a command")
    taken = options.source.read_bytes() if options.source else capture(options.command, options.columns)
    if options.save:
        options.save.write_bytes(taken)
    screen = Screen(options.columns)
    screen.feed(taken.decode(errors="replace"))
    options.svg.write_text(draw(screen, options.title))


if __name__ == "__main__":
    main()
