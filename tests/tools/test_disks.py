# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/disks.py: images with partitions, checked by other programs."""

import os
import subprocess
import tempfile
import unittest

from runner import disks
from runner.errors import Unusable

MIB = 1 << 20


class Parts(unittest.TestCase):
    def test_forms(self):
        self.assertEqual(disks.part_of("root=16M"), ("root", 16 * MIB, None))
        self.assertEqual(disks.part_of("a b=4K"), ("a b", 4096, None))
        self.assertEqual(disks.part_of(f"me=1G:{__file__}"), ("me", 1 << 30, __file__))

    def test_what_cannot_be(self):
        for text, why in (("root", "is not LABEL=SIZE"), ("root=16", "is not a size"),
                          ("root=0M", "is not a size"), ("=1M", "is not LABEL=SIZE"),
                          ("x" * 37 + "=1M", "is not a label"), ("ä=1M", "is not a label")):
            with self.assertRaisesRegex(Unusable, why):
                disks.part_of(text)

    def test_files_that_cannot_be(self):
        for text, why in (("a=1M:/nowhere", "no such file: /nowhere"), (f"a=1K:{__file__}", "is larger")):
            with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(Unusable, why):
                disks.make(os.path.join(folder, "x"), [disks.part_of("b=1M"), disks.part_of(text)], 512)


class Images(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.image = os.path.join(self.folder.name, "disk.img")

    def tearDown(self):
        self.folder.cleanup()

    def test_sfdisk_agrees(self):
        disks.make(self.image, [disks.part_of("root=16M"), disks.part_of("my data=300K")], 512)
        done = subprocess.run(["sfdisk", "--verify", self.image], capture_output=True, text=True,
                              check=True)
        self.assertIn("No errors detected", done.stdout)
        dump = subprocess.run(["sfdisk", "-d", self.image], capture_output=True, text=True,
                              check=True).stdout
        self.assertRegex(dump, r'start= +2048, size= +32768, .*name="root"')
        self.assertRegex(dump, r'start= +34816, size= +600, .*name="my data"')

    def test_zeroes_of_a_file_are_holes(self):
        path = os.path.join(self.folder.name, "sparse")
        with open(path, "wb") as f:
            f.truncate(64 * MIB)
            f.seek(63 * MIB - 2)
            f.write(b"text")
        parts = [disks.part_of(f"a=64M:{path}"), disks.part_of("b=1M")]
        disks.make(self.image, parts, 512)
        self.assertLess(os.stat(self.image).st_blocks * 512, 8 * MIB)
        with open(path, "rb") as f:
            self.assertEqual(disks.begins(self.image, parts, "a", 64 * MIB), f.read())

    def test_files_are_in_their_partitions(self):
        parts = [disks.part_of("first=1M"), disks.part_of(f"me=1M:{__file__}")]
        for block in (512, 4096):
            disks.make(self.image, parts, block)
            with open(__file__, "rb") as f:
                self.assertEqual(disks.begins(self.image, parts, "me", 100), f.read(100))
            self.assertEqual(disks.begins(self.image, parts, "first", 4), bytes(4))
            os.remove(self.image)

    def test_an_image_is_kept(self):
        disks.make(self.image, [disks.part_of("a=1M")], 512)
        with self.assertRaises(FileExistsError):
            disks.make(self.image, [disks.part_of("b=1M")], 512)


if __name__ == "__main__":
    unittest.main()
