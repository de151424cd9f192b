# SPDX-License-Identifier: BSD-2-Clause
"""Lines of VMs that come in pieces."""

import unittest

from runner.lines import Joiner, joined


class Pieces(unittest.TestCase):
    def test_a_line_that_goes_on_is_one(self):
        self.assertEqual(joined("a|+on\nhost\na| e\nb| x\n"), "host\na| one\nb| x\n")

    def test_pieces_of_two_vms_do_not_mix(self):
        self.assertEqual(joined("a|+1\nb|+2\na| 3\nb| 4\n"), "a| 13\nb| 24\n")

    def test_a_line_that_never_ends_is_there_at_the_end(self):
        self.assertEqual(joined("a|+prompt> \n"), "a| prompt> \n")

    def test_a_turn_at_the_terminal_takes_the_line_along(self):
        joiner = Joiner()
        self.assertIsNone(joiner.line("a|+pro"))
        joiner.line("@console a: x")
        self.assertEqual(joiner.line("a| mpt"), "a| mpt")


if __name__ == "__main__":
    unittest.main()
