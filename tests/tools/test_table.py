# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/table.py and text.py: the table of VMs as plain lines."""

import unittest

from runner import table, text
from said import block, hear, vm

MIB = 1024


class Table(unittest.TestCase):
    def test_columns_are_as_wide_as_what_is_in_them(self):
        s = hear("@stat t=1500 state=low free=1024 total=2048 quarantine=512",
                 vm("a", size=64 * MIB, resident=32 * MIB, balloon=16 * MIB, target=1536, active=0, faults=7),
                 vm("long-name", "paused", size=1024 * MIB), "@end")
        self.assertEqual(table.table(s, False), [
            "1.5 s  low  free 1 of 2 MiB  quarantine 0.5  reclaimed 16",
            "VM         state    size  resident  balloon  target  active  disk  faults  MiB",
            "a          running    64        32       16     1.5       0     0       7  "
            "############oooooo......",
            "long-name  paused   1024         0        0       0       0     0       0  "
            "........................"])

    def test_a_state_that_would_move_the_cursor(self):
        self.assertNotIn("\x1b", "".join(table.table(hear(*block(1, vm("a", "\x1b[2J"))), True)))

    def test_the_bar_is_never_longer_than_its_width(self):
        self.assertEqual(table.bar({"size": 10, "resident": 30, "balloon": 30}, 4, True), "████")
        self.assertEqual(table.bar({}, 4, True), "····")


class Reclaimed(unittest.TestCase):
    def text(self, balloon, disk):
        return table.reclaimed_text({"a": {"balloon": balloon, "disk": disk}, "b": {"balloon": 0}})

    def test_with_and_without_disks(self):
        self.assertEqual(self.text(5 * MIB, 0), "5")
        self.assertEqual(self.text(5 * MIB, MIB), "4 (balloons less 1 of disks)")
        self.assertEqual(self.text(MIB, MIB), "0 (balloons less 1 of disks)")

    def test_it_is_never_less_than_nothing(self):
        self.assertEqual(self.text(0, 131482), "0 (balloons 0, disks take 128)")
        self.assertEqual(self.text(MIB, 3 * MIB), "0 (balloons 1, disks take 3)")


class Text(unittest.TestCase):
    def test_mib_has_a_digit_behind_the_point_if_that_says_something(self):
        self.assertEqual([text.mib(k) for k in (0, 512, 1024, 1536, 99 * MIB + 512, 100 * MIB + 512)],
                         ["0", "0.5", "1", "1.5", "99.5", "100"])

    def test_fields(self):
        self.assertEqual(text.fields("a=1 b=two c= differs=-3 name=4"),
                         {"a": 1, "b": "two", "c": "", "differs": "-3", "name": "4"})

    def test_clean(self):
        self.assertEqual(text.clean("a\tb\x1b[1m\x00ü"), "a b·[1m·ü")


if __name__ == "__main__":
    unittest.main()
