#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In a Debian guest with `aerostat.check=CPUS` on its command line: is all well with it?
# Started by check.service; it ends by powering off.

wrong() { echo "debian: WRONG: $*"; failed=1; }
forget() { sync; echo 3 >/proc/sys/vm/drop_caches; }
sums() { find /usr/bin -type f -print0 | sort -z | xargs -0 sha256sum; }

# What is not ours: a CPU model of the emulator with old microcode.
NOT_OURS='Speculative Return Stack Overflow|Retbleed|RETBleed|Spectre'
BAD='unchecked MSR|WARNING|BUG:|Call Trace|ACPI.*(Error|Warning)|unstable|stall|soft lockup|nobody cared'
BAD="$BAD|I/O error|EXT4-fs.*(error|warning)|hung_task|blocked for more than"

state=$(systemctl is-system-running --wait)
[ "$state" = running ] || wrong "systemd says $state: $(systemctl --failed --plain --no-legend)"
systemctl -q is-active serial-getty@ttyS0.service || wrong "nobody asks for a login at ttyS0"
cpus=$(sed -n 's/.*\baerostat.check=\([0-9]*\).*/\1/p' /proc/cmdline)
[ "$(nproc)" = "$cpus" ] || wrong "$(nproc) CPUs, expected $cpus"

# Each file of each package, against what the package says of it.
left_out='^missing +(c )?(/usr/share/(doc|info|lintian|locale|man)|/lib/udev/hwdb\.d)'
dpkg --verify >/run/verify
grep -vE "$left_out" /run/verify >/run/changed
[ ! -s /run/changed ] || wrong "dpkg --verify: $(head -n 5 /run/changed)"
[ -z "$(dpkg --audit)" ] || wrong "dpkg --audit: $(dpkg --audit | head -n 5)"
apt-cache show systemd | grep -q '^Status: install ok' || wrong "apt does not know systemd"

# The same from the disk, twice.
forget
sums >/run/before
forget
sums >/run/after
[ "$(wc -l </run/before)" -gt 200 ] || wrong "only $(wc -l </run/before) files in /usr/bin"
cmp -s /run/before /run/after || wrong "/usr/bin does not read the same twice"
# And what is written comes back.
tar -C /usr -cf /var/tmp/sbin.tar sbin || wrong "/var/tmp cannot be written"
sum=$(sha256sum </var/tmp/sbin.tar)
forget
[ "$(sha256sum </var/tmp/sbin.tar)" = "$sum" ] || wrong "/var/tmp/sbin.tar has changed"

dmesg | grep -E "$BAD" | grep -vE "$NOT_OURS" >/run/bad
[ ! -s /run/bad ] || wrong "in the kernel's log: $(head -n 3 /run/bad)"
systemd-analyze --no-pager | head -n 1
[ -n "$failed" ] || echo "debian: all right, $(nproc) CPUs, $(wc -l </run/before) files"
exec systemctl poweroff
