#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Hold the documents against the tree: what they name is there.

  check_docs.py [FILE...]      README.md, docs/*.md and so on, unless some are named

- A path of the tree, in backticks or in a block of code, exists.  It may be a
  pattern (*, [ch], {a,b}); words in capitals stand for anything.
- A bare name such as `sched.c`, in backticks, is some file of the tree.
- A link goes to a file, and to a heading, that is there.
- No line number of a file of the tree is quoted, because it is wrong soon.
"""

import fnmatch
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = "hv|mm|boot|arch|guest-driver|tests|tools|docs|examples|\\.ci"
PATH = re.compile(rf"(?<![\w./*-])((?:{FOLDERS})/[\w./*\[\]{{}},+-]*)(:\d+)?")
BARE = re.compile(r"[a-z_0-9*]+\.(?:c|h|S|inc|asl|lds|mk|trace)")
LINK = re.compile(r"\]\(([^)\s]*)\)")


def tree():
    """All files and folders of the tree, folders with a slash."""
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, capture_output=True,
                         text=True)
    if out.returncode:      # an archive without a repository
        names = [os.path.relpath(os.path.join(at, f), TOP) for at, _, files in os.walk(TOP) for f in files]
    else:
        names = [name for name in out.stdout.split("\n") if os.path.exists(os.path.join(TOP, name))]
    found = set(names)
    for name in names:
        while "/" in name:
            name = name.rsplit("/", 1)[0]
            found.add(name + "/")
    return found


def expanded(pattern):
    """a{b,c}d as abd, acd."""
    brace = re.search(r"\{([^{}]*)\}", pattern)
    if not brace:
        return [pattern]
    return [p for word in brace[1].split(",")
            for p in expanded(pattern[:brace.start()] + word + pattern[brace.end():])]


def is_there(pattern, names):
    if pattern in names or pattern.rstrip("/") + "/" in names:
        return True
    pattern = re.sub(r"[A-Z]{2,}", "*", pattern)
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def slug(heading):
    """As the hosts of repositories make anchors: letters, digits, - and _."""
    text = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(path):
    with open(path) as f:
        return {slug(h) for h in re.findall(r"^#+ (.*)$", f.read(), re.M)}


def check_link(page, target):
    path, _, anchor = target.partition("#")
    if re.match(r"[a-z]+:", path):
        return None
    path = os.path.join(os.path.dirname(page), path) if path else page
    if not os.path.exists(path):
        return f"a link to {target}, which is not there"
    if anchor and path.endswith(".md") and anchor not in anchors(path):
        return f"a link to {target}, where there is no such heading"
    return None


def check_line(line, fenced, names):
    quoted = [line] if fenced else re.findall(r"`([^`]+)`", line)
    for text in quoted:
        for path, number in PATH.findall(text):
            path = path.rstrip(".,")
            if number:
                yield f"{path}{number} names a line, which moves"
            for one in expanded(path):
                if not is_there(one, names):
                    yield f"{one} is not there"
        if not fenced and BARE.fullmatch(text) and not is_there(text, {os.path.basename(n) for n in names}):
            yield f"no file is called {text}"


def check(page, names):
    """Yields (line number, what is wrong)."""
    fenced = False
    with open(page) as f:
        for number, line in enumerate(f, 1):
            if line.startswith("```"):
                fenced = not fenced
            for wrong in check_line(line, fenced or line.startswith("    "), names):
                yield number, wrong
            for target in LINK.findall(line):
                wrong = check_link(page, target)
                if wrong:
                    yield number, wrong


def main():
    names, bad = tree(), 0
    for page in sys.argv[1:] or sorted(os.path.join(TOP, n) for n in names if n.endswith(".md")):
        for number, wrong in check(page, names):
            print(f"{os.path.relpath(page, TOP)}:{number}: {wrong}")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
