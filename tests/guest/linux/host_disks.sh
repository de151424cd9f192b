#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In a Debian guest: partitions of the host's disk, against what tests/run/host-disk.conf gives it.
#   vda  may be written, and is empty at first
#   vdb  the file that `seq 30000` makes, read-only
# It makes a file system, fills it, reboots, and finds the bytes that it wrote.

# shellcheck source=tests/guest/linux/kernel_log.sh
. /bin/kernel_log.sh
wrong() { echo "linux: WRONG: $*"; failed=1; }
numbers() { seq 30000; }
length=$(numbers | wc -c)
forget() { sync; echo 3 >/proc/sys/vm/drop_caches; }
file_system() { mount "$@" /dev/vda /mnt || wrong "no file system on vda"; }

[ "$(numbers | md5sum)" = "$(head -c "$length" /dev/vdb | md5sum)" ] || wrong "vdb does not read as its file"
[ "$(cat /sys/block/vdb/ro)" = 1 ] || wrong "vdb is not read-only"
[ "$(cat /sys/block/vda/size)" = 65536 ] || wrong "vda has $(cat /sys/block/vda/size) sectors"
[ "$(cat /sys/block/vda/queue/write_cache)" = "write back" ] || wrong "vda has no write cache"

if [ "$(head -c 9 /dev/vda)" != "aerostat:" ]; then
	# Large requests from many processes at a time, and one behind the end.
	for i in 0 1 2 3 4 5 6 7; do
		numbers | sed "s/^/$i/" | head -c 1048576 | dd of=/dev/vda bs=1M seek=$((2 * i)) conv=notrunc 2>/dev/null &
	done
	wait
	forget
	for i in 0 1 2 3 4 5 6 7; do
		[ "$(dd if=/dev/vda bs=1M skip=$((2 * i)) count=1 2>/dev/null | head -c 100000 | md5sum)" = \
		"$(numbers | sed "s/^/$i/" | head -c 100000 | md5sum)" ] || wrong "piece $i has changed"
	done
	dd if=/dev/zero of=/dev/vda seek=65536 count=1 2>/dev/null && wrong "vda has no end"
	dd if=/dev/zero of=/dev/vdb count=1 conv=fsync 2>/dev/null && wrong "vdb could be written"

	mke2fs -b 4096 /dev/vda >/dev/null 2>&1 || wrong "no file system on vda"
	file_system
	numbers >/mnt/numbers
	cp /bin/busybox /mnt
	umount /mnt
	# Its boot sector is free.
	printf 'aerostat: this was written by a guest' | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null
	echo "linux: host disks: reboots"
	[ -n "$failed" ] || reboot -f
fi
file_system -o ro
[ "$(numbers | md5sum)" = "$(md5sum </mnt/numbers)" ] || wrong "a file has changed over a reboot"
cmp /bin/busybox /mnt/busybox || wrong "a program has changed over a reboot"
umount /mnt
kernel_log >/bad
[ ! -s /bad ] || wrong "in the kernel's log: $(head -n 5 /bad)"
[ -n "$failed" ] || echo "linux: host disks all right"
poweroff -f
