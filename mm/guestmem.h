/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's access to guest memory.  Never keep a pointer: these
 * functions translate on each call, and what they touch stays valid until
 * this CPU's next quiescent point (see mm/epoch.h).  Without p2m->lock.
 * Words of 2, 4 or 8 bytes, aligned on both sides, are read and written whole.
 */
#ifndef MM_GUESTMEM_H
#define MM_GUESTMEM_H

#include <mm/p2m.h>

/*
 * Pins the page at @gpa (p2m_pin()) for a device that is going to read it, or to write it if
 * @write; empty memory is backed first.  HV_EFAULT, HV_ENOMEM, HV_EAGAIN.
 */
int guest_pin(struct p2m *p, gpa_t gpa, bool write, struct p2m_entry *e);

/*
 * Where the page of @gpa is, from @gpa to its end, for somebody who reads a table in it entry by
 * entry; NULL where guest_read() has to see.  Valid until this CPU's next quiescent point, and the
 * guest may write there at any moment: each word is read once.
 */
const void *guest_peek(struct p2m *p, gpa_t gpa);

/* HV_EFAULT where there is no memory, or where it is ballooned. */
int guest_read(struct p2m *p, gpa_t gpa, void *buf, size_t len);

/* The same; empty memory is backed first: HV_ENOMEM, HV_EAGAIN. May stop midway. */
int guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len);

#endif
