#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In a Debian guest with the balloon module: asks the hypervisor with aeroctl
# (tests/run/aeroctl.conf), from a VM that may and from one that may not. init has the words.

# Figure $2 of VM $1, by aeroctl.
of() { aeroctl stats | sed -n "s/^vm $1 $2 //p"; }

# of_until SECONDS VM FIGURE OP VALUE: as until_is, of any VM; OP as in test, = for words.
of_until() {
	tries=$(($1 * 5))
	until test "$(of "$2" "$3")" "$4" "$5"; do
		tries=$((tries - 1))
		if [ $tries -eq 0 ]; then
			wrong "$2: $3: $(of "$2" "$3"), expected $4 $5"
			return 1
		fi
		usleep 200000
	done
}

# Waits until VM $1 has its driver.
driver_of() {
	until aeroctl stats --json | tr '{' '\n' | grep "\"$1\"" | grep -q '"driver": true'; do
		usleep 200000
	done
}

# ctl STATUS WORDS COMMAND...: aeroctl must end with STATUS and print WORDS.
ctl() {
	expected=$1
	words=$2
	shift 2
	aeroctl "$@" >/tmp/said 2>&1
	status=$?
	[ $status -eq "$expected" ] || wrong "aeroctl $*: status $status, expected $expected: $(cat /tmp/said)"
	[ -z "$words" ] || grep -q -- "$words" /tmp/said || wrong "aeroctl $*: no \"$words\" in: $(cat /tmp/said)"
}

# A group that is beyond its limit makes stalls; then the host has the same figure as we.
pressure() {
	mkdir /tmp/groups
	mount -t cgroup2 groups /tmp/groups
	echo +memory >/tmp/groups/cgroup.subtree_control
	mkdir /tmp/groups/tight
	echo 4M >/tmp/groups/tight/memory.high
	timeout 5 sh -c 'echo $$ >/tmp/groups/tight/cgroup.procs; dd if=/dev/zero of=/tmp/stall bs=1M count=10 2>/dev/null'
	rm -f /tmp/stall
	expect "microseconds of stalls before" "$(of boss guest_stall_some_seconds | tr -d .)" -eq 0
	aeroctl pressure 0 || wrong "pressure cannot be told"
	known=$(sed -n 's/^some.*total=//p' /proc/pressure/memory)
	tries=0
	until [ "$(of boss guest_stall_some_seconds)" != 0.000000 ]; do
		tries=$((tries + 1))
		[ $tries -lt 50 ] || break
		usleep 200000
	done
	told=$(of boss guest_stall_some_seconds | tr -d . | sed 's/^0*//')
	say "stalls: $known us, and the host has heard of ${told:-0}"
	expect "microseconds of stalls that the host knows" "${told:-0}" -gt 1000
	expect "microseconds of stalls that the host knows" "${told:-0}" -le "$known"
	# The host drops the figure when nobody reports it any more.
	of_until 20 boss guest_stall_some_seconds = 0.000000
}

# told FIGURE FIELD: the host's figure on us agrees with /proc/meminfo within 8 MiB: our driver
# reports it once a second, and we run on meanwhile.
told() {
	tries=0
	while :; do
		host=$(($(of boss "guest_$1_bytes") / 1024))
		here=$(awk -v field="$2:" '$1 == field { print $2 }' /proc/meminfo)
		apart=$((host - here))
		if [ "${apart#-}" -le 8192 ] || [ $tries -ge 50 ]; then break; fi
		tries=$((tries + 1))
		usleep 200000
	done
	say "$2: $here KiB, and the host knows of $host"
	expect "KiB of $2" "$here" -gt 16384 # otherwise 0 would be near it, too
	expect "KiB of $2 by which the host is wrong" "${apart#-}" -le 8192
}

control() {
	of_until 60 other target_bytes -eq 0
	devicecheck || wrong "devicecheck: $?"
	ctl 0 "other .*running" list
	ctl 0 "outsider" list
	driver_of other
	ctl 0 "target 40.0 MiB, was 0 KiB" set other target 40M
	of_until 60 other balloon_bytes -eq $((40 << 20))
	of_until 20 other why = "set by hand"
	ctl 0 "target 0 KiB -> 40.0 MiB.*set by hand" explain other
	sed 's/^/module: /' /tmp/said
	expect "manual" "$(of other manual)" -eq 1
	ctl 0 "the policy's again" set other target policy
	of_until 60 other balloon_bytes -eq 0
	ctl 0 "40.0 MiB -> 0 KiB.*memory is there again" explain other

	ctl 0 "min 32.0 MiB, was" set other min 32M
	ctl 0 "max 100.0 MiB, was" set other max 100M
	ctl 0 "shares 77, was 1000" set other shares 77
	expect "min" "$(of other min_bytes)" -eq $((32 << 20))
	expect "max" "$(of other max_bytes)" -eq $((100 << 20))
	expect "shares" "$(of other shares)" -eq 77
	# Memory above its max goes into the balloon.
	of_until 60 other balloon_bytes -eq $((60 << 20))
	ctl 0 "kept below its max" explain other
	ctl 1 "above max 100.0 MiB; raise max first" set other min 128M
	ctl 1 "below min 32.0 MiB; lower min first" set other max 16M
	ctl 1 "more than the 160.0 MiB that it sees" set other max 1G
	ctl 1 "a balloon of 1024 MiB is more than" set other target 1G
	ctl 2 "no size" set other min 3K
	ctl 4 "no VM \"another\"" pause another
	ctl 0 "max 160.0 MiB" set other max 160M

	ctl 1 "running, and only one that is paused" resume other
	ctl 1 "nothing in it could resume it" pause boss
	ctl 0 "other: paused" pause other
	of_until 10 other state = paused
	ctl 1 "paused, and only one that runs" pause other
	before=$(of other exits)
	sleep 3
	expect "exits of one that is paused" "$(of other exits)" -eq "$before"
	ctl 0 "other: resumed" resume other
	of_until 10 other state = running
	of_until 20 other exits -gt "$before"

	ctl 0 "guest frames, all is well" audit
	ctl 0 "# EOF" metrics
	aeroctl top 1 2 </dev/null >/tmp/said || wrong "top: $?"
	expect "screens of top" "$(grep -c '^other  *running' /tmp/said)" -eq 2

	ctl 0 "other: stopped" stop other 0
	ctl 0 "other: starts" start other
	of_until 60 other state = running
	expect "starts" "$(of other starts)" -eq 2
	ctl 1 "running already" start other
	told total MemTotal
	told free MemFree
	told available MemAvailable
	pressure
	# The second one is up when its driver is, and its button after that.
	driver_of other
	ctl 0 "power button is pressed" shutdown other
	of_until 60 other state = ended
	expect "status" "$(of other exit_status)" -eq 0
	ctl 1 "ended, there is nothing to shut down" shutdown other
}

outsider() {
	ctl 3 'control = yes' list
	ctl 3 'control = yes' stop 0
	ctl 3 'control = yes' set 0 target 1M
	ctl 0 '' pressure 0
	rmmod aerostat
	ctl 3 'modprobe aerostat' list
	coldplug
	ctl 3 'control = yes' audit
}
