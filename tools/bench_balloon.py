# SPDX-License-Identifier: BSD-2-Clause
"""What a balloon costs: Aerostat's own driver, the stock virtio one on Aerostat, and the stock one
under Debian's QEMU/KVM, all in the same emulated machine with the same Debian kernel, initramfs
and measuring program (tests/linux/balloon.c).

The emulator counts instructions (-icount), and its one CPU's TSC shows them to the guest: those of
guest, hypervisor, and of KVM's Linux and QEMU.  docs/benchmarks.md says what is in each figure.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from debian import Cpio, fetch_kernel, modules_of
from runner.lines import joined

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOLS = os.path.join(TOP, "tools")
TESTS = os.path.join(TOP, "tests", "linux")
BUILD = os.path.join(TOP, "build")
CACHE = os.path.join(BUILD, "nested")
LINUX = os.path.join(BUILD, "linux")
MODULE = os.path.join(LINUX, "module", "linux", "aerostat.ko")

SIDES = ("kvm", "virtio", "module")
MEM = 1024              # MiB of the guest
HOST_MEM = 1800         # MiB of the machine
TIMEOUT = 900           # seconds for one side
TRIES = 4               # for KVM, which now and then loses an interrupt there: docs/notes.md
PAGES = 512 << 8        # what the balloon takes
# No XSAVE: KVM would not learn of its guest's XSETBV in TCG.  No ERMS: each byte that
# `rep stosb` writes would be counted.
CPU = "EPYC,+svm,+npt,-xsave,-erms"
WORDS = "console=ttyS0 quiet mitigations=off panic=-1"
WINDOWS = ("asking", "inflate-untouched", "deflate-untouched", "touch-untouched",
           "inflate-populated", "deflate-populated", "touch-populated")

# Exits that come with time, in tests/count.c's words: interrupts, and the next one's deadline.
CLOCK = ("interrupt", "preempt", "none")
DEADLINE = "6e0"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)}:\n{done.stdout}{done.stderr}")


def say(text):
    print(f"# {text}", flush=True)


class Folder:
    """A folder that stays, with the files that all sides boot."""

    def __init__(self, folder, hv, counting_hv):
        self.folder, self.hv, self.counting_hv = folder, hv, counting_hv
        os.makedirs(folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def save(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def load(self, name):
        with open(self.path(name), errors="replace") as f:
            return f.read()

    def initrd(self, source, drivers):
        """An initramfs with init, made of SOURCE, and the modules of DRIVERS in order; not closed."""
        run("gcc", "-std=gnu17", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o",
            self.path("init"), os.path.join(TESTS, source))
        initrd = Cpio(self.path("initrd"))
        initrd.entry("dev", stat.S_IFDIR | 0o755)
        initrd.entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
        initrd.add_file("init", self.path("init"))
        tree = fetch_kernel(CACHE)
        modules = []
        for name in drivers:
            where, paths = modules_of(tree, [name])     # what they need comes behind them
            modules += [path for path in reversed(paths) if path not in modules]
        for number, module in enumerate(modules):
            initrd.add_file(f"modules/{number}", os.path.join(tree, where, module))
        return initrd


class Bench(Folder):
    """The three balloons."""

    def __init__(self, folder, hv, counting_hv):
        super().__init__(folder, hv, counting_hv)
        shutil.copy(os.path.join(LINUX, "vmlinuz"), self.path("vmlinuz"))
        initrd = self.initrd("balloon.c", ("virtio_mmio", "virtio_pci", "virtio_balloon"))
        for module in (MODULE, os.path.join(LINUX, "settarget", "settarget.ko")):
            initrd.add_file(os.path.basename(module), module)
        initrd.close()

    def aerostat(self, side, hv, more=""):
        words = f"{WORDS} host=aerostat driver={side}{more}"
        device = "balloon = virtio\n" if side == "virtio" else ""
        self.save(f"{side}.conf", f"[host]\nstatus = 600s\npolicy = 60s\n[vm linux]\nmemory = {MEM}M\n"
                  f"control = yes\nkernel = vmlinuz\ninitrd = initrd\ncmdline = {words}\n{device}")
        done = subprocess.run(
            [os.path.join(TOOLS, "run"), "--emu", "qemu", "--cpu", CPU, "--icount", "--smp", "1",
             "--mem", str(HOST_MEM), "--hv", hv, "--conf", self.path(f"{side}.conf"),
             "--timeout", str(TIMEOUT), "--quiet", "--log", self.path(side),
             "--args", "mitigations=off"], capture_output=True, text=True, errors="replace")
        text = joined(self.load(os.path.join(side, "serial.raw")))
        if done.returncode:
            sys.exit(f"bench: {side}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return text

    def kvm(self):
        os.makedirs(self.path("kvm"), exist_ok=True)
        inner = ("exec qemu-system-x86_64 -nodefaults -no-user-config -machine pc,accel=kvm "
                 f"-cpu host -m {MEM} -smp 1 -display none -no-reboot -serial file:/dev/ttyS1 "
                 "-kernel /vmlinuz -initrd /initrd "
                 f"-append '{WORDS} host=kvm driver=virtio' "
                 "-device virtio-balloon-pci,deflate-on-oom=on "
                 "-chardev pipe,id=asks,path=/tmp/asks -serial chardev:asks "
                 "-chardev pipe,id=monitor,path=/tmp/monitor -mon monitor,mode=readline\n")
        self.save("kvm.qemu", inner)
        add = {"init": os.path.join(TESTS, "kvm.sh"), "vmlinuz": self.path("vmlinuz"),
               "initrd": self.path("initrd"),
               "usr/share/qemu/linuxboot_dma.bin": "/usr/share/qemu/linuxboot_dma.bin"}
        run(os.path.join(TOOLS, "nested"), "--cache", CACHE, "-o", self.path("outer"), "--qemu",
            self.path("kvm.qemu"), *(w for k, v in add.items() for w in ("--add", f"{k}={v}")))
        serial, log = self.path("kvm/serial.raw"), self.path("kvm/outer.log")
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-accel", "tcg",
                   "-cpu", CPU, "-icount", "shift=0,sleep=off", "-m", str(HOST_MEM), "-smp", "1",
                   "-display", "none", "-no-reboot", "-serial", f"file:{log}",
                   "-serial", f"file:{serial}", "-kernel", os.path.join(CACHE, "vmlinuz"),
                   "-initrd", self.path("outer"), "-append",
                   "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable"]
        try:
            subprocess.run(command, capture_output=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            sys.exit(f"bench: kvm: no end after {TIMEOUT} s:\n{self.load('kvm/outer.log')[-2000:]}")
        return self.load("kvm/serial.raw") + self.load("kvm/outer.log")

    def boot(self, side):
        text = self.kvm() if side == "kvm" else self.aerostat(side, self.hv)
        if side == "module":    # with as little besides as possible: which exits are whose
            text += self.aerostat(side, self.counting_hv, " counting").replace("bench:", "counted:")
        return text

    def measure(self, side):
        """Runs SIDE, and keeps what its serial ports said."""
        for _ in range(TRIES if side == "kvm" else 1):
            start = time.monotonic()
            text = self.boot(side)
            self.save(f"{side}.log", text)
            failed = re.search("FAILED.*", text)
            say(f"balloon, {side}: {time.monotonic() - start:.0f} s{', ' + failed[0] if failed else ''}")
            if not failed and "bench: end" in text:
                return
        os.rename(self.path(f"{side}.log"), self.path(f"{side}.failed"))
        sys.exit(f"bench: {side} has failed: see {self.path(side)}.failed")


class Side:
    """What one side said: {window: {name: value}}."""

    def __init__(self, side, text):
        self.side, self.windows = side, {}
        for window, name, value in re.findall(r"bench: (\S+) (\S+) (\d+)", text):
            self.windows.setdefault(window, {})[name] = int(value)
        if side == "kvm":
            self.outer(text)
        if side == "module":
            self.counted(text)

    def outer(self, text):
        """What the Linux outside has noted, before and after each window."""
        notes = [[int(n) for n in pair.split(":")] for pair in
                 re.search(r"outer: notes (.*)", text)[1].split()]
        actual = [int(n) for n in re.search(r"outer: actual (.*)", text)[1].split()]
        if len(notes) != 2 * len(WINDOWS) or len(actual) != len(notes):
            sys.exit(f"bench: kvm: {len(notes)} notes, {len(actual)} balloons")
        for i, window in enumerate(WINDOWS):
            before, after = notes[2 * i], notes[2 * i + 1]
            self.windows[window]["exits"] = after[0] - before[0]
            self.windows[window]["zeroed-by-host"] = after[1] - before[1]
            full = MEM - (PAGES >> 8 if window.startswith("inflate") else 0)
            if actual[2 * i + 1] != full:   # MiB that QEMU says the guest has
                sys.exit(f"bench: kvm: after {window} QEMU's balloon left {actual[2 * i + 1]} MiB, "
                         f"not {full}")

    def counted(self, text):
        """Exits by what they were for, as tests/count.c has counted them in a run of their own."""
        for mark, window in enumerate(WINDOWS, 1):
            rows = re.findall(rf"@count mark={mark} kind=(\S+) detail=(\S+) exits=(\d+)", text)
            if f"@counted mark={mark} left=0" not in text:
                sys.exit(f"bench: module: the exits of {window} were not counted")
            self.windows[window]["counted"] = sum(
                int(n) for kind, detail, n in rows
                if kind not in CLOCK and (kind, detail) != ("wrmsr", DEADLINE))

    def exits(self, window):
        """Exits besides those of the clock and of asking, as far as they can be told apart."""
        name = "counted" if "counted" in self.windows[window] else "exits"
        return self.value(window, name) - self.value("asking", name)

    def value(self, window, name):
        try:
            return self.windows[window][name]
        except KeyError:
            sys.exit(f"bench: {self.side} did not say {window} {name}")

    def zeroing(self, window, who):
        """Instructions for the pages that the guest or the host has zeroed."""
        return self.value(window, f"zeroed-by-{who}") * self.value("all", "clear-page")

    def work(self, window):
        """Instructions besides zeroing, ticks, and (under KVM) what it takes to ask."""
        instructions = self.value(window, "instructions")
        ticks = self.windows[window].get("ticks", instructions)
        rest = (instructions - self.zeroing(window, "guest") - self.zeroing(window, "host") -
                ticks * self.value("all", "background-permille") // 1000)
        if self.side == "kvm" and "flate" in window:
            rest -= self.work("asking")
        return rest


def rows_of(side):
    name = f"balloon-{side.side}"
    rows = [(f"{name}-clear-page", side.value("all", "clear-page"), "instructions"),
            (f"{name}-asking", side.work("asking"), "instructions")]
    for window in WINDOWS[1:]:
        name = f"balloon-{side.side}-{window}"
        rows += [(name, side.work(window), "instructions"),
                 *((f"{name}-zeroing-by-{who}", side.zeroing(window, who), "instructions")
                   for who in ("guest", "host")),
                 (f"{name}-exits", side.value(window, "exits"), "exits")]
        if window.startswith("inflate"):
            rows.append((f"{name}-exits-per-gib", -(-side.exits(window) * (1 << 18) // PAGES), "exits"))
    if side.side != "kvm":
        rows.append((f"balloon-{side.side}-zeroing-by-host-while-idle",
                     side.zeroing("all", "host-while-idle"), "instructions"))
    return rows


def ratio(part, whole, unit):
    """Rounded up: no bar is met by rounding."""
    return -(-part * unit // whole)


def compare(side, kvm):
    name, rows = f"balloon-{side.side}", []
    for memory in ("untouched", "populated"):
        inflate, deflate, touch = (f"{w}-{memory}" for w in ("inflate", "deflate", "touch"))
        rows += [(f"{name}-{inflate}-to-kvm", ratio(side.work(inflate), kvm.work(inflate), 1000),
                  "permille"),
                 (f"{name}-deflate-and-touch-{memory}-to-kvm",
                  ratio(side.work(deflate) + side.work(touch),
                        kvm.work(deflate) + kvm.work(touch), 1000), "permille")]
    return rows


def measure(folder, hv, counting_hv, sides):
    """Rows of all sides; those that are not in SIDES are as they were measured last."""
    start = time.monotonic()
    bench = Bench(folder, hv, counting_hv)
    for side in SIDES:
        if side in sides:
            bench.measure(side)
        elif not os.path.exists(bench.path(f"{side}.log")):
            sys.exit(f"bench: {side} has never been measured: leave SIDES out")
    found = {side: Side(side, bench.load(f"{side}.log")) for side in SIDES}
    cost = [found[side].value("all", "clear-page") for side in SIDES]
    if max(cost) * 50 > min(cost) * 51:
        sys.exit(f"bench: a page is zeroed in {cost} instructions: the TSCs are not the same")
    rows = [row for side in SIDES for row in rows_of(found[side])]
    for side in ("module", "virtio"):
        rows += compare(found[side], found["kvm"])
    rows.append(("balloon-grow-before-oom", found["module"].value("grow", "instructions"),
                 "instructions"))
    if not found["module"].value("grow", "pages"):
        sys.exit("bench: the module did not ask for memory before the guest ran out")
    say(f"balloons: {(time.monotonic() - start) / 60:.1f} minutes")
    return rows
