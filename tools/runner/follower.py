# SPDX-License-Identifier: BSD-2-Clause
"""Takes bytes from the serial port, sorts the lines in them."""

import re

from runner.lines import Joiner

LINE_MAX = 4096         # bytes of an unfinished line that are kept waiting


class Follower:
    """
    After a line @console the bytes are those of the VM that it names, which
    can be anything but the one that ends its turn.  Then the hypervisor puts the
    terminal right, in the rest of that line.  The number at the end of @console
    says how many of the bytes the VM has said before.

    A VM's log has exactly its bytes: a line that comes in pieces (lines.py)
    is one there.
    """
    CONSOLE = re.compile(rb"@console ([A-Za-z0-9_-]{1,64}): (.*?)(?: \[(\d+)\])?")
    TURN_OVER = b"\x1e"
    VM_LINE = re.compile(rb"([A-Za-z0-9_.-]{1,64})\|([ +])")

    def __init__(self, screen, logs, summary):
        self.screen, self.logs, self.summary = screen, logs, summary
        self.rest, self.last = b"", ""
        self.lent = None        # VM that has the terminal
        self.over = False       # it had: what follows puts the terminal right
        self.repeated = 0       # bytes of its turn that its log has already
        self.joiner = Joiner()

    def feed(self, data):
        self.logs.write("serial.raw", data)
        while data:
            data = (self.borrower(data) if self.lent else
                    self.put_right(data) if self.over else self.lines(data))

    def lines(self, data):
        """Takes lines; returns what follows one that lends the terminal."""
        data = self.rest + data
        self.rest = b""
        while not self.lent:
            line, end, data = data.partition(b"\n")
            if not end:
                self.unfinished(line)
                break
            self.line(line)
        return data

    def unfinished(self, line):
        """Keeps it waiting for its end, but nobody's line is endless."""
        self.rest = line[-(len(line) % LINE_MAX or LINE_MAX):]
        line = line[:len(line) - len(self.rest)]
        while line:
            self.line(line[:LINE_MAX])
            line = line[LINE_MAX:]

    def borrower(self, data):
        """Takes what a VM says in its turn; returns what follows."""
        said, over, rest = data.partition(self.TURN_OVER)
        self.last = f"(from {self.lent})"
        self.logs.vm(self.lent, said[self.repeated:])
        self.repeated -= min(self.repeated, len(said))
        if self.screen.raw:
            self.screen.lend(said)
        else:
            self.borrowed_lines(said, over)
        if over:
            self.lent, self.over = None, True
        return rest

    def borrowed_lines(self, said, over):
        """Nobody types here: what the VM says comes as lines, as everybody's."""
        *lines, self.rest = (self.rest + said).split(b"\n")
        for line in lines + ([self.rest] if over and self.rest else []):
            self.screen.line(f"{self.lent}| " + line.rstrip(b"\r").decode(errors="replace"), "vm")
        self.rest = b"" if over else self.rest[-LINE_MAX:]

    def put_right(self, data):
        """To the end of the line: for a real terminal only."""
        said, end, rest = data.partition(b"\n")
        if self.screen.raw:
            self.screen.lend(said + end)
        self.over = not end
        return rest

    def finish(self):
        if self.rest:
            self.line(self.rest)
            self.rest = b""

    def line(self, raw):
        raw = raw.rstrip(b"\r")
        console = self.CONSOLE.fullmatch(raw)
        if console:
            self.lent = console[1].decode()
            self.repeated = int(console[3] or 0)
            self.joiner.line(raw.decode())
            self.screen.line(f"--- {self.lent}: {console[2].decode()}")
            return
        text = raw.decode("utf-8", errors="replace")
        if raw.startswith(b"@") and self.summary.machine_line(text):
            return
        if text.strip():
            self.last = text
        vm = self.VM_LINE.match(raw)
        if vm:
            self.vm_line(vm[1].decode(), raw[vm.end():] + (b"\n" if vm[2] == b" " else b""), text)
        else:
            self.host_line(raw, text)

    def vm_line(self, name, said, text):
        self.logs.vm(name, said)
        whole = self.joiner.line(text)
        if whole is not None:
            self.summary.guest_line(name, whole)
        self.screen.line(text, "vm")

    def host_line(self, raw, text):
        self.summary.host_line(text)
        self.logs.write("host.log", raw + b"\n")
        self.screen.line(text, "dim")
