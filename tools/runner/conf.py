# SPDX-License-Identifier: BSD-2-Clause
"""aerostat.conf for tools: its keys, where they stand, and the files that they name.

The form is that of docs/configuration.md.  This reader refuses what has not that form, with
FILE:LINE; which keys there are, and what their values may be, is for the hypervisor's own
parser (hv/config/config.c) to say.
"""

import atexit
import gzip
import os
import re
import shutil
import tempfile
import zlib
from dataclasses import dataclass

from .errors import Unusable
from .places import TOP

BOM = "\ufeff"
BLANKS = " \t\r"
COMMENT = re.compile(r"(?:^|(?<=[ \t\r]))[#;]")
VM_SECTION = re.compile(r"\[vm[ \t\r]+([A-Za-z0-9_-]{1,31})\]")
KEY = re.compile(r"([^=]*?)[ \t\r]*=[ \t\r]*(.*)")
ONE_FILE, FILE_AND_WORDS = ("kernel", "initrd"), ("module", "disk")
QUOTED_MAX = 60     # characters of a line that a message repeats
# `kernel = loader` stands for these two, which tools/loader makes.
LOADER = os.path.join(TOP, "build", "loader")
LOADER_KERNEL, LOADER_INITRD = "loader.vmlinuz", "loader.cpio"


@dataclass(frozen=True)
class Entry:
    """A line `key = value`."""
    number: int     # of its line, from 1
    vm: str         # whose section it is in; empty: [host]
    key: str
    value: str
    at: int         # where the value begins in the line
    implied: bool = False   # it has no line of its own: the initrd of `kernel = loader`

    @property
    def of_loader(self):
        return self.implied or bool(self.vm) and self.key == "kernel" and self.value == "loader"

    @property
    def file(self):
        """The file that the value names, or None."""
        if self.of_loader:
            return LOADER_INITRD if self.implied else LOADER_KERNEL
        if self.vm and self.key in ONE_FILE:
            return self.value or None
        if not self.vm or self.key not in FILE_AND_WORDS:
            return None
        word = (self.value.split() or [None])[0]
        elsewhere = word == "blank" or word.startswith(("part:", "disk:"))
        return None if self.key == "disk" and elsewhere else word

    def with_file(self, name):
        """The value with NAME in place of its file; what follows the file stays."""
        return name if self.of_loader else name + self.value[len(self.file):]


class Conf:
    """A configuration that has been read."""

    def __init__(self, text, path="aerostat.conf"):
        self.path = path
        self.bom = BOM if text.startswith(BOM) else ""
        self.lines = text[len(self.bom):].split("\n")
        self.entries, self.vms = [], []
        self.section = None     # that of the line being read: None, "" is [host], or a VM
        for number, line in enumerate(self.lines, 1):
            self.read(number, line)
        self.entries += [self.initrd_of(e) for e in self.entries if e.of_loader]

    def read(self, number, line):
        comment = COMMENT.search(line)
        body = line[:comment.start()] if comment else line
        text = body.strip(BLANKS)
        if text.startswith("["):
            self.section = self.open_section(number, text)
        elif text:
            self.entries.append(self.entry(number, text, body.index(text)))

    def open_section(self, number, text):
        if text == "[host]":
            return ""
        found = VM_SECTION.fullmatch(text)
        if not found:
            self.refuse(number, text, "is neither [host] nor [vm NAME]; "
                        "a name is 1 to 31 letters, digits, - or _")
        self.vms.append(found[1])
        return found[1]

    def entry(self, number, text, at):
        if "\r" in text:
            self.refuse(number, text, "has a CR in it; end lines with LF or CR LF")
        found = KEY.fullmatch(text)
        if not found or not found[1]:
            self.refuse(number, text, "is neither a [section] nor key = value")
        if self.section is None:
            self.refuse(number, text, "comes before any section; start with [host] or [vm NAME]")
        return Entry(number, self.section, found[1], found[2], at + found.start(2))

    def initrd_of(self, kernel):
        """What `kernel = loader` implies."""
        for e in self.entries:
            if e.vm == kernel.vm and e.key == "initrd":
                self.refuse(e.number, f"initrd = {e.value}", "cannot be with kernel = loader, which has its "
                            "own; what is installed on the disk has the initrd that its GRUB names")
        return Entry(kernel.number, kernel.vm, "initrd", LOADER_INITRD, 0, implied=True)

    def refuse(self, number, text, why):
        if len(text) > QUOTED_MAX:
            text = text[:QUOTED_MAX] + "..."
        text = "".join(c if c.isprintable() else "?" for c in text)
        raise Unusable(f'{self.path}:{number}: "{text}" {why}')

    def host(self, key):
        """The value of KEY in [host], or None; the last one counts."""
        return next((e.value for e in reversed(self.entries) if not e.vm and e.key == key), None)

    def file_entries(self):
        return [e for e in self.entries if e.file]

    def path_of(self, entry):
        """Where the file of ENTRY is: names are relative to the configuration's folder."""
        if entry.of_loader:
            return os.path.join(LOADER, entry.file)
        return os.path.join(os.path.dirname(self.path) or ".", entry.file)

    def files(self):
        """{name: path} of all files, in order; Unusable if one is not there."""
        found = {}
        for entry in self.file_entries():
            path = self.path_of(entry)
            if not os.path.isfile(path):
                raise Unusable(f"{self.path}:{entry.number}: {self.missing(entry)}")
            found[entry.file] = self.packed_path(entry)
        return found

    def missing(self, entry):
        """Why there is no file of ENTRY."""
        if entry.of_loader:
            return f"the loader is not built: run make loader (no {self.path_of(entry)})"
        return missing(self.path_of(entry), entry.file, os.path.dirname(self.path) or ".")

    def packed_path(self, entry):
        """The file that a medium gets for that of ENTRY."""
        path = self.path_of(entry)
        if entry.key == "kernel" and is_gzip(path):
            try:
                return gunzip(path)
            except (OSError, EOFError, zlib.error) as e:
                raise Unusable(f"{self.path}:{entry.number}: {entry.file} is a damaged gzip "
                               f"file: {e}") from None
        # Debian's /vmlinuz is a symbolic link, and a CD would have the link on it.
        return os.path.realpath(path) if os.path.islink(path) else path

    def edited(self, change):
        """The text with other values: CHANGE takes an entry and returns its new value, or None."""
        lines = list(self.lines)
        for e in self.entries:
            value = change(e)
            if value is not None and e.implied:
                cr = "\r" if lines[e.number - 1].endswith("\r") else ""
                lines[e.number - 1] += f"\n{e.key} = {value}{cr}"
            elif value is not None:
                line = lines[e.number - 1]
                lines[e.number - 1] = line[:e.at] + value + line[e.at + len(e.value):]
        return self.bom + "\n".join(lines)

    def absolute(self, entry):
        """For edited(): the same file, when the configuration is elsewhere."""
        if not entry.file or entry.of_loader:
            return None
        return entry.with_file(os.path.abspath(self.path_of(entry)))

    def for_machine(self):
        """The text that the hypervisor reads: it knows no loader, only a kernel and an initrd."""
        return self.edited(lambda e: e.file if e.of_loader else None)

    def made_by(self, others=()):
        """The make targets that make the Linux guests' files named here, and OTHERS, which take long."""
        names = [self.path_of(e) for e in self.file_entries()] + list(others)
        return [target for target, part in (("linux", "build/linux/"), ("module", "build/linux/module"),
                                     ("foreign", "build/foreign/"), ("loader", "build/loader/"),
                                     ("debian-server", "build/debian/server.ext4"))
                if any(part in name for name in names)]


def is_gzip(path):
    with open(path, "rb") as f:
        return f.read(2) == b"\x1f\x8b"


def gunzip(path):
    """A copy of PATH, unpacked (Debian's xen.gz is packed as a whole); it goes with this process."""
    folder = tempfile.mkdtemp(prefix="aerostat.")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = os.path.join(folder, os.path.basename(path))
    with gzip.open(path) as packed, open(copy, "wb") as f:
        shutil.copyfileobj(packed, f)
    return copy


def missing(path, name, folder):
    """Why PATH, which a configuration in FOLDER calls NAME, is no file."""
    if os.path.isdir(path):
        return f"{name} is a folder, not a file"
    if os.path.islink(path):
        return f"{name} is a symbolic link to {os.readlink(path)}, which is not there"
    if os.path.isabs(name):
        return f"no such file: {name}"
    return f"no such file: {name} (paths are relative to {os.path.abspath(folder)})"


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as f:
            return f.read()
    except OSError as e:
        raise Unusable(f"{path}: {e.strerror}") from None


def load(path):
    return Conf(read_text(path), path)
