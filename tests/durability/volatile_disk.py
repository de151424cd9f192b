# SPDX-License-Identifier: BSD-2-Clause
"""A disk whose power may fail at any moment: a plugin of nbdkit's (nbdkit-python-plugin(3)).

Each sector that is written goes to the image at once, or stays in the disk's cache until the next
flush, as chance has it.  Who kills this process cuts the power: what is in the cache is gone, and
what was written later may be there.  A sector is whole or not there.
"""

import builtins
import random

import nbdkit

API_VERSION = 2
SECTOR = 512
image = None
chance = random.Random()
cache = {}      # sector -> bytes


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


def pread(_, buf, offset, flags):
    image.seek(offset)
    image.readinto(buf)
    for at in range(0, len(buf), SECTOR):
        held = cache.get((offset + at) // SECTOR)
        if held:
            buf[at:at + SECTOR] = held


def store(sector, data):
    image.seek(sector * SECTOR)
    image.write(data)


def pwrite(_, buf, offset, flags):
    for at in range(0, len(buf), SECTOR):
        sector, data = (offset + at) // SECTOR, bytes(buf[at:at + SECTOR])
        cache.pop(sector, None)
        if chance.random() < 0.5:
            store(sector, data)
        else:
            cache[sector] = data
    if flags & nbdkit.FLAG_FUA:
        flush(_, 0)


def flush(_, flags):
    for sector in sorted(cache):
        store(sector, cache[sector])
    cache.clear()


def can_write(_):
    return True


def can_flush(_):
    return True


def can_fua(_):
    return nbdkit.FUA_NATIVE
