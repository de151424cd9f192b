# SPDX-License-Identifier: BSD-2-Clause
"""tools/covered.py: finds sources without a test, and errors in the table."""

import unittest

import covered

FILES = ["mm/a.c", "mm/b.c", "hv/vm/same.c", "hv/dev/same.c", "tests/unit/mm/test_a.c",
         "tests/unit/vm/test_same.c", "tests/run/whole.conf", "README.md"]
LINKS = {"a": ["mm/a.c", "mm/b.c"], "same": ["hv/vm/same.c"]}
PAGE = """
| source | covered by |
|---|---|
| `mm/b.c` | `tests/unit/mm/test_a.c`: through a |
| `hv/vm/same.c` | `tests/unit/vm/test_same.c` |
| `hv/dev/same.c` | `tests/run/whole.conf` |

| other | table |
|---|---|
| `mm/gone.c` | `tests/gone.c` |
"""


def wrong(files=(), links=None, page=PAGE, without=()):
    there = [f for f in [*FILES, *files] if f not in without]
    return covered.Covered(there, {**LINKS, **(links or {})}, page).wrong


class Tree(unittest.TestCase):
    def test_all_is_well(self):
        self.assertEqual(wrong(), [])

    def test_a_source_with_neither(self):
        said = "no unit test of its name, and no row in docs/testing.md says what covers it"
        self.assertEqual(wrong(["mm/new.c"]), [f"mm/new.c: {said}"])
        self.assertEqual(wrong(["tests/fake/new.c", "mm/new.h"]), [])

    def test_a_name_that_two_have_says_nothing(self):
        page = PAGE.replace("| `hv/vm/same.c` | `tests/unit/vm/test_same.c` |\n", "")
        self.assertIn("hv/vm/same.c: no unit test of its name", wrong(page=page)[0])

    def test_a_test_links_what_it_is_named_after(self):
        self.assertIn("mm/a.c: no unit test of its name", wrong(links={"a": ["mm/b.c"]})[0])


class Table(unittest.TestCase):
    def test_a_row_for_a_file_that_is_gone(self):
        self.assertEqual(wrong(without=["mm/b.c"]), ["docs/testing.md:4: mm/b.c is no source of the tree"])

    def test_a_row_with_a_test_that_is_not_there(self):
        self.assertEqual(wrong(without=["tests/run/whole.conf"]),
                         ["docs/testing.md:6: there is no test tests/run/whole.conf"])

    def test_a_row_with_something_that_is_no_test(self):
        page = PAGE.replace("tests/run/whole.conf", "README.md")
        self.assertEqual(wrong(page=page), ["docs/testing.md:6: there is no test README.md"])

    def test_a_row_without_a_test(self):
        page = PAGE.replace("`tests/run/whole.conf`", "nothing")
        self.assertEqual(wrong(page=page), ["docs/testing.md:6: no test is named"])

    def test_a_row_with_a_unit_test_that_does_not_link_it(self):
        self.assertEqual(wrong(links={"a": ["mm/a.c"]}),
                         ["docs/testing.md:4: tests/unit/mm/test_a.c does not link mm/b.c"])

    def test_a_row_that_need_not_be(self):
        self.assertIn("mm/b.c has a unit test of its name",
                      wrong(["tests/unit/mm/test_b.c"], links={"b": ["mm/b.c"]})[0])


if __name__ == "__main__":
    unittest.main()
