# SPDX-License-Identifier: BSD-2-Clause
"""Lines that scroll and, on a terminal, a table that stays below them."""

import os
import shutil
import sys
import time

from .table import table
from .text import clean

LINE_MAX = 4096         # characters of a line that are shown
PLAIN_TABLE_MS = 2000   # machine time between two tables when not on a terminal
REDRAW_S = 0.1          # wall time between two pictures on a terminal
COLOURS = {"dim": "2", "bold": "1"}
VM_COLOURS = ["36", "33", "35", "32", "34"]


class Screen:
    def __init__(self, quiet):
        self.quiet = quiet
        self.tty = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = self.tty and not os.environ.get("NO_COLOR")
        self.unicode = "utf" in (sys.stdout.encoding or "").lower()
        self.pending, self.shown = [], []
        self.raw = False        # a person types at this terminal
        self.names = {}         # VM name: its colour
        self.due, self.table_ms, self.old = 0.0, -PLAIN_TABLE_MS, None
        sys.stdout.reconfigure(errors="replace")

    def paint(self, text, code):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def line(self, text, style=None):
        """Print one line, above the table if there is one."""
        if self.tty:
            text = clean(text)[:LINE_MAX]
            self.pending.append(self.styled(text, style))
        else:
            print(clean(text) if sys.stdout.isatty() else text, flush=True)

    def lend(self, data):
        """What a VM says that has the terminal."""
        sys.stdout.flush()
        while data:
            data = data[os.write(sys.stdout.fileno(), data):]

    def styled(self, text, style):
        name, mark, rest = text.partition("| ")
        if style == "vm" and mark:
            return self.vm(name, mark) + rest
        return self.paint(text, COLOURS[style]) if style in COLOURS else text

    def vm(self, name, mark=""):
        code = self.names.setdefault(
            name, VM_COLOURS[len(self.names) % len(VM_COLOURS)])
        return self.paint(name + mark, code)

    def finish(self, summary):
        """Leave the last table where it is; lines go below it from now on."""
        self.update(summary, force=True)
        self.tty = False

    def update(self, summary, force=False):
        """Show what is pending and the newest table, if it is time."""
        if self.tty:
            now = time.monotonic()
            if force or now >= self.due:
                self.due = now + REDRAW_S
                self.redraw([] if self.quiet or not summary.stat
                            else table(summary, self.unicode))
        elif not (self.quiet or self.raw) and summary.stat and summary.block is None:
            self.print_table(summary, force)

    def print_table(self, summary, force):
        """Not on a terminal: another table now and then, if it differs."""
        new = (summary.vms, {k: v for k, v in summary.stat.items() if k != "t"})
        if new != self.old and (force or summary.ms - self.table_ms >= PLAIN_TABLE_MS):
            self.old, self.table_ms = new, summary.ms
            print("\n".join(table(summary, self.unicode)), flush=True)

    def redraw(self, rows):
        columns, lines = shutil.get_terminal_size()
        if len(rows) > lines - 2:
            rows = rows[:max(1, lines - 3)] + ["..."]
        rows = [row[:columns - 1] for row in rows]
        if not self.pending and rows == self.shown:
            return
        out = self.erase(columns) + "".join(f"{p}\n" for p in self.pending)
        out += "".join(self.coloured(i, row) + "\n" for i, row in enumerate(rows))
        self.pending, self.shown = [], rows
        sys.stdout.write(out)
        sys.stdout.flush()

    def coloured(self, i, row):
        """Row I of the table: two that lead it, then one for each VM."""
        if i < 2:
            return self.paint(row, COLOURS["dim" if i else "bold"])
        name, blank, rest = row.partition(" ")
        return self.vm(name) + blank + rest

    def erase(self, columns):
        # A terminal made narrower since has wrapped what we drew.
        tall = sum(-(-len(row) // columns) or 1 for row in self.shown)
        return f"\r\033[{tall}A\033[J" if tall else ""
