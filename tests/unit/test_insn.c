/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder for device accesses, and the walk through the guest's own tables. */
#include <tests/fake/guest.h>

#include <hv/gwalk.h>
#include <hv/insn.h>
#include <mm/guestmem.h>

struct form {
	enum insn_mode mode;
	u8 bytes[16];
	u8 length, size, reg;
	bool write, has_immediate;
	u64 immediate;
};

static const struct form forms[] = {
	{ INSN_64, { 0x89, 0x07 }, 2, 4, 0, true, false, 0 },		  /* mov [rdi], eax */
	{ INSN_64, { 0x8b, 0x0f }, 2, 4, 1, false, false, 0 },		  /* mov ecx, [rdi] */
	{ INSN_64, { 0x48, 0x89, 0x07 }, 3, 8, 0, true, false, 0 },	  /* mov [rdi], rax */
	{ INSN_64, { 0x44, 0x89, 0x4f, 0x10 }, 4, 4, 9, true, false, 0 }, /* mov [rdi+16], r9d */
	{ INSN_64, { 0x66, 0x89, 0x07 }, 3, 2, 0, true, false, 0 },
	{ INSN_64, { 0x88, 0x07 }, 2, 1, 0, true, false, 0 },
	{ INSN_64, { 0x8a, 0x47, 0x01 }, 3, 1, 0, false, false, 0 },
	{ INSN_64, { 0x89, 0x87, 1, 2, 3, 4 }, 6, 4, 0, true, false, 0 }, /* disp32 */
	{ INSN_64, { 0x89, 0x04, 0x8f }, 3, 4, 0, true, false, 0 },	  /* SIB */
	{ INSN_64, { 0x89, 0x44, 0x8f, 0x20 }, 4, 4, 0, true, false, 0 },
	{ INSN_64,
	  { 0x89, 0x04, 0x25, 0, 0, 0xe0, 0xfe },
	  7,
	  4,
	  0,
	  true,
	  false,
	  0 },								   /* SIB, no base */
	{ INSN_64, { 0x89, 0x05, 1, 2, 3, 4 }, 6, 4, 0, true, false, 0 },  /* RIP-relative */
	{ INSN_64, { 0x41, 0x89, 0x04, 0x24 }, 4, 4, 0, true, false, 0 },  /* mov [r12], eax */
	{ INSN_64, { 0x41, 0x8b, 0x45, 0x00 }, 4, 4, 0, false, false, 0 }, /* mov eax, [r13] */
	{ INSN_64, { 0xc7, 0x07, 0x78, 0x56, 0x34, 0x12 }, 6, 4, 0, true, true, 0x12345678 },
	{ INSN_64, { 0x48, 0xc7, 0x07, 0xff, 0xff, 0xff, 0xff }, 7, 8, 0, true, true, UINT64_MAX },
	{ INSN_64, { 0x66, 0xc7, 0x07, 0x34, 0x12 }, 5, 2, 0, true, true, 0x1234 },
	{ INSN_64, { 0xc6, 0x47, 0x08, 0xab }, 4, 1, 0, true, true, 0xab },
	{ INSN_64, { 0xa1, 1, 2, 3, 4, 5, 6, 7, 8 }, 9, 4, 0, false, false, 0 },
	{ INSN_64, { 0x67, 0xa3, 1, 2, 3, 4 }, 6, 4, 0, true, false, 0 },
	{ INSN_64, { 0x65, 0x67, 0x89, 0x07 }, 4, 4, 0, true, false, 0 },
	{ INSN_64, { 0x48, 0x66, 0x89, 0x07 }, 4, 2, 0, true, false, 0 }, /* REX not last: void */
	{ INSN_64, { 0x44, 0x26, 0x89, 0x07 }, 4, 4, 0, true, false, 0 },
	{ INSN_32, { 0x89, 0x05, 0, 0, 0xe0, 0xfe }, 6, 4, 0, true, false, 0 },
	{ INSN_32, { 0xa1, 0x20, 0, 0xe0, 0xfe }, 5, 4, 0, false, false, 0 },
	{ INSN_32, { 0x67, 0x89, 0x06, 1, 2 }, 5, 4, 0, true, false, 0 }, /* 16-bit address */
	{ INSN_32, { 0x67, 0x89, 0x47, 1 }, 4, 4, 0, true, false, 0 },
	{ INSN_32, { 0x66, 0xa3, 1, 2, 3, 4 }, 6, 2, 0, true, false, 0 },
	{ INSN_16, { 0x89, 0x07 }, 2, 2, 0, true, false, 0 },
	{ INSN_16, { 0x66, 0x89, 0x07 }, 3, 4, 0, true, false, 0 },
	{ INSN_16, { 0x66, 0x67, 0x89, 0x03 }, 4, 4, 0, true, false, 0 },
	{ INSN_16, { 0x89, 0x87, 1, 2 }, 4, 2, 0, true, false, 0 },
	{ INSN_16, { 0xa3, 1, 2 }, 3, 2, 0, true, false, 0 },
	{ INSN_16, { 0x66, 0xc7, 0x06, 0, 0, 1, 2, 3, 4 }, 9, 4, 0, true, true, 0x04030201 },
};

static void every_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct form *f = &forms[i];
		struct insn n;

		assert_int_equal(insn_decode(f->bytes, 15, f->mode, &n), HV_OK);
		if (n.length != f->length || n.size != f->size || n.reg != f->reg ||
		    n.write != f->write || n.has_immediate != f->has_immediate ||
		    n.immediate != f->immediate)
			fail_msg("form %zu: length %u size %u reg %u write %d immediate %lx", i,
				 n.length, n.size, n.reg, n.write, n.immediate);
	}
}

static void cut_short(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		for (u8 len = 0; len <= forms[i].length; len++) {
			u8 *copy = malloc(len);
			struct insn n;

			memcpy(copy, forms[i].bytes, len);
			assert_int_equal(insn_decode(copy, len, forms[i].mode, &n),
					 len < forms[i].length ? HV_EFAULT : HV_OK);
			free(copy);
		}
}

static void what_it_does_not_know(void **state)
{
	static const u8 bad[][4] = {
		{ 0x90 },	{ 0x0f, 0xb6, 0x07 }, { 0x89, 0xc0 },
		{ 0xc7, 0x0f }, { 0xf0, 0x89, 0x07 }, { 0xf3, 0xa5 },
		{ 0x01, 0x07 }, { 0xff, 0x07 },	      { 0xcc },
		{ 0x8b, 0xff },
	};
	struct insn n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		u8 bytes[15] = { 0 };

		memcpy(bytes, bad[i], sizeof(bad[i]));
		assert_int_equal(insn_decode(bytes, sizeof(bytes), INSN_64, &n), HV_EINVAL);
	}
	assert_int_equal(insn_decode((const u8[]){ 0x40, 0x89, 0x07 }, 3, INSN_32, &n),
			 HV_EINVAL); /* inc */
}

/* Any bytes at all: no overrun, and a length that is within what there was. */
static void random_bytes(void **state)
{
	u64 seed = 3, good = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		size_t len = fake_random(&seed) % 17;
		u8 *b = malloc(len);
		struct insn n;

		for (size_t k = 0; k < len; k++)
			b[k] = fake_random(&seed) % 3 ? (u8)fake_random(&seed) : 0x89;
		if (!insn_decode(b, len, (enum insn_mode)(fake_random(&seed) % 3), &n)) {
			assert_in_range(n.length, 2, min(len, (size_t)INSN_MAX));
			assert_true(n.reg < 16);
			assert_true(n.size == 1 || n.size == 2 || n.size == 4 || n.size == 8);
			good++;
		}
		free(b);
	}
	assert_true(good > 1000);
}

/* --- the walk --- */

static struct vm_config cfg;
static struct vcpu *v;
static struct guest_state s;

static int setup(void **state)
{
	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("walk");
	v = guest_start(&cfg)->vcpus[0];
	s = (struct guest_state){ .cr0 = 1u << 31 | 1 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_machine_off();
	return 0;
}

static void poke(u64 gpa, u64 value, size_t bytes)
{
	assert_int_equal(guest_write(&v->vm->p2m, GPA(gpa), &value, bytes), HV_OK);
}

static u64 walk(u64 linear)
{
	gpa_t g;

	return gwalk_translate(v, &s, linear, &g) ? UINT64_MAX : g.v;
}

static void without_paging(void **state)
{
	(void)state;
	s.cr0 = 1;
	assert_int_equal(walk(0x12345), 0x12345);
	assert_int_equal(walk(0x100012345), 0x12345);
}

static void four_levels(void **state)
{
	(void)state;
	s.efer = 0x500;
	s.cr4 = 0x20;
	s.cr3 = 0x200000;
	poke(0x200000 + 8 * 511, 0x201003, 8);
	poke(0x201000 + 8 * 510, 0x202003, 8);
	poke(0x201000 + 8 * 511, 0x40000083, 8); /* 1 GiB */
	poke(0x202000, 0x203003, 8);
	poke(0x202000 + 8, 0x600083, 8); /* 2 MiB */
	poke(0x202000 + 16, 0x600083 | 1UL << 63, 8);
	poke(0x203000 + 8 * 5, 0x555003, 8);
	poke(0x203000 + 8 * 6, 0x555003 | 1UL << 63, 8); /* no execute */
	poke(0x203000 + 8 * 7, 0x555002, 8);		 /* not present */
	assert_int_equal(walk(0xffffffff80005abc), 0x555abc);
	assert_int_equal(walk(0xffffffff80212345), 0x612345);
	assert_int_equal(walk(0xffffffffc1234567), 0x41234567);
	assert_int_equal(walk(0xffffffff80006000), UINT64_MAX);
	assert_int_equal(walk(0xffffffff80007000), UINT64_MAX);
	assert_int_equal(walk(0xffffffff80400000), UINT64_MAX);
	assert_int_equal(walk(0), UINT64_MAX);
	/* Bit 7 in the topmost level is no large page. */
	poke(0x200000, 0x201083, 8);
	assert_int_equal(walk(0x7fc1234567), 0x41234567);
}

static void pae(void **state)
{
	(void)state;
	s.cr4 = 0x20;
	s.cr3 = 0x200020; /* aligned to 32 */
	poke(0x200020 + 8 * 3, 0x201001, 8);
	poke(0x201000 + 8 * 2, 0x202003, 8);
	poke(0x201000 + 8 * 3, 0x800083, 8);
	poke(0x202000 + 8 * 9, 0x777003, 8);
	assert_int_equal(walk(0xc0409123), 0x777123);
	assert_int_equal(walk(0xc0612345), 0x812345);
	assert_int_equal(walk(0x00409123), UINT64_MAX);
}

static void two_levels(void **state)
{
	(void)state;
	s.cr4 = 0x10; /* PSE */
	s.cr3 = 0x200018;
	poke(0x200000 + 4 * 768, 0x201003, 4);
	poke(0x200000 + 4 * 769, 0x00800083, 4);
	poke(0x200000 + 4 * 770, 0x00c02083, 4); /* PSE-36: bit 13 is address bit 32 */
	poke(0x201000 + 4 * 1023, 0x666003, 4);
	assert_int_equal(walk(0xc03ff888), 0x666888);
	assert_int_equal(walk(0xc0555555), 0x955555);
	assert_int_equal(walk(0xc0800010), 0x100c00010);
	s.cr4 = 0; /* no PSE: it is a table, and there is none */
	assert_int_equal(walk(0xc0555555), UINT64_MAX);
}

static void garbage_tables(void **state)
{
	u64 seed = 9;

	(void)state;
	for (u64 gpa = 0x200000; gpa < 0x210000; gpa += 8) {
		u64 r = fake_random(&seed);

		poke(gpa, r & 1UL << 20 ? (r & ~0xffffffffff000UL) | (0x200 + r % 16) << 12 : r, 8);
	}
	for (int i = 0; i < 20000; i++) {
		u64 r = fake_random(&seed);
		u8 buf[INSN_MAX];

		s.efer = r & 1 ? 0x500 : 0;
		s.cr4 = r & 0x30;
		s.cr3 = r & 2 ? 0x200000 + (fake_random(&seed) % 16 << 12) : fake_random(&seed);
		walk(fake_random(&seed));
		assert_true(gwalk_fetch(v, &s, fake_random(&seed), buf, sizeof(buf)) <=
			    sizeof(buf));
	}
}

static void fetch_crosses_pages(void **state)
{
	u8 buf[15];
	struct insn n;

	(void)state;
	s.cr4 = 0x10;
	s.cr3 = 0x200000;
	poke(0x200000, 0x201003, 4);
	poke(0x201000 + 4 * 1, 0x300003, 4);
	poke(0x201000 + 4 * 2, 0x500003, 4);
	poke(0x300ffd, 0x878966,
	     3); /* mov [edi+disp32], ax: the displacement is in the next page */
	poke(0x500000, 0x11223344, 4);
	assert_int_equal(gwalk_fetch(v, &s, 0x1ffd, buf, 15), 15);
	assert_memory_equal(buf, "\x66\x89\x87\x44\x33\x22\x11", 7);
	poke(0x201000 + 4 * 2, 0, 4);
	assert_int_equal(gwalk_fetch(v, &s, 0x1ffd, buf, 15), 3);
	/* The whole way, as an access to a device takes it. */
	s.rip = 0x1ffd;
	s.seg[SEG_CS].attr = 0xc09b;
	fake_of(v)->state = s;
	assert_int_equal(insn_fetch_decode(v, &n), HV_EFAULT);
	poke(0x201000 + 4 * 2, 0x500003, 4);
	assert_int_equal(insn_fetch_decode(v, &n), HV_OK);
	assert_int_equal(n.length, 7);
	assert_int_equal(n.size, 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(what_it_does_not_know),
		cmocka_unit_test(random_bytes),
		T(without_paging),
		T(four_levels),
		T(pae),
		T(two_levels),
		T(garbage_tables),
		T(fetch_crosses_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
