/* SPDX-License-Identifier: BSD-2-Clause */
/* Timed actions: their time, their VM, and actions that must wait. */
#include <tests/fake/guest.h>

#include <hv/memory/governor.h>
#include <hv/control/manage.h>
#include <hv/vm/sched.h>
#include <hv/config/text.h>
#include <hv/control/timed.h>

#define MS FAKE_KHZ

static struct config c; /* as the parser would make it */

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	memset(&c, 0, sizeof(c));
	c.nr_vms = 2;
	c.vm[0] = guest_config("web");
	c.vm[1] = guest_config("db");
	c.vm[1].min = MIB(2);
	guest_start(&c.vm[0]);
	guest_start(&c.vm[1]);
	return 0;
}

static void at(const char *text)
{
	static char error[CONFIG_ERROR_MAX];
	struct timed_action *a = &c.timed[c.nr_timed++];

	if (!timed_parse(text, a, error) || !timed_resolve(a, &c, error))
		fail_msg("%s: %s", text, error);
}

static void pass(u64 ms)
{
	fake.tsc += ms * MS;
	sched_event = UINT64_MAX;
	timed_tick(fake.tsc);
}

static void each_in_its_time(void **state)
{
	(void)state;
	at("10s pause web");
	at("20s resume web");
	at("15s stop db 7");
	timed_init(&c);
	pass(0);
	assert_true(sched_event <= fake.tsc + 10000 * MS && sched_event > fake.tsc);
	pass(9999);
	assert_int_equal(vms[0]->state, VM_RUNNING);
	assert_int_equal(sched_event, fake.tsc + 1 * MS);
	pass(1);
	assert_int_equal(vms[0]->state, VM_PAUSED);
	assert_true(fake_log_has("at 10.000 s: pause web: done"));
	assert_int_equal(sched_event, fake.tsc + 5000 * MS);
	pass(5000);
	assert_int_equal(vms[1]->state, VM_ENDING);
	assert_int_equal(vms[1]->exit_status, 7);
	pass(5000);
	assert_int_equal(vms[0]->state, VM_RUNNING);
	assert_int_equal(sched_event, UINT64_MAX); /* nothing is left to do */
	/* And only once. */
	assert_int_equal(vm_pause(vms[0]), HV_OK);
	pass(60000);
	assert_int_equal(vms[0]->state, VM_PAUSED);
}

/* The interrupt goes to the vCPU that the guest has chosen; a VM that is off has no button. */
static void shutdown_asks(void **state)
{
	(void)state;
	at("1s shutdown web");
	at("2s stop web");
	at("3s shutdown web");
	lapic_mmio_write(vms[0]->vcpus[0], 0xf0, 0x1ff);
	vms[0]->ioapic.entry[VM_POWER_PIN] = 0x51;
	timed_init(&c);
	pass(1000);
	assert_int_equal(lapic_pending(vms[0]->vcpus[0]), 0x51);
	assert_int_equal(vms[0]->state, VM_RUNNING);
	assert_true(fake_log_has("shutdown web: done"));
	pass(1000);
	while (vms[0]->state != VM_ENDED)
		vm_background();
	pass(1000);
	assert_true(fake_log_has("shutdown web: wrong state"));
}

static void late_ticks_miss_nothing(void **state)
{
	(void)state;
	at("1s pause web");
	at("2s resume web");
	at("3s pause web");
	timed_init(&c);
	pass(3600 * 1000);
	assert_int_equal(vms[0]->state, VM_PAUSED);
	assert_true(c.timed[0].done && c.timed[1].done && c.timed[2].done);
}

static void a_restart_waits_for_the_end(void **state)
{
	(void)state;
	at("5s stop web");
	at("5s start web");
	at("5s pause web");
	timed_init(&c);
	assert_true(timed_start_pending());
	pass(5000);
	/* It is being taken apart: start and pause must wait, and soon look again. */
	assert_int_equal(vms[0]->state, VM_ENDING);
	assert_true(timed_start_pending());
	assert_true(sched_event <= fake.tsc + 10 * MS);
	while (vms[0]->state != VM_ENDED)
		vm_background();
	pass(1);
	assert_int_equal(vms[0]->state, VM_QUEUED);
	assert_false(timed_start_pending());
	assert_false(c.timed[2].done);
	while (vms[0]->state != VM_RUNNING)
		vm_background();
	pass(1);
	assert_int_equal(vms[0]->state, VM_PAUSED);
}

static void what_cannot_be_done_is_said(void **state)
{
	(void)state;
	at("1s start web");
	at("1s resume web");
	at("1s min db 14M");
	at("1s max db 1M");
	at("1s max db 20K");
	c.vm[1].max = MIB(8);
	timed_init(&c);
	fake_log_clear();
	pass(1000);
	assert_true(fake_log_has("at 1.000 s: start web: wrong state"));
	assert_true(fake_log_has("at 1.000 s: resume web: wrong state"));
	assert_true(fake_log_has("at 1.000 s: min db: out of range"));
	assert_true(fake_log_has("at 1.000 s: max db: out of range"));
	assert_int_equal(c.vm[1].min, MIB(2));
	assert_int_equal(c.vm[1].max, MIB(8));
	vm_end(vms[0], 0, "gone");
	while (vms[0]->state != VM_ENDED)
		vm_background();
	at("2s stop web");
	at("2s target web 1M");
	timed_init(&c);
	pass(2000);
	assert_true(fake_log_has("stop web: wrong state"));
	assert_true(fake_log_has("target web: wrong state"));
}

static void limits_move(void **state)
{
	u64 promised = frames_stats().reserved;

	(void)state;
	at("1s min web 4M");
	at("1s max web 12M");
	at("1s shares web 3000");
	at("1s target web 8M");
	at("2s min web 0");
	at("2s target web policy");
	timed_init(&c);
	pass(1000);
	assert_int_equal(vms[0]->cfg->min, MIB(4));
	assert_int_equal(vms[0]->cfg->max, MIB(12));
	assert_int_equal(vms[0]->cfg->shares, 3000);
	assert_int_equal(vms[0]->balloon.target, MIB(8) >> PAGE_SHIFT);
	assert_int_equal(vms[0]->balloon.manual, MIB(8) >> PAGE_SHIFT);
	/* The allocator keeps the promise at once, minus the frames that the VM has. */
	assert_int_equal(frames_stats().reserved - promised,
			 (MIB(4) >> PAGE_SHIFT) - vms[0]->p2m.acct.resident);
	pass(1000);
	assert_int_equal(frames_stats().reserved, promised);
	assert_int_equal(vms[0]->balloon.manual, BALLOON_BY_POLICY);
}

static void no_more_is_promised_than_there_is(void **state)
{
	struct vm_config big = guest_config("big");

	(void)state;
	big.memory = big.max = GIB(1);
	big.min = 0;
	c.vm[2] = big;
	c.nr_vms = 3;
	guest_start(&c.vm[2]);
	at("1s min big 100M");
	at("1s min big 32M");
	at("2s min web 16M");
	at("3s min db 16M");
	timed_init(&c);
	fake_log_clear();
	pass(1000);
	assert_true(fake_log_has("min big: no memory"));
	assert_int_equal(c.vm[2].min, MIB(32));
	pass(1000);
	pass(1000);
	assert_true(fake_log_has("min web: done"));
	assert_true(fake_log_has("min db: no memory"));
	assert_int_equal(c.vm[1].min, MIB(2));
}

static void audits(void **state)
{
	(void)state;
	at("1s audit");
	at("1s audit");
	timed_init(&c);
	guest_touch(vms[0]->vcpus[0], 0x200);
	fake_log_clear();
	for (u32 i = 0; i < 1000 && !c.timed[1].done; i++)
		pass(i ? 1 : 1000);
	assert_true(c.timed[0].done && c.timed[1].done);
	assert_true(fake_log_has("guest frames, all is well"));
	/* A record that the tables do not know. */
	at("5s audit");
	timed_init(&c);
	for (u32 i = fake.first; i < fake.nr_frames; i++)
		if (fake.table[i].state == FRAME_GUEST && !vms[0]->p2m.ballooned) {
			fake.table[i].gfn ^= 1;
			break;
		}
	fake_log_clear();
	for (u32 i = 0; i < 1000 && !c.timed[2].done; i++)
		pass(i ? 1 : 5000);
	assert_true(fake_log_has("at 5.000 s: audit: invariant broken"));
	assert_false(fake_log_has("all is well"));
}

/* The last test: an end of the host cannot be undone. */
static void the_host_ends(void **state)
{
	(void)state;
	at("1s reboot");
	at("2s poweroff");
	timed_init(&c);
	pass(500);
	assert_int_equal(manage_host_end(), HOST_STAYS);
	pass(500);
	assert_int_equal(manage_host_end(), HOST_REBOOT);
	pass(1000); /* too late to want something else */
	assert_int_equal(manage_host_end(), HOST_REBOOT);
	manage_tick();
	assert_false(vm_alive(vms[0]) || vm_alive(vms[1]));
	assert_string_equal(vms[1]->exit_reason, "the host reboots");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_in_its_time, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(shutdown_asks, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(late_ticks_miss_nothing, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(a_restart_waits_for_the_end, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_done_is_said, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(limits_move, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(no_more_is_promised_than_there_is, setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(audits, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(the_host_ends, setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
