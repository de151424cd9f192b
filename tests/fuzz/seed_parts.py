# SPDX-License-Identifier: BSD-2-Clause
"""Numbers as the fuzz targets read them from their input."""
import struct

PAGE = 4096


def u8(n):
    return bytes([n & 0xFF])


def u16(n):
    return struct.pack("<H", n & 0xFFFF)


def u32(n):
    return struct.pack("<I", n & 0xFFFFFFFF)


def u64(n):
    return struct.pack("<Q", n & (1 << 64) - 1)


def number(n):
    """A number as in_number() of fuzz.c reads it."""
    shift = 0
    if n and n % PAGE == 0:
        shift, n = 0x40, n // PAGE
    for size in range(4):
        if n < 1 << 8 * size:
            return u8(shift | size) + n.to_bytes(size, "little")
    return u8(shift | 8) + u64(n)
