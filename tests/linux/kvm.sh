#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# The init of the Linux whose KVM is measured (tools/bench_balloon.py): starts QEMU, /qemu, and
# obeys bytes that the guest writes to a port: i and d inflate and deflate the balloon; m notes the
# counts. Nothing else runs while the guest measures. The notes are printed when the guest has
# ended.
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug
mount -t tmpfs tmp /tmp
stty -F /dev/ttyS1 raw -echo
end() { echo "outer: $*"; poweroff -f; }

insmod /irqbypass.ko && insmod /kvm.ko && insmod /kvm-amd.ko nested=0 || end "FAILED: no KVM"
echo "outer: npt $(cat /sys/module/kvm_amd/parameters/npt), $(uname -r), THP $(cat /sys/kernel/mm/transparent_hugepage/enabled)"
grep -q ' erms' /proc/cpuinfo && end "FAILED: its kernel zeroes by rep stosb"

mkfifo /tmp/asks.in /tmp/asks.out /tmp/monitor.in /tmp/monitor.out
exec 3<>/tmp/asks.out 4<>/tmp/monitor.in 5<>/tmp/monitor.out

# Exits of the guest, and pages that this kernel has zeroed (see zeroed() in balloon.c).
note() {
	read -r exits </sys/kernel/debug/kvm/exits
	zeroed=$(awk '/^pgalloc_/ { n += $2 } /^thp_fault_alloc/ { n += 512 * $2; } END { print n }' /proc/vmstat)
	notes="$notes $exits:$zeroed"
	echo 'info balloon' >&4
}

(sh /qemu; echo -n e >/tmp/asks.out) &
while read -r -n 1 byte <&3; do
	case $byte in
	i) echo 'balloon 512' >&4 ;;
	d) echo 'balloon 1024' >&4 ;;
	m) note ;;
	e) break ;;
	esac
done
echo "outer: notes$notes"
echo "outer: actual $(timeout 1 cat <&5 | tr '\r' '\n' | sed -n 's/^.*actual=\([0-9]*\).*/\1/p' | tr '\n' ' ')"
end "QEMU has ended"
