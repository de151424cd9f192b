# SPDX-License-Identifier: BSD-2-Clause
"""What a request to a disk costs: on the bare machine's NVMe, on a partition of it in a guest of
Aerostat's, and in a guest of Debian's KVM with QEMU's virtio-blk on that NVMe; the same emulated
machine, Debian kernel and measuring program (tests/linux/disk.c) each time.

The emulator counts instructions (-icount), and its one CPU's TSC shows them to the guest.
"""

import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import bench_balloon
from bench_balloon import CACHE, CPU, LINUX, TESTS, TOOLS, Folder, ratio, run, say
from runner import disks
from runner.lines import joined

SIDES = ("bare", "kvm", "aerostat")
MEM = 512               # MiB of the guest, and of the bare machine
HOST_MEM = 1200
DISK_MIB = 96
TIMEOUT = 400           # seconds for one side
TRIES = 4               # for KVM, which now and then loses an interrupt there: docs/notes.md
WORDS = "console=ttyS0 quiet mitigations=off panic=-1 tsc=reliable"
WINDOWS = ("read-4k", "write-4k", "read-4k-32", "write-4k-32", "read-1m", "write-1m",
           "write-4k-fsync")
DRIVERS = ("virtio_mmio", "virtio_pci", "virtio_blk", "nvme")


class Bench(Folder):
    def __init__(self, folder, hv, counting_hv):
        super().__init__(folder, hv, counting_hv)
        self.initrd("disk.c", DRIVERS).close()
        if os.path.exists(self.path("disk.img")):
            os.remove(self.path("disk.img"))
        disks.make(self.path("disk.img"), [("bench", DISK_MIB << 20, None)], 512)

    def aerostat(self, hv, more=""):
        self.save("aerostat.conf", f"[host]\nstatus = 600s\npolicy = 60s\n[vm linux]\nmemory = {MEM}M\n"
                  f"kernel = {LINUX}/vmlinuz\ninitrd = initrd\ndisk = part:bench\n"
                  f"cmdline = {WORDS} disk=/dev/vda{more}\n")
        done = subprocess.run(
            [os.path.join(TOOLS, "run"), "--emu", "qemu", "--cpu", CPU, "--icount", "--smp", "1",
             "--mem", str(HOST_MEM), "--hv", hv, "--conf", self.path("aerostat.conf"),
             "--disk", self.path("disk.img"), "--timeout", str(TIMEOUT), "--quiet", "--log",
             self.path("aerostat"), "--args", "mitigations=off"],
            capture_output=True, text=True, errors="replace")
        if done.returncode:
            sys.exit(f"bench: aerostat: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return joined(self.load("aerostat/serial.raw"))

    def qemu(self, kernel, initrd, words, *more):
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-accel", "tcg",
                   "-cpu", CPU, "-icount", "shift=0,sleep=off", "-smp", "1", "-display", "none",
                   "-no-reboot", "-kernel", kernel, "-initrd", initrd, "-append", words,
                   "-drive", f"file={self.path('disk.img')},format=raw,if=none,id=disk0",
                   "-device", "nvme,drive=disk0,serial=disk", *more]
        try:
            subprocess.run(command, capture_output=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            say(f"no end after {TIMEOUT} s")

    def bare(self):
        self.qemu(os.path.join(LINUX, "vmlinuz"), self.path("initrd"),
                  f"{WORDS} disk=/dev/nvme0n1p1", "-m", str(MEM), "-serial",
                  f"file:{self.path('bare.raw')}")
        return self.load("bare.raw")

    def kvm(self):
        self.save("kvm.qemu", "exec qemu-system-x86_64 -nodefaults -no-user-config "
                  f"-machine pc,accel=kvm -cpu host -m {MEM} -smp 1 -display none -no-reboot "
                  "-serial file:/dev/ttyS1 -kernel /vmlinuz -initrd /initrd "
                  f"-append '{WORDS} disk=/dev/vda1' -object iothread,id=t "
                  "-drive file=/dev/nvme0n1,format=raw,if=none,id=d,cache=none,aio=native "
                  "-device virtio-blk-pci,drive=d,iothread=t\n")
        add = {"init": os.path.join(TESTS, "kvm_disk.sh"), "initrd": self.path("initrd"),
               "vmlinuz": os.path.join(LINUX, "vmlinuz"),
               "usr/share/qemu/linuxboot_dma.bin": "/usr/share/qemu/linuxboot_dma.bin"}
        run(os.path.join(TOOLS, "nested"), "--cache", CACHE, "-o", self.path("outer"), "--qemu",
            self.path("kvm.qemu"), *(w for k, v in add.items() for w in ("--add", f"{k}={v}")))
        self.qemu(os.path.join(CACHE, "vmlinuz"), self.path("outer"),
                  "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable",
                  "-m", str(HOST_MEM), "-serial", f"file:{self.path('outer.raw')}",
                  "-serial", f"file:{self.path('kvm.raw')}")
        return self.load("kvm.raw") + self.load("outer.raw")

    def boot(self, side):
        if side != "aerostat":
            return getattr(self, side)()
        return (self.aerostat(self.hv) +
                self.aerostat(self.counting_hv, " counting").replace("bench:", "counted:"))

    def measure(self, side):
        for _ in range(TRIES if side == "kvm" else 1):
            start = time.monotonic()
            text = self.boot(side)
            self.save(f"{side}.log", text)
            failed = re.search("FAILED.*", text)
            say(f"disk, {side}: {time.monotonic() - start:.0f} s{', ' + failed[0] if failed else ''}")
            if not failed and "bench: end" in text:
                return text
        sys.exit(f"bench: {side} has failed: see {self.path(side)}.log")


def costs(text):
    """{window: instructions a request}"""
    found = {w: int(n) for w, n in re.findall(r"bench: (\S+) instructions (\d+)", text)}
    if set(found) != set(WINDOWS):
        sys.exit(f"bench: not all windows were measured: {', '.join(sorted(found))}")
    return found


def exits(text):
    """{window: exits for 100 requests}, the clock's left out."""
    found = {}
    for mark, window in enumerate(WINDOWS, 1):
        if f"@counted mark={mark} left=0" not in text:
            sys.exit(f"bench: the exits of {window} were not counted")
        counted = re.findall(rf"@count mark={mark} kind=(\S+) detail=(\S+) exits=(\d+)", text)
        requests = int(re.search(rf"counted: {window} requests (\d+)", text)[1])
        total = sum(int(n) for kind, detail, n in counted
                    if kind not in ("preempt", "none") and
                    (kind, detail) != ("wrmsr", bench_balloon.DEADLINE))
        found[window] = ratio(total, requests, 100)
    return found


def measure(folder, hv, counting_hv):
    bench = Bench(folder, hv, counting_hv)
    text = {side: bench.measure(side) for side in SIDES}
    cost = {side: costs(text[side]) for side in SIDES}
    exit_rows = exits(text["aerostat"])
    rows = []
    for w in WINDOWS:
        bare, kvm, ours = (cost[side][w] for side in SIDES)
        rows += [(f"disk-{side}-{w}", cost[side][w], "instructions") for side in SIDES]
        rows.append((f"disk-{w}-exits", exit_rows[w], "a-100-requests"))
        if w.endswith("-1m"):
            rows.append((f"disk-{w}-to-bare", ratio(ours, bare, 1000), "permille"))
        else:
            rows += [(f"disk-{w}-beyond-bare", ours - bare, "instructions"),
                     (f"disk-{w}-beyond-bare-to-kvm", ratio(ours - bare, kvm - bare, 1000), "permille")]
    return rows
