# SPDX-License-Identifier: BSD-2-Clause
"""What a Linux guest pays: its boot beside the same kernel's on the bare emulated
machine, its exits when idle, and those for each character of its console.

Everything is read from serial ports: the TSC at the kernel's first instruction by a
kernel whose first instructions are replaced (tests/linux/entry.S), the TSC at the
first one of init by that init (tests/linux/bench.c), and the exits by a hypervisor that
counts them (tests/count.c).
"""

import os
import re
import stat
import subprocess
import sys

sys.dont_write_bytecode = True
from debian import Cpio, fetch_kernel, modules_of
from runner.lines import joined

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOLS = os.path.join(TOP, "tools")

KERNEL = os.path.join(TOP, "build", "linux", "vmlinuz")
MEM = 512           # MiB, of the guest and of the bare machine
HOST_MEM = 800
TIMEOUT = "400"     # seconds for one boot

# What QEMU and Bochs boot, and how; Bochs would need minutes more for the rest.  Its UART
# takes its time for each character, bare and under us: the speed must be the same.
MACHINES = {
    "qemu": ("EPYC,+svm,+npt", "console=ttyS0"),
    "bochs": ("corei7_haswell_4770",
              "console=ttyS0,115200 mitigations=off nokaslr cryptomgr.notests"),
}

# Marks of tests/linux/bench.c: what has been going on until then.
BOOT, _, IDLE, TTY, PRINTK, HVC = range(1, 7)    # the second: nothing that is counted
IDLE_SECONDS = 10
HVC_BUFFERS = 100
HVC_NOTIFY = 0xd0000050     # the console's QueueNotify: slot 0
DATA = 0x3f8        # the UART's register: a write is a character
# Not the guest's doing: they come however it waits, and idle or not.
INTERRUPTS = {"interrupt", "preempt", "none"}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Linux:
    """The files that are booted, in a folder of their own, and what came of it."""

    def __init__(self, work, emu, hv):
        self.work, self.emu, self.hv = work, emu, hv
        self.cpu, self.words = MACHINES[emu]
        init, entry = self.path("init"), self.path("entry.o")
        tests = os.path.join(TOP, "tests", "linux")
        run("gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", init,
            os.path.join(tests, "bench.c"))
        run("gcc", "-c", "-o", entry, os.path.join(tests, "entry.S"))
        run("objcopy", "-O", "binary", "-j", ".text", entry, self.path("entry.bin"))
        with open(KERNEL, "rb") as f:
            kernel = bytearray(f.read())
        self.save("vmlinuz", kernel)
        with open(self.path("entry.bin"), "rb") as f:
            code = f.read()
        start = (kernel[0x1f1] + 1) * 512   # of the protected-mode code: setup_sects
        kernel[start:start + len(code)] = code
        self.save("entry", kernel)
        initrd = Cpio(self.path("initrd"))
        initrd.entry("dev", stat.S_IFDIR | 0o755)
        initrd.entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
        initrd.add_file("init", init)
        tree = fetch_kernel(os.path.join(TOP, "build", "nested"))
        modules = []
        for name in ("virtio_mmio", "virtio_console"):     # what they need comes behind them
            folder, paths = modules_of(tree, [name])
            modules += [path for path in reversed(paths) if path not in modules]
        for number, module in enumerate(modules):
            initrd.add_file(f"modules/{number}", os.path.join(tree, folder, module))
        initrd.close()

    def path(self, name):
        return os.path.join(self.work, name)

    def save(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)

    def emulate(self, log, *arguments):
        """Runs tools/run; the serial port's text.  Its status says nothing of a bare machine."""
        done = subprocess.run([os.path.join(TOOLS, "run"), "--emu", self.emu, "--smp", "1",
                               "--icount", "--timeout", TIMEOUT, "--cpu", self.cpu, "--quiet",
                               "--log", self.path(log), *arguments],
                              capture_output=True, text=True, errors="replace")
        with open(self.path(os.path.join(log, "serial.raw")), errors="replace") as f:
            text = joined(f.read())
        if done.returncode == 124:
            sys.exit(f"bench: {log}: no end after {TIMEOUT} s:\n{text[-2000:]}")
        return text

    def guest(self, kernel, hv, more=""):
        self.save(f"{kernel}.conf", f"[vm linux]\nmemory = {MEM}M\nkernel = {kernel}\n"
                  f"initrd = initrd\ncmdline = {self.words}{more}\n".encode())
        return self.emulate(f"guest-{kernel}{'-more' if more else ''}", "--hv", hv, "--conf",
                            self.path(f"{kernel}.conf"), "--mem", str(HOST_MEM),
                            "--args", "mitigations=off")

    def bare(self, kernel):
        if self.emu == "qemu":
            return self.qemu(kernel, "pc")
        iso = self.path(f"{kernel}.iso")
        run(os.path.join(TOOLS, "mkiso"), "--linux", "-o", iso, "-k", self.path(kernel),
            "-a", self.words, "-m", f"initrd={self.path('initrd')}")
        return self.emulate(f"bare-{kernel}", "--image", iso, "--mem", str(MEM))

    def microvm(self, kernel):
        """QEMU's machine that has, as ours, next to no devices to look for."""
        return self.qemu(kernel, "microvm,acpi=on,rtc=on,isa-serial=on")

    def qemu(self, kernel, machine):
        """By QEMU's own loader: from a disk GRUB would read the kernel for minutes."""
        serial = self.path("serial")
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-M", machine,
                   "-accel", "tcg", "-cpu", self.cpu, "-icount", "shift=0,sleep=off",
                   "-m", str(MEM), "-display", "none", "-no-reboot", "-serial", f"file:{serial}",
                   "-kernel", self.path(kernel), "-initrd", self.path("initrd"),
                   "-append", self.words, "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        try:
            subprocess.run(command, capture_output=True, timeout=int(TIMEOUT))
        except subprocess.TimeoutExpired:
            sys.exit(f"bench: {machine}, {kernel}: no end after {TIMEOUT} s")
        with open(serial, errors="replace") as f:
            return f.read()


def find(pattern, text, base=10):
    found = re.search(pattern, text)
    if not found:
        sys.exit(f"bench: Linux did not say {pattern}:\n{text[-2000:]}")
    return int(found[1], base)


def per(part, whole):
    """In hundredths, rounded up: no bar is met by rounding."""
    return -(-part * 100 // whole)


def boot(how, *arguments):
    """Instructions from the kernel's first to init's first, idle time, and the former's TSC."""
    entry = find(r"=([0-9a-f]{16})", how("entry", *arguments), 16)
    text = how("vmlinuz", *arguments)
    return (find(r"bench: tsc (\d+)", text) - entry, find(r"bench: idle-cs (\d+)", text) * 10, entry)


def boots(linux):
    ours, idle, entry = boot(linux.guest, linux.hv)
    rows = [("linux-boot-guest", ours, "instructions"),
            ("linux-boot-guest-idle", idle, "ms"),
            ("linux-guest-loading", entry, "instructions")]
    others = [("bare", linux.bare)] + ([("microvm", linux.microvm)] if linux.emu == "qemu" else [])
    for name, how in others:
        bare, idle, _ = boot(how)
        rows += [(f"linux-boot-{name}", bare, "instructions"),
                 (f"linux-boot-{name}-idle", idle, "ms"),
                 (f"linux-boot-guest-to-{name}", per(ours, bare), "percent")]
    return rows


def counts(text):
    """{mark: [(kind, detail, exits)]}"""
    found = {}
    for mark, kind, detail, n in re.findall(
            r"^@count mark=(\d+) kind=(\S+) detail=([0-9a-f]+) exits=(\d+)", text, re.M):
        found.setdefault(int(mark), []).append((kind, int(detail, 16), int(n)))
    if find(rf"@counted mark={HVC} left=(\d+)", text):
        sys.exit("bench: tests/count.c has too few rows")
    return found


def exits(linux, counting_hv):
    """Of a guest that idles, writes to its tty and to its log."""
    found = counts(linux.guest("vmlinuz", counting_hv, " more printk.devkmsg=on"))
    total = {m: sum(n for _, _, n in rows) for m, rows in found.items()}
    own = {m: sum(n for kind, _, n in rows if kind not in INTERRUPTS) for m, rows in found.items()}
    sent = {m: sum(n for kind, detail, n in rows if (kind, detail) == ("io", DATA))
            for m, rows in found.items()}
    # The boot's other exits are not the console's: only those of its ports.
    ports = sum(n for kind, detail, n in found[BOOT]
                if kind == "io" and detail & 0xffff in range(DATA, DATA + 8))
    rows = [("linux-boot-exits", total[BOOT], "exits")]
    kinds = sorted({kind for kind, _, _ in found[BOOT]})
    rows += [(f"linux-boot-exits-{k}", sum(n for kind, _, n in found[BOOT] if kind == k), "exits")
             for k in kinds]
    rows.append(("linux-idle-exits", total[IDLE] // IDLE_SECONDS, "a-second"))
    for name, exits_of, mark in (("printk-at-boot", ports, BOOT), ("printk", own[PRINTK], PRINTK),
                                 ("tty", own[TTY], TTY)):
        rows += [(f"linux-{name}-characters", sent[mark], "characters"),
                 (f"linux-{name}-exits", per(exits_of, sent[mark]), "a-100-characters")]
    rows += [(f"linux-{name}-interrupts", total[mark] - own[mark], "exits")
             for name, mark in (("printk", PRINTK), ("tty", TTY))]
    notified = sum(n for kind, detail, n in found[HVC] if (kind, detail) == ("fault", HVC_NOTIFY))
    rows += [("linux-hvc-buffers", HVC_BUFFERS, "buffers"),
             ("linux-hvc-notify-exits", per(notified, HVC_BUFFERS), "a-100-buffers"),
             ("linux-hvc-other-exits", own[HVC] - notified, "exits"),
             ("linux-hvc-interrupts", total[HVC] - own[HVC], "exits")]
    return rows


def measure(work, emu, hv, counting_hv):
    linux = Linux(work, emu, hv)
    return boots(linux) + exits(linux, counting_hv)
