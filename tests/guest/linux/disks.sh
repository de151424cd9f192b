#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In a Debian guest: its disks, against what tests/run/linux-disk.conf gives it.
#   vda  the file that `seq 30000` makes, read-only
#   vdb  the same, 1 MiB of it may be written
#   vdc  8 MiB of zeroes, 5 ms a request

# shellcheck source=tests/guest/linux/kernel_log.sh
. /bin/kernel_log.sh
wrong() { echo "linux: WRONG: $*"; failed=1; }
numbers() { seq 30000; }
length=$(numbers | wc -c)
# The disk is as long as its file, rounded up to sectors.
same() { [ "$(numbers | md5sum)" = "$(head -c "$length" "$1" | md5sum)" ]; }
centiseconds() { read -r t _ </proc/uptime; echo "${t%.*}${t#*.}" | sed 's/^0*//'; }
forget() { sync; echo 3 >/proc/sys/vm/drop_caches; }

# After a reboot the guest finds the bytes that it wrote before.
if same /dev/vdb || ! grep -qw reboot /proc/cmdline; then
	same /dev/vda || wrong "vda does not read as its file"
	same /dev/vdb || wrong "vdb does not read as its file"
	[ "$(cat /sys/block/vda/ro)" = 1 ] || wrong "vda is not read-only"
	dd if=/dev/zero of=/dev/vda count=1 2>/dev/null && wrong "vda could be written"

	numbers | sed 's/^/x/' | head -c "$length" >/tmp/new
	dd if=/tmp/new of=/dev/vdb conv=notrunc,fsync bs=77k 2>/dev/null || wrong "vdb cannot be written"
	forget
	head -c "$length" /dev/vdb | cmp - /tmp/new || wrong "vdb has not kept what was written"
	same /dev/vda || wrong "what was written to vdb is in vda"

	[ "$(head -c 8388608 /dev/vdc | md5sum)" = "$(head -c 8388608 /dev/zero | md5sum)" ] ||
		wrong "vdc is not empty"
	before=$(centiseconds)
	dd if=/dev/vdc of=/dev/null bs=4k count=40 iflag=direct 2>/dev/null || wrong "vdc: no direct read"
	took=$(($(centiseconds) - before))
	[ "$took" -ge 20 ] || wrong "40 reads of 5 ms took $took cs"
	if ! mke2fs /dev/vdc >/dev/null 2>&1 || ! mount /dev/vdc /mnt; then
		wrong "no file system on vdc"
	fi
	cp /bin/busybox /mnt
	umount /mnt
	forget
	mount /dev/vdc /mnt
	cmp /bin/busybox /mnt/busybox || wrong "a file on vdc has changed"
	umount /mnt

	head -c 4k /dev/hwrng >/tmp/a || wrong "no /dev/hwrng"
	head -c 4k /dev/hwrng >/tmp/b
	cmp -s /tmp/a /tmp/b && wrong "the random numbers repeat"
	served=$(awk '/virtio/ { n += $2 } END { print n + 0 }' /proc/interrupts)
	[ "$served" -gt 100 ] || wrong "$served interrupts of virtio devices"
	if grep -qw reboot /proc/cmdline && [ -z "$failed" ]; then
		echo "linux: disks: reboots"
		reboot -f
	fi
else
	head -c 8 /dev/vdb | grep -q x1 || wrong "after a reboot vdb has not what was written"
fi
kernel_log >/bad
[ ! -s /bad ] || wrong "in the kernel's log: $(head -n 5 /bad)"
[ -n "$failed" ] || echo "linux: disks all right"
poweroff -f
