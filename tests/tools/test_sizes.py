# SPDX-License-Identifier: BSD-2-Clause
"""tools/sizes.py: finds files and functions that are too long."""

import textwrap
import unittest

import sizes

C = """\
/* A comment
{
*/
static const int table[] = {
\t1,
};

#define TWICE(x) ((x) * 2)

struct thing {
\tint a;
};

static int one(void)
{
\treturn 1; /* why */
}

struct thing *two(int first,
\t\t  int second)
{
\t/* A comment
\t * of three lines,
\t */
\tif (first) {
\t\tone();
\t}

\t// another
\treturn 0;
}
"""


def c_of(lines, name="long_one"):
    return f"int {name}(void)\n{{\n" + "\tone();\n" * lines + "}\n"


def found(texts, **lists):
    return sizes.Sizes(texts, **lists).wrong


class CSource(unittest.TestCase):
    def test_functions_with_their_lines(self):
        self.assertEqual(list(sizes.c_functions("a.c", C)), [
            sizes.Function("a.c", "one", 14, 1, 1), sizes.Function("a.c", "two", 19, 9, 3)])

    def test_too_long(self):
        self.assertEqual(found({"tests/a.c": c_of(60)}), [])
        self.assertEqual(found({"tests/a.c": "\n" + c_of(61)}),
                         ["tests/a.c:2: long_one has 61 lines, and 60 are the most"])

    def test_a_file_too_long(self):
        self.assertEqual(found({"mm/a.h": "x\n" * 500}), [])
        self.assertEqual(found({"mm/a.h": "x\n" * 501}),
                         ["mm/a.h:501: the file has 501 lines, and 500 are the most"])

    def test_median_of_each_folder(self):
        texts = {"hv/a/a.c": c_of(10) + c_of(40) + c_of(1), "mm/b.c": c_of(11) + c_of(40) + c_of(1)}
        wrong = found(texts)
        self.assertEqual(len(wrong), 1)
        self.assertTrue(wrong[0].startswith("mm/: the median function has 11 lines"), wrong)

    def test_comments_and_blank_lines_are_not_code(self):
        body = "\tone();\n" * 10 + "\n\t/* x\n\t * y\n\t */\n\t// z\n\t{\n\t}\n" * 5
        self.assertEqual(found({"mm/b.c": f"void f(void)\n{{\n{body}}}\n"}), [])


class PythonSource(unittest.TestCase):
    def test_functions_with_their_lines(self):
        text = textwrap.dedent('''\
            class A:
                def one(self, a,
                        b):
                    """Says
                    much."""
                    # why
                    return a

                def two(self): return 2


            def three():
                def inner():
                    return 1
                return inner()
            ''')
        self.assertEqual(sorted((f.name, f.long, f.code) for f in sizes.python_functions("a.py", text)),
                         [("inner", 1, 1), ("one", 5, 1), ("three", 3, 3), ("two", 0, 0)])

    def test_too_long(self):
        text = "def f():\n" + "    x = 1\n" * 61
        self.assertIn("tools/f.py:1: f has 61 lines, and 60 are the most", found({"tools/f.py": text}))
        self.assertIn("tools/f:2: f has 61 lines, and 60 are the most",
                      found({"tools/f": "#!/usr/bin/env python3\n" + text}))

    def test_median(self):
        text = "".join(f"def f{n}():\n" + "    x = 1\n" * 11 for n in range(3))
        self.assertIn("the Python of tools/ and tests/: the median function has 11", found({"tools/f.py": text})[0])


class Kinds(unittest.TestCase):
    def test_kinds(self):
        for path, text, kind in (("a.c", "", "c"), ("a.h", "", "c"), ("a.py", "", "python"),
                                 ("a", "#!/usr/bin/env python3\n", "python"), ("a", "#!/bin/bash\n", "shell"),
                                 ("init", "#!/bin/busybox sh\n", "shell"), ("a.sh", "", "shell"),
                                 ("a.conf", "#! smp=2\n", None), ("a.md", "", None)):
            self.assertEqual(sizes.kind_of(path, text), kind, path)

    def test_what_is_no_source_may_be_long(self):
        self.assertEqual(found({"tests/a.trace": "x\n" * 1000}), [])
        self.assertEqual(len(found({"tests/a.sh": "x\n" * 1000})), 1)


class Lists(unittest.TestCase):
    def test_a_table_may_be_long(self):
        self.assertEqual(found({"tests/a.c": c_of(100)}, tables={"tests/a.c": {"long_one": "data"}}), [])
        self.assertEqual(len(found({"tests/a.c": c_of(100, "other")},
                                   tables={"tests/a.c": {"long_one": "data"}})), 2)

    def test_what_is_short_leaves_the_list(self):
        wrong = found({"tests/a.c": c_of(3)}, tables={"tests/a.c": {"f": "data"}, "tests/b.c": {"g": "data"}})
        self.assertEqual([w.split(" is short")[0] for w in wrong], ["tests/a.c: f", "tests/b.c: g"])


class Tree(unittest.TestCase):
    def test_it_is_looked_at(self):
        texts = sizes.files()
        self.assertIn("tools/sizes.py", texts)
        self.assertGreater(len(texts), 200)


if __name__ == "__main__":
    unittest.main()
