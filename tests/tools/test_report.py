# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/report.py and verdict.py: the lines that end a run, and its status."""

import signal
import unittest

from runner import report, verdict
from said import block, counts, hear, log, started, vm

MIB = 1024
OUT = "@exit name={} status={} reason={}"


def line_of(name, *lines):
    return report.vm_line(hear(*lines), name)


class OfAVm(unittest.TestCase):
    def test_all_that_is_known(self):
        self.assertEqual(
            line_of("a", started("a"), *block(1, vm("a", resident=MIB)),
                    *block(2, vm("a", resident=3 * MIB, balloon=1536)),
                    OUT.format("a", 0, "exit port"), counts("a", 5, 2 * MIB, MIB)),
            "a: ended with status 0 (exit port); resident 1 to 3 MiB; balloon 0 to 1.5 MiB; "
            "ballooned 2, given back 1 MiB")

    def test_never_started(self):
        self.assertEqual(line_of("a", *block(1, vm("a", "off")), counts("a", 0, 0, 0)),
                         "a: was never started")

    def test_not_admitted(self):
        self.assertEqual(line_of("a", *block(1, vm("a", "ended")), OUT.format("a", 255, "not admitted"),
                                 counts("a", 0, 0, 0)), "a: ended with status 255 (not admitted)")

    def test_no_table_no_range(self):
        self.assertEqual(line_of("a", started("a"), OUT.format("a", 0, "exit port"), counts("a", 9, 4, 0)),
                         "a: ended with status 0 (exit port); ballooned 0.0, given back 0 MiB")

    def test_no_end(self):
        self.assertTrue(line_of("a", started("a")).startswith("a: did not end; ballooned 0"))

    def test_lives(self):
        text = line_of("a", started("a"), *block(1, vm("a", balloon=MIB)), log("vm a: reboots"), started("a"),
                       OUT.format("a", 0, "x"))
        self.assertIn("ended with status 0 (x), was started 2 times; ", text)
        self.assertIn("ballooned at least 1, given back at least 0 MiB", text)

    def test_exact_counts_of_all_lives(self):
        text = line_of("a", started("a"), *block(1, vm("a", balloon=MIB)), log("vm a: reboots"), started("a"),
                       OUT.format("a", 0, "x"), counts("a", 1, 3 * MIB, 2 * MIB))
        self.assertIn("; ballooned 3, given back 2 MiB", text)

    def test_nothing_that_a_terminal_would_obey(self):
        self.assertIn("(·[2J)", line_of("a", OUT.format("a", 1, "\x1b[2J")))


class OfAll(unittest.TestCase):
    def last(self, *lines):
        return list(report.lines(hear(*lines), 1.25))

    def test_in_order(self):
        found = self.last(started("b"), *block(2500, vm("a", "off"), vm("b", balloon=MIB, size=3 * MIB),
                                               total=2 * MIB), counts("b", 1234567, MIB, 0))
        self.assertEqual(found[0].partition(":")[0] + found[1].partition(":")[0], "ba")
        self.assertEqual(found[2:], [
            "2.5 s by the machine, 1.2 s by the wall; peak overcommit 1.50",
            "memory moved: 1 MiB out of VMs, 0 MiB back; at most 1 MiB reclaimed",
            "exits: 1,234,567"])

    def test_nothing_heard(self):
        self.assertEqual(self.last(), ["0.0 s by the machine, 1.2 s by the wall"])

    def test_disks_in_ram_are_not_reclaimed(self):
        found = self.last(*block(1, vm("a", balloon=9 * MIB, disk=2 * MIB)))
        self.assertIn("at most 7 MiB reclaimed, not counting 2 MiB that disks in RAM take", found[2])

    def test_disks_that_take_more_than_balloons_hold(self):
        found = self.last(*block(1, vm("a", balloon=0, disk=131482)))
        self.assertIn("at most 0 MiB reclaimed: balloons held 0 MiB, and disks in RAM took 128 MiB",
                      found[2])

    def test_the_best_moment_counts(self):
        found = self.last(*block(1, vm("a", balloon=2 * MIB)), *block(2, vm("a", balloon=MIB)))
        self.assertIn("at most 2 MiB reclaimed", found[2])

    def test_exits_of_former_lives_are_not_known(self):
        found = self.last(started("a"), log("vm a: reboots"), started("a"), counts("a", 7, 0, 0))
        self.assertEqual(found[-1], "exits: 7 in the last life of each VM")

    def test_verdicts(self):
        summary = hear()
        summary.verdicts = {"a": (10, 0, 0), "b": (5, 0, 0)}
        self.assertEqual(list(report.lines(summary, 0))[-1], "verdicts of 2 VMs: 15 checks, zero wrong; "
                         "zero programs killed for lack of memory")


class Status(unittest.TestCase):
    def status(self, *lines, in_time=True):
        return verdict.of_run(hear(*lines), in_time, 60, "the \x1blast")

    def test_success(self):
        self.assertEqual(self.status(OUT.format("a", 0, "x"), "@halt status=0"), (0, None))

    def test_a_vm_with_another_status_is_named_first(self):
        self.assertEqual(self.status(OUT.format("a", 7, ""), OUT.format("b", 255, "why"), "@halt status=1"),
                         (1, "a ended with status 7 (no reason given); b ended with status 255 (why)"))

    def test_the_hosts_status(self):
        self.assertEqual(self.status("@halt status=2"), (1, "the hypervisor halted with status 2"))
        self.assertEqual(self.status(), (1, "the machine ended without @halt"))
        self.assertEqual(self.status("@halt"), (1, "the hypervisor halted with status ?"))

    def test_work_that_was_wrong(self):
        summary = hear("@halt status=0")
        summary.verdicts = {"good": (5, 0, 0), "bad": (5, 1, 0), "short": (5, 0, 2)}
        self.assertEqual(verdict.failure(summary),
                         "bad says that 1 of 5 checks failed and 0 programs were killed; "
                         "short says that 0 of 5 checks failed and 2 programs were killed")

    def test_time_up_even_if_all_was_well(self):
        self.assertEqual(self.status("@halt status=0", in_time=False),
                         (124, "no end after 60 s; the last line was: the ·last"))

    def test_signals(self):
        self.assertEqual(verdict.of_signal(signal.SIGTERM), (143, "stopped by SIGTERM"))


if __name__ == "__main__":
    unittest.main()
