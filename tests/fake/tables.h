/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks at a p2m from outside: its tables read raw, without the walker under test. */
#ifndef TESTS_FAKE_TABLES_H
#define TESTS_FAKE_TABLES_H

#include <tests/fake/fake.h>

/* What the tables hold, counted by reading them. In 4 KiB pages. */
struct tables_sum {
	u64 mapped, ballooned, empty, tables;
	u64 bus;     /* holes that read as a page of the host's */
	u64 large;   /* leaves above 4 KiB */
	u64 watched; /* mapped, and not present: p2m_watch() */
};
struct tables_sum tables_sum(const struct p2m *p);

/*
 * The audit passes; the sums are what the p2m and the frame table say; every
 * entry that is not present and not a hole points above RAM.
 */
void tables_check(struct p2m *p);

/* The address of the raw entry that covers @gfn, and its level. */
u64 *tables_entry(const struct p2m *p, u64 gfn, int *level);

/* Everything that a lookup shows, and the accounts. */
struct snapshot {
	u64 hash, ballooned, resident;
	u64 entries;
};
struct snapshot snapshot_take(const struct p2m *p);
void snapshot_same(const struct p2m *p, const struct snapshot *s);

#endif
