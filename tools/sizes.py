#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Check that files and functions are short enough to be read at one sitting.

  sizes.py [-v]    in the tree that this file is part of; -v: says what it found

No file of C, Python or shell has more than 500 lines, and no function of C or Python more than
60 between its braces (in Python: below its `def`), unless it is a table.  The median function of
hv/, mm/, arch/ and boot/, of each of them, has at most 10 lines of code: blank lines, comments
and lines that are only a brace do not count.  The same holds for the Python of tools/ and tests/,
where docstrings do not count either.
"""

import ast
import os
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILE_MAX, FUNCTION_MAX, MEDIAN_MAX = 500, 60, 10
FOLDERS = ("hv", "mm", "arch", "boot", "guest-driver", "tools", "tests")
C_MEDIANS = ("hv", "mm", "arch", "boot")

# Functions that are tables, with the reason.
TABLES = {
    "tests/fake/aeroctl.c": {
        "fake_hypervisor_init": "figures of three VMs: data, which C cannot write as constants"},
}


@dataclass
class Function:
    path: str
    name: str
    line: int   # of its name
    long: int   # lines between the braces, all of them
    code: int   # lines of code among them


def c_name(lines, brace):
    """What the function is called whose `{` is line BRACE, and the line that says so."""
    for at in range(brace - 1, -1, -1):
        found = re.match(r"[A-Za-z_].*?([A-Za-z_]\w*)\(", lines[at])
        if found:
            return found[1], at + 1
    return "?", brace + 1


def c_code(lines):
    """How many of LINES are code: no blank, no comment, no lone brace."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), "\n".join(lines), flags=re.S)
    text = re.sub(r"//.*", "", text)
    return sum(line.strip() not in ("", "{", "}", "};") for line in text.split("\n"))


def c_functions(path, text):
    """In kernel style a function's braces, and only those, stand alone in the first column."""
    lines, opened = text.split("\n"), None
    for at, line in enumerate(lines):
        if line == "{":
            opened = at
        elif line == "}" and opened is not None:
            name, where = c_name(lines, opened)
            yield Function(path, name, where, at - opened - 1, c_code(lines[opened + 1:at]))
            opened = None


def docstring_lines(node):
    first = node.body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) \
        and isinstance(first.value.value, str)
    return range(first.lineno, first.end_lineno + 1) if is_text else ()


def python_functions(path, text):
    lines = text.split("\n")
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        header = node.body[0].lineno - 1
        body = range(max(header, node.lineno) + 1, node.end_lineno + 1)
        skip = docstring_lines(node)
        code = sum(n not in skip and not re.match(r"\s*(#|$)", lines[n - 1]) for n in body)
        yield Function(path, node.name, node.lineno, node.end_lineno - node.lineno, code)


def kind_of(path, text):
    """c, python, shell, or None for what is none of them."""
    if path.endswith((".c", ".h")):
        return "c"
    interpreter = re.match(r"#!.*\b(python3|bash|sh)\b", text)
    if path.endswith(".py") or interpreter and interpreter[1] == "python3":
        return "python"
    return "shell" if path.endswith(".sh") or interpreter else None


FUNCTIONS = {"c": c_functions, "python": python_functions, "shell": lambda path, text: ()}


def files():
    """{path: text} of all text files of the tree, as git has them or would have them."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *FOLDERS], cwd=TOP,
                            capture_output=True, text=True, check=True).stdout.split("\n")
    found = {}
    for path in filter(None, listed):
        try:
            with open(os.path.join(TOP, path), encoding="utf-8") as f:
                found[path] = f.read()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            pass    # no source, or deleted
    return found


class Sizes:
    """What is too long in {path: text}."""

    def __init__(self, texts, tables=None):
        self.tables = tables or {}
        self.functions, self.wrong, self.used = [], [], set()
        self.kinds = {path: kind_of(path, text) for path, text in texts.items()}
        for path, text in texts.items():
            if self.kinds[path]:
                self.file(path, text)
        for name, folder, kind in [*((f + "/", f, "c") for f in C_MEDIANS),
                                   ("the Python of tools/ and tests/", "", "python")]:
            self.median(name, self.code_of(folder, kind))
        self.stale()

    def is_table(self, path, name):
        """Is it listed?  Then the line is in use."""
        listed = name in self.tables.get(path, ())
        if listed:
            self.used.add((path, name))
        return listed

    def file(self, path, text):
        length = text.count("\n")
        if length > FILE_MAX:
            self.wrong.append(f"{path}:{FILE_MAX + 1}: the file has {length} lines, "
                              f"and {FILE_MAX} are the most")
        for f in FUNCTIONS[self.kinds[path]](path, text):
            self.functions.append(f)
            if f.long > FUNCTION_MAX and not self.is_table(path, f.name):
                self.wrong.append(f"{path}:{f.line}: {f.name} has {f.long} lines, "
                                  f"and {FUNCTION_MAX} are the most")

    def code_of(self, folder, kind):
        return [f.code for f in self.functions
                if self.kinds[f.path] == kind and f.path.startswith(folder + "/" if folder else "")]

    def median(self, name, codes):
        if codes and statistics.median(codes) > MEDIAN_MAX:
            self.wrong.append(
                f"{name}: the median function has {statistics.median(codes):g} lines, and {MEDIAN_MAX} "
                "are the most (lines of code: without blank lines, comments and lone braces)")

    def stale(self):
        """Lines of the list that allow what is no longer there."""
        listed = {(path, name) for path in self.tables for name in self.tables[path]}
        self.wrong += [f"{path}: {name} is short enough now; take it out of the list in tools/sizes.py"
                       for path, name in sorted(listed - self.used)]

    def summary(self):
        for folder, kind in [*((f, "c") for f in C_MEDIANS), ("", "python")]:
            codes = self.code_of(folder, kind)
            if codes:
                yield f"{folder or 'Python'}: {len(codes)} functions, median {statistics.median(codes):g} lines"


def main():
    found = Sizes(files(), TABLES)
    if "-v" in sys.argv[1:]:
        print("\n".join(found.summary()))
    for line in found.wrong:
        print(line)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
