/* SPDX-License-Identifier: BSD-2-Clause */
/* Debian's driver of a balloon: pages in and out, reports, statistics. */
#include <tests/unit/dev/virtio_balloon_fixture.h>

static void in_and_out(void **state)
{
	(void)state;
	start();
	send(INFLATE, 0x800, 256);
	assert_true(done(INFLATE));
	assert_true(vio_interrupted(&dev));
	assert_int_equal(vm->p2m.ballooned, 256);
	assert_int_equal(vm->balloon.locked, 256);
	send(DEFLATE, 0x840, 64);
	assert_true(done(DEFLATE));
	assert_int_equal(vm->p2m.ballooned, 192);
	assert_int_equal(p2m_lookup(&vm->p2m, 0x83f).kind, P2M_BALLOON);
	assert_int_equal(p2m_lookup(&vm->p2m, 0x840).kind, P2M_EMPTY);
	assert_int_equal(p2m_lookup(&vm->p2m, 0x880).kind, P2M_BALLOON);
}

/* More than one call does: the tick goes on where it stopped. */
static void a_long_list(void **state)
{
	(void)state;
	start();
	send(INFLATE, 0x800, 1000);
	for (int i = 0; i < 3; i++) {
		assert_false(done(INFLATE));
		assert_true(sched_next_event() <= fake.tsc);
		bus_work(true);
	}
	assert_true(done(INFLATE));
	assert_int_equal(vm->p2m.ballooned, 1000);
	assert_int_equal(vm->balloon.refused, 0);
}

/* Wrong entries are skipped; the others still count. */
static void wrong_pages(void **state)
{
	u32 pages[] = { 0xffffffff, 0xa0, 0x800, 0x800, (u32)(cfg.memory >> 12), 0x801 };
	struct vio_piece p = { LIST, sizeof(pages) + 3, false }; /* and bytes behind */

	(void)state;
	start();
	vio_put(&dev, LIST, pages, sizeof(pages));
	vio_add(&dev, INFLATE, 0, &p, 1);
	vio_notify(&dev, INFLATE);
	assert_true(done(INFLATE));
	assert_int_equal(vm->p2m.ballooned, 2);
	assert_int_equal(vm->balloon.refused, 4);
	p.gpa = cfg.memory - 4;
	p.length = 8;
	vio_add(&dev, INFLATE, 0, &p, 1);
	vio_notify(&dev, INFLATE);
	assert_true(vio_read(&dev, VIO_STATUS) & 0x40);
	assert_int_equal(vm->p2m.ballooned, 2);
}

static void the_target(void **state)
{
	u32 generation;

	(void)state;
	start();
	generation = vio_read(&dev, 0xfc);
	assert_int_equal(vio_read(&dev, VIO_CONFIG), 0);
	balloon_set_target(vm, 1000);
	assert_true(sched_next_event() <= fake.tsc);
	bus_work(true);
	assert_int_equal(vio_read(&dev, VIO_CONFIG), 1000);
	assert_int_equal(vio_read(&dev, VIO_ISR), 2); /* the configuration */
	assert_int_not_equal(vio_read(&dev, 0xfc), generation);
	vio_write(&dev, VIO_ACK, 2);
	bus_work(true);
	assert_int_equal(vio_read(&dev, VIO_ISR), 0); /* once */
}

/*
 * A driver that takes pages back unasked needs them: the target follows, and the policy does not
 * raise it at once.
 */
static void deflate_on_oom(void **state)
{
	(void)state;
	start();
	balloon_set_target(vm, 256);
	send(INFLATE, 0x800, 256);
	send(DEFLATE, 0x800, 100);
	assert_int_equal(vm->balloon.target, 156);
	assert_true(vm->balloon.hold_until > fake.tsc);
	assert_int_equal(vm->balloon.grow_pages, 100);
	/* If the target asked for it, that means nothing. */
	vm->balloon.hold_until = 0;
	balloon_set_target(vm, 50);
	send(DEFLATE, 0x880, 100);
	assert_int_equal(vm->balloon.target, 50);
	assert_int_equal(vm->balloon.hold_until, 0);
	assert_int_equal(vm->balloon.grow_pages, 100);
	/*
	 * In the middle of an inflation it needs the pages that it took, not the rest of the
	 * inflation.
	 */
	balloon_set_target(vm, 3000);
	send(INFLATE, 0x900, 44);
	send(DEFLATE, 0x900, 20);
	assert_int_equal(vm->balloon.target, 80);
	assert_int_equal(vm->balloon.grow_pages, 120);
	/* A target set by hand gives way, too. */
	vm->balloon.hold_until = 0;
	vm->balloon.manual = 90;
	balloon_set_target(vm, 90);
	send(DEFLATE, 0x914, 16);
	assert_int_equal(vm->balloon.target, 64);
	assert_int_equal(vm->balloon.manual, 90); /* for afterwards */
	assert_true(vm->balloon.hold_until > fake.tsc);
	assert_int_equal(vm->balloon.grow_pages, 136);
}

/* Compaction puts one page in and then takes one out: the guest needs no memory. */
static void a_page_is_exchanged(void **state)
{
	(void)state;
	start();
	balloon_set_target(vm, 1000);
	send(INFLATE, 0x800, 256);
	send(INFLATE, 0xa00, 1);
	send(DEFLATE, 0x810, 1);
	assert_int_equal(vm->p2m.ballooned, 256);
	assert_int_equal(vm->balloon.target, 1000);
	assert_int_equal(vm->balloon.hold_until, 0);
	assert_int_equal(vm->balloon.grow_pages, 0);
	/* The guest takes pages between two inflate lists; the size alone would not show it. */
	send(INFLATE, 0xb00, 256);
	send(DEFLATE, 0xb00, 256);
	assert_int_equal(vm->balloon.target, 256);
	assert_int_equal(vm->balloon.grow_pages, 256);
}

/* Taking the last page is no exchange: that would have left another. */
static void the_last_page(void **state)
{
	(void)state;
	start();
	balloon_set_target(vm, 1000);
	send(INFLATE, 0x800, 1);
	send(DEFLATE, 0x800, 1);
	assert_int_equal(vm->balloon.target, 0);
	assert_int_equal(vm->balloon.grow_pages, 1);
	assert_true(vm->balloon.hold_until > fake.tsc);
}

/* Notifies, while another vCPU fills the ring again and again; returns how often it did so. */
static u32 flood(u32 queue, u32 n)
{
	const u32 ever = 100000;

	vio_refill(&dev, queue, ever);
	send(queue, 0x800, n);
	return ever - vio_refills_left();
}

/*
 * Each call ends, the next comes after a rest, and in the end no request waits. 512 descriptors, or
 * 4096 leaf operations, of which the first entry's table takes 512.
 */
static void a_ring_that_never_ends(void **state)
{
	static const struct {
		u32 queue, pages, first, then;
	} floods[] = { { INFLATE, 1, 512, 512 },
		       { INFLATE, 256, 14, 16 },
		       { DEFLATE, 256, 16, 16 } };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(floods); i++) {
		u32 left;
		u64 begun;

		start();
		begun = fake.tsc;
		assert_int_equal(flood(floods[i].queue, floods[i].pages), floods[i].first);
		assert_int_equal(fake.tsc - begun, floods[i].first * VIO_REFILL_TSC);
		assert_true(slot->due <= fake.tsc);
		/* The same in background work, which then pauses for longer. */
		left = vio_refills_left();
		begun = fake.tsc;
		assert_true(bus_work(false));
		assert_int_equal(vio_refills_left(), left - floods[i].then);
		fake.tsc += fake.tsc - begun;
		assert_false(bus_work(false));
		assert_int_equal(vio_refills_left(), left - floods[i].then);
		fake.tsc = begun + (fake.tsc - begun) / 2 * 5 / 2;
		assert_true(bus_work(false));
		assert_int_equal(vio_refills_left(), left - 2 * floods[i].then);
		/* The other vCPU stops. */
		vio_refill(&dev, 0, 0);
		fake.tsc += 1000 * MS;
		for (u32 calls = 0; virtq_waiting(slot, floods[i].queue); calls++) {
			assert_true(calls < 8);
			bus_work(true);
		}
		assert_int_equal(vio_read(&dev, VIO_STATUS) & 0x40, 0);
	}
	assert_int_equal(frames_check(0, frames_nr()), HV_OK);
}

/* Reports, too; meanwhile the other queues have their turn. */
static void reports_that_never_end(void **state)
{
	struct vio_piece p = { MIB(8), MIB(2), true };
	u32 page = 0xc00;
	struct vio_piece list = { LIST, sizeof(page), false };

	(void)state;
	start();
	vio_put(&dev, LIST, &page, sizeof(page));
	vio_refill(&dev, REPORT, 100000);
	vio_add(&dev, REPORT, 0, &p, 1);
	vio_add(&dev, INFLATE, 0, &list, 1);
	vio_notify(&dev, REPORT);
	assert_int_equal(vio_refills_left(),
			 100000 - 511); /* the other list has a descriptor, too */
	assert_true(done(INFLATE));
	assert_int_equal(vm->p2m.ballooned, 1);
	vio_refill(&dev, 0, 0);
}

/* The host takes free blocks that are not in the balloon. */
static void reports(void **state)
{
	struct vio_piece p[3] = { { MIB(8), MIB(2), true },
				  { MIB(10) + 4096, 8192, true },
				  { MIB(12) + 5, 4096, true } };
	u64 before;

	(void)state;
	start();
	for (u64 gfn = 0x800; gfn < 0xa04; gfn++)
		guest_touch(vm->vcpus[0], gfn);
	before = vm->p2m.acct.resident;
	assert_true(before >= 0x204);
	vio_add(&dev, REPORT, 0, p, 3);
	vio_notify(&dev, REPORT);
	assert_true(done(REPORT));
	assert_int_equal(vm->p2m.acct.resident, before - 514);
	assert_int_equal(vm->p2m.ballooned, 0);
	assert_int_equal(vm->balloon.reported, 514);
	assert_int_equal(p2m_lookup(&vm->p2m, 0x800).kind, P2M_EMPTY);
	assert_int_equal(p2m_lookup(&vm->p2m, 0xa00).kind, P2M_MAPPED);
	assert_int_equal(p2m_lookup(&vm->p2m, 0xa01).kind, P2M_EMPTY);
	assert_int_equal(p2m_lookup(&vm->p2m, 0xa03).kind, P2M_MAPPED);
	assert_int_equal(vm->balloon.refused, 1); /* the one that is not on a page */
}

static void statistics(void **state)
{
	struct {
		u16 tag;
		u64 value;
	} __attribute__((packed))
	s[] = { { 4, MIB(3) }, { 5, MIB(16) }, { 6, MIB(5) }, { 7, MIB(1) }, { 99, 1 }, { 2, 7 } };
	struct vio_piece p = { STATS, sizeof(s), false };
	u32 calls;

	(void)state;
	start();
	vio_put(&dev, STATS, s, sizeof(s));
	vio_add(&dev, STATISTICS, 0, &p, 1);
	vio_notify(&dev, STATISTICS);
	assert_int_equal(vm->balloon.stats.free, 768);
	assert_int_equal(vm->balloon.stats.total, 4096);
	assert_int_equal(vm->balloon.stats.available, 1280);
	assert_int_equal(vm->balloon.stats.file, 256);
	assert_int_equal(vm->balloon.stats.major_faults, 7);
	calls = vm->balloon.calls;
	assert_false(done(STATISTICS)); /* we keep the buffer for 1 s */
	fake.tsc += 999 * MS;
	bus_work(true);
	assert_false(done(STATISTICS));
	fake.tsc += MS;
	bus_work(true);
	assert_true(done(STATISTICS));
	assert_int_equal(vm->balloon.calls, calls); /* that was us, not the guest */
	vio_add(&dev, STATISTICS, 0, &p, 1);
	vio_notify(&dev, STATISTICS);
	assert_true(vm->balloon.calls > calls);
}

static void fuzz(void **state)
{
	u64 seed = 0xba11;

	(void)state;
	for (u32 round = 0; round < 1000; round++) {
		u32 queue = round % 4;
		struct vio_piece p[3];
		u32 pages[64];

		start();
		for (u32 i = 0; i < 64; i++)
			pages[i] = 0x400 + (u32)fake_random(&seed) % 0xd00; /* not the rings */
		vio_put(&dev, LIST, pages, sizeof(pages));
		for (u32 i = 0; i < 3; i++)
			p[i] = (struct vio_piece){
				queue == REPORT ? fake_random(&seed) % MIB(20) & ~(i ? 0 : 4095UL) :
						  LIST + i * 4,
				(u32)fake_random(&seed) % (queue == REPORT ? 5000000 : 300),
				queue == REPORT || round % 5 == i
			};
		for (u32 i = 1; i < 3; i++)
			p[i].write |= p[i - 1].write;
		vio_add(&dev, queue, 0, p, 3);
		vio_notify(&dev, queue);
		for (u32 i = 0; i < 20; i++)
			(fake.tsc += MS, bus_work(true));
		fake_settle();
	}
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(frames_check(0, frames_nr()), HV_OK);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(in_and_out),
		T(a_long_list),
		T(wrong_pages),
		T(the_target),
		T(deflate_on_oom),
		T(a_page_is_exchanged),
		T(the_last_page),
		T(a_ring_that_never_ends),
		T(reports_that_never_end),
		T(reports),
		T(statistics),
		T(fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
