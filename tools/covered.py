#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Check that each .c has a unit test of its name, or a row that says which test covers it.

    covered.py       in the tree that this file is part of

The unit test of x.c is tests/unit/*/test_x.c, if x.c is the only source of that name.  Rows are
those of the table in docs/testing.md whose first column is "source": sources, and tests that
cover them.  A unit test covers only what tests/unit/unit.mk links into it, by name or by row.
"""

import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = "docs/testing.md"
FOLDERS = ("hv", "mm", "boot", "arch", "guest-driver", "tools")
UNIT = re.compile(r"tests/unit/\w+/test_(\w+)\.c")


def rows(text):
    """[(line, sources, tests)] of the table."""
    found, inside = [], False
    for number, line in enumerate(text.split("\n"), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == "source":
            inside = True
        elif inside and "`" in cells[0]:
            found.append((number, *(re.findall(r"`([^`]+)`", cell) for cell in cells[:2])))
    return found


class Covered:
    """What is wrong, given all files of the tree, {unit test: its sources} and the page."""

    def __init__(self, files, links, page):
        self.files, self.links, self.wrong = set(files), links, []
        self.sources = sorted(f for f in files if f.endswith(".c") and f.split("/")[0] in FOLDERS)
        listed = {}
        for number, sources, tests in rows(page):
            self.row(f"{PAGE}:{number}", sources, tests)
            listed.update(dict.fromkeys(sources, f"{PAGE}:{number}"))
        for source in self.sources:
            self.source(source, listed.get(source))
        self.wrong += [f"{where}: {source} is no source of the tree"
                       for source, where in listed.items() if source not in self.sources]

    def row(self, where, sources, tests):
        if not tests:
            self.wrong.append(f"{where}: no test is named")
        for test in tests:
            if test not in self.files or not test.startswith(("tests/", "tools/policysim/")):
                self.wrong.append(f"{where}: there is no test {test}")
            elif UNIT.fullmatch(test):
                self.wrong += [f"{where}: {test} does not link {source}" for source in sources
                               if source in self.sources and not self.linked(test, source)]

    def linked(self, test, source):
        return source in self.links.get(UNIT.fullmatch(test)[1], ())

    def by_name(self, source):
        """Has it a unit test of its name that links it?  A name that two sources have says nothing."""
        name = os.path.basename(source)
        alike = [s for s in self.sources if os.path.basename(s) == name]
        return len(alike) == 1 and source in self.links.get(name[:-2], ())

    def source(self, source, row):
        named = self.by_name(source)
        if named and row:
            self.wrong.append(f"{row}: {source} has a unit test of its name; the row need not say so")
        elif not named and not row:
            self.wrong.append(f"{source}: no unit test of its name, and no row in {PAGE} says what covers it")


def files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP,
                            capture_output=True, text=True, check=True).stdout.split("\n")
    return [name for name in listed if name and os.path.exists(os.path.join(TOP, name))]


def links():
    """{unit test: what it links}, as make has it."""
    said = subprocess.run(["make", "-s", "unit-links"], cwd=TOP, capture_output=True, text=True, check=True)
    return {name: words.split() for name, words in re.findall(r"^test_(\w+): (.*)$", said.stdout, re.M)}


def main():
    with open(os.path.join(TOP, PAGE), encoding="utf-8") as page:
        wrong = Covered(files(), links(), page.read()).wrong
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
