# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/expect.py: the lines "#!" of a configuration."""

import unittest

from runner.errors import Unusable
from runner.expect import Expectations

TEXT = """\
# SPDX-License-Identifier: BSD-2-Clause
#! smp=2 mem=128   minutes=1
#! mem=256 args=spare=0 emu=qemu
#! exit one=7 two=255
#! exit three=0
#! want: mem=4 .* a \\[x\\]
#! want: second
#! reject: exit a=1
#! near: 12.5 a (\\d+), b (\\d+)
#! takes: 0.5 2 first -> then -> last
#! break: shootdown stale|wrong entry
# #! want: nothing
[vm a]
cmdline = #! want: x
"""


def refusal(line):
    try:
        Expectations(f"# x\n#! {line}\n", "dir/my.conf")
    except Unusable as e:
        return str(e)
    return None


class Reading(unittest.TestCase):
    def setUp(self):
        self.all = Expectations(TEXT)

    def test_keys_the_last_of_equal_ones_counts(self):
        self.assertEqual(self.all.keys, {"smp": "2", "mem": "256", "minutes": "1", "args": "spare=0",
                                         "emu": "qemu"})

    def test_exits(self):
        self.assertEqual(self.all.exits, {"one": "7", "two": "255", "three": "0"})

    def test_lines_that_must_and_must_not_be_there(self):
        self.assertEqual(self.all.want, [r"mem=4 .* a \[x\]", "second"])
        self.assertEqual(self.all.reject, ["exit a=1"])

    def test_numbers(self):
        self.assertEqual(self.all.near, [(12.5, r"a (\d+), b (\d+)")])
        self.assertEqual(self.all.takes, [(0.5, 2.0, "first -> then", "last")])

    def test_breaks(self):
        self.assertEqual(self.all.breaks, [("shootdown", "stale|wrong entry")])

    def test_cr_lf_and_a_byte_order_mark_change_nothing(self):
        other = Expectations("\ufeff" + TEXT.split("\n", 1)[1].replace("\n", "\r\n"))
        self.assertEqual(vars(other), vars(self.all))


class Refusing(unittest.TestCase):
    def test_the_line_is_named_and_quoted(self):
        self.assertTrue(refusal("smpp=2").startswith('dir/my.conf:2: "#! smpp=2" has smpp=2; known are'))

    def test_what_is_no_form(self):
        for line, why in (("", "is empty"), ("smp", "has smp;"), ("smp=two", "is not a number"),
                          ("smp=", "is not a number"), ("kind=tset", "kinds are bench, long, test"),
                          ("exit a", "which is not VM=STATUS"), ("exit a=b", "which is not VM=STATUS"),
                          ("wants: x", "has wants:"), ("want: (", "is no regular expression"),
                          ("want:", "is empty"), ("near: x", "is not near:"),
                          ("near: 1..2 (a) (b)", "is not near:"), ("near: 5 (a) b", "needs 2 groups"), ("takes: 1 2 a", "is not takes:"),
                          ("break: shootdown", "is empty"), ("disk: d root", "has a disk that cannot be"),
                          ("holds: d root x", "of a disk above it")):
            self.assertIn(why, refusal(line) or "nothing", line)


if __name__ == "__main__":
    unittest.main()
