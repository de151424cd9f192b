#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In a Debian guest that the loader has started from its disk (tests/linux/loader-disk).  loaded=old makes the
# other kernel GRUB's default, as an upgrade does, and reboots; loaded=new is that one.  Both have a
# balloon of Debian's own driver, at the target that tests/run/loader.conf sets.

# shellcheck source=tests/guest/linux/kernel_log.sh
. /bin/kernel_log.sh
wrong() { echo "linux: WRONG: $*"; failed=1; }
inside() { awk '$1 == "balloon_inflate" { n += $2 } $1 == "balloon_deflate" { n -= $2 } END { print n }' /proc/vmstat; }

modprobe virtio_balloon || wrong "no virtio_balloon"
for _ in $(seq 600); do
	[ "$(inside)" -lt 10240 ] || break
	usleep 100000
done
[ "$(inside)" = 10240 ] || wrong "its balloon has $(inside) pages, expected 10240"

mount -t ext4 /dev/vda /mnt || wrong "the disk cannot be mounted"
case $(uname -r) in *-cloud-*) is=old ;; *) is=new ;; esac
grep -qw "loaded=$is" /proc/cmdline || wrong "$(uname -r) with the other kernel's command line: $(cat /proc/cmdline)"

if [ $is = old ]; then
	[ ! -e /mnt/upgraded ] || wrong "the old kernel again"
	sed 's/set default="0"/set default="gnulinux-advanced>gnulinux-new"/' /mnt/boot/grub/grub.cfg >/mnt/boot/grub/grub.cfg.new
	mv /mnt/boot/grub/grub.cfg.new /mnt/boot/grub/grub.cfg
	uname -r >/mnt/upgraded
	umount /mnt
	echo "linux: loaded: $(uname -r) with a balloon of $(inside) pages, upgraded, reboots"
	[ -n "$failed" ] || reboot -f
	poweroff -f
fi
grep -q -- -cloud- /mnt/upgraded || wrong "the disk has not kept what the old kernel wrote"
umount /mnt
kernel_log >/bad
[ ! -s /bad ] || wrong "in the kernel's log: $(head -n 5 /bad)"
[ -n "$failed" ] || echo "linux: loaded: all right, $(uname -r) with a balloon of $(inside) pages"
poweroff -f
