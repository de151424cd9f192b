#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In a Debian guest with the balloon module: the main job (examples/overcommit.conf). The guests'
# demand takes turns; turn=N of=M seconds=S rounds=R say when this guest's turn is.
#
#   job=files   reads a file system again and again: page cache
#   job=memory  fills memory and verifies it, much in its turn and little between
#   job=build   sorts and compresses
#
# All of them verify their work; their last line says how often, and the result.

checks=0
bad=0
verify() { # WHAT COMMAND...
	what=$1
	shift
	checks=$((checks + 1))
	"$@" && return
	bad=$((bad + 1))
	wrong "$what"
}

verdict() { say "verdict: checks=$checks wrong=$bad oom=$(vmstat oom_kill)"; }

seconds_up() { read -r t _ </proc/uptime; echo "${t%.*}"; }
turn_ends() { echo $((($1 * $(value of) + $(value turn) + 1) * $(value seconds))); }
my_turn() { [ "$(seconds_up)" -lt "$(turn_ends "$1")" ]; }
sum() { md5sum | cut -d ' ' -f 1; }

# Load their drivers after the coldplug that finds the devices' bus.
disks() {
	modprobe -a virtio_mmio virtio_blk
	until [ -b /dev/vda ]; do usleep 100000; done
}

# The contents of its files: 6 MiB of programs and modules.
system() { tar c -f - /bin/busybox /bin/memcheck /bin/cpu /lib 2>/dev/null; }

# No two of them alike.
files_start() {
	disks
	if ! mke2fs /dev/vda >/dev/null 2>&1 || ! mount /dev/vda /mnt; then
		wrong "no file system on the disk"
	fi
	for i in $(seq 10); do
		{ echo "$i"; system; } >"/mnt/$i" || wrong "no room for file $i"
	done
	sync
	mount -o remount,ro /mnt
	# The disk besides its files: the kernel caches both.
	md5sum /mnt/[0-9]* /dev/vda >/tmp/sums
	say "files: $(df -m /mnt | awk 'END { print $3 }') MiB of them"
}
files_turn() { verify "a file has changed" md5sum -s -c /tmp/sums; }
files_rest() { verify "the first file has changed" [ "$(head -n 1 /mnt/1)" = 1 ]; }

memory_start() { holder_now=; }
memory_hold() { # MIB
	if [ -n "$holder_now" ]; then
		rm /tmp/held
		verify "memory has changed" wait "$holder_now"
	fi
	memcheck hold "$1" /tmp/held &
	holder_now=$!
	until [ -e /tmp/held ] || ! kill -0 $holder_now; do usleep 100000; done
	holds=$1
}
memory_turn() { [ "$holds" = 250 ] || memory_hold 250; sleep 1; }
memory_rest() { [ "$holds" = 120 ] || memory_hold 120; }
memory_end() {
	rm /tmp/held
	verify "memory has changed" wait "$holder_now"
}

# Its files stay until its turn is over, as in a build.
build_start() {
	system >/tmp/source
	source=$(sum </tmp/source)
	# By the last digits first: as good as random for a sort.
	seq 100000 150000 >/tmp/sorted
	rev /tmp/sorted | sort | rev >/tmp/input
	made=0
}
build_turn() {
	made=$((made % 6 + 1))
	sort /tmp/input >/tmp/output
	verify "sorting" cmp /tmp/output /tmp/sorted
	gzip -c /tmp/source >/tmp/packed$made
	gunzip -c /tmp/packed$made >/tmp/made$made
	verify "compressing" cmp /tmp/made$made /tmp/source
}
build_rest() {
	for file in /tmp/made*; do
		[ ! -e "$file" ] || verify "a file has changed" [ "$(sum <"$file")" = "$source" ]
	done
	rm -f /tmp/made* /tmp/packed*
}

job() {
	kind=$(sed 's/.*\bjob=\([a-z]*\).*/\1/' /proc/cmdline)
	"$kind"_start
	for round in $(seq 0 $(($(value rounds) - 1))); do
		rest_until=$(($(turn_ends "$round") - $(value seconds)))
		while [ "$(seconds_up)" -lt $rest_until ]; do
			"$kind"_rest
			sleep 1
		done
		say "$kind: busy, round $((round + 1))"
		"$kind"_turn # once at least, however slow the machine is
		while my_turn "$round"; do
			"$kind"_turn
		done
		say "$kind: quiet, $checks checks: $(figures)"
	done
	[ "$kind" != memory ] || memory_end
	verdict
}
