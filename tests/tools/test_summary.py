# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/summary.py: the facts in the lines of a run."""

import unittest

from runner.summary import Summary
from said import block, counts, hear, log, started, vm

MIB = 1024


class Tables(unittest.TestCase):
    def test_a_table_counts_when_it_is_complete(self):
        s = hear(*block(100, vm("a", resident=4))[:-1])
        self.assertEqual((s.stat, s.vms, s.history), ({}, {}, []))
        s.machine_line("@end")
        self.assertEqual((s.stat["t"], s.vms["a"]["resident"], len(s.history)), (100, 4, 1))

    def test_lines_that_are_none(self):
        s = Summary()
        for line in ("@vm name=a", "@end", "@", "@stats t=1", "@exit status=1", "@vm"):
            self.assertFalse(s.machine_line(line), line)
        s.machine_line("@stat t=1")
        self.assertFalse(s.machine_line("@vm state=running"))

    def test_the_clock_is_the_latest_of_log_and_tables(self):
        self.assertEqual(hear(log("x", 1500), *block(900), log("y", 1200)).ms, 1500)
        self.assertEqual(hear(log("x", 1500), *block(1600)).ms, 1600)

    def test_overcommit_is_that_of_vms_that_live(self):
        s = hear(*block(1, vm("a", size=100), vm("b", "ended", size=100), vm("c", "off", size=100),
                        total=80))
        self.assertEqual(s.overcommit, 1.25)

    def test_a_name_that_is_a_number_stays_a_name(self):
        self.assertIn("007", hear(*block(1, vm("007"))).vms)


class Ends(unittest.TestCase):
    def test_exit_has_a_reason_to_the_end_of_the_line(self):
        s = hear("@exit name=a status=7 reason=it said status=0", "@halt status=1")
        self.assertEqual(s.exits, {"a": {"name": "a", "status": 7, "reason": "it said status=0"}})
        self.assertEqual(s.halt, 1)

    def test_one_that_is_started_again_has_not_ended(self):
        s = hear(started("a"), "@exit name=a status=7 reason=stopped", started("a", 2000))
        self.assertEqual(s.exits, {})
        self.assertEqual(s.tracks["a"].lives, 2)

    def test_counts_at_the_end_are_exact(self):
        s = hear(started("a"), *block(1, vm("a", balloon=8)), "@exit name=a status=0 reason=x",
                 counts("a", 12345, 100, 60))
        self.assertEqual((s.exit_counts, s.tracks["a"].taken, s.tracks["a"].given), ({"a": 12345}, 100, 60))

    def test_what_a_guest_says_of_its_work(self):
        s = Summary()
        s.guest_line("a", "a| verdict: checks=5 wrong=1 oom=2")
        self.assertEqual(s.verdicts, {"a": (5, 1, 2)})

    def test_only_the_hypervisor_says_that_a_vm_starts(self):
        s = hear("vm a: started, 1 KiB", log("b said: vm a: started, 1 KiB"))
        self.assertEqual(s.tracks, {})


class Tracks(unittest.TestCase):
    def test_extremes_are_those_of_its_life(self):
        s = hear(*block(1, vm("a", "off")), started("a"), *block(2, vm("a", resident=5, balloon=1)),
                 *block(3, vm("a", "waiting", resident=9, balloon=3)), "@exit name=a status=0 reason=x",
                 *block(4, vm("a", "ended")))
        track = s.tracks["a"]
        self.assertEqual((track.low, track.high), ({"resident": 5, "balloon": 1}, {"resident": 9, "balloon": 3}))

    def test_moves_up_and_down(self):
        s = hear(started("a"), *(line for n, b in enumerate((8, 20, 5, 6)) for line in
                                 block(n, vm("a", balloon=b))))
        self.assertEqual((s.tracks["a"].taken, s.tracks["a"].given), (21, 15))

    def test_the_end_of_a_vm_is_no_deflation(self):
        s = hear(started("a"), *block(1, vm("a", balloon=8)), "@exit name=a status=0 reason=x",
                 *block(2, vm("a", "ended")))
        self.assertEqual((s.tracks["a"].taken, s.tracks["a"].given), (8, 0))

    def test_a_life_after_a_lost_line(self):
        self.assertEqual(hear(*block(1, vm("a", balloon=8))).tracks["a"].lives, 1)

    def test_never_started(self):
        track = hear(*block(1, vm("a", "off")), counts("a", 0, 0, 0)).tracks["a"]
        self.assertEqual((track.lives, track.low), (0, {}))


class Lives(unittest.TestCase):
    """The hypervisor's last lines have the sums of all lives; before them there are only the tables."""

    def test_fourteen_inflations_before_a_reboot_are_not_forgotten(self):
        lines = [started("a")]
        for n in range(14):
            lines += block(n * 2, vm("a", balloon=MIB)) + block(n * 2 + 1, vm("a"))
        lines += [log("vm a: reboots"), *block(30, vm("a", "ended")), started("a", 2000),
                  *block(31, vm("a")), "@exit name=a status=0 reason=x"]
        track = hear(*lines).tracks["a"]
        self.assertEqual((track.lives, track.taken, track.given), (2, 14 * MIB, 14 * MIB))

    def test_the_last_lines_are_exact(self):
        s = hear(started("a"), *block(1, vm("a", balloon=10)), log("vm a: reboots"), started("a"),
                 *block(2, vm("a", balloon=3)), counts("a", 1, 100, 50))
        self.assertEqual((s.tracks["a"].taken, s.tracks["a"].given), (100, 50))

    def test_a_balloon_that_a_reboot_empties_was_not_given_back(self):
        s = hear(started("a"), *block(1, vm("a", balloon=10)), log("vm a: reboots"), started("a"),
                 *block(2, vm("a")))
        self.assertEqual((s.tracks["a"].taken, s.tracks["a"].given), (10, 0))

    def test_a_table_that_was_begun_in_the_life_before(self):
        table = block(2, vm("a", balloon=10))
        s = hear(started("a"), *block(1, vm("a", balloon=10)), *table[:-1], log("vm a: reboots"),
                 started("a"), table[-1], *block(3, vm("a")))
        self.assertEqual((s.tracks["a"].taken, s.tracks["a"].given), (10, 0))


if __name__ == "__main__":
    unittest.main()
