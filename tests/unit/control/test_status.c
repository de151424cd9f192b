/* SPDX-License-Identifier: BSD-2-Clause */
/* All places show the same state of a VM; and totals outlive a run. */
#include <tests/fake/guest.h>

#include <hv/control/operator.h>
#include <hv/control/pages.h>
#include <hv/control/status.h>
#include <hv/base/terminal.h>
#include <hv/vm/counts.h>
#include <hv/vm/sched.h>
#include <mm/guestmem.h>

#define MS FAKE_KHZ
#define BUF 0x200000
#define COLUMNS 120

const char *text_vm_state(unsigned int state); /* tools/aeroctl */

static struct vm_config cfg[2];
static char wire[8192]; /* the terminal's */
static size_t wire_len;

static void wire_send(const char *bytes, size_t n)
{
	if (wire_len + n >= sizeof(wire))
		wire_len = 0;
	memcpy(wire + wire_len, bytes, n);
	wire_len += n;
	wire[wire_len] = '\0';
}

static int setup(void **state)
{
	static struct log_sink sink = { .write = wire_send };

	(void)state;
	log_add_sink(&sink);
	terminal_open(wire_send, &sink);
	guest_machine(MIB(128), 1);
	cfg[0] = guest_config("web");
	cfg[0].nr_disks = 1;
	cfg[0].disk[0] = (struct disk_config){ .blank = true, .writable = MIB(2) };
	cfg[1] = guest_config("boss");
	cfg[1].control = true;
	guest_start(&cfg[0]);
	guest_start(&cfg[1]);
	fake_log_clear();
	return 0;
}

/* The value of @key in the newest @vm line of "web". */
static const char *in_vm_line(const char *key)
{
	static char value[64];
	const char *p;

	fake_log_clear();
	status_print();
	p = strstr(fake.log, "@vm name=web ");
	assert_non_null(p);
	p = strstr(p, key);
	assert_non_null(p);
	assert_int_equal(sscanf(p + strlen(key), "%63s", value), 1);
	return value;
}

static struct aero_vm_info vm_info(void)
{
	struct aero_vm_info i;

	assert_int_equal(guest_call(vms[1]->vcpus[0], AERO_CALL_VM_INFO, 0, BUF, 0), AERO_OK);
	assert_int_equal(guest_read(&vms[1]->p2m, GPA(BUF), &i, sizeof(i)), HV_OK);
	return i;
}

/* The row of "web" on the screen's page of VMs. */
static const char *on_screen(void)
{
	static u16 cells[8 * COLUMNS];
	static char text[COLUMNS + 1];
	struct screen_grid g = { cells, COLUMNS, 8 };

	screen_pages("")[1].draw(&g, 0);
	for (u32 i = 0; i < COLUMNS; i++)
		text[i] = (char)cells[3 * COLUMNS + i];
	return text;
}

static const char *on_terminal(void)
{
	wire_len = 0;
	operator_typed("s", 1);
	return strstr(wire, "1 web");
}

static void one_word_for_a_state(void **state)
{
	static const struct {
		u32 state, waiting;
		bool again;
		const char *word;
		u32 number;
	} states[] = {
		{ VM_NONE, 0, false, "off", AERO_VM_OFF },
		{ VM_QUEUED, 0, false, "starting", AERO_VM_STARTING },
		{ VM_STARTING, 0, false, "starting", AERO_VM_STARTING },
		{ VM_BUILT, 0, false, "starting", AERO_VM_STARTING },
		{ VM_RUNNING, 0, false, "running", AERO_VM_RUNNING },
		{ VM_RUNNING, 1, false, "waiting", AERO_VM_WAITING },
		{ VM_PAUSED, 0, false, "paused", AERO_VM_PAUSED },
		{ VM_ENDING, 0, false, "ended", AERO_VM_ENDED },
		{ VM_ENDED, 0, false, "ended", AERO_VM_ENDED },
		/* It reboots, or waits for memory to start. */
		{ VM_ENDING, 0, true, "starting", AERO_VM_STARTING },
		{ VM_QUEUED, 0, true, "starting", AERO_VM_STARTING },
	};
	char row[80];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(states); i++) {
		atomic_store(&vms[0]->state, states[i].state);
		vms[0]->waiting = states[i].waiting;
		vms[0]->again = states[i].again;
		assert_int_equal(vm_info().state, states[i].number);
		assert_string_equal(text_vm_state(vm_info().state), states[i].word);
		assert_string_equal(in_vm_line("state="), states[i].word);
		snprintf(row, sizeof(row), "web          %-8s    16.0", states[i].word);
		assert_memory_equal(on_screen(), row, strlen(row));
		snprintf(row, sizeof(row), "1 web          %-8s 16 MiB", states[i].word);
		assert_memory_equal(on_terminal(), row, strlen(row));
	}
	vms[0]->waiting = 0;
	vms[0]->again = false;
	atomic_store(&vms[0]->state, VM_RUNNING);
	vms[0]->panicked = 1;
	assert_string_equal(in_vm_line("state="), "panicked");
	assert_memory_equal(on_screen(), "web          panicked    16.0", 29);
	vms[0]->panicked = 0;
	vms[0]->vcpus[0]->deaf = 1;
	assert_string_equal(text_vm_state(vm_info().state), "halted");
	assert_memory_equal(on_screen(), "web          halted      16.0", 29);
	vms[0]->vcpus[0]->deaf = 0;
	assert_string_equal(text_vm_state(AERO_VM_HALTED + 1), "?");
}

/* The reason of the last end is not shown while a VM starts. */
static void the_reason_is_this_run_s(void **state)
{
	(void)state;
	vm_end(vms[0], 3, "it broke");
	assert_non_null(strstr(on_screen(), " it broke "));
	while (vms[0]->state != VM_ENDED)
		vm_background();
	assert_int_equal(vm_queue_start(vms[0]), HV_OK);
	assert_null(strstr(on_screen(), " it broke "));
}

static void same_disk_memory(void **state)
{
	(void)state;
	assert_int_equal(vm_info().disk, bus_frames(vms[0]));
	assert_true(vm_info().disk >= MIB(2) >> PAGE_SHIFT);
	assert_int_equal((u32)atoi(in_vm_line("disk=")), vm_info().disk * 4);
	vm_end(vms[0], 0, "test");
	while (vms[0]->state != VM_ENDED) {
		assert_int_equal((u32)atoi(in_vm_line("disk=")), vm_info().disk * 4);
		vm_background();
	}
	assert_string_equal(in_vm_line("disk="), "0");
	assert_int_equal(vm_info().disk, 0);
}

/* The run that is over has @n in every counter. */
static void live(u64 n)
{
	struct balloon *b = &vms[0]->balloon;

	vms[0]->faults += n;
	vms[0]->vcpus[0]->exits += n;
	b->locked += n;
	b->unlocked += n;
	b->reported += n;
	b->popped += n;
	b->refused += n;
	b->batches += n;
}

static void start_again(void)
{
	vm_end(vms[0], 0, "test");
	while (vms[0]->state != VM_ENDED)
		vm_background();
	assert_int_equal(vm_queue_start(vms[0]), HV_OK);
	while (vms[0]->state != VM_RUNNING)
		vm_background();
}

static void all_are(u64 n)
{
	struct vm_counts c = vm_counts(vms[0]);
	const u64 *each = (const u64 *)&c;

	for (u32 i = 0; i < sizeof(c) / sizeof(*each); i++)
		assert_int_equal(each[i], n);
}

static void totals_outlive_a_run(void **state)
{
	(void)state;
	all_are(0);
	live(14);
	all_are(14);
	start_again();
	assert_int_equal(vm_info().locked, 0); /* docs/abi.md: of the present run */
	assert_int_equal(vm_info().faults, vms[0]->faults);
	all_are(14);
	live(6);
	all_are(20);
	assert_string_equal(in_vm_line("faults="), "20");
	assert_string_equal(in_vm_line("popped="), "20");
	start_again();
	status_summary();
	assert_true(fake_log_has(
		"vm web: status 0, 20 exits, 20 faults, ballooned 80 KiB in 20 batches, given back "
		"80 KiB, popped 20, refused 20, reported 80 KiB, in 3 runs"));
	assert_true(fake_log_has(", in 1 run\n"));
}

/* Not even if a start must be tried again because memory is missing. */
static void nothing_is_counted_twice(void **state)
{
	(void)state;
	live(5);
	vm_end(vms[0], 0, "test");
	while (vms[0]->state != VM_ENDED)
		vm_background();
	for (u32 i = 0; i < 3; i++) {
		vm_counts_keep(vms[0]);
		assert_int_equal(vm_counts(vms[0]).locked, 5);
		assert_int_equal(vm_counts(vms[0]).exits, 5);
	}
}

static void the_table_comes_in_its_time(void **state)
{
	(void)state;
	status_start(0);
	sched_event = UINT64_MAX;
	status_tick(fake.tsc += 100000 * MS);
	assert_false(fake_log_has("@stat"));
	assert_int_equal(sched_event, UINT64_MAX);
	status_start(1000);
	status_tick(fake.tsc += 999 * MS);
	assert_false(fake_log_has("@stat"));
	assert_int_equal(sched_event, fake.tsc + MS);
	status_tick(fake.tsc += MS);
	assert_true(fake_log_has("@stat"));
	fake_log_clear();
	status_tick(fake.tsc += 1);
	assert_false(fake_log_has("@stat"));
	/* Not while a VM has the terminal, and not later for that time. */
	terminal_lend(vms[0], "web", 0);
	status_tick(fake.tsc += 5000 * MS);
	assert_false(fake_log_has("@stat"));
	terminal_take_back(true);
	status_tick(fake.tsc += 1);
	assert_false(fake_log_has("@stat"));
	status_tick(fake.tsc += 1000 * MS);
	assert_true(fake_log_has("@stat"));
	operator_stop();
	status_start(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_word_for_a_state, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(the_reason_is_this_run_s, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(same_disk_memory, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(totals_outlive_a_run, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(nothing_is_counted_twice, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(the_table_comes_in_its_time, setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
