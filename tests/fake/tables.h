/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks at a p2m from outside: reads its raw tables, without the walker under test. */
#ifndef TESTS_FAKE_TABLES_H
#define TESTS_FAKE_TABLES_H

#include <tests/fake/fake.h>

/* The tables' contents, counted by reading them. In 4 KiB pages. */
struct tables_sum {
	u64 mapped, ballooned, empty, tables;
	u64 bus;     /* holes that read as a page of the host */
	u64 large;   /* leaves above 4 KiB */
	u64 watched; /* mapped but not present: p2m_watch() */
};
struct tables_sum tables_sum(const struct p2m *p);

/*
 * Checks that the audit passes, that the counts agree with the p2m and the frame table, and that
 * every entry that is not present and not a hole points above RAM.
 */
void tables_check(struct p2m *p);

/* The address of the raw entry that covers @gfn, and its level. */
u64 *tables_entry(const struct p2m *p, u64 gfn, int *level);

/* All results of a lookup, and the accounts. */
struct snapshot {
	u64 hash, ballooned, resident;
	u64 entries;
};
struct snapshot snapshot_take(const struct p2m *p);
void snapshot_same(const struct p2m *p, const struct snapshot *s);

#endif
