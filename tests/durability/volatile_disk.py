# SPDX-License-Identifier: BSD-2-Clause
"""A disk whose power may fail at any moment: a plugin of nbdkit's (nbdkit-python-plugin(3)).

Each block that is written goes to the image at once, or stays in the disk's cache until the next
flush, as chance has it.  Who kills this process cuts the power: what is in the cache is gone, and
what was written later may be there.  A block is whole or not there, as on disks with 4096-byte
sectors: with 512, ext4 itself refuses after one kill in seventy to replay a journal whose commit
block of eight sectors is torn ("journal transaction is corrupt").
"""

import builtins
import random

import nbdkit

API_VERSION = 2
BLOCK = 4096
image = None
chance = random.Random()
cache = {}      # number of a block -> bytearray


def config(key, value):
    global image
    if key == "image":
        image = builtins.open(value, "r+b", buffering=0)
    elif key == "seed":
        chance.seed(int(value))
    else:
        raise RuntimeError(f"unknown parameter {key}")


def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(readonly):         # pylint: disable=redefined-builtin
    return 1


def get_size(_):
    return image.seek(0, 2)


def read(number):
    image.seek(number * BLOCK)
    return bytearray(image.read(BLOCK).ljust(BLOCK, b"\0"))


def store(number, data):
    image.seek(number * BLOCK)
    image.write(data)


def parts(offset, length):
    """(block, where in it, where in the request, bytes) of all blocks that a request touches."""
    at = 0
    while at < length:
        within = (offset + at) % BLOCK
        n = min(BLOCK - within, length - at)
        yield (offset + at) // BLOCK, within, at, n
        at += n


def pread(_, buf, offset, flags):
    for number, within, at, n in parts(offset, len(buf)):
        block = cache.get(number) or read(number)
        buf[at:at + n] = block[within:within + n]


def pwrite(_, buf, offset, flags):
    for number, within, at, n in parts(offset, len(buf)):
        block = cache.pop(number, None) or read(number)
        block[within:within + n] = buf[at:at + n]
        if chance.random() < 0.5:
            store(number, block)
        else:
            cache[number] = block
    if flags & nbdkit.FLAG_FUA:
        flush(_, 0)


def flush(_, flags):
    for number in sorted(cache):
        store(number, cache[number])
    cache.clear()


def can_write(_):
    return True


def can_flush(_):
    return True


def can_fua(_):
    return nbdkit.FUA_NATIVE
