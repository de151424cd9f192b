# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/picture.py: the input of gnuplot."""

import re
import unittest

from runner import picture
from said import block, hear, vm

MIB = 1024


def script(*lines, path="x.svg"):
    return picture.script(hear(*lines).history, path)


def rows(text, name):
    """The data block NAME, as lists of words."""
    body = re.search(rf"^\${name} << END\n(.*?)\nEND$", text, re.M | re.S)[1]
    return [line.split() for line in body.split("\n")]


class Picture(unittest.TestCase):
    def test_a_target_ends_with_its_vm(self):
        text = script(*block(1000, vm("a", size=8 * MIB, resident=4 * MIB, target=2 * MIB)),
                      *block(1500, vm("a", "waiting", size=8 * MIB, balloon=MIB, target=2 * MIB)),
                      *block(2000, vm("a", "ended", size=8 * MIB, target=2 * MIB)))
        self.assertEqual(rows(text, "vm0"), [["0", "8", "4", "0", "2"], ["0.5", "8", "0", "1", "2"],
                                             ["1", "8", "0", "0", "nan"]])

    def test_one_panel_a_vm_and_one_for_the_host(self):
        text = script(*block(0, vm("a_b", size=8 * MIB)), *block(1, vm("c")),
                      *block(2000, vm("a_b", size=8 * MIB), free=5 * MIB))
        self.assertEqual(re.findall(r'^set title "(.*?)"', text, re.M),
                         [r"a\\_b, MiB", "c, MiB", "the host, MiB"])
        self.assertEqual(len(rows(text, "vm0")), 2)
        self.assertEqual(rows(text, "host")[-1], ["2", "5", "96"])
        self.assertIn("set xrange [0:2.0]", text)

    def test_too_little_to_see(self):
        self.assertIsNone(picture.script([], "x"))
        self.assertIsNone(script(*block(0, vm("a")), *block(1, vm("a"))))
        self.assertIsNone(script(*block(1, vm("a")) * 3))
        self.assertIsNone(script(*block(0), *block(1), *block(2)))


if __name__ == "__main__":
    unittest.main()
