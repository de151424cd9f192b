/* SPDX-License-Identifier: BSD-2-Clause */
/* Linux kernels that are damaged or too large, and memory that runs out. */
#include <tests/unit/load/linux_fixture.h>

static void initrd_limits(void **state)
{
	u8 *data = initrd_of(MIB(2));

	(void)state;
	/* From the end of what the kernel unpacks itself over, to the last byte it reaches. */
	put(0x22c, ADDRESS + INIT_SIZE + MIB(2) - 1, 4);
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x218, 4), ADDRESS + INIT_SIZE);
	put(0x22c, ADDRESS + INIT_SIZE + MIB(2) - 2, 4);
	assert_int_equal(load(), HV_ERANGE);
	assert_true(fake_log_has("initrd (2 MiB) and the kernel do not fit below 25 MiB"));
	put(0x22c, 0, 4);
	assert_int_equal(load(), HV_ERANGE);
	put(0x22c, 0xffffffff, 4);
	put(0x260, MIB(64) - ADDRESS - MIB(2), 4);
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x218, 4), MIB(62));
	put(0x260, MIB(64) - ADDRESS - MIB(2) + 1, 4);
	assert_int_equal(load(), HV_ERANGE);
	good_file();
	initrd->size = 0; /* no initrd for the kernel */
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x21c, 4), 0);
	initrd->size = SIZE_MAX;
	assert_int_equal(load(), HV_ERANGE);
	snprintf(cfg.module[0], CONFIG_TEXT_MAX, "nowhere");
	assert_int_equal(load(), HV_ENOENT);
	assert_true(fake_log_has("module nowhere was not loaded"));
	snprintf(cfg.module[0], CONFIG_TEXT_MAX, "initrd");
	cfg.nr_modules = 2;
	assert_int_equal(load(), HV_EINVAL);
	assert_true(fake_log_has("takes one initrd"));
	free(data);
}

/* Up to 15 bytes may be missing: the size counts in 16. */
static void cut_at_each_length(void **state)
{
	(void)state;
	for (size_t n = 0; n <= sizeof(file); n++)
		if ((load_cut(n) == HV_OK) != (n > sizeof(file) - 16))
			fail_msg("cut to %zu bytes", n);
	assert_int_equal(load_cut(SETUP + 1), HV_EINVAL);
	assert_true(fake_log_has("was it copied whole?"));
	assert_int_equal(load_cut(1023), HV_EINVAL);
	assert_true(fake_log_has("is neither a Linux kernel"));
	tables_check(&vm->p2m);
}

struct wild {
	size_t at, bytes;
	u64 value;
	int err;
	const char *says;
};

static void wild_fields(void **state)
{
	static const struct wild wild[] = {
		{ 0x1f1, 1, 0, HV_EINVAL, "copied whole" }, /* means 4: this file has 2 */
		{ 0x1f1, 1, 255, HV_EINVAL, "copied whole" },
		{ 0x1f4, 4, 0, HV_EINVAL, "contradicts itself" },
		{ 0x1f4, 4, 0x200 / 16, HV_EINVAL, "contradicts itself" }, /* ends at the entry */
		{ 0x1f4, 4, 0x210 / 16, HV_OK, "" },
		{ 0x1f4, 4, CODE / 16 + 1, HV_EINVAL, "copied whole" },
		{ 0x1f4, 4, UINT32_MAX, HV_EINVAL, "copied whole" },
		{ 0x1fe, 2, 0xaa54, HV_EINVAL, "is neither a Linux kernel" },
		{ 0x202, 4, 0x53726449, HV_EINVAL, "is neither a Linux kernel" },
		{ 0x206, 2, 0x020b, HV_EINVAL, "older than 3.8" },
		{ 0x206, 2, 0, HV_EINVAL, "use an amd64 one" },
		{ 0x206, 2, 0xffff, HV_OK, "" },
		{ 0x230, 4, 0, HV_EINVAL, "off its alignment" },
		{ 0x230, 4, MIB(16), HV_OK, "" },
		{ 0x230, 4, MIB(32), HV_EINVAL, "off its alignment" },
		{ 0x236, 2, 0x7e, HV_EINVAL, "without 64-bit entry" },
		{ 0x238, 4, 0, HV_ERANGE, "takes no command line of that length" },
		{ 0x238, 4, 18, HV_ERANGE, "takes no command line of that length" },
		{ 0x238, 4, 19, HV_OK, "" },
		{ 0x238, 4, UINT32_MAX, HV_OK, "" },
		{ 0x258, 8, 0, HV_EINVAL, "below 1 MiB" },
		{ 0x258, 8, MIB(1) - PAGE_SIZE, HV_EINVAL, "below 1 MiB" },
		{ 0x258, 8, ADDRESS + 1, HV_EINVAL, "off its alignment" },
		{ 0x258, 8, ADDRESS + MIB(1), HV_EINVAL, "off its alignment" },
		{ 0x258, 8, MIB(56), HV_OK, "" },
		{ 0x258, 8, MIB(58), HV_ERANGE,
		  "needs 66 MiB below 3 GiB to start, and the VM has 64" },
		{ 0x258, 8, 0xc0000000 - MIB(2), HV_ERANGE, "give it more" },
		{ 0x258, 8, 0xc0000000, HV_EINVAL, "above 3 GiB" },
		{ 0x258, 8, GIB(4) + ADDRESS, HV_EINVAL, "above 3 GiB" },
		{ 0x258, 8, 0 - MIB(2), HV_EINVAL, "above 3 GiB" },
		{ 0x260, 4, 0, HV_OK, "" }, /* then the file's size is what it needs */
		{ 0x260, 4, MIB(48), HV_OK, "" },
		{ 0x260, 4, MIB(48) + 1, HV_ERANGE, "needs 65 MiB" },
		{ 0x260, 4, UINT32_MAX, HV_ERANGE, "needs 4112 MiB" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		const struct wild *w = &wild[i];

		good_file();
		put(w->at, w->value, w->bytes);
		if (load() != w->err || !fake_log_has(w->says))
			fail_msg("%zx = %lx: %s", w->at, w->value, fake.log);
	}
	/* The default of four sectors, when it is meant. */
	good_file();
	file[0x1f1] = 0;
	put(0x1f4, (FILE_SIZE - 5 * 512) / 16, 4);
	assert_int_equal(load(), HV_OK);
	assert_memory(ADDRESS, file + 5 * 512, FILE_SIZE - 5 * 512);
	tables_check(&vm->p2m);
}

/* Any header: no crash, and a kernel that loads is within the VM's memory. */
static void random_headers(void **state)
{
	u64 seed = 0x11223344, loaded = 0;
	u8 *data = initrd_of(3 * PAGE_SIZE);

	(void)state;
	for (int i = 0; i < 1500; i++) {
		good_file();
		for (u64 n = fake_random(&seed) % 4; n < 4; n++) {
			u64 r = fake_random(&seed);

			put(0x1f1 + r % (0x281 - 0x1f1), fake_random(&seed),
			    (size_t[]){ 1, 1, 2, 4 }[r >> 32 & 3]);
		}
		if (load())
			continue;
		loaded++;
		assert_in_range(out.state.rip, MIB(1) + 0x200, MIB(64) - 1);
		assert_in_range(z(0x218, 4), out.state.rip, MIB(64));
		assert_true(z(0x218, 4) + z(0x21c, 4) <= MIB(64));
		assert_int_equal(z(0x1e8, 1), 3);
	}
	assert_true(loaded > 100);
	tables_check(&vm->p2m);
	free(data);
}

/* The smallest possible VM, and sizes near the kernel's need. */
static void small_vms(void **state)
{
	(void)state;
	cfg.memory = MIB(1);
	assert_int_equal(load(), HV_ERANGE);
	assert_true(
		fake_log_has("needs 24 MiB below 3 GiB to start, and the VM has 1; give it more"));
	cfg.memory = ADDRESS + INIT_SIZE - PAGE_SIZE;
	assert_int_equal(load(), HV_ERANGE);
	setup_with(ADDRESS + INIT_SIZE);
	assert_int_equal(load(), HV_OK);
	assert_int_equal(z(0x2d0 + 2 * 20 + 8, 8), ADDRESS + INIT_SIZE - MIB(1));
}

/* With less, the kernel would start and then run out of memory. */
static void least_to_get_to_init(void **state)
{
	u8 *data = initrd_of(MIB(2));

	(void)state;
	put(0x260, MIB(46), 4); /* and 13.5 MiB, and the initrd twice */
	assert_int_equal(load(), HV_OK);
	free(data);
	data = initrd_of(MIB(3)); /* it fits beside the kernel, but its unpacked contents do not */
	put(0x260, MIB(45), 4);
	assert_int_equal(load(), HV_ERANGE);
	assert_true(fake_log_has(
		"needs 65 MiB to get to its init with initrd, and the VM has 64; write memory = 65M or more"));
	free(data);
}

/* Each allocation of a start fails once: the VM tries again, and nothing is left behind. */
static void out_of_memory_at_each_step(void **state)
{
	u8 *data = initrd_of(3 * PAGE_SIZE);
	u32 k = 0;

	for (;; k++) {
		struct frame_stats before;

		setup(state);
		cfg.nr_modules = 1;
		snprintf(cfg.module[0], CONFIG_TEXT_MAX, "initrd");
		vm_end(vm, 0, "test");
		while (vm->state != VM_ENDED)
			assert_true(vm_background());
		fake_settle();
		before = frames_stats();
		assert_int_equal(vm_queue_start(vm), HV_OK);
		fake_alloc_fail_at(k);
		vm_background();
		fake_alloc_off();
		if (!fake_alloc.failed)
			break;
		if (vm->state == VM_RUNNING) /* there was another way */
			continue;
		assert_int_equal(vm->state, VM_ENDING);
		assert_true(vm->again);
		vm_background();
		assert_int_equal(vm->state, VM_QUEUED);
		fake_settle();
		assert_int_equal(frames_stats().guest, before.guest);
		assert_int_equal(frames_stats().table, before.table);
		/* Its promises stay while it waits, or it never got any. */
		assert_int_equal(frames_stats().reserved,
				 before.reserved + vm->p2m.acct.min_promised +
					 vm->p2m.acct.tables_promised + vm->p2m.acct.reserve);
		assert_int_equal(frames_stats().hv, before.hv);
		fake.tsc += 50 * FAKE_KHZ;
		vm_background();
		assert_int_equal(vm->state, VM_RUNNING);
		tables_check(&vm->p2m);
		out.rsi = vm->vcpus[0]->gpr[GPR_RSI];
		assert_memory(ADDRESS, file + SETUP, CODE);
		assert_memory(z(0x218, 4), data, 3 * PAGE_SIZE);
		assert_int_equal(z(0x202, 4), 0x53726448);
		assert_int_equal(peek(ACPI_TABLES, 8), 0x2052545020445352); /* "RSD PTR " */
	}
	assert_true(k > 20);
	assert_int_equal(vm->state, VM_RUNNING);
	free(data);
}

/* None at all, for longer than a start is tried: the VM ends, and says why. */
static void no_memory_at_all(void **state)
{
	static struct frame_acct others; /* frames that are promised to nobody */
	u32 f;

	(void)state;
	vm_end(vm, 0, "test");
	while (vm->state != VM_ENDED)
		vm_background();
	fake_settle();
	for (u64 gfn = 0; !frame_alloc_guest(&others, gfn, 0, 0, &f); gfn++)
		;
	assert_int_equal(vm_queue_start(vm), HV_OK);
	for (int i = 0; i < 1000 && vm->state != VM_ENDED; i++) {
		vm_background();
		fake.tsc += 20 * FAKE_KHZ;
	}
	assert_int_equal(vm->state, VM_ENDED);
	assert_int_equal(vm->exit_status, VM_STATUS_CRASHED);
	assert_string_equal(vm->exit_reason, "not started: no memory");
	assert_int_equal(vm->p2m.acct.resident, 0);
	assert_int_equal(vm->p2m.acct.tables, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(initrd_limits),
		T(cut_at_each_length),
		T(wild_fields),
		T(random_headers),
		T(small_vms),
		T(least_to_get_to_init),
		T(out_of_memory_at_each_step),
		T(no_memory_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
