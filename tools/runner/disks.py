# SPDX-License-Identifier: BSD-2-Clause
"""Disk images with a GUID partition table, for guests' disks (disk = part:LABEL)."""

import os
import re
import struct
import uuid
import zlib

from .errors import Unusable

MIB = 1 << 20
UNITS = {"K": 1 << 10, "M": MIB, "G": 1 << 30, "T": 1 << 40}
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"  # what sgdisk calls 8300
ENTRIES = 128
CYLINDER = 16 * 63 * 512    # Bochs's disks have whole ones


def size_of(text):
    match = re.fullmatch(r"(\d+)([KMGT])", text)
    if not match or not int(match[1]):
        raise Unusable(f'"{text}" is not a size; write for example 512M')
    return int(match[1]) * UNITS[match[2]]


def part_of(text):
    """(label, bytes, file or None) of LABEL=SIZE[:FILE]."""
    match = re.fullmatch(r"([^=]+)=([^:]+)(?::(.+))?", text)
    if not match:
        raise Unusable(f'"{text}" is not LABEL=SIZE[:FILE]')
    label, size, path = match[1], size_of(match[2]), match[3]
    if len(label) > 36 or not label.isascii() or '"' in label:
        raise Unusable(f'"{label}" is not a label: at most 36 ASCII characters')
    return label, size, path


def check_file(label, size, path):
    if not os.path.isfile(path):
        raise Unusable(f"no such file: {path}")
    if os.path.getsize(path) > size:
        raise Unusable(f"{path} is larger than its partition {label}, {size >> 10} KiB")


def copy(source, image):
    """All bytes of SOURCE from where IMAGE is; zeroes are left out, as IMAGE has them already."""
    while piece := source.read(MIB):
        if piece.count(0) == len(piece):
            image.seek(len(piece), os.SEEK_CUR)
        else:
            image.write(piece)


def layout(parts):
    """[(label, first byte, bytes, file)], each on a MiB, and the bytes of all."""
    at, laid = MIB, []
    for label, size, path in parts:
        laid.append((label, at, size, path))
        at += (size + MIB - 1) // MIB * MIB
    return laid, (at + MIB + CYLINDER - 1) // CYLINDER * CYLINDER


def gpt(laid, blocks, block):
    """{block: bytes} of both copies.  UEFI Specification 2.10: "GPT Disk Layout"."""
    entries = b"".join(
        uuid.UUID(LINUX).bytes_le + uuid.uuid4().bytes_le +
        struct.pack("<QQQ", at // block, (at + size) // block - 1, 0) +
        label.encode("utf-16-le").ljust(72, b"\0")
        for label, at, size, _ in laid).ljust(ENTRIES * 128, b"\0")
    disk, length = uuid.uuid4().bytes_le, ENTRIES * 128 // block

    def header(here, other, first):
        def pack(crc):
            return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, here, other,
                               2 + length, blocks - 2 - length, disk, first, ENTRIES, 128,
                               zlib.crc32(entries))
        return pack(zlib.crc32(pack(0)))
    protective = struct.pack("<446x4B4BII48xH", 0, 0, 2, 0, 0xee, 255, 255, 255, 1,
                             min(blocks - 1, 0xffffffff), 0xaa55)
    last = blocks - 1
    return {0: protective, 1: header(1, last, 2), 2: entries,
            last - length: entries, last: header(last, 1, last - length)}


def make(image, parts, block):
    for label, size, path in parts:
        if path:
            check_file(label, size, path)
    laid, total = layout(parts)
    with open(image, "xb") as f:
        f.truncate(total)
        for at, data in gpt(laid, total // block, block).items():
            f.seek(at * block)
            f.write(data)
        for _, at, _, path in laid:
            f.seek(at)
            if path:
                with open(path, "rb") as source:
                    copy(source, f)


def begins(image, parts, label, length):
    """The first LENGTH bytes of a partition of an image that make() made of these PARTS."""
    where = {name: at for name, at, _, _ in layout(parts)[0]}
    with open(image, "rb") as f:
        f.seek(where[label])
        return f.read(length)
