/* SPDX-License-Identifier: BSD-2-Clause */
/* The walk through the guest's own tables: formats, rights, hostile contents. */
#include <tests/fake/guest.h>

#include <hv/exit/cpuid.h>
#include <hv/emulate/gwalk.h>
#include <mm/guestmem.h>

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

static void poke(u64 gpa, u64 value, size_t bytes)
{
	assert_int_equal(guest_write(&v->vm->p2m, GPA(gpa), &value, bytes), HV_OK);
}

static struct gwalk w;

static int try(u64 linear, u64 access, u64 *gpa)
{
	gpa_t g = GPA(UINT64_MAX);
	int err;

	fake_of(v)->state = s;
	gwalk_init(&w, v);
	err = gwalk_translate(&w, linear, access, &g);
	*gpa = err ? UINT64_MAX : g.v;
	return err;
}

static u64 walk(u64 linear)
{
	u64 gpa;

	try(linear, PF_FETCH, &gpa);
	return gpa;
}

static size_t fetch(u64 linear, u8 *buf, size_t len)
{
	fake_of(v)->state = s;
	gwalk_init(&w, v);
	return gwalk_fetch(&w, linear, buf, len);
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
	s.efer = 0xd00;
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
	poke(0x200000, 0x201003, 8);
	assert_int_equal(walk(0x7fc1234567), 0x41234567);
	poke(0x200000, 0x201083, 8); /* a page of 512 GiB */
	assert_int_equal(walk(0x7fc1234567), UINT64_MAX);
	assert_int_equal(w.error, PF_PRESENT | PF_RESERVED | PF_FETCH);
	assert_int_equal(walk(0x800000000000), UINT64_MAX);
	assert_int_equal(w.err, HV_ERANGE);
	assert_int_equal(walk(0xffff7fffffffffff), UINT64_MAX);
	assert_int_equal(w.err, HV_ERANGE);
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
		u8 buf[15];

		s.efer = r & 1 ? 0x500 : 0;
		s.cr4 = r & 0x30;
		s.cr3 = r & 2 ? 0x200000 + (fake_random(&seed) % 16 << 12) : fake_random(&seed);
		walk(fake_random(&seed));
		assert_true(fetch(fake_random(&seed), buf, sizeof(buf)) <= sizeof(buf));
	}
}

static void fetch_crosses_pages(void **state)
{
	u8 buf[15];

	(void)state;
	s.cr4 = 0x10;
	s.cr3 = 0x200000;
	poke(0x200000, 0x201003, 4);
	poke(0x201000 + 4 * 1, 0x300003, 4);
	poke(0x201000 + 4 * 2, 0x500003, 4);
	poke(0x300ffd, 0x878966,
	     3); /* mov [edi+disp32], ax: the displacement is in the next page */
	poke(0x500000, 0x11223344, 4);
	assert_int_equal(fetch(0x1ffd, buf, 15), 15);
	assert_memory_equal(buf, "\x66\x89\x87\x44\x33\x22\x11", 7);
	poke(0x201000 + 4 * 2, 0, 4);
	assert_int_equal(fetch(0x1ffd, buf, 15), 3);
	assert_int_equal(w.err, HV_EPERM);
	assert_int_equal(w.linear, 0x2000);
	poke(0x201000 + 4 * 2, 0xa0003, 4); /* a hole */
	assert_int_equal(fetch(0x1ffd, buf, 15), 3);
	assert_int_equal(w.err, HV_EFAULT);
	assert_int_equal(w.missing.v, 0xa0000);
}

/* --- rights, by the SDM's table ("Determination of Access Rights") --- */

#define WP BIT(16)
#define SMEP BIT(20)
#define SMAP BIT(21)
#define AC BIT(18)
#define NX BIT(63)
#define W PF_WRITE
#define U PF_USER
#define I PF_FETCH
#define OK UINT32_MAX

static const struct {
	u64 pte, access, cr0, cr4;
	bool user, ac, no_nxe;
	u32 error;
} rights[] = {
	/* supervisor page, supervisor */
	{ 1, 0, WP, 0, false, false, false, OK },
	{ 1, W, WP, 0, false, false, false, 1 | W },
	{ 1, W, 0, 0, false, false, false, OK },
	{ 3, W, WP, 0, false, false, false, OK },
	{ 1, I, WP, SMEP, false, false, false, OK },
	{ 1 | NX, I, WP, 0, false, false, false, 1 | I },
	{ 1 | NX, 0, WP, 0, false, false, false, OK },
	{ 0, 0, WP, 0, false, false, false, 0 },
	{ 0, W, WP, 0, false, false, false, W },
	{ 0, I, WP, 0, false, false, false, I },
	{ 0, I, WP, 0, false, false, true, 0 },	     /* no NX: no I in error codes */
	{ 0, I, WP, SMEP, false, false, true, I },   /* but with SMEP */
	{ 1 | NX, 0, WP, 0, false, false, true, 9 }, /* no NX: reserved */
	{ 1 | NX, W, WP, 0, true, false, true, 9 | W | U },
	/* supervisor page, user */
	{ 3, 0, WP, 0, true, false, false, 1 | U },
	{ 3, W, WP, 0, true, false, false, 1 | U | W },
	{ 3, I, WP, 0, true, false, false, 1 | U | I },
	/* user page, user */
	{ 5, 0, WP, SMAP | SMEP, true, false, false, OK },
	{ 5, I, WP, SMAP | SMEP, true, false, false, OK },
	{ 5, W, 0, 0, true, false, false, 1 | U | W }, /* WP is not for users */
	{ 7, W, WP, SMAP, true, false, false, OK },
	{ 7 | NX, I, WP, 0, true, false, false, 1 | U | I },
	{ 0, W, WP, 0, true, false, false, U | W },
	/* user page, supervisor */
	{ 7, 0, WP, 0, false, false, false, OK },
	{ 7, W, WP, 0, false, false, false, OK },
	{ 5, W, WP, 0, false, false, false, 1 | W },
	{ 5, W, 0, 0, false, false, false, OK },
	{ 7, I, WP, 0, false, false, false, OK },
	{ 7, I, WP, SMEP, false, false, false, 1 | I },
	{ 7, 0, WP, SMAP, false, false, false, 1 },
	{ 7, W, WP, SMAP, false, false, false, 1 | W },
	{ 7, W, WP, SMAP, false, true, false, OK },
	{ 5, W, WP, SMAP, false, true, false, 1 | W },
	{ 7, I, WP, SMAP, false, false, false, OK },
	/* addresses that the CPU does not have, bits that must be zero */
	{ 3 | 1UL << 51, 0, WP, 0, false, false, false, 9 },
	{ 3 | 1UL << 36, 0, WP, 0, false, false, false, 9 },
	{ 1UL << 51, 0, WP, 0, false, false, false, 0 },
};

/* Each row at each level of the tables, the others allowing all. */
static void by_the_table(void **state)
{
	static const u64 entry[4] = { 0x201000 + 8 * 5, 0x203000 + 8 * 2, 0x202000, 0x200000 };

	(void)state;
	assert_int_equal(cpuid_phys_bits(), 36);
	for (size_t i = 0; i < ARRAY_SIZE(rights); i++)
		for (int level = 0; level < 4; level++) {
			u64 gpa, pte = rights[i].pte;
			int err;

			poke(0x200000, 0x202007, 8);
			poke(0x202000, 0x203007, 8);
			poke(0x203000 + 8 * 2, 0x201007, 8);
			poke(0x201000 + 8 * 5, 0x555007, 8);
			if (level) {
				u64 old = 0;

				guest_read(&v->vm->p2m, GPA(entry[level]), &old, 8);
				pte |= old & ~7UL;
			} else {
				pte |= 0x555000;
			}
			poke(entry[level], pte, 8);
			s = (struct guest_state){ .cr0 = BIT(31) | 1 | rights[i].cr0,
						  .cr4 = 0x20 | rights[i].cr4,
						  .cr3 = 0x200000,
						  .efer = rights[i].no_nxe ? 0x500 : 0xd00,
						  .rflags = rights[i].ac ? AC : 0 };
			s.seg[SEG_SS].attr = rights[i].user ? 0x60 : 0;
			err = try(0x405123, rights[i].access, &gpa);
			if (rights[i].error == OK)
				assert_int_equal(gpa, 0x555123);
			else if (err != HV_EPERM || w.error != rights[i].error ||
				 w.linear != 0x405123)
				fail_msg("row %zu, level %d: error %d, code %x", i, level, err,
					 w.error);
		}
}

/* The entries of PAE's root have no rights; 32-bit ones know no NX. */
static void other_formats(void **state)
{
	u64 gpa;

	(void)state;
	s.cr0 |= WP;
	s.cr4 = 0x20;
	s.cr3 = 0x200000;
	s.efer = 0x800;
	s.seg[SEG_SS].attr = 0x60;
	poke(0x200000, 0x201001, 8);
	poke(0x201000, 0x202007, 8);
	poke(0x202000, 0x333007, 8);
	poke(0x201008, 0x6000e7, 8);
	assert_int_equal(try(0x10, PF_WRITE, &gpa), HV_OK);
	assert_int_equal(gpa, 0x333010);
	assert_int_equal(try(0x345678, PF_WRITE, &gpa), HV_OK);
	assert_int_equal(gpa, 0x745678);
	poke(0x202000, 0x333007 | 1UL << 62, 8); /* reserved in PAE, ignored in 4-level */
	assert_int_equal(try(0x10, 0, &gpa), HV_EPERM);
	assert_int_equal(w.error, 1 | U | PF_RESERVED);
	poke(0x201008, 0x6000e7 | 1UL << 13, 8);
	assert_int_equal(try(0x345678, 0, &gpa), HV_EPERM);
	assert_int_equal(w.error, 1 | U | PF_RESERVED);
	s.cr4 = 0x10;
	s.efer = 0;
	poke(0x200000, 0x201007, 4);
	poke(0x201000, 0x333005, 4);
	poke(0x200004, 0x00800087 | 1UL << 21, 4);
	assert_int_equal(try(0x10, I, &gpa), HV_OK);
	assert_int_equal(try(0x10, W, &gpa), HV_EPERM);
	assert_int_equal(w.error, 1 | U | W);
	assert_int_equal(try(0x400010, 0, &gpa), HV_EPERM);
	assert_int_equal(w.error, 1 | U | PF_RESERVED);
}

/* A table at an address without memory: not a page fault. */
static void tables_elsewhere(void **state)
{
	u64 gpa;

	(void)state;
	s.cr4 = 0x20;
	s.efer = 0xd00;
	s.cr3 = 0x200000;
	poke(0x200000, 0xa0007, 8);
	assert_int_equal(try(0x1000, 0, &gpa), HV_EFAULT);
	assert_int_equal(w.missing.v, 0xa0000);
	s.cr3 = 0xfee00000;
	assert_int_equal(try(0x1000, 0, &gpa), HV_EFAULT);
	assert_int_equal(w.missing.v, 0xfee00000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(without_paging), T(four_levels),    T(pae),
		T(two_levels),	   T(garbage_tables), T(fetch_crosses_pages),
		T(by_the_table),   T(other_formats),  T(tables_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
