#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# In a Debian guest with the balloon module, after job.sh: complaints of users about other balloons,
# and balloons under pressure. trial=NAME on the command line chooses.

sure() { # WHAT OP... : counts the result of expect() or until_is() as a check
	before_failed=$failed
	failed=
	"$@"
	[ -z "$failed" ] || bad=$((bad + 1))
	failed=$failed$before_failed
	checks=$((checks + 1))
}

not_killed() { sure expect "programs killed" "$(vmstat oom_kill)" -eq 0; }

sums() { cat /dev/vd[a-z] | md5sum; }

# Many start together: each runs for seconds=N, works on touch=MIB again and again, and keeps its
# disks' data in the page cache as long as there is room. keep=PERCENT: the part of its memory that
# stays available.
storm() {
	[ -z "$(value keep)" ] || value keep >/sys/module/aerostat/parameters/keep
	say "up after $(seconds_up) s: $(figures)"
	disks
	exec 9</dev/vda 8</dev/vdb 7</dev/vdc # Linux drops a disk's cache when nobody has the disk open
	before=$(sums)
	verify "memory has changed" memcheck touch "$(value touch)"
	while [ "$(seconds_up)" -lt "$(value seconds)" ]; do
		verify "memory has changed" memcheck touch "$(value touch)"
		verify "a disk has changed" [ "$(sums)" = "$before" ]
	done
}

# The balloon's target is above the free memory; Linux decides which memory it pages out, to zram first
# (the first has the higher priority) and then to a slow disk. hold=MIB target=PAGES
swap() {
	disks
	modprobe -a lzo-rle zram
	echo 16M >/sys/block/zram0/disksize
	for device in /dev/zram0 /dev/vda; do
		mkswap $device >/dev/null
		swapon $device || wrong "no swap on $device"
	done
	memcheck hold "$(value hold)" /tmp/held 64 &
	holder=$!
	until [ -e /tmp/held ] || ! kill -0 $holder; do usleep 100000; done
	free=$(awk '/MemAvailable/ { print int($2 / 4) }' /proc/meminfo)
	sure expect "pages that are available" "$free" -lt "$(value target)"
	touch /tmp/ticks
	memcheck tick /tmp/ticks >/tmp/longest &
	ticker=$!
	paged=$(vmstat pswpout)
	target "$(value target)"
	sure until_is 300 size -ge "$(value target)"
	paged=$(($(vmstat pswpout) - paged))
	say "paged out $paged pages: $(figures)"
	awk 'NR > 1 { print "module: swap: " $1 ", " $4 " KiB in use" }' /proc/swaps
	sure expect "pages paged out" $paged -gt $(($(value target) - free))
	sure expect "KiB on the slow disk" "$(awk '/vda/ { print $4 }' /proc/swaps)" -gt 0
	rm /tmp/held
	verify "memory has changed" wait $holder
	rm /tmp/ticks
	wait $ticker
	say "a program that wakes up each 100 ms waited for $(cat /tmp/longest) ms at most"
	sure expect "ms without the ticker" "$(cat /tmp/longest)" -lt 10000
	target 0
	sure until_is 60 size -eq 0
	not_killed
}

# The driver that came first has the balloon: with `stock` the stock one. The other says that it has
# none, and reports no pages. target=PAGES, which the configuration sets
first_first() {
	modprobe virtio_mmio
	! word stock || modprobe virtio_balloon
}

# The driver of the virtio balloon: a path, or nothing.
stock_driver() {
	stock=$(grep -l 0x0005 /sys/bus/virtio/devices/*/device) || wrong "no virtio balloon is offered"
	readlink "${stock%/device}/driver"
}

stock_takes() { # PAGES
	for _ in $(seq 600); do
		[ "$(vmstat balloon_inflate)" -lt "$1" ] || break
		usleep 100000
	done
	expect "pages that the stock driver took" "$(vmstat balloon_inflate)" -ge "$1"
}

available() { awk '$1 == "MemTotal:" { t = $2 } $1 == "MemAvailable:" { print int($2 * 1000 / t) }' /proc/meminfo; }

holds() { # MIB FILE
	memcheck hold "$1" "$2" &
	last=$!
	until [ -e "$2" ] || ! kill -0 $last; do usleep 100000; done
}

# A daemon that kills where a tenth of the memory is available: the balloon gives it no reason,
# neither when the host asks for more than there is nor when programs grow then; and it does not
# take the memory of a program that was killed. hold=MIB target=PAGES
daemon_kills() {
	earlyoom -r 1 >/tmp/earlyoom 2>&1 &
	holds "$(value hold)" /tmp/held
	server=$last
	target "$(value target)"
	sure until_is 60 size -gt 0
	size=0
	while [ "$(figure size)" -gt "$size" ]; do # until it stands still
		size=$(figure size)
		sleep 2
	done
	say "it stands still, $(available) per mille are available: $(figures)"
	for n in $(seq 6); do
		holds 5 "/tmp/held$n"
		tries=200
		until [ "$(available)" -ge 115 ] || [ $((tries -= 1)) -eq 0 ]; do usleep 100000; done
		sure expect "per mille available to programs that grow" "$(available)" -ge 115
	done
	say "programs have grown: $(figures)"
	verify "the server was killed" kill -0 $server
	verify "the daemon has killed" [ -z "$(grep "sending.*process" /tmp/earlyoom)" ]
	sleep 3 # that hold-off is over
	size=$(figure size)
	kill -KILL $server
	end=$(($(seconds_up) + 3))
	while [ "$(seconds_up)" -lt $end ] && [ "$(figure size)" -le "$size" ]; do usleep 100000; done
	sure expect "size three seconds after a death" "$(figure size)" -le "$size"
	sure until_is 60 size -gt "$size"
	rm -f /tmp/held[1-9]
	target 0
	sure until_is 60 size -eq 0
	not_killed
}

said() { dmesg | grep -q "$1"; }

drops_a_file() {
	dd if=/dev/zero of=/tmp/big bs=1M count=60 2>/dev/null
	rm /tmp/big
}

first() {
	# Only one driver can report: the second one says so, and the first must be the one with the
	# balloon.
	verify "somebody wanted to report without a balloon" eval "! said 'free pages are not reported'"
	if word stock; then
		verify "the stock driver has no device" [ -n "$(stock_driver)" ]
		verify "ours has the device, too" [ -z "$(figure size 2>/dev/null)" ]
		verify "ours does not say why" said "the hypervisor refuses to start the balloon"
		sure stock_takes "$(value target)"
		drops_a_file
		sleep 8 # page_reporting.c begins two seconds after; how much it was the host says at the end
		rmmod virtio_balloon
		! rmmod aerostat || coldplug # now nobody has it
		sure until_is 60 size -eq "$(value target)"
		say "ours came after: $(figures)"
	else
		modprobe virtio_balloon
		verify "the stock driver has the device, too" [ -z "$(stock_driver)" ]
		verify "the stock driver does not say why" said "virtio: device refuses features"
		sure until_is 60 size -eq "$(value target)"
		before=$(figure reported)
		drops_a_file
		sure until_is 60 reported -ge $((before + 60 * 256 / 2))
		say "ours came first: $(figures)"
		rmmod aerostat virtio_balloon
		modprobe virtio_balloon
		sure stock_takes "$(value target)"
	fi
	not_killed
}

# "Deflation under memory pressure crawls, and programs die while their memory is in the balloon."
oom() {
	grow
	per_ms=$(awk '/cpu MHz/ { print int($4) * 1000; exit }' /proc/cpuinfo)
	took=$(($(figure grow_cycles) / per_ms))
	say "the last growth took $took ms"
	sure expect "ms of a growth of 8 MiB" $took -lt 1000
	not_killed
}

# "It reports success, and the host has nothing of it": the other VM, which this one starts then,
# can only get memory that this one has touched and given. touch=MIB target=PAGES start=ID
giver() {
	rmmod aerostat
	modprobe aerostat report=0
	verify "memory has changed" memcheck touch "$(value touch)"
	target "$(value target)"
	sure until_is 60 actual -ge "$(value target)"
	say "inflated: $(figures)"
	insmod /lib/settarget.ko "start=$(value start)" || wrong "the other VM cannot be started"
	rmmod settarget
	# Waits until the other VM is done: it takes the free memory, and this VM's memory stays
	# given.
	sleep "$(value seconds)"
	sure expect "pages given" "$(figure actual)" -ge "$(value target)"
}

taker() { verify "memory has changed" memcheck touch "$(value touch)"; }

# "Memory never comes back": afterwards the guest uses all memory that the balloon took, twice.
back() {
	for round in 1 2; do
		target "$(value target)"
		sure until_is 60 actual -ge "$(value target)"
		target 0
		sure until_is 60 actual -eq 0
		sure expect "size" "$(figure size)" -eq 0
		verify "memory has changed" memcheck touch "$(value touch)"
		say "back: $(figures)"
	done
	not_killed
}

# "State is lost over a reboot": the second life, known by a mark on a disk, begins without a
# balloon and can use all of its memory.
reboots() {
	disks
	if [ "$(head -c 6 /dev/vda)" != second ]; then
		target "$(value target)"
		sure until_is 60 actual -ge "$(value target)"
		say "reboots: $(figures)"
		echo second | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null || wrong "no mark on the disk"
		[ -n "$failed" ] || reboot -f
		return
	fi
	say "second life: $(figures)"
	sure expect "the target of its former life" "$(figure target)" -eq 0
	sure expect "the balloon of its former life" "$(figure actual)" -eq 0
	verify "memory has changed" memcheck touch "$(value touch)"
	not_killed
}

# Balloons move for seconds=N while all that programs own is verified: hold=MIB target=PAGES
integrity() {
	hold
	round=0
	while [ "$(seconds_up)" -lt "$(value seconds)" ]; do
		round=$((round + 1))
		pages=$(($(value target) * (round % 4 + 1) / 4))
		target $pages
		sure until_is 120 size -ge $((pages * 9 / 10))
		verify "memory has changed" memcheck touch 8
		target $(($(value target) / 16))
		sure until_is 120 size -le $(($(value target) / 16))
	done
	say "$round rounds: $(figures)"
	rm /tmp/held
	verify "memory has changed" wait "$holder"
	not_killed
}

# Another kernel takes the place of this one, and the host's counts of the VM go on: it finds no
# balloon, and its driver begins anew. Its files are on disks. touch=MIB target=PAGES
kexecs() {
	if word second; then
		sure expect "bytes touched in a balloon" "$(of guest popped_bytes)" -eq 0
		sure expect "starts of this VM" "$(of guest starts)" -eq 1
		# The target is still what the first one had, until somebody sets another.
		sure until_is 60 actual -ge "$(value target)"
		say "second kernel: $(figures)"
		target 0
		sure until_is 60 size -eq 0
		verify "memory has changed" memcheck touch "$(value touch)"
		not_killed
		return
	fi
	kernel_on_disks
	verify "it is not loaded" kexec next /tmp/kernel /tmp/initrd "$(next_words)"
	rm /tmp/kernel /tmp/initrd
	target "$(value target)"
	sure until_is 60 actual -ge "$(value target)"
	say "starts another kernel: $(figures)"
	[ -n "$failed" ] || kexec go
}

# The same without a shutdown: after a panic a kernel in its own reserved memory finds the balloon
# of the first kernel. It reads all memory of that kernel, and its driver begins anew.
crashes() {
	if word second; then
		sure expect "starts of this VM" "$(of crash starts)" -eq 1
		say "kernel after a crash: popped $(of crash popped_bytes) bytes; $(figures)"
		target 0
		sure until_is 60 size -eq 0
		sure expect "bytes in the balloon, by the host" "$(of crash balloon_bytes)" -eq 0
		target 4000
		sure until_is 60 actual -ge 4000
		verify "a driver that began anew is refused" [ "$(figure refused)" -eq 0 ]
		target 0
		sure until_is 60 size -eq 0
		not_killed
		return
	fi
	kernel_on_disks
	# One CPU, as kdump-tools has it: an INIT to the boot CPU would be a reboot, if another one crashes.
	verify "it is not loaded" kexec crash /tmp/kernel /tmp/initrd "$(next_words) nr_cpus=1"
	rm /tmp/kernel /tmp/initrd
	yes "$MARK" | head -n 50000 >/tmp/marked
	target "$(value target)"
	sure until_is 60 actual -ge "$(value target)"
	say "crashes: $(figures)"
	stty echo </dev/console # which waits until all output is sent
	[ -n "$failed" ] || busybox taskset 2 sh -c "echo c >/proc/sysrq-trigger" # on CPU 1
}

MARK="this was written before the crash"

# A page that was still in a balloon would be popped.
kexecs_first() { ! word second || verify "memory has changed" memcheck touch "$(value touch)"; }

crashes_first() {
	word second || return
	found=$(memcheck find "$MARK" /proc/vmcore)
	sure expect "lines in the memory of the kernel that crashed" "$found" -ge 50000
}

kernel_on_disks() {
	disks
	cat /dev/vda >/tmp/kernel
	cat /dev/vdb >/tmp/initrd
}

next_words() { sed 's/crashkernel=[^ ]*//; s/$/ second/' /proc/cmdline; }

# To sleep with a balloon (the kernel idles, its devices and programs stand still), and awake again.
# hold=MIB target=PAGES
suspends() {
	hold
	target "$(value target)"
	sure until_is 60 actual -ge "$(value target)"
	back=$(of guest unlocked_bytes)
	insmod /lib/settarget.ko wake=4 || wrong "nobody will wake it up"
	before=$(seconds_up)
	verify "it does not go to sleep" sh -c 'echo freeze >/sys/power/state'
	rmmod settarget
	sure expect "seconds of sleep" $(($(seconds_up) - before)) -ge 3
	sure expect "sleeps" "$(cat /sys/power/suspend_stats/success)" -eq 1
	back=$(($(of guest unlocked_bytes) - back))
	sure expect "bytes that came back for the sleep" $back -ge $(($(value target) * 4096))
	sure until_is 60 actual -ge "$(value target)"
	sure expect "popped" "$(figure popped)" -eq 0
	sure expect "refused" "$(figure refused)" -eq 0
	say "slept: $(figures)"
	rm /tmp/held
	verify "memory has changed" wait "$holder"
}

# Sleeps without a clock that wakes it: the host wakes it. Then "button": waits for its power button;
# else for a new target of the balloon, target=PAGES.
wakes_first() {
	find /lib/modules \( -name button.ko -o -name evdev.ko \) -exec insmod {} \;
}
wakes() {
	verify "it does not go to sleep" sh -c 'echo freeze >/sys/power/state'
	sure expect "sleeps" "$(cat /sys/power/suspend_stats/success)" -eq 1
	say "woken: $(figures)"
	if ! word button; then
		sure until_is 60 actual -ge "$(value target)"
		return
	fi
	mkdir -p /etc/acpi/PWRF
	printf '#!/bin/sh\necho >/tmp/pressed\n' >/etc/acpi/PWRF/00000080
	chmod +x /etc/acpi/PWRF/00000080
	acpid -d -l /dev/null &
	until [ -e /tmp/pressed ]; do sleep 1; done
	say "its power button was pressed"
}

# Holds the VM "other" in the middle of an inflation, longer than the host waits for a driver.
pauses() {
	driver_of other
	if ! inside=$(midpause 1 24576); then
		wrong "not paused in the middle of it"
		return
	fi
	inside=$((inside * 4096))
	say "paused with $inside bytes in the balloon"
	sleep 5
	sure expect "bytes in the balloon after it" "$(of other balloon_bytes)" -eq "$inside"
	ctl 0 "other: resumed" resume other
	sure of_until 60 other balloon_bytes -eq $((96 << 20))
	sure expect "bytes touched in the balloon" "$(of other popped_bytes)" -eq 0
	ctl 0 "" set other target 10M
	sure of_until 60 other state = ended
	sure expect "status of the other one" "$(of other exit_status)" -eq 0
}

# The other VM: its memory must be right all the time, and a target of 10 MiB ends it. hold=MIB
paused_first() { hold; }

paused() {
	until [ "$(figure target)" -eq 2560 ]; do sleep 1; done
	sure until_is 60 size -eq 2560
	sure expect "popped" "$(figure popped)" -eq 0
	sure expect "refused" "$(figure refused)" -eq 0
	say "was paused: $(figures)"
	rm /tmp/held
	verify "memory has changed" wait "$holder"
}

# Nobody can allocate the blocks that the kernel is showing to the host (free page reporting), up to
# 128 MiB. A program that needs memory while that takes long must wait, and not be killed. touch=MIB
snatches() {
	# The kernel looks for free blocks by a clock of its own: it may have looked before the driver is
	# busy.
	for try in $(seq 10); do
		memcheck touch "$(value touch)" || wrong "memory has changed"
		free=$(free_kib)
		insmod /lib/settarget.ko busy=6 &
		until [ "$(free_kib)" -lt $((free - 65536)) ] || ! kill -0 $!; do usleep 20000; done
		kill -0 $! && break
		wait $! && rmmod settarget
	done
	say "$free KiB were free, now $(free_kib), at try $try"
	verify "killed, or memory has changed" memcheck touch "$(value touch)"
	verify "nothing was shown while the driver was busy" wait $!
	rmmod settarget
	say "snatched: $(figures)"
	not_killed
}

free_kib() { awk '/MemFree/ { print $2 }' /proc/meminfo; }
