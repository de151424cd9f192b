# SPDX-License-Identifier: BSD-2-Clause
"""The output of a machine, for tests: a summary that has read it."""

from runner.summary import Summary


def vm(name, state="running", **values):
    values = {"size": 65536, "resident": 0, "balloon": 0, "target": 0, "disk": 0, "faults": 0, **values}
    return f"@vm name={name} state={state} " + " ".join(f"{k}={v}" for k, v in values.items())


def block(t, *vms, total=98304, free=0):
    """A complete table."""
    return [f"@stat t={t} state=high free={free} total={total} quarantine=0", *vms, "@end"]


def log(text, ms=1000):
    return f"[{ms // 1000:5}.{ms % 1000:03}000] {text}"


def started(name, ms=1000):
    return log(f"vm {name}: started, 65536 KiB, 1 vCPU, costs 220 KiB besides, demo.elf", ms)


def counts(name, exits, taken, given):
    return log(f"vm {name}: status 0, {exits} exits, 9 faults, ballooned {taken} KiB in 3 batches, "
               f"given back {given} KiB, popped 0, refused 0, reported 0 KiB")


def hear(*lines):
    summary = Summary()
    for line in lines:
        if not line.startswith("@"):
            summary.host_line(line)
        elif not summary.machine_line(line):
            raise AssertionError(f"not taken: {line}")
    return summary
