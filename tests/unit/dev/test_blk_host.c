/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks of guests on disks of the host: many requests in flight, and events meanwhile. */
#include "blk_host_fixture.h"

/* Makes request number @made available: its descriptors are 3 * (made % 2). */
static u32 ask(u32 type, u64 sector, u64 gpa, u32 bytes)
{
	struct {
		u32 type, reserved;
		u64 sector;
	} header = { type, 0, sector };
	u64 at = HEADERS + made * 32;
	struct vio_piece p[3] = { { at, 16, false },
				  { gpa, bytes, type != OUT },
				  { at + 16, 1, true } };
	u8 unknown = NOT_YET;

	vio_put(&d, at, &header, sizeof(header));
	vio_put(&d, at + 16, &unknown, 1);
	if (!bytes)
		p[1] = p[2];
	vio_add(&d, 0, (u16)(made % 2 * 3), p, bytes ? 3 : 2);
	vio_notify(&d, 0);
	return made++;
}

static u8 carried_out(u32 type, u64 sector, u64 gpa, u32 bytes)
{
	u32 request = ask(type, sector, gpa, bytes), head, written;

	go_on();
	assert_true(vio_used(&d, 0, &head, &written));
	if (status_of(request) == OK && type == IN)
		assert_int_equal(written, bytes + 1);
	return status_of(request);
}

static void what_it_is(void **state)
{
	(void)state;
	assert_int_equal(vio_read(&d, VIO_DEVICE), 2);
	assert_int_equal(vio_read(&d, VIO_CONFIG), SECTORS);
	vio_write(&d, VIO_DEVICE_FEATURES_SEL, 0);
	assert_false(vio_read(&d, VIO_DEVICE_FEATURES) & BIT(5)); /* not read-only */
	assert_true(vio_read(&d, VIO_DEVICE_FEATURES) & BIT(9));  /* FLUSH */
	assert_int_equal(carried_out(GET_ID, 0, DATA, 20), OK);
}

static void data_goes_both_ways(void **state)
{
	u8 *mine = calloc(1, KIB(200)), *got = calloc(1, KIB(200));

	(void)state;
	for (u32 i = 0; i < KIB(200); i++)
		mine[i] = (u8)(i * 13 + i / 4096);
	for (u32 bytes = 512; bytes <= KIB(200); bytes = bytes * 3 / 512 * 512 + 512) {
		assert_int_equal(carried_out(IN, 9, DATA, bytes), OK);
		vio_get(&d, DATA, got, bytes);
		assert_memory_equal(got, disk + 9 * 512, bytes);
		vio_put(&d, DATA, mine, bytes);
		assert_int_equal(carried_out(OUT, 9, DATA, bytes), OK);
		assert_memory_equal(mine, disk + 9 * 512, bytes);
	}
	assert_int_equal(carried_out(FLUSH, 0, 0, 0), OK);
	assert_int_equal(flushes, 1);
	free(mine);
	free(got);
}

static void not_its_own(void **state)
{
	(void)state;
	assert_int_equal(carried_out(IN, SECTORS, DATA, 512), IOERR);
	assert_int_equal(carried_out(IN, SECTORS - 1, DATA, 1024), IOERR);
	assert_int_equal(carried_out(OUT, UINT64_MAX, DATA, 512), IOERR);
	assert_int_equal(carried_out(OUT, UINT64_MAX / 512, DATA, 512), IOERR);
	assert_int_equal(carried_out(IN, 0, DATA, 100), IOERR);
	assert_int_equal(carried_out(77, 0, DATA, 512), UNSUPP);
	assert_int_equal(carried_out(IN, 0, cfg.memory, 512), IOERR);
	assert_int_equal(carried_out(OUT, 0, cfg.memory, 512), IOERR);
	assert_int_equal(carried_out(IN, 0, DATA, 512), OK);
}

static void read_only(void **state)
{
	u8 before = disk[0];

	(void)state;
	fake_machine_off();
	start(true);
	vio_write(&d, VIO_DEVICE_FEATURES_SEL, 0);
	assert_true(vio_read(&d, VIO_DEVICE_FEATURES) & BIT(5));
	vio_put(&d, DATA, (u8[512]){ 1, 2, 3 }, 512);
	assert_int_equal(carried_out(OUT, 0, DATA, 512), IOERR);
	assert_int_equal(disk[0], before);
	assert_int_equal(carried_out(IN, 0, DATA, 512), OK);
}

/* Requests end in another order than they began; the guest sees the end of each. */
static void out_of_order(void **state)
{
	u32 head, written;

	(void)state;
	hold = true;
	ask(IN, 1, DATA, 512);
	ask(IN, 2, DATA + 4096, 512);
	go_on();
	assert_int_equal(nr_held, 2);
	assert_false(vio_used(&d, 0, &head, &written));
	carry_out(held[1], HV_OK);
	assert_true(vm->bus->slot[SLOT_DISK].due <= fake.tsc);
	go_on();
	assert_true(vio_used(&d, 0, &head, &written));
	assert_int_equal(head, 3);
	assert_int_equal(status_of(0), NOT_YET);
	assert_int_equal(status_of(1), OK);
	carry_out(held[0], HV_OK);
	go_on();
	assert_true(vio_used(&d, 0, &head, &written));
	assert_int_equal(head, 0);
	assert_true(vio_interrupted(&d));
}

static void errors_of_the_device(void **state)
{
	(void)state;
	outcome = HV_EIO;
	assert_int_equal(carried_out(IN, 0, DATA, 512), IOERR);
	assert_int_equal(carried_out(OUT, 0, DATA, KIB(100)), IOERR);
	assert_int_equal(carried_out(FLUSH, 0, 0, 0), IOERR);
	outcome = HV_OK;
	atomic_store(&device.dead, 1u);
	assert_int_equal(carried_out(IN, 0, DATA, 512), IOERR);
	atomic_store(&device.dead, 0u);
	/* The disk has no room for a while. */
	refusals = 5;
	refusal = HV_EAGAIN;
	assert_int_equal(carried_out(IN, 0, DATA, 512), OK);
	assert_int_equal(refusals, 0);
}

/* The driver resets the device, and begins anew, while a request is on its way. */
static void a_reset_meanwhile(void **state)
{
	u32 head, written;

	(void)state;
	hold = true;
	ask(IN, 1, DATA, 512);
	go_on();
	vio_write(&d, VIO_STATUS, 0);
	d.avail[0] = d.used[0] = 0;
	start_device();
	hold = false;
	made = 1; /* another header */
	assert_int_equal(carried_out(IN, 2, DATA + 4096, 512), OK);
	carry_out(held[0], HV_OK);
	go_on();
	assert_false(vio_used(&d, 0, &head, &written)); /* nobody has made that request */
	assert_int_equal(status_of(0), NOT_YET);
	/* Its slot is free again. */
	hold = true;
	nr_held = 0;
	for (u32 i = 0; i < BLK_SLOTS; i++)
		assert_int_equal(atomic_load(&vm->bus->disk[0].host->slot[i].state), SLOT_FREE);
}

/* A VM is not taken apart before the last request has ended. */
static void an_end_meanwhile(void **state)
{
	u64 hv = frames_stats().hv;

	(void)state;
	hold = true;
	ask(OUT, 1, DATA, 512);
	go_on();
	vm_end(vm, 0, "test");
	for (u32 i = 0; i < 100; i++)
		vm_background();
	assert_int_equal(vm->state, VM_ENDING);
	carry_out(held[0], HV_OK);
	for (u32 i = 0; i < 100; i++)
		vm_background();
	assert_int_equal(vm->state, VM_ENDED);
	assert_null(vm->bus->disk[0].host);
	assert_true(frames_stats().hv + blk_host_frames() <= hv);
	/* Another VM may have the disk now. */
	hold = false;
	assert_int_equal(vm_queue_start(vm), HV_OK);
	vm_background();
	assert_int_equal(vm->state, VM_RUNNING);
}

static void what_cannot_be_had(void **state)
{
	static const struct {
		const char *name, *why;
	} cases[] = { { "disk:T", "is on no disk of this machine" },
		      { "part:S", "is on no disk of this machine" },
		      { "disk:S", "is another VM's" } };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		static struct vm_config other[3];

		other[i] = guest_config("other");
		other[i].nr_disks = 1;
		other[i].disk[0] = (struct disk_config){ .host = true };
		str_copy(other[i].disk[0].file, cases[i].name, sizeof(other[i].disk[0].file));
		assert_int_equal(vm_create((u16)(1 + i), &other[i]), HV_OK);
		vm_queue_start(vms[1 + i]);
		for (u32 k = 0; k < 10; k++)
			vm_background();
		assert_int_equal(vms[1 + i]->state, VM_ENDED);
		assert_true(fake_log_has(cases[i].why));
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_it_is),	      T(data_goes_both_ways), T(not_its_own),
		T(read_only),	      T(out_of_order),	      T(errors_of_the_device),
		T(a_reset_meanwhile), T(an_end_meanwhile),    T(what_cannot_be_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
