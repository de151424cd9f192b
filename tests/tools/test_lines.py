# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/lines.py: pieces of VMs' lines are put together."""

import unittest

from runner.lines import WHOLE_MAX, Joiner, joined


class Joined(unittest.TestCase):
    def test_text_without_pieces_stays(self):
        for text in ("", "\n", "a| x\n\n@end\n", "[ 1.0] x\nb.2| two| + x", "a|+", "a||+x\n"):
            self.assertEqual(joined(text), "a| " if text == "a|+" else text)

    def test_a_line_comes_where_its_last_piece_was(self):
        self.assertEqual(joined("a|+mod\nb|+x\n[ 1.0] host\na|+ule: up\na|  after\nb| y\n"),
                         "[ 1.0] host\na| module: up after\nb| xy\n")

    def test_blanks_and_marks_are_the_guests_but_for_the_first(self):
        self.assertEqual(joined("a|+ + \na|  |+\n"), "a|  +  |+\n")

    def test_a_line_that_never_ended_is_at_the_end(self):
        self.assertEqual(joined("a|+login: \n@halt status=0\n"), "@halt status=0\na| login: \n")

    def test_the_rest_of_a_line_in_a_turn_is_not_waited_for(self):
        self.assertEqual(joined("a|+# \n@console a: text [2]\n# ls\x1e\na| next\n"),
                         "@console a: text [2]\n# ls\x1e\na| next\n")

    def test_nobodys_line_is_endless(self):
        joiner = Joiner()
        said = [joiner.line("a|+" + "x" * 100) for _ in range(WHOLE_MAX // 50)]
        whole = [line for line in said if line is not None]
        self.assertEqual({len(line) > WHOLE_MAX for line in whole}, {True})
        self.assertEqual(sum(len(line) - 3 for line in whole + joiner.rest()), WHOLE_MAX // 50 * 100)
        self.assertEqual(joiner.rest(), [])


if __name__ == "__main__":
    unittest.main()
