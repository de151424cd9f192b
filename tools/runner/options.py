# SPDX-License-Identifier: BSD-2-Clause
"""The command line of tools/run."""

import argparse
import os
import sys

from . import conf
from .emulator import Bochs
from .emulators import EMULATORS, best_emulator
from .errors import Unusable


def parser(doc):
    p = argparse.ArgumentParser(
        description=doc.split("\n")[0], epilog=doc.split("\n", 2)[2],
        formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hv", metavar="ELF")
    p.add_argument("--conf", metavar="FILE")
    p.add_argument("--image", metavar="FILE", help="instead of these two: a disk, attached by USB")
    add_machine(p)
    add_run(p)
    return p


def add_machine(p):
    """What is emulated."""
    p.add_argument("--firmware", choices=["bios", "uefi"], default="bios")
    p.add_argument("--screen", action="store_true",
                   help="a machine with a graphics adapter (QEMU)")
    p.add_argument("--emu", choices=["auto", *EMULATORS], default="auto")
    p.add_argument("--cpu", metavar="MODEL", help="what the emulator calls it")
    p.add_argument("--bios", metavar="FILE",
                   help="Bochs: another firmware, a path or a name in " + Bochs.ROMS)
    p.add_argument("--machine", metavar="TYPE", default="", help="QEMU's, as in q35")
    p.add_argument("--mem", type=int, default=1024, metavar="MiB")
    p.add_argument("--disk", metavar="FILE[,block=4096][,serial=NAME]", action="append", default=[],
                   help="a disk of the machine, by NVMe; its serial number is the file's name if "
                   "not given.  FILE may be anything that QEMU knows by a URI (QEMU)")
    p.add_argument("--smp", type=int, default=1, metavar="N")
    p.add_argument("--icount", action="store_true",
                   help="QEMU: the TSC counts instructions, as it does "
                   "in Bochs; one CPU only")


def add_run(p):
    """How it is run, and what is kept of it."""
    p.add_argument("--timeout", type=float, default=0, metavar="SECONDS",
                   help="by the wall; none if not given")
    p.add_argument("--unattended-timeout", type=float, default=0, metavar="SECONDS",
                   help="the same, but not where somebody types")
    p.add_argument("--interactive", action="store_true",
                   help="what is typed goes to the machine (without this: only at a "
                   "terminal, if the configuration has console = NAME)")
    p.add_argument("--log", metavar="DIR")
    p.add_argument("--svg", metavar="FILE", help="a picture of where memory was, by gnuplot")
    p.add_argument("--args", default="", metavar="TEXT", help="the hypervisor's command line")
    p.add_argument("--quiet", action="store_true", help="no table")


def check_files(opts):
    for path in ([opts.image] if opts.image else [opts.hv, opts.conf]) + [d.split(",")[0] for d in opts.disk]:
        if "://" not in path and not os.path.isfile(path):
            raise Unusable(f"no such file: {path}")


def check_together(opts):
    if opts.args and (opts.image or opts.firmware == "uefi"):
        raise Unusable("--args: the UEFI loader passes no command line; in an image, "
                       "edit grub/grub.cfg")
    if opts.icount and opts.smp > 1:
        raise Unusable("--icount counts all CPUs together: use --smp 1")


def parse(doc, arguments=None):
    """The options; opts.read is the configuration, if there is one."""
    p = parser(doc)
    opts = p.parse_args(arguments)
    if not opts.image and not (opts.hv and opts.conf):
        p.error("--hv and --conf are needed, or --image")
    check_files(opts)
    check_together(opts)
    opts.read = None if opts.image else conf.load(opts.conf)
    opts.image = opts.image and os.path.abspath(opts.image)
    if opts.read and opts.read.host("console"):
        opts.interactive |= sys.stdin.isatty() and sys.stdout.isatty()
    if not opts.interactive:
        opts.timeout = opts.timeout or opts.unattended_timeout
    if opts.emu == "auto":
        opts.emu, why = best_emulator()
        print(f"emulator: {opts.emu} ({why})", flush=True)
    return opts
