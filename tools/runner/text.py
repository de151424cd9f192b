# SPDX-License-Identifier: BSD-2-Clause
"""Numbers and names as people read them, and as machine lines have them."""

import re


def fields(text):
    """`a=1 b=two` as a dictionary; numbers become numbers, save in names."""
    found = dict(re.findall(r"(\w+)=(\S*)", text))
    return {k: int(v) if v.isdecimal() and k != "name" else v
            for k, v in found.items()}


def number(values, key):
    value = values.get(key, 0)
    return value if isinstance(value, int) else 0


def clean(text):
    """What a guest wrote, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "\t" == c and " " or "·"
                   for c in text)


def mib(kib):
    value = kib / 1024
    return f"{value:.1f}" if kib % 1024 and value < 100 else f"{value:.0f}"
