/* SPDX-License-Identifier: BSD-2-Clause */
/* The choice between a VM's two balloons: by configuration, and by the first driver. */
#include <tests/unit/dev/virtio_balloon_fixture.h>

/* A list and a report that both need several calls do not disturb each other. */
static void side_by_side(void **state)
{
	struct vio_piece p = { MIB(8) + 4096, 4096 * 500, true };

	(void)state;
	start();
	vio_add(&dev, REPORT, 0, &p, 1);
	vio_notify(&dev, REPORT);
	assert_false(done(REPORT));
	send(INFLATE, 0xc00, 400);
	for (int i = 0; i < 4; i++)
		bus_work(true);
	assert_true(done(REPORT));
	assert_true(done(INFLATE));
	assert_int_equal(vm->p2m.ballooned, 400);
	assert_int_equal(vm->balloon.refused, 0);
	assert_int_equal(vio_read(&dev, VIO_STATUS) & 0x40, 0);
}

static bool features_accepted(void)
{
	vio_write(&dev, VIO_STATUS, 3);
	vio_write(&dev, VIO_DRIVER_FEATURES_SEL, 1);
	vio_write(&dev, VIO_DRIVER_FEATURES, 1);
	vio_write(&dev, VIO_STATUS, 11);
	return vio_read(&dev, VIO_STATUS) & 8;
}

/* The first driver to start has it; the other is refused, and the log says so. */
static void the_first_wins(void **state)
{
	struct frame_batch freed = FRAME_BATCH_INIT;
	u64 work = 0;

	(void)state;
	assert_int_equal(guest_call(dev.v, AERO_CALL_START, AERO_ABI_VERSION, 0, 0), AERO_OK);
	assert_false(features_accepted());
	assert_true(fake_log_has("virtio-balloon gets no balloon: the other driver was first"));
	assert_int_equal(guest_call(dev.v, AERO_CALL_START, AERO_ABI_VERSION, 0, 0), AERO_OK);
	/* Our driver ends: the stock one may have the balloon, and finds it empty. */
	assert_int_equal(p2m_lock(&vm->p2m, 1000, ORDER_4K, &freed, &work), HV_OK);
	p2m_commit(&vm->p2m, &freed);
	assert_int_equal(vm->p2m.ballooned, 1);
	assert_int_equal(guest_call(dev.v, AERO_CALL_END, 0, 0, 0), AERO_OK);
	assert_int_equal(vm->p2m.ballooned, 0);
	assert_int_equal(guest_call(dev.v, AERO_CALL_END, 0, 0, 0), AERO_ERR_STATE);
	assert_int_equal(guest_call(dev.v, AERO_CALL_POLL, 0, 0, 0), AERO_ERR_STATE);
	start();
	assert_int_equal(guest_call(dev.v, AERO_CALL_END, 0, 0, 0), AERO_ERR_STATE);
	assert_non_null(vm->balloon.front); /* no driver can end another's balloon */
	fake_log_clear();
	assert_int_equal(guest_call(dev.v, AERO_CALL_START, AERO_ABI_VERSION, 0, 0),
			 AERO_ERR_STATE);
	assert_true(fake_log_has("aerostat gets no balloon: the other driver was first"));
	assert_int_equal(guest_call(dev.v, AERO_CALL_LOCK, LIST, 1, 0), AERO_ERR_STATE);
	assert_int_equal(guest_call(dev.v, AERO_CALL_GROW, 1, 0, 0), AERO_ERR_STATE);
	/* The driver leaves: the other may have the balloon. */
	vio_write(&dev, VIO_STATUS, 0);
	assert_null(vm->balloon.front);
	assert_int_equal(guest_call(dev.v, AERO_CALL_START, AERO_ABI_VERSION, 0, 0), AERO_OK);
}

/* A driver that does not ask whether the features were accepted, or is told no and goes on. */
static void nobody_goes_on_without_features(void **state)
{
	static const u8 steps[] = { 7, 15, 4, 12 };

	(void)state;
	assert_int_equal(guest_call(dev.v, AERO_CALL_START, AERO_ABI_VERSION, 0, 0), AERO_OK);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		assert_false(features_accepted());
		vio_start_queues(&dev, 4);
		vio_write(&dev, VIO_STATUS, steps[i]);
		assert_int_equal(vio_read(&dev, VIO_STATUS) & 12, 0); /* FEATURES_OK, DRIVER_OK */
		send(INFLATE, 0x800, 256);
		assert_int_equal(vm->p2m.ballooned, 0);
	}
	/* A driver that takes its features back cannot go on, either. */
	vio_write(&dev, VIO_STATUS, 0);
	balloon_release(vm);
	start();
	vio_write(&dev, VIO_STATUS, 7);
	assert_int_equal(vio_read(&dev, VIO_STATUS), 3);
	send(INFLATE, 0x800, 256);
	assert_int_equal(vm->p2m.ballooned, 0);
}

static void by_configuration(void **state)
{
	(void)state;
	cfg.balloon = BALLOON_VIRTIO;
	assert_int_equal(guest_call(dev.v, AERO_CALL_START, AERO_ABI_VERSION, 0, 0),
			 AERO_ERR_STATE);
	assert_true(fake_log_has("see balloon = in its configuration"));
	assert_true(features_accepted());
	vio_write(&dev, VIO_STATUS, 0);
	cfg.balloon = BALLOON_NONE;
	assert_false(features_accepted());
	assert_int_equal(guest_call(dev.v, AERO_CALL_START, AERO_ABI_VERSION, 0, 0),
			 AERO_ERR_STATE);
	cfg.balloon = BALLOON_AEROSTAT;
	assert_false(features_accepted());
	assert_int_equal(guest_call(dev.v, AERO_CALL_START, AERO_ABI_VERSION, 0, 0), AERO_OK);
}

/* A guest that reboots or kexecs without END: the pages of the balloon go to the next kernel. */
static void another_life(void **state)
{
	(void)state;
	start();
	send(INFLATE, 0x800, 256);
	assert_int_equal(vm->p2m.ballooned, 256);
	vio_write(&dev, VIO_STATUS, 0);
	assert_false(vm->balloon.started);
	start();
	assert_int_equal(vm->p2m.ballooned, 0);
	send(INFLATE, 0x800, 256);
	assert_int_equal(vm->p2m.ballooned, 256);
	assert_int_equal(vm->balloon.refused, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(side_by_side),     T(the_first_wins), T(nobody_goes_on_without_features),
		T(by_configuration), T(another_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
