/* SPDX-License-Identifier: BSD-2-Clause */
/* Guests that check: a table of cases, one chosen by case=NAME on the command line. */
#ifndef TESTS_GUEST_CASE_H
#define TESTS_GUEST_CASE_H

#include <guest-driver/bare/bare.h>

struct test_case {
	const char *name;
	int (*run)(void);
};

/* Prints what is wrong and makes the case (a function that returns int) fail. */
#define CHECK(cond)                                                                 \
	do {                                                                        \
		if (!(cond)) {                                                      \
			bare_printf("FAIL %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			return 1;                                                   \
		}                                                                   \
	} while (0)

/* The same, and prints the two values. */
#define CHECK_EQ(a, b)                                                                          \
	do {                                                                                    \
		u64 a_ = (u64)(a), b_ = (u64)(b);                                               \
		if (a_ != b_) {                                                                 \
			bare_printf("FAIL %s:%d: %s is %lx, not %lx\n", __FILE__, __LINE__, #a, \
				    a_, b_);                                                    \
			return 1;                                                               \
		}                                                                               \
	} while (0)

static inline int run_case(const struct test_case *cases)
{
	for (; cases->name; cases++)
		if (bare_arg_is("case", cases->name)) {
			int status = cases->run();

			bare_printf("case %s: %s\n", cases->name, status ? "failed" : "passed");
			return status;
		}
	bare_printf("no such case\n");
	return 2;
}

/* A page's pattern names the VM, the page and the generation. */
static inline u64 pattern(u64 page, u64 i, u64 generation)
{
	u64 x = (u64)(bare_vm_id() + 1) << 56 ^ page << 20 ^ generation << 44 ^ i;

	return x * 0x9e3779b97f4a7c15ul ^ x >> 29;
}

static inline void page_fill_as(u32 vm, u64 page, u64 generation)
{
	u64 *p = bare_ptr(page);
	u64 tag = (u64)(vm + 1) << 56 | generation << 40 | page;

	for (u64 i = 0; i < PAGE / 8; i += 8) {
		p[i] = tag;
		p[i + 1] = ~tag;
		p[i + 2] = p[i + 3] = p[i + 4] = p[i + 5] = p[i + 6] = tag ^ i;
		p[i + 7] = tag + i;
	}
}

/* Index of the first wrong word, or -1. */
static inline long page_verify_as(u32 vm, u64 page, u64 generation)
{
	const u64 *p = bare_ptr(page);
	u64 tag = (u64)(vm + 1) << 56 | generation << 40 | page, bad = 0;

	for (u64 i = 0; i < PAGE / 8; i += 8) {
		bad |= p[i] ^ tag;
		bad |= p[i + 1] ^ ~tag;
		bad |= (p[i + 2] ^ tag ^ i) | (p[i + 6] ^ tag ^ i) | (p[i + 4] ^ tag ^ i);
		bad |= (p[i + 3] ^ tag ^ i) | (p[i + 5] ^ tag ^ i);
		bad |= p[i + 7] ^ (tag + i);
		if (bad)
			return (long)i;
	}
	return -1;
}

static inline bool page_is_zero(u64 page)
{
	const u64 *p = bare_ptr(page);
	u64 any = 0;

	for (u64 i = 0; i < PAGE / 8; i += 4)
		any |= p[i] | p[i + 1] | p[i + 2] | p[i + 3];
	return !any;
}

/* xorshift64: the same run each time. */
static inline u64 random_bits(void)
{
	static u64 seed = 88172645463325252ul;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static inline struct aero_vm_info vm_info(u32 id)
{
	static struct aero_vm_info info;

	memset(&info, 0, sizeof(info));
	bare_manage(AERO_CALL_VM_INFO, id, (u64)&info, NULL);
	return info;
}

static inline struct aero_host_info host_info(void)
{
	static struct aero_host_info info;

	bare_manage(AERO_CALL_HOST_INFO, (u64)&info, 0, NULL);
	return info;
}

static inline u32 self(void)
{
	static u32 id = ~0u; /* an exit for each would take most of the measured time */

	if (id == ~0u)
		id = bare_vm_id();
	return id;
}

/* Polls until the balloon has exactly its target, or @tries are over. */
static inline bool settle(u64 target, int tries)
{
	bare_manage(AERO_CALL_SET_TARGET, self(), target, NULL);
	while (tries--) {
		bare_balloon_poll(1000);
		if (bare_balloon.size == target)
			return true;
	}
	return false;
}

static inline int audit(void)
{
	long status = bare_manage(AERO_CALL_AUDIT, 0, 0, NULL);

	if (status)
		bare_printf("FAIL audit: %ld\n", status);
	return status != 0;
}

#endif
