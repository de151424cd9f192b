#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In a Debian guest whose machine is killed again and again: tests/durability/run.
#   vda  an ext4 file system
# Checks the records from before the crash, and then works until the next one.
mount -t ext4 /dev/vda /mnt || { echo "durable: WRONG: no file system on vda"; poweroff -f; }
echo "durable: mounted, write cache: $(cat /sys/block/vda/queue/write_cache)"
durable check /mnt || poweroff -f
echo "durable: begins"
durable write /mnt
poweroff -f
