/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio's transport and rings, by its simplest device; and rings that no driver would make. */
#include <tests/fake/virtio.h>

#include <hv/dev/virtio_rng.h>
#include <hv/load/images.h>
#include <hv/emulate/mmio.h>
#include <hv/vm/sched.h>

#define RINGS MIB(2)
#define BUFFER MIB(3)
#define MS FAKE_KHZ

static struct vm_config cfg;
static struct vm *vm;
static struct vio rng;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 2);
	cfg = guest_config("v");
	cfg.nr_disks = 1; /* or there would be no bus */
	cfg.disk[0] = (struct disk_config){ .blank = true, .writable = MIB(1) };
	vm = guest_start(&cfg);
	virtio_plug(&vm->bus->slot[SLOT_RNG], &virtio_rng, vm, SLOT_RNG, NULL);
	rng = (struct vio){ .v = vm->vcpus[0], .slot = SLOT_RNG, .rings = RINGS };
	fake_log_clear();
	return 0;
}

static int teardown(void **state)
{
	fake.no_random = false;
	return fake_teardown(state);
}

static bool stands_still(const struct vio *d)
{
	return vio_read(d, VIO_STATUS) & 0x40;
}

static void registers(void **state)
{
	(void)state;
	assert_int_equal(vio_read(&rng, VIO_MAGIC), 0x74726976);
	assert_int_equal(vio_read(&rng, VIO_VERSION), 2);
	assert_int_equal(vio_read(&rng, VIO_DEVICE), 4);
	assert_int_equal(vio_read(&rng, VIO_QUEUE_MAX), VIRTQ_SIZE);
	vio_write(&rng, VIO_QUEUE_SEL, 1); /* has one queue */
	assert_int_equal(vio_read(&rng, VIO_QUEUE_MAX), 0);
	vio_write(&rng, VIO_QUEUE_SEL, UINT32_MAX);
	assert_int_equal(vio_read(&rng, VIO_QUEUE_MAX), 0);
	vio_write(&rng, VIO_QUEUE_READY, 1);
	assert_int_equal(vio_read(&rng, VIO_QUEUE_READY), 0);
	vio_write(&rng, VIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(vio_read(&rng, VIO_DEVICE_FEATURES), 1); /* VERSION_1 */
	vio_write(&rng, VIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(vio_read(&rng, VIO_DEVICE_FEATURES), 0);
	/* No shared memory: lengths of all ones. */
	assert_int_equal(vio_read(&rng, 0xb0), UINT32_MAX);
	assert_int_equal(vio_read(&rng, 0xb4), UINT32_MAX);
	/* Other sizes than 32 bits, and slots that are empty. */
	assert_int_equal(mmio_read(rng.v, GPA(VIRTIO_BASE + SLOT_RNG * VIRTIO_STRIDE), 1), 0);
	assert_int_equal(mmio_read(rng.v, GPA(VIRTIO_BASE + 7 * VIRTIO_STRIDE), 4), 0);
	mmio_write(rng.v, GPA(VIRTIO_BASE + 7 * VIRTIO_STRIDE + VIO_STATUS), 4, 1);
	assert_int_equal(mmio_read(rng.v, GPA(VIRTIO_BASE + VIRTIO_SLOTS * VIRTIO_STRIDE), 4),
			 UINT32_MAX);
}

static void features_are_negotiated(void **state)
{
	(void)state;
	vio_write(&rng, VIO_STATUS, 3);
	vio_write(&rng, VIO_STATUS, 11);
	assert_int_equal(vio_read(&rng, VIO_STATUS), 3); /* without VERSION_1 */
	vio_write(&rng, VIO_DRIVER_FEATURES_SEL, 1);
	vio_write(&rng, VIO_DRIVER_FEATURES, 3); /* a feature that was not offered */
	vio_write(&rng, VIO_STATUS, 11);
	assert_int_equal(vio_read(&rng, VIO_STATUS), 3);
	vio_write(&rng, VIO_DRIVER_FEATURES, 1);
	vio_write(&rng, VIO_STATUS, 11);
	assert_int_equal(vio_read(&rng, VIO_STATUS), 11);
	vio_write(&rng, VIO_DRIVER_FEATURES, 0); /* too late */
	vio_write(&rng, VIO_STATUS, 15);
	assert_int_equal(vio_read(&rng, VIO_STATUS), 15);
	assert_int_equal(vm->bus->slot[SLOT_RNG].features, VIRTIO_F_VERSION_1);
	vio_write(&rng, VIO_STATUS, 0);
	assert_int_equal(vio_read(&rng, VIO_STATUS), 0);
	assert_int_equal(vm->bus->slot[SLOT_RNG].features, 0);
}

static void a_request(void **state)
{
	struct vio_piece p[2] = { { BUFFER, 8, true }, { BUFFER + 0x100, 32, true } };
	u8 bytes[64] = { 0 };
	u32 head, written;

	(void)state;
	vio_start(&rng, 1);
	for (int turn = 0; turn < 20; turn++) { /* past the end of the rings */
		u16 first = (u16)(turn * 3 % VIO_QUEUE);

		vio_add(&rng, 0, first, p, 2);
		assert_false(vio_used(&rng, 0, &head, &written));
		vio_notify(&rng, 0);
		assert_true(vio_used(&rng, 0, &head, &written));
		assert_int_equal(head, first);
		assert_int_equal(written, 40);
		assert_false(vio_used(&rng, 0, &head, &written));
		assert_true(vio_interrupted(&rng));
		assert_false(vio_interrupted(&rng));
	}
	vio_get(&rng, BUFFER, bytes, 8);
	assert_false(fake_is_zero(bytes, 8));
	vio_get(&rng, BUFFER + 8, bytes, 8);
	assert_true(fake_is_zero(bytes, 8)); /* not beyond the piece */
	vio_get(&rng, BUFFER + 0x100, bytes, 64);
	assert_false(fake_is_zero(bytes, 32));
	assert_true(fake_is_zero(bytes + 32, 32));
}

static void no_entropy(void **state)
{
	struct vio_piece p = { BUFFER, 64, true };
	u32 head, written;

	(void)state;
	vio_start(&rng, 1);
	fake.no_random = true;
	vio_add(&rng, 0, 0, &p, 1);
	vio_notify(&rng, 0);
	assert_true(vio_used(&rng, 0, &head, &written));
	assert_int_equal(written, 0); /* and not 64 zeroes */
}

static void the_driver_polls(void **state)
{
	struct vio_piece p = { BUFFER, 8, true };
	u16 flags = 1;
	u32 head, written;

	(void)state;
	vio_start(&rng, 1);
	vio_put(&rng, vio_avail_at(&rng, 0), &flags, sizeof(flags));
	vio_add(&rng, 0, 0, &p, 1);
	vio_notify(&rng, 0);
	assert_true(vio_used(&rng, 0, &head, &written));
	assert_false(vio_interrupted(&rng));
}

/* A driver that notifies before it is ready, or when nothing waits. */
static void nothing_to_do(void **state)
{
	(void)state;
	vio_notify(&rng, 0);
	vio_notify(&rng, UINT32_MAX);
	vio_start(&rng, 0); /* no queue is ready */
	vio_notify(&rng, 0);
	vio_start(&rng, 1);
	vio_notify(&rng, 0);
	assert_false(vio_interrupted(&rng));
	assert_false(stands_still(&rng));
}

/* A queue's place and size. */
static void queues_that_cannot_be(void **state)
{
	static const struct {
		u32 num;
		u64 desc, avail, used;
	} bad[] = {
		{ 0, RINGS, RINGS, RINGS },	{ 3, RINGS, RINGS, RINGS },
		{ 256, RINGS, RINGS, RINGS },	{ 0x10008, RINGS, RINGS, RINGS },
		{ 8, RINGS + 8, RINGS, RINGS }, { 8, RINGS, RINGS + 1, RINGS },
		{ 8, RINGS, RINGS, RINGS + 2 }, { 8, UINT64_MAX & ~15UL, RINGS, RINGS },
		{ 8, RINGS, BIT(52), RINGS },	{ 8, RINGS, RINGS, BIT(63) },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		vio_start(&rng, 0);
		vio_write(&rng, VIO_QUEUE_SEL, 0);
		vio_write(&rng, VIO_QUEUE_NUM, bad[i].num);
		vio_write(&rng, VIO_DESC, (u32)bad[i].desc);
		vio_write(&rng, VIO_DESC + 4, (u32)(bad[i].desc >> 32));
		vio_write(&rng, VIO_AVAIL, (u32)bad[i].avail);
		vio_write(&rng, VIO_AVAIL + 4, (u32)(bad[i].avail >> 32));
		vio_write(&rng, VIO_USED, (u32)bad[i].used);
		vio_write(&rng, VIO_USED + 4, (u32)(bad[i].used >> 32));
		vio_write(&rng, VIO_QUEUE_READY, 1);
		assert_int_equal(vio_read(&rng, VIO_QUEUE_READY), 0);
		assert_true(stands_still(&rng));
		assert_int_equal(vio_read(&rng, VIO_ISR), 2); /* the configuration has changed */
	}
}

static void a_queue_in_use_stays_where_it_is(void **state)
{
	struct vio_piece p = { BUFFER, 8, true };
	u32 head, written;

	(void)state;
	vio_start(&rng, 1);
	vio_write(&rng, VIO_QUEUE_NUM, 4);
	vio_write(&rng, VIO_DESC, 0xdead0000);
	vio_write(&rng, VIO_USED, 0xdead0000);
	vio_add(&rng, 0, 7, &p, 1); /* is still there */
	vio_notify(&rng, 0);
	assert_true(vio_used(&rng, 0, &head, &written));
	assert_int_equal(head, 7);
}

/* One bad ring each; the device stops, says so, and works again after a reset. */
static void broken(void (*make)(void))
{
	struct vio_piece good = { BUFFER, 8, true };
	u32 head, written;

	vio_start(&rng, 1);
	fake_log_clear();
	make();
	vio_notify(&rng, 0);
	assert_true(stands_still(&rng));
	assert_true(fake_log_has("stands still"));
	assert_false(vio_used(&rng, 0, &head, &written));
	fake_log_clear();
	vio_notify(&rng, 0);
	assert_false(fake_log_has("stands still")); /* once is enough */
	vio_start(&rng, 1);
	vio_add(&rng, 0, 0, &good, 1);
	vio_notify(&rng, 0);
	assert_true(vio_used(&rng, 0, &head, &written));
	assert_int_equal(written, 8);
}

static void put16(u64 gpa, u16 value)
{
	vio_put(&rng, gpa, &value, 2);
}

static void too_many(void)
{
	put16(vio_avail_at(&rng, 0) + 2, VIO_QUEUE + 1);
}

static void head_outside(void)
{
	put16(vio_avail_at(&rng, 0) + 4, VIO_QUEUE);
	put16(vio_avail_at(&rng, 0) + 2, 1);
}

static void next_outside(void)
{
	struct vio_piece p[2] = { { BUFFER, 8, true }, { BUFFER, 8, true } };

	vio_add(&rng, 0, 0, p, 2);
	put16(vio_desc_at(&rng, 0) + 14, VIO_QUEUE);
}

static void a_loop(void)
{
	struct vio_piece p[2] = { { BUFFER, 8, true }, { BUFFER, 8, true } };

	vio_add(&rng, 0, 0, p, 2);
	put16(vio_desc_at(&rng, 0) + 16 + 12, 3);
	put16(vio_desc_at(&rng, 0) + 16 + 14, 0);
}

static void indirect(void)
{
	struct vio_piece p = { BUFFER, 16, true };

	vio_add(&rng, 0, 0, &p, 1);
	put16(vio_desc_at(&rng, 0) + 12, 4);
}

static void read_after_write(void)
{
	struct vio_piece p[2] = { { BUFFER, 8, true }, { BUFFER, 8, false } };

	vio_add(&rng, 0, 0, p, 2);
}

static void address_too_high(void)
{
	struct vio_piece p = { UINT64_MAX - 3, 8, true };

	vio_add(&rng, 0, 0, &p, 1);
}

static void not_memory(void)
{
	struct vio_piece p = { VIRTIO_BASE, 8, true };

	vio_add(&rng, 0, 0, &p, 1);
}

static void beyond_memory(void)
{
	struct vio_piece p = { cfg.memory - 4, 8, true };

	vio_add(&rng, 0, 0, &p, 1);
}

static void bad_rings(void **state)
{
	static void (*const makes[])(void) = { too_many,   head_outside,  next_outside,
					       a_loop,	   indirect,	  read_after_write,
					       not_memory, beyond_memory, address_too_high };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(makes); i++)
		broken(makes[i]);
}

/* The rings are in the balloon: nothing is popped, the device stops. */
static void rings_are_gone(void **state)
{
	u64 batch[512] = { RINGS };

	(void)state;
	vio_start(&rng, 1);
	vio_put(&rng, BUFFER, batch, sizeof(batch));
	assert_int_equal(guest_call(rng.v, AERO_CALL_START, AERO_ABI_VERSION, 0, 0), 0);
	assert_int_equal(guest_call(rng.v, AERO_CALL_LOCK, BUFFER, 1, 0), 0);
	assert_int_equal(vm->p2m.ballooned, 1);
	vio_notify(&rng, 0);
	assert_true(stands_still(&rng));
	assert_int_equal(vm->p2m.ballooned, 1);
}

/* No frame for the device's answer: the request waits, and nothing is lost. */
static void no_memory(void **state)
{
	struct vio_piece p = { BUFFER, 8, true };
	struct virtio *d = &vm->bus->slot[SLOT_RNG];
	u32 head, written, taken[20000], n = 0;

	(void)state;
	vio_start(&rng, 1);
	vio_add(&rng, 0, 0, &p, 1);
	vm->p2m.acct.min = 0;
	frame_reserve_drop(&vm->p2m.acct);
	while (!frame_alloc_hv(0, &taken[n]))
		n++;
	vio_notify(&rng, 0);
	assert_false(stands_still(&rng));
	assert_false(vio_used(&rng, 0, &head, &written));
	assert_int_equal(d->due, fake.tsc + MS);
	assert_true(sched_next_event() <= d->due);
	fake.tsc += MS;
	bus_work(true); /* still none */
	assert_false(vio_used(&rng, 0, &head, &written));
	while (n)
		frame_free_hv(taken[--n]);
	fake.tsc += MS;
	bus_work(true);
	assert_true(vio_used(&rng, 0, &head, &written));
	assert_int_equal(written, 8);
	assert_true(vio_interrupted(&rng));
	assert_int_equal(d->due, UINT64_MAX);
}

/* Any bytes in rings and registers: the sanitizers find nothing, and the VM lives. */
static void fuzz(void **state)
{
	u64 seed = 0x5eed;

	(void)state;
	for (u32 round = 0; round < 3000; round++) {
		u8 junk[PAGE_SIZE];

		vio_start(&rng, 1);
		for (u32 i = 0; i < sizeof(junk); i++)
			junk[i] = (u8)(fake_random(&seed) >> 11);
		if (round % 2) { /* nearly right: few chains, small numbers, places in memory */
			for (u32 i = 0; i < VIO_QUEUE; i++) {
				u64 gpa = fake_random(&seed) % (cfg.memory + 0x2000);

				memcpy(junk + i * 16, &gpa, 8);
				memset(junk + i * 16 + 10, 0, 2);
				junk[i * 16 + 12] &= 3;
				junk[i * 16 + 13] = 0;
				junk[i * 16 + 14] %= VIO_QUEUE + 1;
				junk[i * 16 + 15] = 0;
				junk[0x404 + i * 2] %= VIO_QUEUE;
				junk[0x405 + i * 2] = 0;
			}
			junk[0x402] = (u8)(fake_random(&seed) % VIO_QUEUE);
			junk[0x403] = 0;
		}
		vio_put(&rng, RINGS, junk, sizeof(junk));
		vio_notify(&rng, 0);
		fake.tsc += 2 * MS;
		bus_work(true);
		for (u32 i = 0; i < 8; i++)
			vio_write(&rng, (u32)fake_random(&seed) & 0x1fc, (u32)fake_random(&seed));
	}
	assert_int_equal(vm->state, VM_RUNNING);
}

/* A bus without work asks for no tick. */
static void idle_bus(void **state)
{
	(void)state;
	vio_start(&rng, 1);
	sched_init();
	bus_work(true);
	assert_int_equal(sched_next_event(), UINT64_MAX);
}

/* After a VM has ended its devices do no work. */
static void ended(void **state)
{
	struct vio_piece p = { BUFFER, 8, true };
	u32 head, written;

	(void)state;
	vio_start(&rng, 1);
	vio_add(&rng, 0, 0, &p, 1);
	vm->bus->slot[SLOT_RNG].due = fake.tsc;
	vm_end(vm, 0, "test");
	bus_quiesce(vm);
	bus_work(true);
	virtio_work_due(&vm->bus->slot[SLOT_RNG], fake.tsc);
	assert_false(vio_used(&rng, 0, &head, &written));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(registers),
		T(features_are_negotiated),
		T(a_request),
		T(no_entropy),
		T(the_driver_polls),
		T(nothing_to_do),
		T(queues_that_cannot_be),
		T(a_queue_in_use_stays_where_it_is),
		T(bad_rings),
		T(rings_are_gone),
		T(no_memory),
		T(fuzz),
		T(idle_bus),
		T(ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
