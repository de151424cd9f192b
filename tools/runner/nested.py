# SPDX-License-Identifier: BSD-2-Clause
"""QEMU with KVM inside of a Linux that an emulator runs: no special hardware is needed."""

import copy
import os
import shlex
import subprocess
import sys

from .emulator import Bochs
from .places import TOOLS, TOP
from .qemu import Kvm, Qemu

# What tools/nested fetches and keeps.
NESTED = os.path.join(TOP, "build", "nested")
# The Linux that KVM is part of: what it needs besides the inner machine, in
# MiB, and its kernel, as tools/nested leaves it.
OUTER_MEM = 768
OUTER_KERNEL = os.path.join(NESTED, "vmlinuz")


def outer_initrd(opts, work, image):
    """An initramfs with IMAGE, which starts a QEMU with KVM and OPTS."""
    inner = Kvm(opts, work)
    inner.serial, inner.image = "/dev/ttyS1", "/boot.iso"
    script, initrd = (os.path.join(work, n) for n in ("qemu", "initrd"))
    with open(script, "w") as f:
        f.write("exec " + shlex.join(inner.command()) + "\n")
    if subprocess.run([os.path.join(TOOLS, "nested"), "--cache", NESTED,
                       "-o", initrd, "--qemu", script, "--add",
                       f"boot.iso={image}"]).returncode:
        sys.exit(2)
    return initrd


class Nested(Qemu):
    """QEMU with KVM, on a Linux (tools/nested) on TCG's emulated SVM.

    The outer machine's first serial port is its console, and our log; its
    second is the inner machine's only one.
    """
    log_name = "nested.log"
    grace = 60                  # Linux powers off, too
    # Without XSAVE: TCG executes XSETBV in a guest, but does not tell KVM.
    OUTER_CPU = "EPYC,+svm,+npt,-xsave"
    # Its TSC is the host's, and so better than Linux thinks.
    LINUX = "console=ttyS0 panic=-1 mitigations=off tsc=reliable"

    def __init__(self, opts, work):
        super().__init__(opts, work)
        self.output = os.path.join(work, "output")

    def command(self):
        initrd = outer_initrd(self.opts, self.work, self.image)
        return [self.program, "-nodefaults", "-no-user-config",
                "-accel", "tcg", "-cpu", self.OUTER_CPU,
                "-m", str(self.opts.mem + OUTER_MEM), "-smp", "1",
                "-display", "none", "-no-reboot", "-serial",
                f"file:{self.log}", "-serial", f"file:{self.serial}",
                "-kernel", OUTER_KERNEL, "-initrd", initrd,
                "-append", self.LINUX]

    def complaints(self):
        return super().complaints() + self.lines(self.log)[-8:]


class NestedIntel(Bochs):
    """The same on Bochs's emulated VT-x."""
    log_name = "bochs.log"
    grace = 600
    # The newest without AVX-512, whose XSAVE layout Linux does not believe: on
    # Ice Lake it dies soon after.
    OUTER_CPU = "corei7_haswell_4770"
    # Self-tests and mitigations cost it minutes; and CPUID tells Linux a TSC
    # frequency that Bochs does not run at.
    LINUX = ("console=ttyS0 panic=-1 mitigations=off nokaslr tsc=reliable "
             f"tsc_early_khz={Bochs.IPS // 1000} cryptomgr.notests")

    def __init__(self, opts, work):
        outer = copy.copy(opts)
        outer.mem, outer.smp = opts.mem + OUTER_MEM, 1
        outer.cpu = self.OUTER_CPU
        super().__init__(outer, work)
        self.inner = opts
        self.console = os.path.join(os.path.abspath(opts.log or work),
                                    "nested.log")

    def command(self):
        initrd = outer_initrd(self.inner, self.work, self.image)
        self.image = os.path.join(self.work, "outer.iso")
        if subprocess.run([os.path.join(TOOLS, "mkiso"), "--linux",
                           "-o", self.image, "-k", OUTER_KERNEL, "-a",
                           self.LINUX, "-m", f"initrd={initrd}"]).returncode:
            sys.exit(2)
        return super().command()

    def config(self):
        ours = f"com1: enabled=1, mode=file, dev={self.console}\n"
        return super().config().replace("com1:", "com2:") + ours
