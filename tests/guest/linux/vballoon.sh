#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In a Debian guest without our module: its own virtio_balloon, against tests/run/virtio-balloon.conf,
# which sets the target to 100 MiB of its 256 from the start.

# shellcheck source=tests/guest/linux/kernel_log.sh
. /bin/kernel_log.sh
wrong() { echo "linux: WRONG: $*"; failed=1; }
count() { sed -n "s/^$1 //p" /proc/vmstat; }
# Waits, at most 60 s, until COUNTER has moved by this number.
until_moved() {
	from=$2
	for _ in $(seq 600); do
		[ $(($(count "$1") - from)) -ge "$3" ] && return
		usleep 100000
	done
	wrong "$1 has moved by $(($(count "$1") - from)) only, not by $3"
}

# Bytes that must not change, and pages that are free again and dirty.
head -c 8000000 /dev/urandom >/dev/shm/kept
before=$(md5sum </dev/shm/kept)
dd if=/dev/urandom of=/dev/shm/gone bs=1M count=40 2>/dev/null
rm /dev/shm/gone
modprobe virtio_balloon || wrong "no virtio_balloon"
until_moved balloon_inflate 0 25600
echo "linux: inflated $(count balloon_inflate) pages"
[ "$before" = "$(md5sum </dev/shm/kept)" ] || wrong "bytes have changed while the balloon grew"

# Needs more than is left: the driver takes pages back before the kernel kills a process.
mount -o remount,size=240m /dev/shm
dd if=/dev/zero of=/dev/shm/much bs=1M count=130 2>/dev/null || wrong "no memory"
[ "$(count balloon_deflate)" -gt 0 ] || wrong "nothing was taken back"
[ "$(count oom_kill)" = 0 ] || wrong "$(count oom_kill) processes were killed"
echo "linux: deflated $(count balloon_deflate) pages"
[ "$(head -c 8388608 /dev/zero | md5sum)" = "$(tail -c 8388608 /dev/shm/much | md5sum)" ] ||
	wrong "new memory is not as written"
[ "$before" = "$(md5sum </dev/shm/kept)" ] || wrong "bytes have changed while the balloon shrank"
rm /dev/shm/much

rmmod virtio_balloon || wrong "virtio_balloon does not leave"
[ "$(count balloon_inflate)" = "$(count balloon_deflate)" ] || wrong "pages are left in the balloon"
so_far=$(count balloon_inflate)
modprobe virtio_balloon
until_moved balloon_inflate "$so_far" 25600

# At rest: the driver reports the free memory to the host once a second, and the host's log shows
# it; this guest cannot see when.
dd if=/dev/urandom of=/dev/shm/gone bs=1M count=40 2>/dev/null
sleep 3
echo "linux: at rest, full"
rm /dev/shm/gone
sleep 6
echo "linux: at rest, $(awk '/MemFree/ { print $2 }' /proc/meminfo) KiB free"
[ "$before" = "$(md5sum </dev/shm/kept)" ] || wrong "bytes have changed"
{ kernel_log; dmesg | grep -E "balloon.*(fail|error)"; } >/bad
[ ! -s /bad ] || wrong "in the kernel's log: $(head -n 5 /bad)"
[ -n "$failed" ] || echo "linux: its balloon is all right"
poweroff -f
