# SPDX-License-Identifier: BSD-2-Clause
"""Seeds of the target machine; tests/fuzz/machine/guests.c has the operations."""
import random

from seed_parts import number, u8, u16, u32

OPS = """touch touch_many batch batch2 driver manage any_call port msr fault simple_exit
cpu apic device device_start ring poke time switch host smp""".split()
LOCK, UNLOCK, REPORT = 0, 1, 2
KIND = {"int": 0, "preempt": 1, "hlt": 2, "pause": 3, "cpuid": 4, "shutdown": 9}
FIRST_GFN, GFNS = 512, 4096


def op(name, *args):
    return u8(OPS.index(name)) + b"".join(args)


def gfn(n):
    return u16(n - FIRST_GFN)


def touch(first, count=1):
    if count == 1:
        return op("touch", gfn(first))
    return op("touch_many", gfn(first), u8(count - 1))


def batch(call, first, count, large=False):
    return op("batch", u8(call | (4 if large else 0)), gfn(first), u8(count - 1))


def start():
    return op("driver", u8(4))


def poll():
    return op("driver", u8(0))


def switch(cpu):
    return op("switch", u8(cpu))


def time(log2):
    return op("time", u8(log2))


def leave(kind="int"):
    return op("simple_exit", u8(KIND[kind]))


def vm(size=0, cut=0, low=0, vcpus=1, control=False, balloon=0, shares=10, reserve=0, linux=False,
       blank=False, disk=False, latency=False):
    more = reserve | linux << 4 | blank << 5 | disk << 6 | latency << 7
    return (u8(size | cut << 2 | low << 4) + u8(vcpus - 1 | control << 1 | balloon << 2 | shares << 4)
            + u8(more))


def machine(vms, cpus=1, mib=8, npt=False, period=0, old_ept=False, no_exec=False, status=False):
    kind = next(k for k in range(256) if k % 3 == cpus - 1 and k >> 2 & 7 == (mib - 8) // 4
                and bool(k & 32) == npt and k >> 6 == period)
    more = len(vms) - 1 | old_ept << 2 | no_exec << 3 | status << 4
    return u8(kind) + u8(more) + b"".join(vms)


def some_ops(rng, n):
    """A guest's day."""
    out = b""
    for _ in range(n):
        at = rng.randrange(FIRST_GFN, 1024 + 512)
        out += rng.choice([
            lambda: touch(at, rng.randrange(1, 60)),
            lambda: touch(at, rng.randrange(1, 60)),
            lambda: batch(rng.randrange(3), at, rng.randrange(1, 16)),
            lambda: batch(rng.randrange(3), at & ~511, rng.randrange(1, 3), large=True),
            lambda: switch(rng.randrange(3)),
            lambda: switch(rng.randrange(3)),
            lambda: time(rng.randrange(10, 28)),
            poll,
            leave,
            lambda: leave("hlt"),
            lambda: op("manage", u8(rng.randrange(13)), u8(rng.randrange(4)), number(0x60000)),
            lambda: op("host", u8(rng.randrange(11) | rng.randrange(4) << 4), u16(at)),
            lambda: op("port", u8(rng.randrange(256)), u16(0x3f8), u8(rng.randrange(256))),
            lambda: op("msr", u8(rng.randrange(8)), number(rng.randrange(1 << 30)), u8(rng.randrange(64))),
            lambda: op("device_start", u8(rng.randrange(8)), u8(0)),
            lambda: op("ring", u8(rng.randrange(32)), u8(3), u8(1), u16(0x2000), u16(16), u8(1),
                       u16(0x2100), u16(512), u8(2), u16(0x2300), u16(1), u8(1), u8(0)),
        ])()
    return out


def by_hand():
    two = [vm(vcpus=2), vm()]
    yield "touch", machine([vm()]) + touch(520, 60) + touch(520, 60)
    yield "balloon", (machine([vm()]) + start() + touch(600, 32) + batch(LOCK, 600, 16) + poll()
                      + batch(UNLOCK, 600, 8) + touch(600, 32) + batch(REPORT, 616, 16)
                      + touch(610, 30) + batch(LOCK, 512, 2, large=True) + time(26) + touch(512, 4))
    fill = b"".join(touch(600 + 60 * i, 60) for i in range(27))
    yield "shootdown", (machine([vm(3, vcpus=2)], cpus=2) + op("smp") + start() + touch(520, 40)
                        + switch(1) + touch(520, 40) + switch(0) + fill + batch(LOCK, 520, 16)
                        + b"".join(touch(2300 + 60 * i, 60) for i in range(9)) + switch(1)
                        + touch(520, 40) + leave() + touch(520, 40) + switch(0) + leave()
                        + touch(2300, 60))
    yield "hand-over", (machine(two, cpus=2) + touch(520, 60) + touch(580, 60) + switch(1)
                        + start() + touch(520, 60) + batch(LOCK, 520, 16) + switch(0)
                        + start() + batch(LOCK, 520, 16) + batch(LOCK, 536, 16) + touch(700, 60)
                        + switch(1) + touch(700, 60) + touch(520, 60))
    yield "short", (machine([vm(1), vm(1), vm(1)], mib=8)
                    + b"".join(touch(512 + 60 * i, 60) + leave("hlt") for i in range(30)))
    yield "manage", (machine([vm(control=True), vm(vcpus=2)], cpus=2, mib=16)
                     + b"".join(op("manage", u8(c), u8(1), number(0x60000)) for c in range(13))
                     + b"".join(op("manage", u8(8), u8(1), u8(k), number(256)) for k in range(4))
                     + op("manage", u8(4), u8(1), number(0)) + switch(1) + touch(520, 20)
                     + switch(0) + op("manage", u8(6), u8(1), number(3)) + switch(1) + time(24)
                     + switch(0) + op("manage", u8(7), u8(1), number(0)) + time(24) + switch(1))
    yield "reboot", (machine([vm(vcpus=2), vm()], cpus=2, mib=12) + touch(520, 50)
                     + op("port", u8(7), u8(1)) + time(31) + touch(520, 50) + time(31)
                     + touch(520, 50) + op("port", u8(5), u8(1)) + time(20) + touch(520, 4))
    yield "devices", (machine([vm(1, linux=True, blank=True, disk=True)], mib=24)
                      + op("device_start", u8(2), u8(0)) + op("device_start", u8(3), u8(0))
                      + op("device_start", u8(0), u8(0)) + op("device_start", u8(6), u8(0xff))
                      + b"".join(op("ring", u8(slot), u8(3), u8(1), u16(0x2000), u16(16), u8(3),
                                    u16(0x2100), u16(512), u8(2), u16(0x2300), u16(1), u8(1), u8(0))
                                 for slot in (2, 3, 0, 8, 6, 14)) + time(25) + touch(520, 9))
    yield "virtio-balloon", (machine([vm(1, balloon=0, linux=True)], mib=16, npt=True)
                             + op("device_start", u8(6), u8(0x27)) + touch(0x200, 60)
                             + op("poke", u32(0x20000), number(0x210)) + op("poke", u32(0x20004), number(0x211))
                             + op("ring", u8(6), u8(1), u8(0), u16(0x200), u16(8), u8(1), u8(0))
                             + time(22) + touch(0x200, 60)
                             + op("ring", u8(14), u8(1), u8(0), u16(0x200), u16(8), u8(1), u8(0))
                             + time(30) + touch(0x200, 60))
    large = [touch(512 * i, 60) for i in range(1, 8)]
    for name, old in (("large", False), ("large-old-ept", True)):
        yield name, (machine([vm(3, low=8)], cpus=2, mib=36, old_ept=old, no_exec=True, status=True)
                     + switch(1) + u8(0) * 20 + op("smp") + b"".join(large)
                     + op("fault", u8(4), u16(520)) + start() + batch(REPORT, 600, 3)
                     + b"".join(time(22) + leave("preempt") + large[i % 7] for i in range(60)))
    yield "reset-vector", machine([vm()]) + op("fault", u8(20)) + time(31) + touch(520, 9) * 3
    yield "interrupts", (machine([vm(vcpus=2)], cpus=2) + op("smp") + op("cpu", u8(3))
                         + op("apic", u8(0x30), number(0x40051)) + op("cpu", u8(0))
                         + op("apic", u8(0x30), number(0x40052)) + op("apic", u8(0x30), number(0x40400))
                         + leave() + op("cpu", u8(3)) + leave("hlt") + op("apic", u8(0x38), number(4000))
                         + leave("hlt") + switch(1) + leave() + op("msr", u8(1), number(0x20001), u8(4))
                         + op("apic", u8(0x30), number(0x40053)) + leave())
    yield "sampling", (machine([vm(1), vm()], cpus=2, mib=12, npt=True, period=1)
                       + b"".join(touch(512 + 60 * i, 60) + time(23) + leave("preempt")
                                  for i in range(20)))


def days():
    """Random operations of guests, the same each time."""
    rng = random.Random(12)
    for i in range(12):
        vms = [vm(rng.randrange(4), rng.randrange(4), rng.randrange(16), 1 + rng.randrange(2),
                  i == 0 or rng.randrange(2) == 0, rng.randrange(4), rng.randrange(16),
                  rng.randrange(16), rng.randrange(3) == 0, rng.randrange(3) == 0,
                  rng.randrange(3) == 0) for _ in range(1 + rng.randrange(4))]
        yield f"day-{i:02}", (machine(vms, 1 + rng.randrange(3), 8 + 4 * rng.randrange(4),
                                      rng.randrange(2) == 0, rng.randrange(4))
                              + op("smp") + start() + some_ops(rng, 40))


def seeds_machine():
    yield from by_hand()
    yield from days()
