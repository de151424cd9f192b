/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SDM: "Paging".  32-bit, PAE and 4-level; the formats are one loop with
 * different widths.  The tables are guest memory: anything may be in them.
 */
#include <hv/exit/cpuid.h>
#include <hv/emulate/gwalk.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

#define CR0_WP BIT(16)
#define CR0_PG BIT(31)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define RFLAGS_AC BIT(18)
#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000UL
#define PTE_PAE_RESERVED 0x7ff0000000000000UL /* ignored in the 4-level format */

/* SDM: "Reserved Bits" of the formats; those of PDPTEs fault when CR3 is written. */
static void set_format(struct gwalk *w, u64 cr3)
{
	bool pae = w->cr4 & CR4_PAE, long_mode = w->efer & EFER_LMA;

	w->levels = long_mode ? 4 : pae ? 3 : 2;
	w->bits = pae ? 9 : 10;
	w->entry = pae ? 8 : 4;
	w->root = cr3 & (long_mode ? PTE_ADDR : pae ? 0xffffffe0 : 0xfffff000);
	w->reserved = 0;
	if (!pae)
		return;
	w->reserved = PTE_ADDR & ~(BIT(cpuid_phys_bits()) - 1);
	if (!(w->efer & EFER_NXE))
		w->reserved |= PTE_NX;
	if (!long_mode)
		w->reserved |= PTE_PAE_RESERVED;
}

void gwalk_init(struct gwalk *w, struct vcpu *v)
{
	w->v = v;
	w->cr0 = backend->get_reg(v, GREG_CR0);
	w->cr4 = backend->get_reg(v, GREG_CR4);
	w->efer = backend->get_reg(v, GREG_EFER);
	w->user = backend->get_reg(v, GREG_CPL) == 3;
	w->err = HV_OK;
	set_format(w, backend->get_reg(v, GREG_CR3));
}

/* The three-level format has a short root, whose entries know no rights. */
static bool is_pdpte(const struct gwalk *w, int level)
{
	return w->levels == 3 && level == 3;
}

static bool is_large(const struct gwalk *w, int level, u64 e)
{
	if (level == 1)
		return true;
	if (!(e & PTE_PS) || level > 3 || is_pdpte(w, level))
		return false;
	return w->levels != 2 || w->cr4 & CR4_PSE;
}

/* Address bits within a page of @level. */
static u64 offset_mask(const struct gwalk *w, int level)
{
	return BIT(PAGE_SHIFT + w->bits * (unsigned int)(level - 1)) - 1;
}

/* Not to be called without PS or a reserved bit. */
static bool is_malformed(const struct gwalk *w, int level, u64 e)
{
	if (is_pdpte(w, level))
		return false;
	if (e & w->reserved || level == 4)
		return true; /* PS at level 4 */
	if (level == 1 || !is_large(w, level, e))
		return false;
	/* bits of the address below the page's alignment, without PAT */
	return e & (w->levels == 2 ? BIT(21) : offset_mask(w, level) & ~0x1fffUL);
}

static int fault(struct gwalk *w, u64 access, u64 why)
{
	bool has_fetch = (w->cr4 & CR4_PAE && w->efer & EFER_NXE) || w->cr4 & CR4_SMEP;

	w->error = (u32)(why | (access & PF_WRITE) | (w->user ? PF_USER : 0));
	if (access & PF_FETCH && has_fetch)
		w->error |= PF_FETCH;
	return w->err = HV_EPERM;
}

/* SDM: "Determination of Access Rights"; @rights: W and U of all levels, NX of any. */
static bool may(const struct gwalk *w, u64 access, u64 rights)
{
	bool user_page = rights & PTE_U;

	if (w->user && !user_page)
		return false;
	if (access & PF_FETCH)
		return !(rights & PTE_NX) && (w->user || !user_page || !(w->cr4 & CR4_SMEP));
	if (!w->user && user_page && w->cr4 & CR4_SMAP &&
	    !(backend->get_reg(w->v, GREG_RFLAGS) & RFLAGS_AC))
		return false;
	return !(access & PF_WRITE) || rights & PTE_W || (!w->user && !(w->cr0 & CR0_WP));
}

static gpa_t leaf_address(const struct gwalk *w, int level, u64 e, u64 linear)
{
	u64 offset = offset_mask(w, level), base = e & PTE_ADDR;

	if (w->levels == 2 && level == 2) /* PSE-36: bits 20:13 are bits 39:32 */
		base = (e & 0xffc00000) | (e >> 13 & 0xff) << 32;
	return GPA((base & ~offset) | (linear & offset));
}

static int walk(struct gwalk *w, u64 linear, u64 access, gpa_t *out)
{
	u64 table = w->root, rights = PTE_W | PTE_U;

	for (int level = w->levels;; level--) {
		unsigned int shift = PAGE_SHIFT + w->bits * (unsigned int)(level - 1);
		u64 index = linear >> shift & (BIT(w->bits) - 1), e = 0;

		if (is_pdpte(w, level))
			index &= 3;
		w->missing = GPA(table + index * w->entry);
		if (guest_read(&w->v->vm->p2m, w->missing, &e, w->entry))
			return w->err = HV_EFAULT;
		if (!(e & PTE_P))
			return fault(w, access, 0);
		if (e & (w->reserved | PTE_PS) && is_malformed(w, level, e))
			return fault(w, access, PF_PRESENT | PF_RESERVED);
		if (!is_pdpte(w, level))
			rights = (rights & (e | PTE_NX)) | (e & PTE_NX);
		if (is_large(w, level, e)) {
			*out = leaf_address(w, level, e, linear);
			return may(w, access, rights) ? HV_OK : fault(w, access, PF_PRESENT);
		}
		table = e & PTE_ADDR;
	}
}

int gwalk_translate(struct gwalk *w, u64 linear, u64 access, gpa_t *out)
{
	w->linear = linear;
	if (!(w->cr0 & CR0_PG)) {
		*out = GPA(linear & 0xffffffff);
		return HV_OK;
	}
	if (unlikely(w->efer & EFER_LMA && (u64)((s64)(linear << 16) >> 16) != linear))
		return w->err = HV_ERANGE;
	return walk(w, linear, access, out);
}

size_t gwalk_fetch(struct gwalk *w, u64 linear, u8 *buf, size_t len)
{
	size_t done = 0;

	w->err = HV_OK;
	while (done < len) {
		size_t n = min(len - done, (size_t)(PAGE_SIZE - ((linear + done) & PAGE_MASK)));
		gpa_t gpa;

		if (gwalk_translate(w, linear + done, PF_FETCH, &gpa))
			break;
		if (guest_read(&w->v->vm->p2m, gpa, buf + done, n)) {
			w->missing = gpa;
			w->err = HV_EFAULT;
			break;
		}
		done += n;
	}
	return done;
}
