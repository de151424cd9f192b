# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/judge.py: decides whether a whole-machine test passed."""

import unittest

from runner.expect import Expectations
from runner.judge import judge, judge_broken

GOOD = """\
[    0.100000] vm a: started
a| hello
@exit name=a status=0 reason=exit port
[    0.200000] audit: 12 guest frames, all is well
@halt status=0
"""


def results(asked, serial=GOOD, code=0, vms=("a",), heard=()):
    """{check: None or the error}; ASKED: lines "#!" without that."""
    expected = Expectations("".join(f"#! {line}\n" for line in asked))
    return dict(judge(expected, list(vms), code, serial, list(heard), 3))


class Ends(unittest.TestCase):
    def test_good(self):
        self.assertEqual(results([]), {"a": None, "host": None})

    def test_a_vm_that_ends_otherwise(self):
        found = results([], GOOD.replace("a status=0", "a status=7").replace("@halt status=0", "@halt status=1"), 1)
        self.assertEqual(found, {"a": "status 7, expected 0",
                                 "host": "halt status 1, expected 0"})

    def test_a_vm_that_is_expected_to_end_otherwise_and_the_host_with_it(self):
        serial = GOOD.replace("a status=0", "a status=7").replace("@halt status=0", "@halt status=1")
        self.assertEqual(results(["exit a=7"], serial, 1), {"a": None, "host": None})
        self.assertEqual(results(["exit a=7"]), {"a": "status 0, expected 7",
                                                 "host": "halt status 0, expected 1"})

    def test_no_end(self):
        self.assertEqual(results([], "a| hello\n", 1),
                         {"a": "status none: it did not end, expected 0",
                          "host": "halt status none, expected 0"})

    def test_time_up(self):
        self.assertEqual(results([], code=124)["time"], "not done in 3 min")

    def test_a_status_of_the_host_says_nothing_of_vms(self):
        self.assertEqual(results(["status=2"], "@halt status=2\n", 1), {"host": None})

    def test_what_a_guest_says_is_no_end(self):
        self.assertIn("did not end", results([], GOOD.replace("@exit", "a| @exit"))["a"])


class Lines(unittest.TestCase):
    def test_wanted(self):
        found = results(["want: ^a. hel+o$", "want: bye"])
        self.assertEqual((found["want ^a. hel+o$"], found["want bye"]), (None, "not there"))

    def test_rejected(self):
        self.assertEqual(results(["reject: hel+o"])["reject hel+o"], "hello")
        self.assertNotIn("reject bye", results(["reject: bye"]))

    def test_what_no_test_may_have(self):
        for line in ("*** CPU 0: #PF", "a| FAIL: x", "[    0.300000] audit: a frame is lost",
                     "[    0.300000] at 0.200 s: audit: wrong state"):
            bad = [why for what, why in results([], GOOD + line + "\n").items() if what.startswith("reject")]
            self.assertEqual(len(bad), 1, line)

    def test_a_panic_that_is_expected(self):
        self.assertEqual(results(["status=255"], "*** x\n@halt status=255\n", 1), {"host": None})


class Numbers(unittest.TestCase):
    def near(self, text):
        return results([r"near: 10 took (\d+), then (\d+)"], GOOD + text + "\n")[r"near took (\d+), then (\d+)"]

    def test_near(self):
        self.assertIsNone(self.near("took 90, then 100"))
        self.assertEqual(self.near("took 89, then 100"), "89 and 100, not within 10 %")
        self.assertEqual(self.near("took none"), "not there")

    def takes(self, *heard):
        return results(["takes: 1 2 begin -> end"], heard=heard)["begin -> end"]

    def test_takes(self):
        self.assertIsNone(self.takes((5, "begin"), (6.5, "end"), (9, "end")))
        self.assertEqual(self.takes((5, "begin"), (8, "end")), "took 3.00 s, not 1.0 to 2.0")
        self.assertEqual(self.takes((5, "begin")), "not there")


class Broken(unittest.TestCase):
    def test_the_sign_must_come(self):
        self.assertEqual(judge_broken("stale", "a| stale entry\n"), [("fails when broken", None)])
        self.assertEqual(judge_broken("stale", GOOD), [("fails when broken", "no line says stale")])


if __name__ == "__main__":
    unittest.main()
