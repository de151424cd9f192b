# SPDX-License-Identifier: BSD-2-Clause
"""Whether a run was a success: its exit status and the sentence that says why not."""

import signal

from .text import clean

TIME_UP = 124


def bad_exits(summary):
    return "; ".join(
        f"{name} ended with status {e.get('status', '?')} ({e['reason'] or 'no reason given'})"
        for name, e in summary.exits.items() if e.get("status") != 0)


def bad_verdicts(summary):
    return "; ".join(
        f"{name} says that {wrong} of {checks} checks failed and {killed} programs were killed"
        for name, (checks, wrong, killed) in summary.verdicts.items() if wrong or killed)


def bad_halt(summary):
    if summary.halt is None:
        return "the machine ended without @halt"
    return f"the hypervisor halted with status {summary.halt}" if summary.halt != 0 else ""


def failure(summary):
    """Why this run is not a success, or None."""
    return bad_exits(summary) or bad_verdicts(summary) or bad_halt(summary) or None


def of_run(summary, in_time, timeout, last):
    """(status, why it is not 0) of a machine that has ended, or whose time was up."""
    if not in_time:
        return TIME_UP, f"no end after {timeout:g} s; the last line was: {clean(last)}"
    why = failure(summary)
    return (1, why) if why else (0, None)


def of_signal(number):
    return 128 + number, f"stopped by {signal.Signals(number).name}"
