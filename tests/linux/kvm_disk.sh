#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# The init of the Linux whose KVM is measured (tools/bench_disk.py): its disk is the machine's NVMe.
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
stty -F /dev/ttyS1 raw -echo
end() { echo "outer: $*"; poweroff -f; }

insmod /irqbypass.ko && insmod /kvm.ko && insmod /kvm-amd.ko nested=0 || end "FAILED: no KVM"
for _ in 1 2 3 4 5 6 7 8 9; do
	[ -b /dev/nvme0n1 ] || sleep 1
done
[ -b /dev/nvme0n1 ] || end "FAILED: no disk"
sh /qemu
end "QEMU has ended"
