# SPDX-License-Identifier: BSD-2-Clause
"""One way to run an image, and Bochs, which emulates a processor with VT-x."""

import os
import re
import shutil
import subprocess
import sys

from .errors import Unusable

HALT_GRACE_S = 10       # what a machine that said @halt gets to power off


class Emulator:
    """One way to run an image.  `command` may write files into `work`."""
    program = package = log_name = cpu = ovmf = ""
    grace = HALT_GRACE_S

    def __init__(self, opts, work):
        self.opts, self.work = opts, work
        self.cpu = opts.cpu or self.cpu
        self.image = opts.image or os.path.join(work, "boot.iso")
        self.serial = os.path.join(work, "serial")      # a FIFO, or a terminal
        self.is_terminal = False
        self.log = os.path.join(work, self.log_name)
        self.output = os.path.join(work, "output")      # stdout and stderr

    def check(self):
        if self.opts.firmware == "uefi" and not self.ovmf:
            raise Unusable(f"{self.program} has no UEFI firmware here: use --emu qemu")
        if self.opts.firmware == "uefi" and not os.path.isfile(self.ovmf.format("CODE")):
            raise Unusable("no UEFI for QEMU (package ovmf): run tools/deps run")
        if not shutil.which(self.program):
            raise Unusable(f"no {self.program} (package {self.package}): "
                "run tools/deps run")

    def command(self):
        raise NotImplementedError

    def complaints(self):
        """Lines of the emulator's log that may explain a failure."""
        return [line for line in self.lines(self.output)
                if "TCG doesn't support requested feature" not in line][-8:]

    @staticmethod
    def lines(path):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                return f.read().splitlines()
        except OSError:
            return []


class Bochs(Emulator):
    program = package = "bochs"
    log_name = "bochs.log"
    cpu = "corei7_icelake_u"
    IPS = 50_000_000        # the TSC's frequency, too
    EPOCH = 1_700_000_000   # the clock at power-on: every run sees the same
    ROMS = "/usr/share/bochs"

    def command(self):
        self.write("bochsrc", self.config())
        self.write("rc", "c\n")     # Debian's build waits in its debugger
        self.write("cmos", self.cmos())
        return [*self.isolation(), "bochs", "-q", "-f", self.path("bochsrc"),
                "-rc", self.path("rc")]

    def isolation(self):
        # The rfb display, the one that needs no terminal, listens on every
        # interface: give it a network without any.
        for unshare in (["unshare", "-n"], ["unshare", "-rn"]):
            try:
                if subprocess.run([*unshare, "true"], stdin=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL).returncode == 0:
                    return unshare
            except FileNotFoundError:
                break
        print("run: no network namespace: bochs's display listens on port "
              "5900 or above of every interface", file=sys.stderr)
        return []

    def bios(self):
        path = os.path.join(self.ROMS, self.opts.bios or "BIOS-bochs-latest")
        if not os.path.isfile(path):
            raise Unusable(f"no such firmware: {path}")
        return path

    def config(self):
        cylinders = os.path.getsize(self.image) // (16 * 63 * 512)
        return f"""
romimage: file={self.bios()}
vgaromimage: file={self.ROMS}/VGABIOS-lgpl-latest
cpu: model={self.cpu}, count={self.opts.smp}, ips={self.IPS}, \
reset_on_triple_fault=0
memory: guest={self.opts.mem}, host={min(self.opts.mem, 2048)}
clock: sync=none, time0={self.EPOCH}
cmosimage: file={self.path("cmos")}, rtc_init=time0
ata0-master: type=disk, path={self.image}, mode=volatile, \
cylinders={cylinders}, heads=16, spt=63
{self.disks()}ata1: enabled=0
boot: disk
com1: enabled=1, mode={"term" if self.is_terminal else "file"}, dev={self.serial}
display_library: rfb, options="timeout=0"
sound: waveoutdrv=dummy
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
log: {self.log}
"""

    def disks(self):
        """What is written to it stays.  Bochs's disks are whole cylinders, as tools/mkdisk makes them."""
        if not self.opts.disk:
            return ""
        path, _, block = self.opts.disk[0].partition(",block=")
        if len(self.opts.disk) > 1 or block not in ("", "512"):
            raise Unusable("--disk: Bochs has one, with blocks of 512 bytes")
        cylinders = os.path.getsize(path) // (16 * 63 * 512)
        return (f"ata0-slave: type=disk, path={os.path.abspath(path)}, mode=flat, "
                f"cylinders={cylinders}, heads=16, spt=63\n")

    def cmos(self):
        """The BIOS's settings.

        Bochs would fill them in itself, but only this way can the "fast
        boot" flag be set, without which the BIOS waits three seconds, 150
        million instructions, for somebody to press F12.
        """
        cmos = bytearray(128)

        def word(at, value):
            cmos[at:at + 2] = value.to_bytes(2, "little")

        extended = min(self.opts.mem * 1024 - 1024, 0xfc00)
        cylinders = os.path.getsize(self.image) // (16 * 63 * 512)
        cmos[0x0a:0x0e] = 0x26, 0x02, 0x00, 0x80    # RTC rate, 24 h, battery
        cmos[0x12] = 0xf0                           # a disk, type below
        cmos[0x14] = 0x06                           # FPU, mouse
        word(0x15, 640)                             # KiB below 1 MiB
        word(0x17, extended)                        # KiB above 1 MiB
        cmos[0x19] = 47                             # disk: user-defined type
        word(0x1b, cylinders)
        cmos[0x1d] = 16                             # heads
        word(0x1e, 0xffff)                          # no write compensation
        cmos[0x20] = 0xc8                           # more than 8 heads
        word(0x21, cylinders)                       # landing zone
        cmos[0x23] = 63                             # sectors
        sums = sum(cmos[0x10:0x2e])
        cmos[0x2e:0x30] = sums.to_bytes(2, "big")
        word(0x30, extended)
        cmos[0x32] = cmos[0x37] = 0x20              # century
        # In units of 64 KiB: above 16 MiB and below 3 GiB; above 4 GiB.
        word(0x34, max(0, min(self.opts.mem, 3072) - 16) * 16)
        high = max(0, self.opts.mem - 4096) * 16
        cmos[0x5b:0x5e] = high.to_bytes(3, "little")
        cmos[0x3d] = 0x02                           # boot from the disk
        cmos[0x3f] = 0x01                           # fast boot
        return bytes(cmos)

    def complaints(self):
        """Errors and panics, except the ones that end every run."""
        # There is no log before the configuration has been understood.
        return [line for line in self.lines(self.log) or self.lines(self.output)
                if re.match(r"\d+[ep]\[", line) and
                not re.search("soft power off|Shutdown port", line)][-8:]

    def path(self, name):
        return os.path.join(self.work, name)

    def write(self, name, content):
        if isinstance(content, str):
            content = content.encode()
        with open(self.path(name), "wb") as f:
            f.write(content)
