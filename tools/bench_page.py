#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The figures in docs/benchmarks.md: what tools/bench has measured goes into marked blocks.

  bench_page.py        fails if a table of the page differs from the blocks that it is made of

A block begins with <!-- bench:NAME --> and ends with <!-- /bench -->.  Blocks of
lines are replaced by what was measured; tables are made of the lines in the page,
so that one page never has two figures for one thing.
"""

import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(TOP, "docs", "benchmarks.md")
BLOCK = re.compile(r"(<!-- bench:(\S+) -->\n)(.*?\n)(<!-- /bench -->)", re.S)

# What KVM of Debian 6.1 took, measured once: the guest's act, the emulated CPU, the figure, our bench.
KVM = [("CPUID", "bochs", 1186, "cpuid"),
       ("hypercall", "bochs", 3282, "hypercall"),
       ("port read served in the kernel", "qemu", 1481, "port-read"),
       ("MSR read that exits", "qemu", 2868, "msr-read")]
CPUS = {"bochs": "VT-x in Bochs", "qemu": "SVM in QEMU TCG"}


def fenced(lines):
    return "\n".join(["```", *lines, "```"]) + "\n"


def figures(content):
    """{name: value} of the lines "bench NAME VALUE UNIT" in a block."""
    return {name: int(value) for name, value in re.findall(r"^bench (\S+) (\d+) ", content, re.M)}


def beside_kvm(blocks):
    """Both hypervisors on the same emulated CPU, row by row."""
    rows = ["| the guest does | emulated CPU | KVM | Aerostat |", "|---|---|---|---|"]
    for what, emu, kvm, name in KVM:
        ours = figures(blocks[f"bare-{emu}"])[name]
        rows.append(f"| {what} | {CPUS[emu]} | {kvm:,} | {ours:,} |")
    return "\n".join(rows) + "\n"


def millions(value):
    value /= 1e6
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def balloon_table(rows):
    """ROWS of bench_balloon.measure() as the table of the page."""
    value = {name: value for name, value, _ in rows}
    sides = ("kvm", "virtio", "module")
    out = ["| | KVM | Aerostat, stock driver | Aerostat, module |", "|---|---|---|---|"]
    for act in ("inflate", "deflate", "touch"):
        for memory in ("untouched", "populated"):
            cells = []
            for side in sides:
                name = f"balloon-{side}-{act}-{memory}"
                cells.append(f"{millions(value[name])} ({millions(value[name + '-zeroing-by-guest'])} + "
                             f"{millions(value[name + '-zeroing-by-host'])})")
            out.append(f"| {act}, {memory} | {' | '.join(cells)} |")
    for memory in ("untouched", "populated"):
        cells = [f"{value[f'balloon-{side}-inflate-{memory}-exits-per-gib']:,}" for side in sides]
        out.append(f"| exits per GiB, inflate, {memory} | {' | '.join(cells)} |")
    idle = [millions(value[f"balloon-{side}-zeroing-by-host-while-idle"]) for side in sides[1:]]
    out.append(f"| zeroing by the host while idle | not looked for | {' | '.join(idle)} |")
    return "\n".join(out) + "\n"


def updated(text, new):
    """TEXT with the blocks in NEW ({name: content}), and its tables made anew."""
    here = {name: content for _, name, content, _ in BLOCK.findall(text)}
    missing = set(new) - set(here)
    if missing:
        sys.exit(f"{PAGE} has no block {', '.join(sorted(missing))}")
    here.update(new)
    here["beside-kvm"] = beside_kvm(here)
    return BLOCK.sub(lambda m: m[1] + here[m[2]] + m[4], text)


def write(new):
    with open(PAGE) as f:
        text = f.read()
    with open(PAGE + ".new", "w") as f:
        f.write(updated(text, new))
    os.rename(PAGE + ".new", PAGE)


def main():
    with open(PAGE) as f:
        text = f.read()
    for old, new in zip(text.split("\n"), updated(text, {}).split("\n")):
        if old != new:
            sys.exit(f"{os.path.relpath(PAGE, TOP)}: a table differs from the lines it is made of:\n"
                     f"  it has    {old}\n  should be {new}")


if __name__ == "__main__":
    main()
