#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In a stock Debian that the loader has started (tests/run/debian-loader.conf), from its second disk, at
# each start: installs a newer kernel and reboots; after that it runs, or something is wrong.

wrong() { echo "server: WRONG: $*"; failed=1; }
inside() { awk '$1 == "balloon_inflate" { n += $2 } $1 == "balloon_deflate" { n -= $2 } END { print n }' /proc/vmstat; }

# A quarter of an hour: the machine that emulates this one may be slow.
for _ in $(seq 1800); do
	[ "$(inside)" -lt 16384 ] || break
	sleep 0.5
done
echo "server: $(uname -r) with a balloon of $(inside) pages"
[ "$(inside)" = 16384 ] || wrong "its balloon has $(inside) pages, expected 16384"

case $(uname -r) in
6.1.*)
	[ ! -e /var/upgraded ] || wrong "the old kernel again: $(cat /boot/grub/grub.cfg)"
	uname -r >/var/upgraded
	# With its file names, and no network: apt finds that nothing else is needed.
	apt-get -q -y install /mnt/linux-image-*.deb >/var/upgrade.log 2>&1 || wrong "apt: $(tail -n 5 /var/upgrade.log)"
	grep -q '^Generating grub configuration file' /var/upgrade.log || wrong "update-grub was not called: $(tail -n 20 /var/upgrade.log)"
	[ -n "$failed" ] || echo "server: upgraded, reboots"
	[ -n "$failed" ] && exec systemctl poweroff
	exec systemctl reboot
	;;
esac
[ -s /var/upgraded ] || wrong "the disk has not kept what was written before the reboot"
[ -z "$(dpkg --audit)" ] || wrong "dpkg --audit: $(dpkg --audit | head -n 5)"
state=$(systemctl is-system-running --wait)
[ "$state" = running ] || wrong "systemd says $state: $(systemctl --failed --plain --no-legend)"
[ -n "$failed" ] || echo "server: all right, from $(cat /var/upgraded) to $(uname -r)"
exec systemctl poweroff
