# SPDX-License-Identifier: BSD-2-Clause
"""QEMU: by TCG, which emulates a processor with SVM, or by KVM where that can nest."""

import os
import re
import shutil

from .emulator import Emulator
from .errors import Unusable


class Qemu(Emulator):
    program = "qemu-system-x86_64"
    package = "qemu-system-x86"
    log_name = "qemu.log"
    cpu = "EPYC,+svm,+npt"
    accel = "tcg"
    ovmf = "/usr/share/OVMF/OVMF_{}_4M.fd"

    def __init__(self, opts, work):
        super().__init__(opts, work)
        self.output = self.log

    def command(self):
        return [self.program, "-nodefaults", "-no-user-config",
                *(["-machine", self.opts.machine] if self.opts.machine else []),
                "-accel", self.accel, "-cpu", self.cpu,
                *(["-icount", "shift=0,sleep=off"] if self.opts.icount else []),
                "-m", str(self.opts.mem), "-smp", str(self.opts.smp),
                "-display", "none", "-no-reboot",
                "-serial", self.serial if self.is_terminal else f"file:{self.serial}",
                *(["-vga", "std"] if self.opts.screen else []),
                *self.firmware(), *self.disk(), *self.disks()]

    def firmware(self):
        if self.opts.firmware == "bios":
            return []
        variables = os.path.join(self.work, "variables")
        shutil.copyfile(self.ovmf.format("VARS"), variables)
        pflash = "if=pflash,format=raw,unit="
        return ["-drive", f"{pflash}0,readonly=on,file={self.ovmf.format('CODE')}",
                "-drive", f"{pflash}1,file={variables}"]

    def disk(self):
        if not self.opts.image and self.opts.firmware == "bios":
            return ["-drive", f"file={self.image},format=raw,media=cdrom", "-boot", "d"]
        # A USB stick that forgets what is written to it.
        return ["-drive", f"file={self.image},format=raw,if=none,id=stick,snapshot=on",
                "-device", "qemu-xhci",
                "-device", "usb-storage,drive=stick,removable=on,bootindex=0"]

    def disks(self):
        """What is written to them stays."""
        words = []
        for i, disk in enumerate(self.opts.disk):
            path, *words_of = disk.split(",")
            more = dict(word.partition("=")[::2] for word in words_of)
            block = more.get("block")
            serial = more.get("serial", os.path.splitext(os.path.basename(path))[0])[:20]
            words += ["-drive", f"file={os.path.abspath(path)},format=raw,if=none,id=disk{i}",
                      "-device", f"nvme,drive=disk{i},serial={serial},"
                      f"logical_block_size={block or 512},physical_block_size={block or 512}"]
        return words


def kvm_lacks():
    """What keeps a guest of KVM from using VT-x or SVM itself, or None."""
    if not os.path.exists("/dev/kvm"):
        return "/dev/kvm is missing"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not yours to open: join the group kvm"
    with open("/proc/cpuinfo") as f:
        flag = re.search(r"^flags\s*:.*\b(vmx|svm)\b", f.read(), re.M)
    if not flag:    # the device alone proves nothing
        return "this processor shows neither vmx nor svm"
    module = {"vmx": "kvm_intel", "svm": "kvm_amd"}[flag[1]]
    nested = Emulator.lines(f"/sys/module/{module}/parameters/nested")
    if nested and nested[0] not in ("Y", "1"):
        return f"{module} was loaded with nested={nested[0]}: load it with nested=1"
    return None


class Kvm(Qemu):
    cpu = "host"
    accel = "kvm"

    def check(self):
        super().check()
        lack = kvm_lacks()
        if lack:
            raise Unusable(f"--emu kvm: {lack}")
