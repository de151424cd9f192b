/* SPDX-License-Identifier: BSD-2-Clause */
/* Rights to make calls: CPL, numbers, permission; and the calls that are not batches. */
#include <tests/fake/guest.h>

#include <hv/load/acpi.h>
#include <hv/control/manage.h>
#include <mm/guestmem.h>

#define PAGES (MIB(16) >> PAGE_SHIFT)
#define BUF 0x200000UL

static struct vm_config web_cfg, boss_cfg;
static struct vm *web, *boss;
static struct vcpu *v, *b; /* of the two VMs */

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 2);
	web_cfg = guest_config("web");
	web_cfg.vcpus = 2;
	web = guest_start(&web_cfg);
	boss_cfg = guest_config("boss");
	boss_cfg.control = true;
	boss = guest_start(&boss_cfg);
	v = web->vcpus[0];
	b = boss->vcpus[0];
	assert_int_equal(guest_call(v, AERO_CALL_START, 1, ~0UL, 0), AERO_OK);
	return 0;
}

static void user_mode_gets_ud(void **state)
{
	(void)state;
	for (u32 i = 0; i < 512; i++) {
		struct vmexit e = { .kind = EXIT_HYPERCALL, .length = 3, .cpl = 1 + i % 3 };
		u64 before[GPR_NR];

		fake_of(v)->exception = -1;
		v->gpr[GPR_RAX] = AERO_CALL_START + (i >> 2);
		v->advance = 0;
		memcpy(before, v->gpr, sizeof(before));
		exit_dispatch(v, &e);
		assert_int_equal(fake_of(v)->exception, VEC_UD);
		assert_int_equal(v->advance, 0); /* RIP stays on the instruction */
		assert_memory_equal(before, v->gpr, sizeof(before));
	}
}

static void unknown_numbers(void **state)
{
	static const u64 ours[] = { 0x80000009, 0x800000ff, 0x8000010c,
				    0x80000200, 0xffffffff, 0xc0000000 };
	static const u64 kvm[] = { 0, 1, 2, 3, 5, 9, 10, 11, 12, 0x7fffffff };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		assert_int_equal(guest_call(v, ours[i], 1, 1, 1), AERO_ERR_NOSYS);
	for (size_t i = 0; i < ARRAY_SIZE(kvm); i++)
		assert_int_equal(guest_call(v, kvm[i], 1, 1, 1), -1000);
	/* Only the low half of RAX is the number, as in KVM's own. */
	assert_int_equal(guest_call(v, 0xffffffff00000000 | AERO_CALL_POLL, 0, 0, 0), AERO_OK);
	assert_int_equal(v->gpr[GPR_RCX] == 1, false);
}

static void no_other_register_changes(void **state)
{
	static const u64 calls[] = { AERO_CALL_POLL, AERO_CALL_START, AERO_CALL_LOCK,
				     AERO_CALL_HOST_INFO, 5 };

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(calls); c++) {
		for (u32 r = GPR_RBX + 1; r < GPR_NR; r++)
			v->gpr[r] = 0x1111 * r;
		guest_call(v, calls[c], 1, 1, 1);
		for (u32 r = GPR_RBX + 1; r < GPR_NR; r++)
			assert_int_equal(v->gpr[r], 0x1111 * r);
	}
}

static void management_needs_permission(void **state)
{
	struct snapshot s = snapshot_take(&web->p2m);

	(void)state;
	for (u64 nr = AERO_CALL_HOST_INFO; nr <= AERO_CALL_GUEST_STATS; nr++) {
		assert_int_equal(guest_call(v, nr, 1, BUF, 0), AERO_ERR_PERM);
		assert_int_equal(v->gpr[GPR_RBX], 1); /* not looked at */
	}
	assert_int_equal(boss->state, VM_RUNNING);
	snapshot_same(&web->p2m, &s);
}

static void host_and_vm_info(void **state)
{
	struct aero_host_info h;
	struct aero_vm_info i;

	(void)state;
	assert_int_equal(guest_call(b, AERO_CALL_HOST_INFO, BUF, 0, 0), AERO_OK);
	assert_int_equal(guest_read(&boss->p2m, GPA(BUF), &h, sizeof(h)), HV_OK);
	assert_int_equal(h.nr_vms, 2);
	assert_int_equal(h.total, frames_stats().total);
	assert_int_equal(h.version, 0x100020003); /* tests/unit/unit.mk */
	balloon_set_target(web, 99);
	web->starts = 7;
	assert_int_equal(guest_call(b, AERO_CALL_VM_INFO, 0, BUF + 4090, 0),
			 AERO_OK); /* crosses a page */
	assert_int_equal(guest_read(&boss->p2m, GPA(BUF + 4090), &i, sizeof(i)), HV_OK);
	assert_string_equal(i.name, "web");
	assert_int_equal(i.state, AERO_VM_RUNNING);
	assert_int_equal(i.memory, PAGES);
	assert_int_equal(i.target, 99);
	assert_int_equal(i.vcpus, 2);
	assert_int_equal(i.resident, web->p2m.acct.resident);
	assert_int_equal(i.starts, 7);
	assert_int_equal(i.flags, AERO_VM_FLAG_DRIVER);
	assert_int_equal(i.active_high, web->sampler.estimate.high);
	assert_int_equal(h.hypervisor, frames_stats().hv);
	assert_int_equal(guest_call(b, AERO_CALL_VM_INFO, 2, BUF, 0), AERO_ERR_NOENT);
	assert_int_equal(guest_call(b, AERO_CALL_VM_INFO, UINT64_MAX, BUF, 0), AERO_ERR_NOENT);
	assert_int_equal(guest_call(b, AERO_CALL_VM_INFO, 1UL << 32, BUF, 0), AERO_ERR_NOENT);
	assert_int_equal(guest_call(b, AERO_CALL_VM_INFO, 0, PAGES << 12, 0), AERO_ERR_FAULT);
	assert_int_equal(guest_call(b, AERO_CALL_HOST_INFO, UINT64_MAX - 3, 0, 0), AERO_ERR_FAULT);
}

static void set_target(void **state)
{
	(void)state;
	assert_int_equal(guest_call(b, AERO_CALL_SET_TARGET, 0, 500, 0), AERO_OK);
	assert_int_equal(web->balloon.target, 500);
	assert_int_equal(guest_call(b, AERO_CALL_SET_TARGET, 0, PAGES + 1, 0), AERO_ERR_INVALID);
	assert_int_equal(web->balloon.target, 500);
	assert_int_equal(guest_call(b, AERO_CALL_SET_TARGET, 7, 500, 0), AERO_ERR_NOENT);
	assert_int_equal(guest_call(b, AERO_CALL_SET_TARGET, 0, BALLOON_BY_POLICY, 0), AERO_OK);
	assert_int_equal(web->balloon.manual, BALLOON_BY_POLICY);
}

static void pause_resume_stop(void **state)
{
	(void)state;
	assert_int_equal(guest_call(b, AERO_CALL_RESUME, 0, 0, 0), AERO_ERR_STATE);
	assert_int_equal(guest_call(b, AERO_CALL_PAUSE, 0, 0, 0), AERO_OK);
	assert_int_equal(web->state, VM_PAUSED);
	assert_int_equal(guest_call(b, AERO_CALL_PAUSE, 0, 0, 0), AERO_ERR_STATE);
	assert_int_equal(guest_call(b, AERO_CALL_RESUME, 0, 0, 0), AERO_OK);
	assert_int_equal(guest_call(b, AERO_CALL_RESTART, 0, 0, 0), AERO_ERR_STATE);
	assert_int_equal(guest_call(b, AERO_CALL_STOP, 0, 0x107, 0), AERO_OK);
	assert_int_equal(web->exit_status, 7);
	assert_true(strstr(web->exit_reason, "stopped by VM boss"));
	while (vm_background())
		fake_settle();
	assert_int_equal(web->state, VM_ENDED);
	assert_int_equal(web->exit_status, 7);
	assert_int_equal(guest_call(b, AERO_CALL_STOP, 0, 0, 0), AERO_ERR_STATE);
	assert_int_equal(guest_call(b, AERO_CALL_STOP, 9, 0, 0), AERO_ERR_NOENT);
}

/* Limits changed by a guest: a call with contradictory limits is refused, and changes nothing. */
static void set_limits(void **state)
{
	static const u64 bad[] = { 0, 4, UINT64_MAX, 1UL << 32 | AERO_SET_MIN };

	(void)state;
	assert_int_equal(guest_call(b, AERO_CALL_SET, 0, AERO_SET_MIN, 100), AERO_OK);
	assert_int_equal(web_cfg.min, 100 * PAGE_SIZE);
	assert_int_equal(web->p2m.acct.min, 100);
	assert_int_equal(guest_call(b, AERO_CALL_SET, 0, AERO_SET_MAX, 3000), AERO_OK);
	assert_int_equal(web_cfg.max, 3000 * PAGE_SIZE);
	assert_int_equal(guest_call(b, AERO_CALL_SET, 0, AERO_SET_SHARES, 7), AERO_OK);
	assert_int_equal(web_cfg.shares, 7);
	/* min above max, max below min, beyond its memory, no such thing. */
	assert_int_equal(guest_call(b, AERO_CALL_SET, 0, AERO_SET_MIN, 3001), AERO_ERR_INVALID);
	assert_int_equal(guest_call(b, AERO_CALL_SET, 0, AERO_SET_MAX, 99), AERO_ERR_INVALID);
	assert_int_equal(guest_call(b, AERO_CALL_SET, 0, AERO_SET_MAX, PAGES + 1),
			 AERO_ERR_INVALID);
	for (u32 which = AERO_SET_MIN; which <= AERO_SET_MAX; which++) /* not by overflow, either */
		for (u32 shift = 50; shift < 64; shift++)
			assert_int_equal(guest_call(b, AERO_CALL_SET, 0, which, 1UL << shift | 500),
					 AERO_ERR_INVALID);
	assert_int_equal(guest_call(b, AERO_CALL_SET, 0, AERO_SET_SHARES, 0), AERO_ERR_INVALID);
	assert_int_equal(guest_call(b, AERO_CALL_SET, 0, AERO_SET_SHARES, 1UL << 32 | 5),
			 AERO_ERR_INVALID);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(guest_call(b, AERO_CALL_SET, 0, bad[i], 500), AERO_ERR_INVALID);
	assert_int_equal(guest_call(b, AERO_CALL_SET, 2, AERO_SET_MIN, 500), AERO_ERR_NOENT);
	assert_int_equal(guest_call(b, AERO_CALL_SET, UINT64_MAX, AERO_SET_MIN, 500),
			 AERO_ERR_NOENT);
	assert_int_equal(web_cfg.min, 100 * PAGE_SIZE);
	assert_int_equal(web_cfg.max, 3000 * PAGE_SIZE);
	assert_int_equal(web_cfg.shares, 7);
}

/* The frames are not there: the machine is 64 MiB, and a large VM is promised most of it. */
static void min_that_cannot_be_promised(void **state)
{
	static struct vm_config large_cfg;

	(void)state;
	large_cfg = guest_config("large");
	large_cfg.memory = large_cfg.max = MIB(60);
	guest_start(&large_cfg);
	assert_int_equal(guest_call(b, AERO_CALL_SET, 2, AERO_SET_MIN, MIB(59) >> PAGE_SHIFT),
			 AERO_OK);
	assert_int_equal(guest_call(b, AERO_CALL_SET, 0, AERO_SET_MIN, MIB(15) >> PAGE_SHIFT),
			 AERO_ERR_NOMEM);
}

static void shutdown_is_the_power_button(void **state)
{
	(void)state;
	fake_log_clear();
	assert_int_equal(guest_call(b, AERO_CALL_SHUTDOWN, 0, 0, 0), AERO_OK);
	assert_true(fake_log_has("vm web: power button pressed"));
	assert_int_equal(guest_call(b, AERO_CALL_SHUTDOWN, 5, 0, 0), AERO_ERR_NOENT);
	assert_int_equal(guest_call(b, AERO_CALL_STOP, 0, 0, 0), AERO_OK);
	assert_int_equal(guest_call(b, AERO_CALL_SHUTDOWN, 0, 0, 0), AERO_ERR_STATE);
}

static void decide(u64 us, u64 target, enum policy_reason reason)
{
	struct policy_vm in = { .resident = 1000, .active_permille = 250 };
	struct policy_vm_out out = {
		.target = target, .entitlement = 77, .rho = 5, .reason = reason, .rule = RULE_MIN
	};

	explain_note(&web->explain, us, POLICY_SOFT, &in, &out);
}

static struct aero_explain explained(void)
{
	struct aero_explain e;

	assert_int_equal(guest_call(b, AERO_CALL_EXPLAIN, 0, BUF, 0), AERO_OK);
	assert_int_equal(guest_read(&boss->p2m, GPA(BUF), &e, sizeof(e)), HV_OK);
	return e;
}

static void decisions_are_kept(void **state)
{
	struct aero_explain e;

	(void)state;
	decide(1, 0, REASON_NONE); /* no decision yet, no record */
	assert_int_equal(explained().total, 0);
	decide(2, 100, REASON_VICTIM);
	decide(3, 200, REASON_VICTIM); /* a step further: the same record */
	decide(4, 200, REASON_VICTIM); /* no news */
	decide(5, 150, REASON_VICTIM); /* the other way */
	decide(6, 150, REASON_HOLD);   /* another reason */
	e = explained();
	assert_int_equal(e.total, 3);
	assert_int_equal(e.nr, 3);
	assert_int_equal(e.decision[0].first_us, 2);
	assert_int_equal(e.decision[0].last_us, 3);
	assert_int_equal(e.decision[0].from, 0);
	assert_int_equal(e.decision[0].to, 200);
	assert_int_equal(e.decision[0].steps, 2);
	assert_int_equal(e.decision[0].reason, AERO_REASON_VICTIM);
	assert_int_equal(e.decision[0].rule, AERO_RULE_MIN);
	assert_int_equal(e.decision[0].state, 1);
	assert_int_equal(e.decision[0].active, 250);
	assert_int_equal(e.decision[0].resident, 1000);
	assert_int_equal(e.decision[0].entitlement, 77);
	assert_int_equal(e.decision[0].rho, 5);
	assert_int_equal(e.decision[1].from, 200);
	assert_int_equal(e.decision[1].to, 150);
	assert_int_equal(e.decision[2].from, 150);
	assert_int_equal(e.decision[2].reason, AERO_REASON_HOLD);
	for (u32 i = 0; i < 100; i++) /* to and fro */
		decide(100 + i, i & 1 ? 10 : 20, REASON_VICTIM);
	e = explained();
	assert_int_equal(e.total, 102); /* 150 -> 20 -> 10 is one */
	assert_int_equal(e.nr, AERO_DECISIONS);
	assert_int_equal(e.decision[0].first_us, 192);
	assert_int_equal(e.decision[7].first_us, 199);
	for (u32 i = 0; i < 70000; i++)
		decide(1000, 100 + i, REASON_VICTIM);
	assert_int_equal(explained().decision[7].steps, UINT16_MAX);
	explain_reset(&web->explain);
	assert_int_equal(explained().total, 0);
	assert_int_equal(guest_call(b, AERO_CALL_EXPLAIN, 2, BUF, 0), AERO_ERR_NOENT);
	assert_int_equal(guest_call(b, AERO_CALL_EXPLAIN, 0, (PAGES << 12) - 8, 0), AERO_ERR_FAULT);
}

static void guest_stats_of_another(void **state)
{
	struct aero_stats s = { .available = 5, .swap_free = 9 };

	(void)state;
	web->balloon.stats = s;
	assert_int_equal(guest_call(b, AERO_CALL_GUEST_STATS, 0, BUF, 0), AERO_OK);
	memset(&s, 0, sizeof(s));
	assert_int_equal(guest_read(&boss->p2m, GPA(BUF), &s, sizeof(s)), HV_OK);
	assert_int_equal(s.available, 5);
	assert_int_equal(s.swap_free, 9);
	assert_int_equal(guest_call(b, AERO_CALL_GUEST_STATS, 2, BUF, 0), AERO_ERR_NOENT);
	assert_int_equal(guest_call(b, AERO_CALL_GUEST_STATS, 0, 0xa0000, 0), AERO_ERR_FAULT);
}

static void audit_from_a_guest(void **state)
{
	s64 r;

	(void)state;
	do {
		r = guest_call(b, AERO_CALL_AUDIT, 0, 0, 0);
	} while (r == AERO_AGAIN);
	assert_int_equal(r, AERO_OK);
	assert_int_equal(b->gpr[GPR_RBX], frames_stats().guest);
	fake.table[p2m_lookup(&web->p2m, 0x100).frame].gfn++;
	do {
		r = guest_call(b, AERO_CALL_AUDIT, 0, 0, 0);
	} while (r == AERO_AGAIN);
	assert_int_equal(r, AERO_ERR_CORRUPT);
}

static void stats_are_copied_once(void **state)
{
	struct aero_stats s = { .total = 4096, .oom_kills = 3 };

	(void)state;
	assert_int_equal(guest_write(&web->p2m, GPA(BUF), &s, sizeof(s)), HV_OK);
	assert_int_equal(guest_call(v, AERO_CALL_STATS, BUF, 0, 0), AERO_OK);
	assert_int_equal(web->balloon.stats.total, 4096);
	assert_int_equal(web->balloon.stats.oom_kills, 3);
	assert_int_equal(guest_call(v, AERO_CALL_STATS, BUF + 4, 0, 0), AERO_ERR_INVALID);
	assert_int_equal(guest_call(v, AERO_CALL_STATS, (PAGES << 12) - 8, 0, 0), AERO_ERR_FAULT);
	assert_int_equal(guest_call(v, AERO_CALL_STATS, 0xfffffffffffffff8, 0, 0), AERO_ERR_FAULT);
	assert_int_equal(guest_call(v, AERO_CALL_STATS, 0xa0000, 0, 0), AERO_ERR_FAULT);
	assert_int_equal(web->balloon.stats.total, 4096);
}

static void doorbell(void **state)
{
	static const u64 bad[] = { 1, 2, 13, 31, 257, 0x120, 1UL << 32 | 0x40, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(guest_call(v, AERO_CALL_DOORBELL, bad[i], 0, 0), AERO_ERR_INVALID);
	assert_int_equal(guest_call(v, AERO_CALL_DOORBELL, 0x40, 2, 0), AERO_ERR_INVALID);
	assert_int_equal(guest_call(v, AERO_CALL_DOORBELL, 0x40, 1UL << 32, 0), AERO_ERR_INVALID);
	assert_int_equal(web->balloon.doorbell.vector, 0);
	assert_int_equal(guest_call(v, AERO_CALL_DOORBELL, 0x40, 1, 0), AERO_OK);
	balloon_set_target(web, 99); /* its APIC is off, as after reset */
	assert_int_equal(web->vcpus[1]->lapic.irr[2], 0);
	lapic_mmio_write(web->vcpus[1], 0xf0, 0x1ff);
	balloon_set_target(web, 100);
	assert_int_equal(web->vcpus[1]->lapic.irr[2], 1);
	assert_true(web->vcpus[1]->pending & PENDING_IRQ);
	assert_int_equal(web->vcpus[0]->lapic.irr[2], 0);
	web->vcpus[1]->lapic.irr[2] = 0;
	balloon_set_target(web, 100); /* no news */
	assert_int_equal(web->vcpus[1]->lapic.irr[2], 0);
	assert_int_equal(guest_call(v, AERO_CALL_DOORBELL, 0, 77, 0), AERO_OK);
	balloon_set_target(web, 101);
	assert_int_equal(web->vcpus[1]->lapic.irr[2], 0);
}

/*
 * A driver that has left because its guest goes to sleep asks for a call; the power button calls
 * it, too.
 */
static void doorbell_of_a_guest_that_sleeps(void **state)
{
	struct ioapic *io = &web->ioapic;

	(void)state;
	lapic_mmio_write(web->vcpus[1], 0xf0, 0x1ff);
	io->entry[IOAPIC_PIN_BALLOON] = 1UL << 56 | 0x51;
	assert_int_equal(guest_call(v, AERO_CALL_END, 0, 0, 0), AERO_OK);
	balloon_set_target(web, 99);
	assert_int_equal(vm_press_power(web), HV_OK);
	assert_int_equal(web->vcpus[1]->lapic.irr[2], 0); /* no driver has asked */
	assert_int_equal(guest_call(v, AERO_CALL_DOORBELL, AERO_DOORBELL_ACPI, 0, 0), AERO_OK);
	balloon_set_target(web, 100);
	assert_int_equal(web->vcpus[1]->lapic.irr[2], 1 << 17);
	web->vcpus[1]->lapic.irr[2] = 0;
	assert_int_equal(vm_press_power(web), HV_OK);
	assert_int_equal(web->vcpus[1]->lapic.irr[2], 1 << 17);
	web->vcpus[1]->lapic.irr[2] = 0;
	assert_int_equal(guest_call(v, AERO_CALL_START, 1, ~0UL, 0), AERO_OK);
	assert_int_equal(vm_press_power(web), HV_OK); /* it has not asked again */
	assert_int_equal(web->vcpus[1]->lapic.irr[2], 0);
}

/* For a kernel that gives its drivers no vectors: an edge at the ACPI device's pin. */
static void doorbell_of_the_acpi_device(void **state)
{
	struct ioapic *io = &web->ioapic;

	(void)state;
	lapic_mmio_write(web->vcpus[1], 0xf0, 0x1ff);
	io->entry[IOAPIC_PIN_BALLOON] = 1UL << 56 | 0x51; /* edge, to APIC 1 */
	io->entry[UART_PIN] = 1UL << 56 | 0x52;
	assert_int_equal(guest_call(v, AERO_CALL_DOORBELL, AERO_DOORBELL_ACPI, 99, 0), AERO_OK);
	for (u64 target = 100; target < 103; target++) { /* each change anew */
		balloon_set_target(web, target);
		assert_int_equal(web->vcpus[1]->lapic.irr[2], 1 << 17);
		web->vcpus[1]->lapic.irr[2] = 0;
		assert_int_equal(io->lines, 0);
	}
	balloon_set_target(web, 102); /* no news */
	assert_int_equal(web->vcpus[1]->lapic.irr[2], 0);
	assert_int_equal(guest_call(v, AERO_CALL_DOORBELL, 0, 0, 0), AERO_OK);
	balloon_set_target(web, 103);
	assert_int_equal(web->vcpus[1]->lapic.irr[2], 0);
}

/* Memory at once, and no inflation for a while; never below what max demands. */
static void grow(void **state)
{
	struct frame_batch batch = FRAME_BATCH_INIT;
	u64 work = 0;

	(void)state;
	for (u64 gfn = 1024; gfn < 2048; gfn += 512)
		assert_int_equal(p2m_lock(&web->p2m, gfn, ORDER_2M, &batch, &work), HV_OK);
	p2m_commit(&web->p2m, &batch);
	balloon_set_target(web, 2000);
	assert_int_equal(guest_call(v, AERO_CALL_GROW, 24, 0, 0), AERO_OK);
	assert_int_equal(v->gpr[GPR_RCX], 1000); /* from its size, not from its target */
	assert_int_equal(v->gpr[GPR_RBX], 24);
	assert_true(web->balloon.hold_until > fake.tsc);
	assert_int_equal(web->balloon.grow_pages, 24);
	assert_int_equal(guest_call(v, AERO_CALL_GROW, UINT64_MAX, 0, 0), AERO_OK);
	assert_int_equal(v->gpr[GPR_RCX], 0);
	assert_true(web->balloon.grow_pages <= 24 + PAGES);

	balloon_set_target(web, 1024);
	web_cfg.max = MIB(16) - 100 * PAGE_SIZE;
	assert_int_equal(guest_call(v, AERO_CALL_GROW, 1000, 0, 0), AERO_OK);
	assert_int_equal(v->gpr[GPR_RCX], 100);
	assert_int_equal(v->gpr[GPR_RBX], 924); /* less than it asked for */

	balloon_set_target(web, 800);
	assert_int_equal(guest_call(v, AERO_CALL_GROW, 0, 0, 0), AERO_OK);
	assert_int_equal(v->gpr[GPR_RCX], 800);
	/* A target set by hand may be lower than max demands, and GROW does not raise it. */
	assert_int_equal(manage_target(web, 90), HV_OK);
	assert_int_equal(guest_call(v, AERO_CALL_GROW, 10, 0, 0), AERO_OK);
	assert_int_equal(v->gpr[GPR_RCX], 80);
	assert_int_equal(v->gpr[GPR_RBX], 1024 - 80);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(user_mode_gets_ud),
		T(unknown_numbers),
		T(no_other_register_changes),
		T(management_needs_permission),
		T(host_and_vm_info),
		T(set_target),
		T(pause_resume_stop),
		T(set_limits),
		T(min_that_cannot_be_promised),
		T(shutdown_is_the_power_button),
		T(decisions_are_kept),
		T(guest_stats_of_another),
		T(audit_from_a_guest),
		T(stats_are_copied_once),
		T(doorbell),
		T(doorbell_of_a_guest_that_sleeps),
		T(doorbell_of_the_acpi_device),
		T(grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
