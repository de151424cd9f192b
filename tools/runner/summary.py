# SPDX-License-Identifier: BSD-2-Clause
"""What was learned from the lines of a run.  It takes text and prints nothing."""

import re

from .text import fields, number

# States of a VM in @vm lines in which it holds no memory of its own, or not yet.
NOT_ALIVE = {"off", "ended", "queued", "starting", "built", "ending"}


def is_alive(vm):
    return vm.get("state") not in NOT_ALIVE


def reclaimed(vms):
    """KiB that balloons hold, and KiB that disks in RAM take."""
    return (sum(number(vm, "balloon") for vm in vms.values()),
            sum(number(vm, "disk") for vm in vms.values()))


class Track:
    """One VM over all of its lives: each start begins one, a reboot too."""

    def __init__(self):
        self.lives = 0
        self.low, self.high = {}, {}    # of its tables while it lived; none: it was in no table
        self.balloon = 0                # KiB in the last table of this life
        self.past, self.now = [0, 0], [0, 0]    # KiB out of it and back: former lives, this one
        self.exact = False              # they are the hypervisor's own counts

    def begin(self):
        self.past = [p + n for p, n in zip(self.past, self.now)]
        self.now, self.balloon, self.exact = [0, 0], 0, False
        self.lives += 1

    def see(self, vm, life):
        """Its values in a table, which were printed in its life number LIFE.

        One that has ended has given all back, which is no deflation.
        """
        if not is_alive(vm) or life != self.lives:
            return
        if not self.lives:      # the line that says so was lost
            self.begin()
        for key in ("resident", "balloon"):
            value = number(vm, key)
            self.low[key] = min(self.low.get(key, value), value)
            self.high[key] = max(self.high.get(key, value), value)
        moved = number(vm, "balloon") - self.balloon
        self.now[moved < 0] += abs(moved)
        self.balloon += moved

    def exactly(self, taken, given):
        """The hypervisor's own counts of all lives: tables only see what lasts between two."""
        self.past, self.now, self.exact = [0, 0], [taken, given], True

    @property
    def taken(self):
        return self.past[0] + self.now[0]

    @property
    def given(self):
        return self.past[1] + self.now[1]


class Summary:
    """Everything learned from machine lines and the hypervisor's log."""
    # A guest says that its work was right (tests/guest/linux/job.sh).
    VERDICT = re.compile(r"\bverdict: checks=(\d+) wrong=(\d+) oom=(\d+)")
    HOST_TIME = re.compile(r"\[ *(\d+)\.(\d{3})\d*\] ")
    STARTED = re.compile(r"vm (\S+): started, ")
    COUNTS = re.compile(r"vm (\S+): status \d+, (\d+) exits, .*ballooned (\d+) KiB.*given back (\d+) KiB")

    def __init__(self):
        self.stat, self.vms = {}, {}    # the newest complete @stat block
        self.exits = {}                 # VM name: fields of its @exit
        self.halt = None
        self.ms = 0                     # the machine's clock, as last seen
        self.overcommit = 0.0
        self.tracks = {}
        self.block = None               # the host's values, {VM: values}, {VM: number of its life}
        self.history = []               # (ms, host's values, {VM: values}) of each block
        self.exit_counts = {}           # VM name: exits of its last life, when all is over
        self.verdicts = {}              # VM name: (checks, of them wrong, killed for lack of memory)

    def track(self, name):
        return self.tracks.setdefault(name, Track())

    def names(self):
        return list(dict.fromkeys([*self.tracks, *self.exits]))

    def guest_line(self, name, line):
        found = self.VERDICT.search(line)
        if found:
            self.verdicts[name] = tuple(map(int, found.groups()))

    def host_line(self, line):
        stamp = self.HOST_TIME.match(line)
        if not stamp:
            return
        self.ms = max(self.ms, int(stamp[1]) * 1000 + int(stamp[2]))
        line = line[stamp.end():].rstrip()
        started, counts = self.STARTED.match(line), self.COUNTS.match(line)
        if started:
            self.track(started[1]).begin()
            self.exits.pop(started[1], None)    # somebody started it again
        elif counts:
            self.exit_counts[counts[1]] = int(counts[2])
            self.track(counts[1]).exactly(int(counts[3]), int(counts[4]))

    def machine_line(self, line):
        """Take an @line; false if it is none that we know."""
        word, _, rest = line.partition(" ")
        rest, _, reason = rest.partition(" reason=")    # reaches to the end
        return word in self.TAKE and self.TAKE[word](self, fields(rest), reason)

    def take_stat(self, values, _):
        self.block = (values, {}, {})
        return True

    def take_vm(self, values, _):
        name = values.get("name")
        if not self.block or name is None:
            return False
        self.block[1][name] = values
        self.block[2][name] = self.track(name).lives
        return True

    def take_end(self, *_):
        if not self.block:
            return False
        (self.stat, self.vms, lives), self.block = self.block, None
        self.learn(lives)
        return True

    def take_exit(self, values, reason):
        if "name" not in values:
            return False
        self.exits[values["name"]] = {**values, "reason": reason}
        return True

    def take_halt(self, values, _):
        self.halt = values.get("status", "?")
        return True

    TAKE = {"@stat": take_stat, "@vm": take_vm, "@end": take_end, "@exit": take_exit,
            "@halt": take_halt}

    def learn(self, lives):
        now, total = number(self.stat, "t"), number(self.stat, "total")
        self.ms = max(self.ms, now)
        self.history.append((now, self.stat, self.vms))
        for name, vm in self.vms.items():
            self.tracks[name].see(vm, lives[name])
        if total:
            size = sum(number(vm, "size") for vm in self.vms.values() if is_alive(vm))
            self.overcommit = max(self.overcommit, size / total)
