/* SPDX-License-Identifier: BSD-2-Clause */
/* The place of a request's data; and other features of a disk's rings. */
#include "blk_host_fixture.h"

/* --- in the guest's own pages ------------------------------------------------------------------- */

#define PAGES_AT MIB(6) /* whole pages for data */
#define TABLES (MIB(5)) /* of indirect descriptors, a page each */

/* Request @made, in a table of its own, with data in @n places. */
static u32 ask_at(u32 queue, u32 type, u64 sector, const struct vio_piece *data, u32 n)
{
	struct {
		u32 type, reserved;
		u64 sector;
	} header = { type, 0, sector };
	u64 at = HEADERS + made * 32;
	struct vio_piece p[40] = { { at, 16, false } };
	u8 unknown = NOT_YET;

	for (u32 i = 0; i < n; i++)
		p[1 + i] = data[i];
	p[1 + n] = (struct vio_piece){ at + 16, 1, true };
	vio_put(&d, at, &header, sizeof(header));
	vio_put(&d, at + 16, &unknown, 1);
	vio_add_indirect(&d, queue, (u16)(made % VIO_QUEUE), TABLES + made * PAGE_SIZE, p, n + 2);
	vio_notify(&d, queue);
	return made++;
}

static hpa_t frame_of(u64 gpa)
{
	return HPA((u64)p2m_lookup(&vm->p2m, gpa >> PAGE_SHIFT).frame << PAGE_SHIFT);
}

/* The device gets the guest's frames, in order, and nobody takes them meanwhile. */
static void no_copy(void **state)
{
	static const struct vio_piece data[] = { { PAGES_AT + MIB(2), 4096, true },
						 { PAGES_AT, 8192, true },
						 { PAGES_AT + MIB(4), 1024, true } };
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 gfn = PAGES_AT >> PAGE_SHIFT, work = 0;
	struct block_request *r;
	u8 got[4096];

	(void)state;
	hold = true;
	ask_at(0, IN, 1, data, 3);
	assert_int_equal(nr_held, 1);
	r = held[0];
	assert_int_equal(r->nr_pieces, 4);
	assert_int_equal(r->bytes, 13312);
	assert_int_equal(r->piece[0].at.v, frame_of(PAGES_AT + MIB(2)).v);
	assert_int_equal(r->piece[1].at.v, frame_of(PAGES_AT).v);
	assert_int_equal(r->piece[2].at.v, frame_of(PAGES_AT + 4096).v);
	assert_int_equal(r->piece[3].at.v, frame_of(PAGES_AT + MIB(4)).v);
	assert_int_equal(r->piece[3].bytes, 1024);
	spin_lock(&vm->p2m.lock);
	assert_int_equal(p2m_lock(&vm->p2m, gfn, ORDER_4K, &b, &work), HV_EBUSY);
	assert_int_equal(p2m_report(&vm->p2m, gfn, ORDER_4K, &b, &work), HV_EBUSY);
	spin_unlock(&vm->p2m.lock);
	carry_out(r, HV_OK);
	spin_lock(&vm->p2m.lock);
	assert_int_equal(p2m_lock(&vm->p2m, gfn + 1, ORDER_4K, &b, &work), HV_OK);
	p2m_commit(&vm->p2m, &b);
	spin_unlock(&vm->p2m.lock);
	go_on();
	assert_int_equal(status_of(0), OK);
	vio_get(&d, PAGES_AT + MIB(2), got, sizeof(got));
	assert_memory_equal(got, disk + 512, sizeof(got));
	vio_get(&d, PAGES_AT + MIB(4), got, 1024);
	assert_memory_equal(got, disk + 512 + 12288, 1024);
	assert_int_equal(vm->bus->disk[0].host->bounced, 0);
}

/* A large page stays large, and is pinned once, for any parts of it. */
static void a_large_page_stays(void **state)
{
	struct vio_piece data = { MIB(8) + 4096, KIB(128), false };
	struct blk_host *h = vm->bus->disk[0].host;
	enum p2m_kind kind;

	(void)state;
	device.max_bytes = KIB(128);
	while (frame_scrub_one())
		;
	spin_lock(&vm->p2m.lock);
	assert_int_equal(p2m_populate(&vm->p2m, MIB(8) >> PAGE_SHIFT, ORDER_2M, 0, &kind), HV_OK);
	spin_unlock(&vm->p2m.lock);
	assert_int_equal(p2m_lookup(&vm->p2m, MIB(8) >> PAGE_SHIFT).order, ORDER_2M);
	hold = true;
	ask_at(0, OUT, 1, &data, 1);
	assert_int_equal(nr_held, 1);
	assert_int_equal(held[0]->nr_pieces, 32);
	assert_int_equal(h->slot[0].nr_pinned, 1);
	carry_out(held[0], HV_OK);
	assert_int_equal(h->slot[0].nr_pinned, 0);
	assert_int_equal(p2m_lookup(&vm->p2m, MIB(8) >> PAGE_SHIFT).order, ORDER_2M);
}

/*
 * Whole pages, then data that is not on page boundaries, then pages: each part in its way, none
 * lost.
 */
static void whole_pages_and_others(void **state)
{
	static const struct vio_piece data[] = { { PAGES_AT, 8192, false },
						 { PAGES_AT + 0x5200, 512, false },
						 { PAGES_AT + 0x8000, 4096 - 512, false },
						 { PAGES_AT + 0xa000, 4096, false } };
	u8 mine[16384], *at = mine;
	struct blk_host *h = vm->bus->disk[0].host;

	(void)state;
	for (u32 i = 0; i < sizeof(mine); i++)
		mine[i] = (u8)(i * 11 + i / 512);
	for (u32 i = 0; i < 4; at += data[i++].length)
		vio_put(&d, data[i].gpa, at, data[i].length);
	ask_at(0, OUT, 5, data, 4);
	go_on();
	assert_int_equal(status_of(0), OK);
	assert_memory_equal(disk + 5 * 512, mine, sizeof(mine));
	assert_int_equal(h->direct, 1);
	assert_int_equal(h->bounced, 1);
}

/* More of them than there are bounces: the others wait, and each has its turn. */
static void bounces_run_out(void **state)
{
	(void)state;
	hold = true;
	for (u32 i = 0; i < 7; i++)
		ask_at(0, OUT, i, &(struct vio_piece){ DATA + i * 4096, 512, false }, 1);
	go_on();
	assert_int_equal(nr_held, BLK_BOUNCES);
	for (u32 i = 0; i < 7; i++) {
		assert_true(nr_held > i);
		carry_out(held[i], HV_OK);
		go_on();
		assert_int_equal(nr_held, min(i + 1 + BLK_BOUNCES, 7u));
	}
	for (u32 i = 0; i < 7; i++)
		assert_int_equal(status_of(i), OK);
	/* Now the device looks at a waiting request before the one that makes room for it. */
	nr_held = 0;
	for (u32 i = 0; i < 5; i++)
		ask_at(0, OUT, i, &(struct vio_piece){ DATA + i * 4096, 512, false }, 1);
	assert_int_equal(nr_held, BLK_BOUNCES);
	carry_out(held[0], HV_OK);
	go_on(); /* slot 0 is free, and slot 4 has its bounce */
	assert_int_equal(nr_held, 5);
	ask_at(0, OUT, 6, &(struct vio_piece){ DATA, 512, false }, 1); /* in slot 0 */
	carry_out(held[4], HV_OK);
	bus_work(true);
	assert_true(vm->bus->slot[SLOT_DISK].due <= fake.tsc);
	go_on();
	assert_int_equal(nr_held, 6);
}

/* The pins outlive the device's reset, until the host's device is done. */
static void a_reset_with_pins(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;

	(void)state;
	hold = true;
	ask_at(0, IN, 1, &(struct vio_piece){ PAGES_AT, 4096, true }, 1);
	assert_int_equal(nr_held, 1);
	vio_write(&d, VIO_STATUS, 0);
	spin_lock(&vm->p2m.lock);
	assert_int_equal(p2m_lock(&vm->p2m, PAGES_AT >> PAGE_SHIFT, ORDER_4K, &b, &work), HV_EBUSY);
	spin_unlock(&vm->p2m.lock);
	carry_out(held[0], HV_OK);
	spin_lock(&vm->p2m.lock);
	assert_int_equal(p2m_lock(&vm->p2m, PAGES_AT >> PAGE_SHIFT, ORDER_4K, &b, &work), HV_OK);
	p2m_commit(&vm->p2m, &b);
	spin_unlock(&vm->p2m.lock);
}

/* The guest takes the queue away while a request is in flight. */
static void no_queue_any_more(void **state)
{
	(void)state;
	hold = true;
	ask_at(0, IN, 1, &(struct vio_piece){ PAGES_AT, 4096, true }, 1);
	vio_write(&d, VIO_QUEUE_SEL, 0);
	vio_write(&d, VIO_QUEUE_READY, 0);
	carry_out(held[0], HV_OK);
	go_on();
	assert_true(vio_read(&d, VIO_STATUS) & BIT(6));
	assert_true(fake_log_has("a queue was taken away"));
	assert_int_equal(vm->bus->disk[0].host->slot[0].state, SLOT_FREE);
}

/* --- rings -------------------------------------------------------------------------------------- */

static const char *breaks(u64 table, u32 length, u16 flags, u16 inner)
{
	struct {
		u64 gpa;
		u32 length;
		u16 flags, next;
	} desc = { table, length, flags, 1 }, in = { PAGES_AT, 16, inner, 0 };

	vio_write(&d, VIO_STATUS, 0);
	d.avail[0] = d.used[0] = 0;
	start_device();
	fake_log_clear();
	vio_put(&d, TABLES, &in, sizeof(in));
	vio_put(&d, vio_desc_at(&d, 0), &desc, sizeof(desc));
	vio_put(&d, vio_avail_at(&d, 0) + 2, &(u16){ 1 }, 2);
	vio_notify(&d, 0);
	assert_true(vio_read(&d, VIO_STATUS) & BIT(6));
	return fake_log_has("malformed")     ? "malformed" :
	       fake_log_has("is a loop")     ? "loop" :
	       fake_log_has("not in memory") ? "no memory" :
	       fake_log_has("its status")    ? "no status" :
					       "";
}

static void indirect_tables(void **state)
{
	(void)state;
	assert_string_equal(breaks(TABLES, 16, 4, 4), "malformed"); /* a table in a table */
	assert_string_equal(breaks(TABLES, 16, 4 | 1, 0), "malformed");
	assert_string_equal(breaks(TABLES, 16, 4 | 2, 0), "malformed");
	assert_string_equal(breaks(TABLES, 15, 4, 0), "malformed");
	assert_string_equal(breaks(TABLES, 0, 4, 0), "malformed");
	assert_string_equal(breaks(TABLES, 16 * (VIRTQ_SIZE + 1), 4, 0), "malformed");
	assert_string_equal(breaks(BIT(60), 16, 4, 0), "malformed");
	assert_string_equal(breaks(TABLES, 16, 4, 1), "loop"); /* its next is itself */
	assert_string_equal(breaks(cfg.memory, 16, 4, 0), "no memory");
	assert_string_equal(breaks(TABLES, 16, 4, 0), "no status"); /* the table is sound */
}

/* No interrupt before the guest wants one, no notice before we do. */
static void events(void **state)
{
	struct vio_piece data = { PAGES_AT, 4096, true };
	u32 head, written;
	u16 before;

	(void)state;
	hold = true;
	vio_put(&d, vio_avail_at(&d, 0) + 4 + VIO_QUEUE * 2, &(u16){ 2 }, 2);
	for (u32 i = 0; i < 4; i++)
		ask_at(0, IN, i, &data, 1);
	before = d.avail[0];
	for (u32 i = 0; i < 3; i++) {
		assert_false(vio_interrupted(&d));
		carry_out(held[i], HV_OK);
		go_on();
	}
	assert_true(vio_interrupted(&d)); /* the third passes 2 */
	for (u32 i = 0; i < 3; i++)
		assert_true(vio_used(&d, 0, &head, &written));
	/* One request is in flight: the driver must notify the next. */
	d.avail[0]++;
	assert_true(vio_must_notify(&d, 0, before));
	d.avail[0] = before;
	for (u32 i = 0; i < 3; i++)
		ask_at(0, IN, i, &data, 1);
	/* Four are in flight: two more may come without notice. */
	before = d.avail[0];
	d.avail[0] += 2;
	assert_false(vio_must_notify(&d, 0, before));
	d.avail[0]++;
	assert_true(vio_must_notify(&d, 0, before));
}

static void several_queues(void **state)
{
	struct vio_piece data = { PAGES_AT, 4096, true };
	u32 head, written;

	(void)state;
	vio_write(&d, VIO_STATUS, 0);
	d = (struct vio){ .v = vm->vcpus[0], .slot = SLOT_DISK, .rings = RINGS };
	vio_start(&d, 3);
	ask_at(2, IN, 7, &data, 1);
	ask_at(1, IN, 8, &data, 1);
	go_on();
	assert_true(vio_used(&d, 2, &head, &written));
	assert_int_equal(head, 0);
	assert_true(vio_used(&d, 1, &head, &written));
	assert_int_equal(head, 1);
	assert_false(vio_used(&d, 0, &head, &written));
}

/* --- DISCARD, WRITE_ZEROES ------------------------------------------------------------------------ */

static u8 range(u32 type, u64 sector, u32 sectors, u32 flags)
{
	struct {
		u64 sector;
		u32 sectors, flags;
	} r = { sector, sectors, flags };
	u32 head, written, request;

	vio_put(&d, DATA, &r, sizeof(r));
	request = ask_at(0, type, 0, &(struct vio_piece){ DATA, sizeof(r), false }, 1);
	go_on();
	assert_true(vio_used(&d, 0, &head, &written));
	return status_of(request);
}

static bool all(u64 sector, u32 sectors, u8 byte)
{
	for (u64 i = sector * 512; i < (sector + sectors) * 512; i++)
		if (disk[i] != byte)
			return false;
	return true;
}

enum { DISCARD = 11, ZEROES = 13 };

static void zeroes(void **state)
{
	u8 behind;

	(void)state;
	for (int own = 0; own < 2; own++) {
		device.max_zero = own ? KIB(256) : 0;
		memset(disk, 0xaa, sizeof(disk));
		submitted = 0;
		assert_int_equal(range(ZEROES, 5, 1500, own), OK);
		assert_true(all(5, 1500, 0) && all(0, 5, 0xaa) && all(1505, 100, 0xaa));
		assert_int_equal(submitted, own ? 3 : 12);
	}
	behind = disk[SECTORS * 512 - 1];
	assert_int_equal(range(ZEROES, SECTORS - 1, 2, 0), IOERR);
	assert_int_equal(range(ZEROES, UINT64_MAX, 1, 0), IOERR);
	assert_int_equal(range(ZEROES, 0, 0, 0), IOERR);
	assert_int_equal(range(ZEROES, 0, UINT32_MAX, 0), IOERR);
	assert_int_equal(range(ZEROES, 0, 1, 2), UNSUPP);
	assert_int_equal(disk[SECTORS * 512 - 1], behind);
}

static void discards(void **state)
{
	(void)state;
	assert_int_equal(range(DISCARD, 5, 8, 0), UNSUPP); /* not offered */
	fake_machine_off();
	discard = true;
	start(false);
	discard = false;
	vio_write(&d, VIO_DEVICE_FEATURES_SEL, 0);
	assert_true(vio_read(&d, VIO_DEVICE_FEATURES) & BIT(13));
	assert_int_equal(range(DISCARD, 5, 8, 0), OK);
	assert_true(all(5, 8, 0xdd));
	assert_int_equal(range(DISCARD, 5, 8, 1), UNSUPP);
	assert_int_equal(range(DISCARD, SECTORS, 1, 0), IOERR);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_copy),
		T(a_large_page_stays),
		T(whole_pages_and_others),
		T(bounces_run_out),
		T(a_reset_with_pins),
		T(no_queue_any_more),
		T(indirect_tables),
		T(events),
		T(several_queues),
		T(zeroes),
		T(discards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
