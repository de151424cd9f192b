# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/conf.py: aerostat.conf for tools."""

import gzip
import os
import subprocess
import tempfile
import unittest

from runner import conf
from runner.errors import Unusable

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

TEXT = """\
# A comment
[host]
memory = 48M ; and another
console = first
console = second

[vm first]
memory=16M
kernel = guests/a#1.elf # not part of the name
initrd = initrd with blanks
module = guests/m.img ro quiet   # and words
disk = root.img cow 64M
disk = blank 4M
cmdline = kernel = x # y
[vm\tsecond]
kernel =
cmdline =
"""


def refusal(text):
    try:
        conf.Conf(text, "dir/my.conf")
    except Unusable as e:
        return str(e)
    return None


class Reading(unittest.TestCase):
    def setUp(self):
        self.conf = conf.Conf(TEXT, "dir/my.conf")

    def test_entries_have_their_line_section_key_and_value(self):
        found = [(e.number, e.vm, e.key, e.value) for e in self.conf.entries]
        self.assertEqual(found[:4], [(3, "", "memory", "48M"), (4, "", "console", "first"),
                                     (5, "", "console", "second"), (8, "first", "memory", "16M")])
        self.assertEqual(found[-3:], [(14, "first", "cmdline", "kernel = x"),
                                      (16, "second", "kernel", ""), (17, "second", "cmdline", "")])

    def test_vms_in_their_order(self):
        self.assertEqual(self.conf.vms, ["first", "second"])

    def test_the_last_of_equal_keys_of_the_host_counts(self):
        self.assertEqual(self.conf.host("console"), "second")
        self.assertIsNone(self.conf.host("kernel"))

    def test_files(self):
        self.assertEqual([e.file for e in self.conf.file_entries()],
                         ["guests/a#1.elf", "initrd with blanks", "guests/m.img", "root.img"])

    def test_the_host_names_no_files(self):
        self.assertEqual(conf.Conf("[host]\nkernel = a\nmodule = b\n").file_entries(), [])

    def test_blank_is_a_file_when_it_is_no_disk(self):
        self.assertEqual([e.file for e in conf.Conf("[vm a]\nkernel = blank\nmodule = blank x\n")
                          .file_entries()], ["blank", "blank"])

    def test_cr_lf_and_a_byte_order_mark_change_nothing(self):
        other = conf.Conf("\ufeff" + TEXT.replace("\n", "\r\n"), "dir/my.conf")
        self.assertEqual(other.vms, self.conf.vms)
        self.assertEqual(other.entries, self.conf.entries)

    def test_a_byte_order_mark_before_the_first_section(self):
        found = conf.Conf("\ufeff[vm a]\nkernel = k\n")
        self.assertEqual((found.vms, [e.file for e in found.file_entries()]), (["a"], ["k"]))

    def test_an_empty_file_has_nothing(self):
        self.assertEqual((conf.Conf("").entries, conf.Conf("").vms), ([], []))


class Refusing(unittest.TestCase):
    def test_a_line_that_is_neither(self):
        self.assertEqual(refusal("[host]\n\nwhat is this # x\n"),
                         'dir/my.conf:3: "what is this" is neither a [section] nor key = value')
        self.assertIn(':1: "= 4"', refusal("= 4\n"))

    def test_sections_that_there_are_not(self):
        for section in ("[hosts]", "[vm]", "[vm a b]", "[vm a", "[ host ]", "[vm " + "a" * 32 + "]"):
            self.assertIn(f'dir/my.conf:2: "{section}" is neither [host] nor [vm NAME]',
                          refusal(f"[host]\n{section}\n") or "nothing")

    def test_a_key_before_any_section(self):
        self.assertIn('dir/my.conf:1: "memory = 4M" comes before any section',
                      refusal("memory = 4M\n[host]\n"))

    def test_cr_alone(self):
        self.assertIn('dir/my.conf:1: "[host]?memory = 4M?[vm a]', refusal("[host]\rmemory = 4M\r[vm a]"))
        self.assertIn("end lines with LF or CR LF", refusal("[vm a]\nkernel = x\rmemory = 4M"))

    def test_a_long_or_strange_line_is_quoted_in_part(self):
        text = refusal("[vm a]\n\x1b[31m" + "x" * 1000)
        self.assertIn('"?[31m', text)
        self.assertLess(len(text), 200)

    def test_a_file_that_cannot_be_read(self):
        with self.assertRaisesRegex(Unusable, "^/nowhere/x: No such file or directory$"):
            conf.load("/nowhere/x")


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def test_symbolic_links_are_followed_and_blamed(self):
        link, path = os.path.join(self.folder, "vmlinuz"), os.path.join(self.folder, "my.conf")
        os.symlink("boot/vmlinuz-6.1", link)
        with self.assertRaises(Unusable) as caught:
            conf.Conf("[vm a]\nkernel = vmlinuz\n", path).files()
        self.assertEqual(str(caught.exception), f"{path}:2: vmlinuz is a symbolic link to "
                         "boot/vmlinuz-6.1, which is not there")
        os.mkdir(os.path.join(self.folder, "boot"))
        with self.assertRaises(Unusable) as caught:
            conf.Conf("[vm a]\nkernel = boot\n", path).files()
        self.assertEqual(str(caught.exception), f"{path}:2: boot is a folder, not a file")
        with open(os.path.join(self.folder, "boot", "vmlinuz-6.1"), "w"):
            pass
        self.assertEqual(conf.Conf("[vm a]\nkernel = vmlinuz\n", path).files(), 
                         {"vmlinuz": os.path.realpath(link)})

    def test_kernels_that_are_packed_as_a_whole_are_unpacked(self):
        self.write("xen.gz", gzip.compress(b"kernel"))
        self.write("initrd.gz", gzip.compress(b"initrd"))
        path = self.write("my.conf", b"[vm a]\nkernel = xen.gz\ninitrd = initrd.gz\n")
        files = conf.load(path).files()
        with open(files["xen.gz"], "rb") as f:
            self.assertEqual(f.read(), b"kernel")
        self.assertEqual(files["initrd.gz"], os.path.join(self.folder, "initrd.gz"))
        self.write("xen.gz", gzip.compress(b"kernel" * 100)[:20])
        with self.assertRaises(Unusable) as caught:
            conf.load(path).files()
        self.assertIn(":2: xen.gz is a damaged gzip file: ", str(caught.exception))

    def test_paths_are_relative_to_the_configuration(self):
        self.write("k", b"")
        path = self.write("my.conf", b"[vm a]\nkernel = k\n[vm b]\nkernel = ./k\n[vm c]\nkernel = k\n")
        self.assertEqual(conf.load(path).files(),
                         {"k": f"{self.folder}/k", "./k": f"{self.folder}/./k"})

    def test_one_that_is_not_there(self):
        path = self.write("my.conf", b"\xef\xbb\xbf[vm a]\r\nkernel = k\r\n")
        with self.assertRaises(Unusable) as e:
            conf.load(path).files()
        self.assertEqual(str(e.exception), f"{path}:2: no such file: k "
                         f"(paths are relative to {self.folder})")

    def test_bytes_that_are_no_utf_8_stay_as_they_are(self):
        path = self.write("my.conf", b"# caf\xe9\n[vm a]\ncmdline = \xff\n")
        text = conf.load(path).edited(lambda e: None)
        self.assertEqual(text.encode("utf-8", "surrogateescape"), b"# caf\xe9\n[vm a]\ncmdline = \xff\n")


class Editing(unittest.TestCase):
    def test_only_what_is_changed_differs(self):
        text = "\ufeff" + TEXT.replace("\n", "\r\n")
        found = conf.Conf(text).edited(lambda e: e.with_file("guests/new") if e.file else None)
        expected = text
        for old, new in (("guests/a#1.elf", "guests/new"), ("initrd with blanks", "guests/new"),
                         ("guests/m.img ro", "guests/new ro"), ("root.img cow", "guests/new cow")):
            expected = expected.replace(old, new)
        self.assertEqual(found, expected)

    def test_any_value(self):
        found = conf.Conf("[host]\nsample = 1 # ms\n").edited(
            lambda e: "200" if e.key == "sample" else None)
        self.assertEqual(found, "[host]\nsample = 200 # ms\n")

    def test_absolute_paths(self):
        read = conf.Conf("[vm a]\nkernel = ../k\ncmdline = ../k\n", "/one/two/my.conf")
        self.assertEqual(read.edited(read.absolute), "[vm a]\nkernel = /one/k\ncmdline = ../k\n")


class MadeBy(unittest.TestCase):
    def targets(self, kernel, initrd):
        return conf.Conf(f"# build/linux/module\n[vm a]\nkernel = {kernel}\ninitrd = {initrd}\n").made_by()

    def test_what_is_named_is_made(self):
        self.assertEqual(self.targets("../build/guests/demo.elf", "x"), [])
        self.assertEqual(self.targets("../build/linux/vmlinuz", "../build/linux/initrd.cpio"), ["linux"])
        self.assertEqual(self.targets("../build/linux/vmlinuz", "../build/linux/module.cpio"),
                         ["linux", "module"])


class Loader(unittest.TestCase):
    TEXT = "[vm a]\nkernel = loader # ours\ndisk = part:a\n[vm b]\nkernel = k\n[vm c]\r\nkernel = loader\r\n"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(setattr, conf, "LOADER", conf.LOADER)
        self.folder, conf.LOADER = folder.name, os.path.join(folder.name, "build", "loader")

    def build(self):
        os.makedirs(conf.LOADER)
        for name in ("loader.vmlinuz", "loader.cpio"):
            with open(os.path.join(conf.LOADER, name), "wb"):
                pass

    def test_it_is_a_kernel_and_an_initrd(self):
        read = conf.Conf("[vm a]\nkernel = loader\n[vm b]\nkernel = loader\n", "my.conf")
        self.build()
        self.assertEqual(read.files(), {name: os.path.join(conf.LOADER, name)
                                        for name in ("loader.vmlinuz", "loader.cpio")})

    def test_the_hypervisor_reads_an_ordinary_pair(self):
        self.assertEqual(conf.Conf(self.TEXT).for_machine(),
                         "[vm a]\nkernel = loader.vmlinuz # ours\ninitrd = loader.cpio\ndisk = part:a\n"
                         "[vm b]\nkernel = k\n[vm c]\r\nkernel = loader.vmlinuz\r\ninitrd = loader.cpio\r\n")

    def test_elsewhere_it_is_still_the_loader(self):
        read = conf.Conf(self.TEXT, "/one/my.conf")
        self.assertEqual(read.edited(read.absolute), self.TEXT.replace("= k\n", "= /one/k\n"))

    def test_one_that_is_not_built(self):
        with self.assertRaises(Unusable) as caught:
            conf.Conf("[vm a]\nkernel = loader\n", "my.conf").files()
        self.assertIn("my.conf:2: the loader is not built: run make loader", str(caught.exception))

    def test_an_initrd_besides(self):
        self.assertIn('dir/my.conf:2: "initrd = x" cannot be with kernel = loader',
                      refusal("[vm a]\ninitrd = x\nkernel = loader\n[vm b]\nkernel = loader\n") or "nothing")

    def test_a_kernel_of_that_name_has_a_folder(self):
        self.assertEqual([e.file for e in conf.Conf("[vm a]\nkernel = ./loader\n").file_entries()], ["./loader"])

    def test_what_is_named_is_made(self):
        self.assertEqual(conf.Conf("[vm a]\nkernel = loader\n", "x/my.conf").made_by(), ["loader"])


class Disks(unittest.TestCase):
    """tools/conf disks, as make run calls it."""

    def run_conf(self, *words):
        done = subprocess.run([os.path.join(TOP, "tools", "conf"), *words], capture_output=True, text=True)
        return done.returncode, done.stdout.strip(), done.stderr

    def test_one_that_is_there_is_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            path, image = os.path.join(folder, "my.conf"), os.path.join(folder, "out", "one.img")
            with open(path, "w") as f:
                f.write("#! disk: one a=1M b=2M\n#! disk: two block=4096 c=1M\n[host]\n")
            words = f"--disk {image} --disk {folder}/out/two.img,block=4096"
            status, said, log = self.run_conf("disks", path, folder + "/out")
            self.assertEqual((status, said), (0, words))
            self.assertIn(f"disk: made {image}: part:a 1 MiB, part:b 2 MiB\n", log)
            with open(image, "r+b") as f:
                f.seek(1 << 20)
                f.write(b"written")
            status, said, log = self.run_conf("disks", path, folder + "/out")
            self.assertEqual((status, said), (0, words))
            self.assertIn(f"{image} is there already, and is kept", log)
            with open(image, "rb") as f:
                f.seek(1 << 20)
                self.assertEqual(f.read(7), b"written")

    def test_what_a_new_disk_needs_is_made_and_for_an_old_one_it_is_not(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "my.conf")
            with open(path, "w") as f:
                f.write("#! disk: one a=1M:build/debian/server.ext4\n[vm a]\nkernel = k\n")
            self.assertEqual(self.run_conf("made-by", path, folder)[:2], (0, "debian-server"))
            with open(os.path.join(folder, "one.img"), "w"):
                pass
            self.assertEqual(self.run_conf("made-by", path, folder)[:2], (0, ""))


if __name__ == "__main__":
    unittest.main()
