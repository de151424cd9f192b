# SPDX-License-Identifier: BSD-2-Clause
"""The lines that end a run: each VM, and what was moved between them."""

from .summary import reclaimed
from .text import clean, mib


def ending(summary, name):
    track = summary.tracks.get(name)
    if name in summary.exits:
        e = summary.exits[name]
        reason = f" ({e['reason']})" if e["reason"] else ""
        return f"ended with status {e.get('status', '?')}{reason}"
    return "did not end" if track and track.lives else "was never started"


def at_least(tracks):
    """Before the hypervisor's last lines, only what the tables showed is known of former lives."""
    return "at least " if any(t.lives > 1 and not t.exact for t in tracks) else ""


def vm_line(summary, name):
    parts, track = [ending(summary, name)], summary.tracks.get(name)
    if track and track.lives > 1:
        parts[0] += f", was started {track.lives} times"
    if track and track.low:
        parts += [f"{key} {mib(track.low[key])} to {mib(track.high[key])} MiB"
                  for key in ("resident", "balloon")]
    if track and track.lives:
        some = at_least([track])
        parts.append(f"ballooned {some}{mib(track.taken)}, given back {some}{mib(track.given)} MiB")
    return clean(f"{name}: " + "; ".join(parts))


def time_line(summary, wall):
    text = f"{summary.ms / 1000:.1f} s by the machine, {wall:.1f} s by the wall"
    return text + (f"; peak overcommit {summary.overcommit:.2f}" if summary.overcommit else "")


def net_text(balloons, disks):
    """What balloons hold is not all reclaimed: disks in RAM take memory that a VM on a disk would not."""
    if not disks:
        return f"{mib(balloons)} MiB reclaimed"
    if balloons > disks:
        return f"{mib(balloons - disks)} MiB reclaimed, not counting {mib(disks)} MiB that disks in RAM take"
    return f"0 MiB reclaimed: balloons held {mib(balloons)} MiB, and disks in RAM took {mib(disks)} MiB"


def moved_line(summary):
    tracks = summary.tracks.values()
    some = at_least(tracks)
    best = max((reclaimed(vms) for _, _, vms in summary.history), key=lambda r: r[0] - r[1])
    return (f"memory moved: {some}{mib(sum(t.taken for t in tracks))} MiB out of VMs, "
            f"{some}{mib(sum(t.given for t in tracks))} MiB back; at most {net_text(*best)}")


def exits_line(summary):
    again = any(t.lives > 1 for t in summary.tracks.values())
    return (f"exits: {sum(summary.exit_counts.values()):,}"
            + (" in the last life of each VM" if again else ""))


def verdicts_line(summary):
    checks, wrong, killed = map(sum, zip(*summary.verdicts.values()))
    return (f"verdicts of {len(summary.verdicts)} VMs: {checks} checks, "
            f"{wrong or 'zero'} wrong; {killed or 'zero'} programs killed for lack of memory")


def lines(summary, wall):
    """All of it; WALL: seconds by the clock of this machine."""
    yield from (vm_line(summary, name) for name in summary.names())
    yield time_line(summary, wall)
    if summary.history:
        yield moved_line(summary)
    if summary.exit_counts:
        yield exits_line(summary)
    if summary.verdicts:
        yield verdicts_line(summary)
