# SPDX-License-Identifier: BSD-2-Clause
"""Whether a whole-machine test passed: what its configuration expects, against what was said.

Each result is (what was tested, None or what is wrong).
"""

import re

from .verdict import TIME_UP

# What an audit says that has found something, of its own or as one of aerostat.conf's `at`: a good
# one before it or after it makes up for nothing.
BAD_AUDITS = [r"^\[ *[\d.]+\] audit: (?!\d+ guest frames, all is well)",
              r"^\[ *[\d.]+\] at [\d.]+ s: audit: (?!done)"]
BAD_GUEST = r"\| FAIL"
PANIC = "^[*][*][*] "
PANICKED = "255"


def vm_results(expected, vms, serial):
    """A test that expects a status of the host expects nothing of VMs."""
    ended = dict(re.findall(r"^@exit name=(\S+) status=(\d+)", serial, re.M))
    for vm in vms if "status" not in expected.keys else []:
        want, got = expected.exits.get(vm, "0"), ended.get(vm)
        yield vm, None if got == want else \
            f"status {got if got else 'none: it did not end'}, expected {want}"


def wanted(expected, serial):
    for regex in expected.want:
        yield f"want {regex}", None if re.search(regex, serial, re.M) else "not there"


def took(heard, low, high, first, then):
    """How long it was from the first line with FIRST to the first one with THEN."""
    at = [next((t for t, line in heard if re.search(regex, line)), None)
          for regex in (first, then)]
    name = f"{first} -> {then}"
    if None in at:
        return name, "not there"
    seconds = at[1] - at[0]
    return name, None if low <= seconds <= high else f"took {seconds:.2f} s, not {low} to {high}"


def differs(percent, regex, serial):
    hit = re.search(regex, serial, re.M)
    if not hit:
        return f"near {regex}", "not there"
    one, other = float(hit[1]), float(hit[2])
    near = abs(one - other) * 100 <= percent * max(one, other)
    return f"near {regex}", None if near else f"{hit[1]} and {hit[2]}, not within {percent:g} %"


def rejected(expected, serial):
    """Only what is there is a result: none of these is a test passed."""
    panics = [] if expected.keys.get("status") == PANICKED else [PANIC]
    for regex in expected.reject + panics + BAD_AUDITS + [BAD_GUEST]:
        hit = re.search(regex, serial, re.M)
        if hit:
            yield f"reject {regex}", serial[hit.start():].split("\n")[0]


def host_result(expected, code, serial, minutes):
    halt = re.search(r"^@halt status=(\d+)", serial, re.M)
    vms_fail = any(s != "0" for s in expected.exits.values())
    status = expected.keys.get("status") or ("1" if vms_fail else "0")
    if code == TIME_UP:
        return "time", f"not done in {minutes} min"
    if not halt or halt[1] != status:
        return "host", f"halt status {halt[1] if halt else 'none'}, expected {status}"
    return "host", None


def judge(expected, vms, code, serial, heard, minutes):
    """All results.

    CODE is the status of tools/run, SERIAL all that came by the serial port, HEARD its lines
    with the time at which each came.
    """
    return [*vm_results(expected, vms, serial), *wanted(expected, serial),
            *(took(heard, *takes) for takes in expected.takes),
            *(differs(*near, serial) for near in expected.near),
            *rejected(expected, serial), host_result(expected, code, serial, minutes)]


def judge_broken(sign, serial):
    """Of a hypervisor with a part left out: the test must notice."""
    seen = re.search(sign, serial, re.M)
    return [("fails when broken", None if seen else f"no line says {sign}")]
