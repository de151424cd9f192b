# SPDX-License-Identifier: BSD-2-Clause
"""Where the memory of each VM was over time, drawn by gnuplot as small multiples."""

import subprocess

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


def number(values, key):
    value = values.get(key, 0)
    return value if isinstance(value, int) else 0


def block(name, rows):
    """gnuplot's own form of a table: what follows "set" in its data block."""
    lines = [" ".join(f"{value:.6g}" for value in row) for row in rows]
    return f"${name} << END\n" + "\n".join(lines) + "\nEND\n"


def nice(name):
    """A VM's name has letters, digits, - and _, and the last means something to gnuplot."""
    return name.replace("_", "\\\\_")


def draw(history, path):
    """Writes PATH; false if there is too little to see. OSError, CalledProcessError."""
    names = list(dict.fromkeys(name for _, _, vms in history for name in vms))
    seconds = (history[-1][0] - history[0][0]) / 1000
    if not names or len(history) < 3 or seconds <= 0:
        return False
    begin, script = history[0][0], ""
    for i, name in enumerate(names):
        rows = [((t - begin) / 1000, *(number(vms[name], key) / 1024 for key in
                                       ("size", "resident", "balloon", "target")))
                for t, _, vms in history if name in vms]
        script += block(f"vm{i}", rows)
    script += block("host", [((t - begin) / 1000, number(stat, "free") / 1024,
                              number(stat, "total") / 1024) for t, stat, _ in history])
    panels = len(names) + 1
    height = PANEL * panels + EDGE
    script += HEAD.format(width=WIDTH, height=height, path=path, seconds=seconds)
    for i in range(panels):
        last = i == panels - 1
        values = [number(vms[names[i]], "size") for _, _, vms in history if names[i] in vms] \
            if not last else [number(stat, "total") for _, stat, _ in history]
        # From the top down; the last has the time axis besides.
        tall = PANEL + (EDGE if last else 0)
        script += PANEL_HEAD.format(
            origin=1 - (PANEL * i + tall) / height, size=tall / height,
            title="the host, MiB" if last else f"{nice(names[i])}, MiB",
            format="%g" if last else "", label="seconds" if last else "",
            bottom=3.8 if last else 0.8, top=max(1, max(values) / 1024 * 1.06))
        script += HOST if last else VM.format(i=i)
    subprocess.run(["gnuplot"], input=script + "unset multiplot\n", text=True, check=True,
                   capture_output=True)
    return True
