# SPDX-License-Identifier: BSD-2-Clause
"""Where the memory of each VM was over time, drawn by gnuplot as small multiples."""

import subprocess

from .summary import is_alive
from .text import number

WIDTH, PANEL, EDGE = 900, 150, 60       # pixels: of all, a panel's height, title and time axis

HEAD = """set terminal svg size {width},{height} font "sans,12" background "white"
set output "{path}"
set lmargin 9
set rmargin 19
set xrange [0:{seconds}]
set yrange [0:*]
set grid ytics lc rgb "#dddddd" lw 0.5
set border 3 lc rgb "#888888"
set tics nomirror out textcolor rgb "#444444"
set key outside right top vertical Left reverse samplen 1.5
set multiplot
"""

PANEL_HEAD = """set origin 0,{origin}
set size 1,{size}
set title "{title}" offset 0,-0.6 font ",13"
set format x "{format}"
set xlabel "{label}"
set tmargin 1.6
set bmargin {bottom}
set yrange [0:{top}]
"""

VM = """plot $vm{i} using 1:3 with filledcurves x1 fc rgb "#9ecae1" title "resident", \\
	'' using 1:4 with lines lw 2 lc rgb "#d95f02" title "balloon", \\
	'' using 1:5 with steps lw 1.2 dt 2 lc rgb "#333333" title "target", \\
	'' using 1:2 with lines lw 1 lc rgb "#aaaaaa" title "size"
"""

HOST = """plot $host using 1:2 with filledcurves x1 fc rgb "#c7e9c0" title "free", \\
	'' using 1:3 with lines lw 1 lc rgb "#aaaaaa" title "for guests"
"""


UNDEFINED = float("nan")    # where gnuplot draws nothing


def block(name, rows):
    """gnuplot's own form of a table: what follows "set" in its data block."""
    lines = [" ".join(f"{value:.6g}" for value in row) for row in rows]
    return f"${name} << END\n" + "\n".join(lines) + "\nEND\n"


def nice(name):
    """A VM's name has letters, digits, - and _, and the last means something to gnuplot."""
    return name.replace("_", "\\\\_")


def names_in(history):
    return list(dict.fromkeys(name for _, _, vms in history for name in vms))


def vm_row(seconds, vm):
    """A target is for a VM that lives: the last one stays in the table when it has ended."""
    size, resident, balloon, target = (number(vm, key) / 1024 for key in
                                       ("size", "resident", "balloon", "target"))
    return seconds, size, resident, balloon, target if is_alive(vm) else UNDEFINED


def data(history):
    """All tables, by the seconds since the first."""
    begin = history[0][0]
    script = ""
    for i, name in enumerate(names_in(history)):
        script += block(f"vm{i}", [vm_row((t - begin) / 1000, vms[name])
                                   for t, _, vms in history if name in vms])
    return script + block("host", [
        ((t - begin) / 1000, number(stat, "free") / 1024, number(stat, "total") / 1024)
        for t, stat, _ in history])


def tops(history):
    """(title, the largest value in KiB) of each panel, the host's last."""
    return [(nice(name), max(number(vms[name], "size") for _, _, vms in history if name in vms))
            for name in names_in(history)] + [
        ("the host", max(number(stat, "total") for _, stat, _ in history))]


def panel(i, panels, height, title, top):
    """From the top down; the last has the time axis besides."""
    last = i == panels - 1
    tall = PANEL + (EDGE if last else 0)
    return PANEL_HEAD.format(
        origin=1 - (PANEL * i + tall) / height, size=tall / height, title=f"{title}, MiB",
        format="%g" if last else "", label="seconds" if last else "",
        bottom=3.8 if last else 0.8, top=max(1, top / 1024 * 1.06)) + (
            HOST if last else VM.format(i=i))


def script(history, path):
    """What gnuplot does, or None if there is too little to see."""
    if len(history) < 3 or history[-1][0] <= history[0][0] or not names_in(history):
        return None
    panels = tops(history)
    height = PANEL * len(panels) + EDGE
    head = HEAD.format(width=WIDTH, height=height, path=path,
                       seconds=(history[-1][0] - history[0][0]) / 1000)
    return data(history) + head + "".join(
        panel(i, len(panels), height, *each) for i, each in enumerate(panels)) + "unset multiplot\n"


def draw(history, path):
    """Writes PATH; false if there is too little to see. OSError, CalledProcessError."""
    text = script(history, path)
    if text:
        subprocess.run(["gnuplot"], input=text, text=True, check=True, capture_output=True)
    return bool(text)
