/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SDM: "Paging".  32-bit, PAE and 4-level; the formats are one loop with
 * different widths.  The tables are guest memory: anything may be in them.
 */
#include <hv/gwalk.h>
#include <hv/vm.h>
#include <mm/guestmem.h>

#define CR0_PG BIT(31)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define EFER_LMA BIT(10)
#define PTE_P BIT(0)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000UL

struct shape {
	int levels;
	unsigned int bits;  /* of index per level */
	unsigned int entry; /* bytes */
	u64 root;
};

static struct shape shape_of(const struct guest_state *s)
{
	if (s->efer & EFER_LMA)
		return (struct shape){ 4, 9, 8, s->cr3 & PTE_ADDR };
	if (s->cr4 & CR4_PAE)
		return (struct shape){ 3, 9, 8, s->cr3 & 0xffffffe0 };
	return (struct shape){ 2, 10, 4, s->cr3 & 0xfffff000 };
}

static bool is_large(const struct guest_state *s, const struct shape *sh, int level, u64 e)
{
	if (level == 1)
		return true;
	if (!(e & PTE_PS))
		return false;
	return sh->levels == 2 ? s->cr4 & CR4_PSE : level == 2 || (level == 3 && sh->levels == 4);
}

int gwalk_translate(struct vcpu *v, const struct guest_state *s, u64 linear, gpa_t *out)
{
	struct shape sh = shape_of(s);
	u64 table = sh.root;

	if (!(s->cr0 & CR0_PG)) {
		*out = GPA(linear & 0xffffffff);
		return HV_OK;
	}
	for (int level = sh.levels; level; level--) {
		unsigned int shift = PAGE_SHIFT + sh.bits * (unsigned int)(level - 1);
		u64 index = linear >> shift & ((1UL << sh.bits) - 1), e = 0;
		u64 offset = linear & ((1UL << shift) - 1);

		if (sh.levels == 3 && level == 3)
			index &= 3;
		if (guest_read(&v->vm->p2m, GPA(table + index * sh.entry), &e, sh.entry))
			return HV_EFAULT;
		if (!(e & PTE_P) || (e & PTE_NX && sh.entry == 8))
			return HV_EFAULT;
		if (is_large(s, &sh, level, e)) {
			u64 base = e & PTE_ADDR & ~((1UL << shift) - 1);

			if (sh.levels == 2) /* PSE-36: bits 20:13 are bits 39:32 */
				base = (e & 0xfffff000 & ~((1UL << shift) - 1)) |
				       (level == 2 ? (e >> 13 & 0xff) << 32 : 0);
			*out = GPA(base | offset);
			return HV_OK;
		}
		table = e & (sh.entry == 8 ? PTE_ADDR : 0xfffff000);
	}
	return HV_EFAULT;
}

size_t gwalk_fetch(struct vcpu *v, const struct guest_state *s, u64 linear, u8 *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t n = min(len - done, (size_t)(PAGE_SIZE - ((linear + done) & PAGE_MASK)));
		gpa_t gpa;

		if (gwalk_translate(v, s, linear + done, &gpa) ||
		    guest_read(&v->vm->p2m, gpa, buf + done, n))
			break;
		done += n;
	}
	return done;
}
