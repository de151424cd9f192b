/* SPDX-License-Identifier: BSD-2-Clause */
/* kvmclock: the factor against exact arithmetic, and the two MSRs of a hostile guest. */
#include <tests/fake/guest.h>

#include <hv/apic/pvclock.h>
#include <hv/vm/sched.h>
#include <mm/guestmem.h>

typedef unsigned __int128 u128;

static struct vm_config cfg;
static struct vm *vm;
static struct vcpu *v;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(16), 1);
	cfg = guest_config("vm");
	cfg.vcpus = 2;
	vm = guest_start(&cfg);
	v = vm->vcpus[0];
	return 0;
}

/* As Linux's pvclock_scale_delta() does it. */
static u64 to_ns(struct pvclock_scale s, u64 ticks)
{
	ticks = s.shift < 0 ? ticks >> -s.shift : ticks << s.shift;
	return (u64)((u128)ticks * s.mul >> 32);
}

static void check_scale(u64 khz)
{
	struct pvclock_scale s = pvclock_scale(khz);
	u64 hz = khz * 1000, exact = 3600 * 1000000000UL;
	u64 ns = to_ns(s, hz * 3600), back = (1000000000UL << 32) / s.mul;

	assert_true(s.mul >> 31);
	assert_true(s.shift >= -4 && s.shift <= 10);
	if (ns > exact || exact - ns > (exact >> 30) + 1)
		fail_msg("%lu kHz: an hour is %lu ns", khz, ns);
	/* The frequency as Linux derives it: pvclock_tsc_khz(). */
	back = s.shift < 0 ? back << -s.shift : back >> s.shift;
	assert_in_range(back, hz - 16, hz + (hz >> 30) + 16);
}

static void scale_is_exact(void **state)
{
	(void)state;
	for (u64 khz = 1000; khz <= 10000000; khz += 997)
		check_scale(khz);
	for (u64 khz = 1000; khz <= 10000000; khz *= 10) {
		check_scale(khz);
		check_scale(khz - 1);
		check_scale(khz + 1);
	}
	check_scale(2000000); /* the edges of [1/2, 1) */
	check_scale(2000001);
	check_scale(4000000);
	check_scale(8000000);
	assert_int_equal(pvclock_scale(1000000).mul, 1u << 31);
	assert_int_equal(pvclock_scale(1000000).shift, 1);
	assert_true(pvclock_scale(0).mul); /* no possible clock: any factor, but no endless loop */
}

static void time_never_goes_back(void **state)
{
	static const u64 khz[] = { 1000, 999999, 1000000, 2400000, 2500001, 3999999, 10000000 };
	u64 seed = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(khz); i++) {
		struct pvclock_scale s = pvclock_scale(khz[i]);
		u64 last = 0, ticks = 0;

		for (int n = 0; n < 200000; n++) {
			u64 ns = to_ns(s, ticks);

			assert_true(ns >= last);
			last = ns;
			ticks += n & 1 ? 1 : fake_random(&seed) % (khz[i] * 10);
		}
	}
}

/* True: done; false: #GP. */
static bool wrmsr(u32 msr, u64 value)
{
	bool ok = guest_wrmsr(v, msr, value);

	assert_int_equal(v->advance, ok ? 2 : 0);
	return ok;
}

static void read_back(u64 gpa, void *p, size_t bytes)
{
	assert_int_equal(guest_read(&vm->p2m, GPA(gpa), p, bytes), HV_OK);
}

static void expect_time_at(u64 gpa)
{
	u32 w[8];

	read_back(gpa, w, sizeof(w));
	assert_int_equal(w[0] & 1, 0); /* even: not in the middle of a change */
	assert_int_not_equal(w[0], 0);
	assert_int_equal(w[1] | w[2] | w[3] | w[4] | w[5], 0);
	assert_int_equal(w[6], pvclock_scale(FAKE_KHZ).mul);
	assert_int_equal((s8)w[7], pvclock_scale(FAKE_KHZ).shift);
	assert_int_equal(w[7] >> 8, 1); /* the same on all CPUs */
	/* It is the VM's time since it started. */
	assert_int_equal(to_ns(pvclock_scale(FAKE_KHZ), guest_rdmsr(v, 0x10)),
			 fake.tsc + vm->tsc_offset);
}

static void time_where_the_guest_wants_it(void **state)
{
	u8 around[32 + 32];

	(void)state;
	fake.tsc += 12345;
	memset(around, 0xaa, sizeof(around));
	for (u64 gpa = 0x200000; gpa < 0x200000 + 2 * PAGE_SIZE;
	     gpa += 68) { /* across a page too */
		guest_write(&vm->p2m, GPA(gpa - 16), around, sizeof(around));
		assert_true(wrmsr(MSR_PV_SYSTEM_TIME, gpa | 1));
		assert_int_equal(guest_rdmsr(v, MSR_PV_SYSTEM_TIME), gpa | 1);
		expect_time_at(gpa);
		read_back(gpa - 16, around, sizeof(around));
		assert_int_equal(around[15] & around[48], 0xaa);
		memset(around, 0xaa, sizeof(around));
	}
	/* Empty memory is backed. */
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, (0x800000 - 4) | 1));
	expect_time_at(0x800000 - 4);
	/* The last of the VM's memory. */
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, (MIB(16) - 32) | 1));
	expect_time_at(MIB(16) - 32);
	/* Linux: one entry of 64 bytes for each CPU, which writes its own MSR. */
	assert_true(guest_wrmsr(vm->vcpus[1], MSR_PV_SYSTEM_TIME, 0x300040 | 1));
	assert_int_equal(guest_rdmsr(v, MSR_PV_SYSTEM_TIME), (MIB(16) - 32) | 1);
	expect_time_at(0x300040);
	tables_check(&vm->p2m);
}

static void switched_off(void **state)
{
	u32 w = 0;

	(void)state;
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, 0x200001));
	guest_write(&vm->p2m, GPA(0x200000), &w, 4);
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, 0x200000));
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, 0));
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, UINT64_MAX - 1)); /* any value without the bit */
	read_back(0x200000, &w, 4);
	assert_int_equal(w, 0);
	assert_int_equal(guest_rdmsr(v, MSR_PV_SYSTEM_TIME), UINT64_MAX - 1);
}

/* Refused, and the MSR keeps what it had. */
static void no_such_memory(void **state)
{
	static const u64 bad[] = {
		0xa0000,			   /* the hole below 1 MiB */
		0xa0000 - 4,			   /* into it */
		MIB(16),			   /* above the memory */
		MIB(16) - 28,			   /* beyond its end */
		0xfee00000,			   /* a device */
		GIB(4),		 BIT(40), BIT(52), /* more than an address has */
		UINT64_MAX - 3,			   /* around the end of all addresses */
		UINT64_MAX - 31, BIT(63),
	};
	u64 before;

	(void)state;
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, 0x200001));
	assert_true(wrmsr(MSR_PV_WALL_CLOCK, 0x201000));
	before = vm->p2m.acct.resident;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(wrmsr(MSR_PV_SYSTEM_TIME, bad[i] | 1));
		if (bad[i] != MIB(16) - 28) /* 12 bytes fit there */
			assert_false(wrmsr(MSR_PV_WALL_CLOCK, bad[i]));
	}
	assert_false(wrmsr(MSR_PV_SYSTEM_TIME, 0x200003));
	for (u64 n = 1; n < 4; n++)
		assert_false(wrmsr(MSR_PV_WALL_CLOCK, 0x200000 | n));
	assert_int_equal(guest_rdmsr(v, MSR_PV_SYSTEM_TIME), 0x200001);
	assert_int_equal(guest_rdmsr(v, MSR_PV_WALL_CLOCK), 0x201000);
	/* The pages at the edges, which have frames already. */
	assert_in_range(vm->p2m.acct.resident, before, before + 2);
	assert_int_equal(vm->state, VM_RUNNING);
	tables_check(&vm->p2m);
}

static void in_the_balloon(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;

	(void)state;
	spin_lock(&vm->p2m.lock);
	assert_int_equal(p2m_lock(&vm->p2m, 0x300, ORDER_4K, &b, &work), HV_OK);
	p2m_commit(&vm->p2m, &b);
	spin_unlock(&vm->p2m.lock);
	assert_false(wrmsr(MSR_PV_SYSTEM_TIME, 0x300001));
	assert_false(wrmsr(MSR_PV_SYSTEM_TIME, (0x300000 - 4) | 1)); /* its second half */
	assert_false(wrmsr(MSR_PV_WALL_CLOCK, 0x300000));
	assert_int_equal(vm->p2m.ballooned, 1);
	assert_int_equal(vm->balloon.popped, 0);
	assert_int_equal(guest_rdmsr(v, MSR_PV_SYSTEM_TIME), 0);
	tables_check(&vm->p2m);
}

static void wall_clock(void **state)
{
	u32 w[4] = { 9, 9, 9, 9 };

	(void)state;
	guest_write(&vm->p2m, GPA(0x200ffc), w, sizeof(w));
	assert_true(wrmsr(MSR_PV_WALL_CLOCK, 0x200ffc));
	read_back(0x200ffc, w, sizeof(w));
	assert_int_equal(w[0] & 1, 0);
	assert_int_not_equal(w[0], 0);
	assert_int_equal(w[1], 0);
	assert_int_equal(w[2], 0);
	assert_int_equal(w[3], 9);
	assert_int_equal(guest_rdmsr(v, MSR_PV_WALL_CLOCK), 0x200ffc);
	w[0] = 9;
	guest_write(&vm->p2m, GPA(0), w, 4);
	assert_true(wrmsr(MSR_PV_WALL_CLOCK, 0)); /* nowhere */
	read_back(0, w, 4);
	assert_int_equal(w[0], 9);
}

static void use_up_the_host(u32 *taken, u32 *n)
{
	for (*n = 0; *n < 8192 && !frame_alloc_hv(0, &taken[*n]); ++*n)
		;
}

/* No frame: no #GP. The vCPU waits, and repeats the WRMSR when there is a frame. */
static void waits_for_memory(void **state)
{
	static u32 taken[8192];
	u32 n;

	(void)state;
	assert_int_equal(guest_write(&vm->p2m, GPA(0x3ff000), "x", 1), HV_OK);
	use_up_the_host(taken, &n);
	for (int second = 0; second < 2; second++) {
		u32 msr = second ? MSR_PV_WALL_CLOCK : MSR_PV_SYSTEM_TIME;
		u64 value = 0x400000 + (u64)second * PAGE_SIZE - 4;

		value |= !second;
		v->next = VCPU_READY;
		v->slice_end = UINT64_MAX;
		fake_log_clear();
		vm->wait_logged = 0;
		assert_true(guest_wrmsr(v, msr, value));
		assert_int_equal(v->advance, 0); /* RIP stays */
		assert_int_equal(v->next, VCPU_NO_MEMORY);
		assert_int_equal(v->slice_end, 0);
		assert_true(fake_log_has("paused until memory comes back"));
		assert_int_equal(vm->state, VM_RUNNING);
		assert_int_equal(frame_free_hv(taken[--n]), HV_OK);
		v->next = VCPU_READY;
		assert_true(wrmsr(msr, value));
		assert_int_equal(v->next, VCPU_READY);
		assert_int_equal(guest_rdmsr(v, msr), value);
	}
	expect_time_at(0x400000 - 4);
	tables_check(&vm->p2m);
}

/* Frames are in quarantine: the CPU tries again and does not sleep. */
static void frames_on_their_way(void **state)
{
	static u32 taken[8192];
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;
	u32 n;

	(void)state;
	assert_int_equal(guest_write(&vm->p2m, GPA(0x500000), "x", 1), HV_OK);
	use_up_the_host(taken, &n);
	spin_lock(&vm->p2m.lock);
	assert_int_equal(p2m_lock(&vm->p2m, 0x500, ORDER_4K, &b, &work), HV_OK);
	p2m_commit(&vm->p2m, &b);
	spin_unlock(&vm->p2m.lock);
	v->next = VCPU_READY;
	assert_true(guest_wrmsr(v, MSR_PV_SYSTEM_TIME, 0x501001));
	assert_int_equal(v->advance, 0);
	assert_int_equal(v->next, VCPU_READY);
	fake_settle();
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, 0x501001));
	expect_time_at(0x501000);
}

static u64 system_time_at(u64 gpa, u64 tsc)
{
	u32 w[8];

	read_back(gpa, w, sizeof(w));
	return to_ns(pvclock_scale(FAKE_KHZ), tsc - (w[2] | (u64)w[3] << 32));
}

/* The guest sets the TSC of one vCPU: its time goes on, and each vCPU must use its own record. */
static void tsc_written(void **state)
{
	u32 w[8];

	(void)state;
	fake.tsc += 1000000;
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, 0x200001));
	assert_true(guest_wrmsr(vm->vcpus[1], MSR_PV_SYSTEM_TIME, 0x300041));
	assert_true(wrmsr(0x10, 0x123456789));
	assert_int_equal(guest_rdmsr(v, 0x10), 0x123456789);
	fake.tsc += 500;
	assert_int_equal(guest_rdmsr(v, 0x10), 0x123456789 + 500);
	assert_int_equal(fake_of(v)->reg[GREG_TSC_OFFSET], v->tsc_offset);
	assert_int_equal(guest_rdmsr(vm->vcpus[1], 0x10), fake.tsc + vm->tsc_offset);
	assert_int_equal(system_time_at(0x200000, guest_rdmsr(v, 0x10)), fake.tsc + vm->tsc_offset);
	assert_int_equal(system_time_at(0x300040, guest_rdmsr(vm->vcpus[1], 0x10)),
			 fake.tsc + vm->tsc_offset);
	for (u64 gpa = 0x200000; gpa <= 0x300040; gpa += 0x100040) {
		read_back(gpa, w, sizeof(w));
		assert_int_equal(w[7] >> 8, 0); /* not the same on all CPUs */
	}
	/* The flag stays clear from now on. */
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, 0x400001));
	assert_int_equal(system_time_at(0x400000, guest_rdmsr(v, 0x10)), fake.tsc + vm->tsc_offset);
	pvclock_stopped(v);
	read_back(0x400000, w, sizeof(w));
	assert_int_equal(w[7] >> 8, 2);
	/* After a new start all vCPUs have one time again. */
	vm_end(vm, 0, "test");
	while (vm->state != VM_ENDED)
		vm_background();
	fake_settle();
	assert_int_equal(vm_queue_start(vm), HV_OK);
	vm_background();
	assert_int_equal(guest_rdmsr(v, 0x10), fake.tsc + vm->tsc_offset);
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, 0x200001));
	expect_time_at(0x200000);
}

/* A VM that starts again does not find the MSRs of its former life. */
static void gone_with_the_vm(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_PV_SYSTEM_TIME, 0x200001));
	assert_true(wrmsr(MSR_PV_WALL_CLOCK, 0x200040));
	vm_end(vm, 0, "test");
	while (vm->state != VM_ENDED)
		vm_background();
	fake_settle();
	assert_int_equal(vm_queue_start(vm), HV_OK);
	vm_background();
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(guest_rdmsr(v, MSR_PV_SYSTEM_TIME), 0);
	assert_int_equal(guest_rdmsr(v, MSR_PV_WALL_CLOCK), 0);
}

/* Linux looks for the signature in steps of 0x100, and for what it uses in EAX. */
static void cpuid_leaves(void **state)
{
	u32 r[4];
	char text[13] = { 0 };

	(void)state;
	pvclock_cpuid(0x40000100, r);
	memcpy(text, &r[1], 12);
	assert_string_equal(text, "KVMKVMKVM");
	assert_int_equal(r[0], 0x40000101);
	pvclock_cpuid(0x40000101, r);
	assert_int_equal(r[0], 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 24);
	assert_int_equal(r[1] | r[2] | r[3], 0);
	for (u32 leaf = 0x40000102; leaf < 0x40000200; leaf++) {
		pvclock_cpuid(leaf, r);
		assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(scale_is_exact), T(time_never_goes_back), T(time_where_the_guest_wants_it),
		T(switched_off),   T(no_such_memory),	    T(in_the_balloon),
		T(wall_clock),	   T(waits_for_memory),	    T(frames_on_their_way),
		T(tsc_written),	   T(gone_with_the_vm),	    T(cpuid_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
