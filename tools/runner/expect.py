# SPDX-License-Identifier: BSD-2-Clause
"""The lines "#!" of a configuration: the machine that it asks for, and what a test expects.

The hypervisor takes them for comments.

  #! smp=2 mem=128 minutes=1   the machine, and the job's budget (a hard limit)
  #! cpu=MODEL args=TEXT       another CPU than the default; the hypervisor's command line
  #! bios=FILE                 Bochs: another firmware
  #! emu=NAME                  only on this emulator
  #! icount=1                  QEMU: the TSC counts instructions, as in Bochs; with smp=1
  #! machine=TYPE              another machine than QEMU's default
  #! kind=bench                not a test, or (kind=long) has a target of its own: only by name
  #! exit NAME=STATUS ...      VMs that end with another status than 0
  #! status=N                  the host's own status, if not 0 or 1 by its VMs
  #! disk: NAME [block=4096] LABEL=SIZE[:FILE] ...   a disk of the machine, made anew (QEMU, NVMe)
  #! holds: NAME LABEL TEXT    what that partition begins with afterwards
  #! want: REGEX               a line of the console that must be there
  #! reject: REGEX             one that must not
  #! near: PERCENT REGEX       two numbers in it that differ by no more than that
  #! takes: LOW HIGH REGEX -> REGEX   seconds between two lines, by the clock of this machine
  #! break: NAME REGEX         with a hypervisor built BREAK=NAME this line must come
"""

import re

from . import disks
from .errors import Unusable

NUMBERS = {"smp", "mem", "minutes", "status", "icount"}
WORDS = {"cpu", "args", "bios", "emu", "machine", "kind"}
KINDS = {"test", "bench", "long"}


class NotUnderstood(Exception):
    pass


def regex(text, groups=0):
    try:
        if re.compile(text).groups >= groups and text:
            return text
    except re.error as e:
        raise NotUnderstood(f"is no regular expression: {e}") from None
    raise NotUnderstood(f"needs {groups} groups" if text else "is empty")


class Expectations:
    """What the lines "#!" of TEXT say."""

    def __init__(self, text, path="aerostat.conf"):
        self.keys = {}          # key: value, of those with KEY=VALUE
        self.exits = {}         # VM: status, as text
        self.want, self.reject = [], []
        self.near = []          # (percent, regex)
        self.takes = []         # (low, high, regex, regex)
        self.breaks = []        # (name, regex)
        self.disks = {}         # name: (bytes of a block, [part_of()])
        self.holds = []         # (name, label, text)
        for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
            line = line.strip()
            try:
                if line.startswith("#!"):
                    self.read(line[2:].strip())
            except NotUnderstood as e:
                raise Unusable(f'{path}:{number}: "{line}" {e}') from None

    def read(self, line):
        word, colon, rest = line.partition(":")
        if colon and word in self.COLON:
            self.COLON[word](self, rest.strip())
        elif line.split()[:1] == ["exit"]:
            self.exits.update(self.status_of(w) for w in line.split()[1:])
        elif line:
            self.keys.update(self.setting(w) for w in line.split())
        else:
            raise NotUnderstood("is empty")

    def add_want(self, text):
        self.want.append(regex(text))

    def add_reject(self, text):
        self.reject.append(regex(text))

    def add_near(self, text):
        found = re.fullmatch(r"(\d+(?:\.\d+)?) (.*)", text)
        if not found:
            raise NotUnderstood("is not near: PERCENT REGEX")
        self.near.append((float(found[1]), regex(found[2], 2)))

    def add_takes(self, text):
        found = re.fullmatch(r"(\d+(?:\.\d+)?) (\d+(?:\.\d+)?) (.*) -> (.*)", text)
        if not found:
            raise NotUnderstood("is not takes: LOW HIGH REGEX -> REGEX")
        self.takes.append((float(found[1]), float(found[2]), regex(found[3]), regex(found[4])))

    def add_break(self, text):
        name, _, sign = text.partition(" ")
        self.breaks.append((name, regex(sign.strip())))

    def add_disk(self, text):
        name, *parts = text.split()
        block = 4096 if parts[:1] == ["block=4096"] else 512
        try:
            self.disks[name] = (block, [disks.part_of(p) for p in parts[block == 4096:]])
        except Unusable as e:
            raise NotUnderstood(f"has a disk that cannot be: {e}") from None

    def add_holds(self, text):
        words = text.split(" ", 2)
        if len(words) != 3 or words[0] not in self.disks:
            raise NotUnderstood("is not holds: NAME LABEL TEXT, of a disk above it")
        self.holds.append(tuple(words))

    COLON = {"want": add_want, "reject": add_reject, "near": add_near, "takes": add_takes,
             "break": add_break, "disk": add_disk, "holds": add_holds}

    @staticmethod
    def status_of(word):
        found = re.fullmatch(r"([^=]+)=(\d+)", word)
        if not found:
            raise NotUnderstood(f"has {word}, which is not VM=STATUS")
        return found[1], found[2]

    @staticmethod
    def setting(word):
        key, equals, value = word.partition("=")
        if not equals or key not in NUMBERS | WORDS:
            known = " ".join(sorted(NUMBERS | WORDS))
            raise NotUnderstood(f"has {word}; known are KEY=VALUE with the keys {known}; exit; "
                                + ", ".join(f"{w}:" for w in Expectations.COLON))
        if key in NUMBERS and not value.isdecimal():
            raise NotUnderstood(f"has {word}, which is not a number")
        if key == "kind" and value not in KINDS:
            raise NotUnderstood(f"has {word}; kinds are {', '.join(sorted(KINDS))}")
        return key, value
