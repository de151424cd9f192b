# SPDX-License-Identifier: BSD-2-Clause
"""The emulator's process, our end of its serial port, and the terminal that somebody types at."""

import ctypes
import os
import select
import signal
import subprocess
import sys
import termios
import time
import tty

from .errors import Unusable
from .follower import LINE_MAX
from .nested import Nested, NestedIntel

POLL_S = 0.05       # how long a look at the serial port waits
CLOSED_S = 0.02     # before the next look at a port that nobody has open


def open_serial(emulator, interactive):
    """Our end of the machine's serial port."""
    if not interactive:
        os.mkfifo(emulator.serial)
        return os.open(emulator.serial, os.O_RDONLY | os.O_NONBLOCK)
    if isinstance(emulator, (Nested, NestedIntel)):
        raise Unusable("--interactive: not with a nested machine; use --emu qemu, bochs or kvm")
    # Both emulators can open a terminal.  We keep its other end open, too: so
    # it lasts from before the emulator to the last byte.
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    emulator.serial, emulator.is_terminal = os.ttyname(theirs), True
    return ours


class Keyboard:
    """The terminal that we run at, raw; as it was before, whatever happens."""

    def __init__(self, screen):
        self.screen = screen

    def __enter__(self):
        self.typed = b""        # and not yet taken by the machine
        self.fd = sys.stdin.fileno()
        self.old = termios.tcgetattr(self.fd) if os.isatty(self.fd) else None
        if self.old:
            tty.setraw(self.fd, termios.TCSADRAIN)
        self.screen.raw, self.screen.tty = True, False
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(newline="\r\n" if self.old else None)
        return self

    def __exit__(self, *_):
        if self.old:
            # A VM may have had it: visible, in no colour.
            self.screen.lend(b"\033[0m\033[?25h\r")
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self.old)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            stream.reconfigure(newline=None)

    def listens(self):
        """Is there somebody who types, and room for more?"""
        return self.fd is not None and len(self.typed) < LINE_MAX

    def read(self):
        data = os.read(self.fd, 1024)
        self.typed += data
        if not data:
            self.fd = None      # nobody types any more

    def write(self, fd):
        try:
            self.typed = self.typed[os.write(fd, self.typed[:64]):]
        except BlockingIOError:
            pass


def with_parent():
    """In the child: end when the parent does, however it ends."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def start(emulator, output):
    """Start the emulator in a process group of its own."""
    return subprocess.Popen(emulator.command(), cwd=emulator.work,
                            stdin=subprocess.DEVNULL, stdout=output,
                            stderr=subprocess.STDOUT, start_new_session=True,
                            preexec_fn=with_parent)


def stop(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Watch:
    """Follows a machine to its end."""

    def __init__(self, process, serial, follower, keyboard=None):
        self.process, self.serial = process, serial
        self.follower, self.keyboard = follower, keyboard
        self.grace = None       # when a machine that said @halt has had its time to power off

    def step(self):
        """Moves what there is, both ways; false if the machine has ended and has said all."""
        ended = self.process.poll() is not None
        readable = self.carry_keys(0 if ended else POLL_S)
        data = os.read(self.serial, 1 << 16) if readable else b""
        if data:
            self.follower.feed(data)
        elif ended:
            return False
        elif readable:
            time.sleep(CLOSED_S)    # no writer yet, or no longer
        return True

    def carry_keys(self, seconds):
        """Waits for bytes from either side, takes keys to the machine; has it said something?"""
        keys = self.keyboard
        readers = [self.serial] + ([keys.fd] if keys and keys.listens() else [])
        writers = [self.serial] if keys and keys.typed else []
        ready, taken, _ = select.select(readers, writers, [], seconds)
        if readers[-1] in ready and readers[-1] != self.serial:
            keys.read()
        if taken:
            keys.write(self.serial)
        return self.serial in ready

    def halted(self, now, halt_grace):
        """Has it said @halt, and not powered off since?"""
        if self.follower.summary.halt is None:
            return False
        self.grace = self.grace or now + halt_grace
        return now > self.grace

    def run(self, timeout, halt_grace):
        """To its end; false if the time was up first."""
        deadline = time.monotonic() + timeout if timeout else None
        while self.step():
            now = time.monotonic()
            if deadline and now > deadline:
                return False
            if self.halted(now, halt_grace):
                print("run: @halt, but no power-off", file=sys.stderr)
                break
            self.follower.screen.update(self.follower.summary)
        return True
