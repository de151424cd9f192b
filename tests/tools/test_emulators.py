# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner: the arguments of each emulator, and the command line of tools/run."""

import contextlib
import io
import os
import tempfile
import unittest

from runner import emulator, options, qemu
from runner.errors import Unusable

DOC = "First.\n\nMore.\n"


class WithFiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.hv = self.write("hv.elf", "")
        self.image = self.write("image", "x" * 16 * 63 * 512 * 3)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def options(self, *arguments, conf="[host]\n"):
        path = self.write("my.conf", conf)
        with contextlib.redirect_stdout(io.StringIO()):
            return options.parse(DOC, ["--hv", self.hv, "--conf", path, "--emu", "qemu", *arguments])


class Options(WithFiles):
    def test_the_configuration_is_read(self):
        self.assertEqual(self.options(conf="\ufeff[vm a]\n").read.vms, ["a"])

    def test_an_image_has_no_configuration(self):
        opts = options.parse(DOC, ["--image", self.image, "--emu", "qemu"])
        self.assertEqual((opts.read, opts.image), (None, self.image))

    def test_a_time_for_those_whom_nobody_attends(self):
        self.assertEqual(self.options("--unattended-timeout", "5").timeout, 5)
        self.assertEqual(self.options("--unattended-timeout", "5", "--timeout", "9").timeout, 9)
        self.assertEqual(self.options("--unattended-timeout", "5", "--interactive").timeout, 0)

    def test_a_console_makes_it_interactive_only_at_a_terminal(self):
        self.assertFalse(self.options(conf="[host]\nconsole = a\n").interactive)

    def test_what_does_not_go_together(self):
        for arguments in (["--args", "x", "--firmware", "uefi"], ["--icount", "--smp", "2"]):
            with self.assertRaises(Unusable):
                self.options(*arguments)


class Commands(WithFiles):
    def made(self, kind, *arguments):
        opts = self.options("--mem", "96", "--smp", "2", *arguments)
        made = kind(opts, self.folder)
        made.image = self.image
        return made

    def test_qemu(self):
        command = self.made(qemu.Qemu, "--machine", "q35").command()
        for words in (["-machine", "q35"], ["-accel", "tcg"], ["-m", "96"], ["-smp", "2"],
                      ["-serial", f"file:{self.folder}/serial"],
                      ["-drive", f"file={self.image},format=raw,media=cdrom"]):
            self.assertEqual(command[command.index(words[0]):][:2], words)

    def test_a_disk_by_a_relative_path(self):
        disk = self.write("my.img", "")
        command = qemu.Qemu(self.options("--disk", os.path.relpath(disk)), self.folder).command()
        self.assertIn(f"file={disk},format=raw,if=none,id=disk0", command)

    def test_qemu_counts_instructions_for_one_cpu(self):
        self.assertIn("-icount", qemu.Qemu(self.options("--icount"), self.folder).command())

    def test_bochs(self):
        text = self.made(emulator.Bochs).config() if os.path.isdir(emulator.Bochs.ROMS) else None
        if text is None:
            self.skipTest("Bochs is not installed")
        self.assertIn("count=2,", text)
        self.assertIn("memory: guest=96, host=96\n", text)
        self.assertIn("cylinders=3,", text)

    def test_bochs_settings(self):
        cmos = self.made(emulator.Bochs).cmos()
        self.assertEqual(len(cmos), 128)
        self.assertEqual(int.from_bytes(cmos[0x34:0x36], "little"), (96 - 16) * 16)
        self.assertEqual(int.from_bytes(cmos[0x2e:0x30], "big"), sum(cmos[0x10:0x2e]))

    def test_a_firmware_that_is_not_there(self):
        with self.assertRaisesRegex(Unusable, "no such firmware: .*nowhere"):
            self.made(emulator.Bochs, "--bios", "nowhere").bios()

    def test_complaints_are_those_that_explain_something(self):
        bochs = self.made(emulator.Bochs)
        self.write("bochs.log", "00000i[CPU0] fine\n00001e[CPU0] wrong\n00002p[ACPI] soft power off\n")
        self.assertEqual(bochs.complaints(), ["00001e[CPU0] wrong"])


if __name__ == "__main__":
    unittest.main()
