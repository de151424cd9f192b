# SPDX-License-Identifier: BSD-2-Clause
"""The table of VMs as plain lines."""

from .summary import reclaimed
from .text import clean, mib, number

SIZES = ("size", "resident", "balloon", "target", "active", "disk")
BAR_WIDTH = 24


def bar(vm, width, unicode):
    """Resident and ballooned parts of a VM's size."""
    full, ballooned, rest = "█▒·" if unicode else "#o."
    size = max(1, number(vm, "size"))
    resident = min(width, round(width * number(vm, "resident") / size))
    out = min(width - resident, round(width * number(vm, "balloon") / size))
    return full * resident + ballooned * out + rest * (width - resident - out)


def reclaimed_text(vms):
    balloons, disks = reclaimed(vms)
    if not disks:
        return mib(balloons)
    if balloons >= disks:
        return f"{mib(balloons - disks)} (balloons less {mib(disks)} of disks)"
    return f"0 (balloons {mib(balloons)}, disks take {mib(disks)})"


def head(summary):
    s = summary.stat
    text = (f"{summary.ms / 1000:.1f} s  {clean(str(s.get('state', '?')))}  "
            f"free {mib(number(s, 'free'))} of {mib(number(s, 'total'))} MiB")
    if number(s, "quarantine"):
        text += f"  quarantine {mib(number(s, 'quarantine'))}"
    return text + f"  reclaimed {reclaimed_text(summary.vms)}"


def row(name, vm):
    return [clean(name), clean(str(vm.get("state", "?"))), *(mib(number(vm, key)) for key in SIZES),
            str(number(vm, "faults"))]


def table(summary, unicode):
    """A line about the host, a head, and a line for each VM."""
    columns = ["VM", "state", *SIZES, "faults"]
    rows = [row(name, vm) for name, vm in summary.vms.items()]
    widths = [max(map(len, cells)) for cells in zip(columns, *rows)]

    def line(cells):
        return "  ".join(cell.ljust(width) if i < 2 else cell.rjust(width)
                         for i, (cell, width) in enumerate(zip(cells, widths)))

    return [head(summary), line(columns) + "  MiB"] + [
        f"{line(cells)}  {bar(vm, BAR_WIDTH, unicode)}"
        for cells, vm in zip(rows, summary.vms.values())]
