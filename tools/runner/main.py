# SPDX-License-Identifier: BSD-2-Clause
"""A run from the command line to the exit status."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

from . import image, options, picture, report, verdict
from .emulators import EMULATORS
from .errors import Interrupted, Unusable
from .follower import Follower
from .logs import Logs
from .machine import Keyboard, Watch, open_serial, start, stop
from .screen import Screen
from .summary import Summary
from .text import clean

KEYS = ("keys go to the machine: Ctrl-a 1 to 9 chooses a VM, Ctrl-a 0 the "
        "hypervisor, Ctrl-a ? helps, Ctrl-a x x powers off")


def on_signal(number, _frame):
    raise Interrupted(number)


def prepare(opts, work):
    """The emulator with an image to boot, and the logs."""
    files = opts.read.files() if opts.read else {}
    emulator = EMULATORS[opts.emu](opts, work)
    emulator.check()
    logs = Logs(opts.log, EMULATORS)
    if not opts.image:
        image.make(opts, emulator.image, files)
    return emulator, logs


def attend(opts, emulator, process, serial, follower):
    """Until the machine's end; (status, why it is not 0)."""
    screen = follower.screen
    if opts.interactive:
        screen.line(KEYS)
    with Keyboard(screen) if opts.interactive else contextlib.nullcontext() as keyboard:
        in_time = Watch(process, serial, follower, keyboard).run(opts.timeout, emulator.grace)
    follower.finish()
    return verdict.of_run(follower.summary, in_time, opts.timeout, follower.last)


def supervise(opts, emulator, follower):
    """Starts the machine and sees that it ends; (status, why it is not 0)."""
    serial = open_serial(emulator, opts.interactive)
    process = None
    with open(emulator.output, "wb") as output:
        try:
            process = start(emulator, output)
            return attend(opts, emulator, process, serial, follower)
        except Interrupted as e:
            return verdict.of_signal(e.args[0])
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if process:
                stop(process)
            follower.logs.keep(emulator.log)


def draw(summary, path, screen):
    try:
        if picture.draw(summary.history, path):
            screen.line(f"picture: {path}")
    except (OSError, subprocess.CalledProcessError) as e:
        screen.line(f"no picture: {e}; tools/deps run installs gnuplot")


def run(opts, work):
    emulator, logs = prepare(opts, work)
    screen, summary = Screen(opts.quiet), Summary()
    began = time.monotonic()
    status, why = supervise(opts, emulator, Follower(screen, logs, summary))
    screen.finish(summary)
    for line in report.lines(summary, time.monotonic() - began):
        screen.line(line)
    if opts.svg:
        draw(summary, opts.svg, screen)
    if status:
        for line in emulator.complaints():
            print(f"{opts.emu}: {clean(line)}", file=sys.stderr)
        print(f"run: {why}", file=sys.stderr)
    return status


def main(doc):
    try:
        opts = options.parse(doc)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, on_signal)
        with tempfile.TemporaryDirectory(prefix="aerostat-run.") as work:
            return run(opts, work)
    except Unusable as e:
        print(f"run: {e}", file=sys.stderr)
        return 2
    except Interrupted as e:
        return 128 + e.args[0]
    except BrokenPipeError:     # nobody reads our output any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
