# SPDX-License-Identifier: BSD-2-Clause
"""tools/runner/follower.py: bytes of the serial port, in pieces of any size, become lines."""

import unittest

from runner.follower import LINE_MAX, Follower
from runner.summary import Summary


class Screen:
    def __init__(self, raw):
        self.raw, self.shown, self.lent = raw, [], b""

    def line(self, text, style=None):
        self.shown.append((style, text))

    def lend(self, data):
        self.lent += data


class Logs:
    def __init__(self):
        self.files = {}

    def write(self, name, data):
        self.files[name] = self.files.get(name, b"") + data

    def vm(self, name, data):
        self.write(name + ".log", data)


def follow(data, piece=None, raw=False):
    follower = Follower(Screen(raw), Logs(), Summary())
    for at in range(0, len(data), piece or len(data) or 1):
        follower.feed(data[at:at + (piece or len(data))])
    follower.finish()
    return follower


DATA = (b"SeaBIOS\r\n[    0.100000] vm a: started, x\r\na| hello\r\n@stat t=5 total=9\r\n"
        b"@vm name=a state=running size=4\r\n@end\r\n\r\nb.2| two| x\r\n@unknown\r\n"
        b"@halt status=0\r\n[    1.500000] power off")


class Lines(unittest.TestCase):
    def check(self, piece):
        f = follow(DATA, piece)
        self.assertEqual(f.screen.shown, [
            ("dim", "SeaBIOS"), ("dim", "[    0.100000] vm a: started, x"), ("vm", "a| hello"),
            ("dim", ""), ("vm", "b.2| two| x"), ("dim", "@unknown"), ("dim", "[    1.500000] power off")])
        self.assertEqual(f.logs.files["a.log"], b"hello\n")
        self.assertEqual(f.logs.files["b.2.log"], b"two| x\n")
        self.assertEqual(f.logs.files["serial.raw"], DATA)
        self.assertEqual((f.summary.halt, f.summary.stat["total"], f.summary.ms), (0, 9, 1500))
        self.assertEqual(f.last, "[    1.500000] power off")

    def test_at_once(self):
        self.check(None)

    def test_in_pieces(self):
        for piece in (1, 2, 3, 7, 50):
            self.check(piece)

    def test_an_endless_line_comes_in_parts(self):
        for piece in (1000, LINE_MAX, 2 * LINE_MAX + 5):
            f = Follower(Screen(False), Logs(), Summary())
            for _ in range(10):
                f.feed(b"x" * piece)
                self.assertLessEqual(len(f.rest), LINE_MAX)
            self.assertEqual({len(text) for _, text in f.screen.shown}, {LINE_MAX})
            f.feed(b"end\n[ 1.000000] z\n")
            self.assertEqual("".join(text for _, text in f.screen.shown),
                             "x" * 10 * piece + "end[ 1.000000] z")

    def test_bytes_that_are_no_text(self):
        self.assertEqual(follow(b"a| \xff\xfe\n").screen.shown, [("vm", "a| \ufffd\ufffd")])
        self.assertEqual(follow(b"a| \xff\xfe\n").logs.files["a.log"], b"\xff\xfe\n")

    def test_a_guest_cannot_end_the_run(self):
        f = follow(b"a| @halt status=0\n")
        self.assertIsNone(f.summary.halt)


LENT = (b"@console a: Ctrl-a 0 goes back\r\n> @halt status=3\r\n@exit name=a status=1\r\nhal"
        b"\x1e\x1b[0m\r\n[    2.000000] back\r\n")


# A prompt, at which the VM pauses; a long line; a line of another VM in between; its turn, in which
# its prompt comes again.
PIECES = (b"a|+login: \r\na|+ver\r\nb| noise\r\na| dict: checks=3 wrong=1 oom=0\r\na|+\r\na| \r\na|+# \r\n"
          b"@console a: Ctrl-a 0 goes back [2]\r\n# ls\r\nbin\r\n# \x1e\x1b[0m\r\na|+ls\r\na| \r\n")


class Pieces(unittest.TestCase):
    def test_a_log_has_exactly_its_bytes(self):
        for piece in (None, 1, 2, 3, 7, 50):
            f = follow(PIECES, piece)
            self.assertEqual(f.logs.files["a.log"].replace(b"\r", b""),
                             b"login: verdict: checks=3 wrong=1 oom=0\n\n# ls\nbin\n# ls\n")
            self.assertEqual(f.logs.files["b.log"], b"noise\n")

    def test_a_verdict_in_pieces_counts(self):
        self.assertEqual(follow(PIECES).summary.verdicts, {"a": (3, 1, 0)})

    def test_pieces_are_shown_as_they_come(self):
        shown = [text for _, text in follow(PIECES).screen.shown]
        self.assertEqual(shown[:3], ["a|+login: ", "a|+ver", "b| noise"])
        self.assertIn("--- a: Ctrl-a 0 goes back", shown)


class Lent(unittest.TestCase):
    def check(self, piece):
        f = follow(LENT, piece)
        self.assertIsNone(f.summary.halt)
        self.assertEqual(f.summary.exits, {})
        self.assertEqual(f.logs.files["a.log"], b"> @halt status=3\r\n@exit name=a status=1\r\nhal")
        self.assertEqual([text for _, text in f.screen.shown], [
            "--- a: Ctrl-a 0 goes back", "a| > @halt status=3", "a| @exit name=a status=1", "a| hal",
            "[    2.000000] back"])

    def test_what_it_says_in_its_turn_is_nobody_elses_word(self):
        for piece in (None, 1, 5):
            self.check(piece)

    def test_a_real_terminal_gets_the_bytes(self):
        f = follow(LENT, 4, raw=True)
        self.assertEqual(f.screen.lent, b"> @halt status=3\r\n@exit name=a status=1\r\nhal\x1b[0m\r\n")
        self.assertEqual([text for _, text in f.screen.shown],
                         ["--- a: Ctrl-a 0 goes back", "[    2.000000] back"])


class Pieces(unittest.TestCase):
    def test_a_log_has_exactly_the_bytes_of_its_vm(self):
        for piece in (None, 1, 7):
            f = follow(b"a|+one \n[    0.1] x\na| two\n", piece)
            self.assertEqual(f.logs.files["a.log"], b"one two\n")

    def test_bytes_that_were_said_before_a_turn_are_in_the_log_once(self):
        f = follow(b"a|+pro\n@console a: keys [3]\nprompt\x1e\n", raw=True)
        self.assertEqual(f.logs.files["a.log"], b"prompt")
        self.assertEqual(f.screen.lent[:6], b"prompt")

if __name__ == "__main__":
    unittest.main()
