/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <mm/guestmem.h>

static u8 *page_ptr(const struct p2m_entry *e, gpa_t gpa)
{
	return (u8 *)plat_ptr(HPA((u64)e->frame << PAGE_SHIFT)) + (gpa.v & PAGE_MASK);
}

/* Aligned words of 2, 4 and 8 bytes in one access: another CPU may be writing or reading them. */
static void copy(void *to, const void *from, size_t len)
{
	uintptr_t both = (uintptr_t)to | (uintptr_t)from;

	if (len == 2 && !(both & 1))
		atomic_store((u16 *)to, atomic_load((const u16 *)from));
	else if (len == 4 && !(both & 3))
		atomic_store((u32 *)to, atomic_load((const u32 *)from));
	else if (len == 8 && !(both & 7))
		atomic_store((u64 *)to, atomic_load((const u64 *)from));
	else
		memcpy(to, from, len);
}

static int read_page(struct p2m *p, gpa_t gpa, u8 *buf, size_t len)
{
	struct p2m_entry e = p2m_lookup(p, gpa.v >> PAGE_SHIFT);

	if (e.kind == P2M_MAPPED)
		copy(buf, page_ptr(&e, gpa), len);
	else if (e.kind == P2M_EMPTY)
		memset(buf, 0, len);
	else
		return HV_EFAULT;
	return HV_OK;
}

/* Backs an empty page; with p->lock. */
static int back(struct p2m *p, gpa_t gpa)
{
	enum p2m_kind kind;
	int err = p2m_populate(p, gpa.v >> PAGE_SHIFT, ORDER_4K, p->grant ? p->grant(p) : 0, &kind);

	return err == HV_ESTATE ? HV_OK : err;
}

int guest_pin(struct p2m *p, gpa_t gpa, bool write, struct p2m_entry *e)
{
	int err = HV_OK;
	bool pinned;

	spin_lock(&p->lock);
	pinned = !p2m_pin(p, gpa.v >> PAGE_SHIFT, e);
	if (!pinned && e->kind == P2M_EMPTY) {
		err = back(p, gpa);
		pinned = !err && !p2m_pin(p, gpa.v >> PAGE_SHIFT, e);
	}
	if (!err && !pinned)
		err = HV_EFAULT;
	if (!err && write && !e->writable) {
		p2m_unpin(e);
		err = HV_EFAULT;
	}
	spin_unlock(&p->lock);
	return err;
}

static int write_page(struct p2m *p, gpa_t gpa, const u8 *buf, size_t len)
{
	struct p2m_entry e = p2m_lookup(p, gpa.v >> PAGE_SHIFT);

	if (e.kind == P2M_EMPTY) {
		int err;

		spin_lock(&p->lock);
		err = back(p, gpa);
		spin_unlock(&p->lock);
		if (err)
			return err;
		e = p2m_lookup(p, gpa.v >> PAGE_SHIFT);
	}
	if (e.kind != P2M_MAPPED || !e.writable)
		return HV_EFAULT;
	copy(page_ptr(&e, gpa), buf, len);
	return HV_OK;
}

const void *guest_peek(struct p2m *p, gpa_t gpa)
{
	struct p2m_entry e = p2m_lookup(p, gpa.v >> PAGE_SHIFT);

	return e.kind == P2M_MAPPED ? page_ptr(&e, gpa) : NULL;
}

int guest_read(struct p2m *p, gpa_t gpa, void *buf, size_t len)
{
	u8 *b = buf;

	while (len) {
		size_t n = min(len, (size_t)(PAGE_SIZE - (gpa.v & PAGE_MASK)));
		int err = read_page(p, gpa, b, n);

		if (err)
			return err;
		gpa.v += n;
		b += n;
		len -= n;
	}
	return HV_OK;
}

int guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len)
{
	const u8 *b = buf;

	while (len) {
		size_t n = min(len, (size_t)(PAGE_SIZE - (gpa.v & PAGE_MASK)));
		int err = write_page(p, gpa, b, n);

		if (err)
			return err;
		gpa.v += n;
		b += n;
		len -= n;
	}
	return HV_OK;
}
