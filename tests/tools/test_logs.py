# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/logs.py, and the messages of tools/run about arguments that it cannot use."""

import contextlib
import io
import os
import subprocess
import tempfile
import unittest

from runner import places
from runner.errors import Unusable
from runner.logs import Logs


class InAFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text=""):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def read(self, *names):
        with open(self.path(*names), "rb") as f:
            return f.read()


class Keeping(InAFolder):
    def test_folders_are_made_and_files_hold_what_was_written(self):
        logs = Logs(self.path("a", "b"))
        for part in b"one ", b"two":
            logs.write("host.log", part)
        self.assertEqual(self.read("a", "b", "host.log"), b"one two")

    def test_a_vm_named_as_another_log(self):
        logs = Logs(self.folder, ["qemu"])
        for name in ("host", "qemu", "web"):
            logs.vm(name, b"x")
        self.assertEqual(sorted(os.listdir(self.folder)), ["vm-host.log", "vm-qemu.log", "web.log"])

    def test_no_folder_no_files(self):
        logs = Logs(None)
        logs.write("host.log", b"x")
        logs.keep("/dev/null")
        self.assertEqual(logs.files, {})

    def test_a_copy_of_the_emulators_log(self):
        logs = Logs(self.path("logs"))
        logs.keep(self.write("qemu.log", "x"))
        logs.keep(self.path("is not there"))
        self.assertEqual(os.listdir(self.path("logs")), ["qemu.log"])

    def test_a_copy_that_fails_is_said_and_no_more(self):
        os.makedirs(self.path("logs", "qemu.log", "qemu.log"))
        with contextlib.redirect_stderr(io.StringIO()) as said:
            Logs(self.path("logs")).keep(self.write("qemu.log", "x"))
        self.assertRegex(said.getvalue(), "^run: .*/qemu.log is not copied to .*: Is a directory\n$")


class Unusables(InAFolder):
    def test_a_file_where_the_folder_should_be(self):
        path = self.write("file")
        with self.assertRaisesRegex(Unusable, f"^the logs' folder cannot be used: {path}: File exists$"):
            Logs(path)
        with self.assertRaisesRegex(Unusable, f"{path}/under: Not a directory$"):
            Logs(self.path("file", "under"))

    def test_a_log_that_cannot_be_written(self):
        os.mkdir(self.path("serial.raw"))
        with self.assertRaisesRegex(Unusable, "/serial.raw: Is a directory$"):
            Logs(self.folder).write("serial.raw", b"x")


class CommandLine(InAFolder):
    """The status is 2 and there is one line, before anything is booted."""

    def check(self, *arguments, says):
        done = subprocess.run([os.path.join(places.TOOLS, "run"), "--emu", "bochs", *arguments],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr, f"run: {says}\n")

    def conf(self, text):
        return ["--hv", self.write("hv.elf"), "--conf", self.write("my.conf", text)]

    def test_files_that_are_not_there(self):
        self.check("--hv", self.write("hv.elf"), "--conf", "/nowhere/my.conf",
                   says="no such file: /nowhere/my.conf")
        self.check(*self.conf("\ufeff[vm a]\nkernel = k.elf\n"),
                   says=f"{self.path('my.conf')}:2: no such file: k.elf "
                        f"(paths are relative to {self.folder})")

    def test_a_configuration_that_is_not_understood(self):
        self.check(*self.conf("[vm a]\r\nkernel k.elf\r\n"),
                   says=f'{self.path("my.conf")}:2: "kernel k.elf" is neither a [section] nor key = value')

    @unittest.skipUnless(os.path.exists("/usr/bin/bochs"), "Bochs is not installed")
    def test_a_folder_of_logs_that_cannot_be_used(self):
        path = self.write("file")
        self.check(*self.conf("[host]\n"), "--log", path,
                   says=f"the logs' folder cannot be used: {path}: File exists")


if __name__ == "__main__":
    unittest.main()
