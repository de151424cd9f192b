/* SPDX-License-Identifier: BSD-2-Clause */
/* The balloon as a guest sees it: protocol, contents, hostile requests. */
#include "case.h"

/*
 * The classic picture. Four pages, two of them active; the guest's kernel has all others, so that
 * the driver can find only the inactive ones. Another VM (wait=ID) has run into the host's limit
 * and waits: it gets the pages that this VM gives.
 */
static u64 pages[4];

static bool hold_all_but_four(void)
{
	/* First take the driver's own pages, and everything that the case will touch. */
	if (!settle(1, 10) || !settle(0, 10))
		return false;
	vm_info(self());
	audit();
	for (int i = 0; i < 4; i++) {
		pages[i] = bare_page_alloc(0);
		page_fill_as(self(), pages[i], 1);
	}
	/* Take all other free pages, without touching them. */
	while (bare_page_alloc(0))
		;
	return pages[3] != 0;
}

static bool wait_for_state(u32 vm, u32 state)
{
	for (int i = 0; i < 20000; i++) {
		if (vm_info(vm).state == state)
			return true;
		bare_sleep_us(1000);
	}
	return false;
}

static u64 held_by(u32 vm)
{
	struct aero_vm_info i = vm_info(vm);

	return i.resident + i.tables;
}

static int picture(void)
{
	u32 taker = (u32)bare_arg_number("taker", 1), helper = (u32)bare_arg_number("helper", 2);
	u64 before;

	bare_keep_free = 0;
	CHECK(bare_balloon_start());
	CHECK(hold_all_but_four());
	CHECK(wait_for_state(helper, AERO_VM_RUNNING));
	CHECK(wait_for_state(taker, AERO_VM_WAITING));
	before = held_by(taker);
	/* Two become inactive. */
	bare_page_free(pages[1], 0);
	bare_page_free(pages[3], 0);
	CHECK(settle(2, 10));
	CHECK_EQ(bare_balloon.small.used, 2);
	CHECK((bare_balloon.small.top->entry[0] == pages[1] &&
	       bare_balloon.small.top->entry[1] == pages[3]) ||
	      (bare_balloon.small.top->entry[0] == pages[3] &&
	       bare_balloon.small.top->entry[1] == pages[1]));
	CHECK_EQ(vm_info(self()).balloon, 2);
	for (int i = 0; i < 2000 && held_by(taker) < before + 2; i++)
		bare_sleep_us(1000);
	CHECK_EQ(held_by(taker), before + 2);
	/* And one in the other VM: three in all. */
	CHECK_EQ(bare_manage(AERO_CALL_SET_TARGET, helper, 1, NULL), 0);
	for (int i = 0; i < 2000 && held_by(taker) < before + 3; i++)
		bare_sleep_us(1000);
	CHECK_EQ(held_by(taker), before + 3);
	CHECK(page_verify_as(self(), pages[0], 1) < 0);
	CHECK(page_verify_as(self(), pages[2], 1) < 0);
	/* Back again: the taker ends first, so that there is memory. */
	CHECK_EQ(bare_manage(AERO_CALL_STOP, taker, 0, NULL), 0);
	CHECK(settle(0, 10));
	CHECK_EQ(vm_info(self()).balloon, 0);
	CHECK(page_is_zero(pages[1]) && page_is_zero(pages[3]));
	page_fill_as(self(), pages[1], 2);
	page_fill_as(self(), pages[3], 2);
	CHECK(page_verify_as(self(), pages[1], 2) < 0 && page_verify_as(self(), pages[3], 2) < 0);
	CHECK(page_verify_as(self(), pages[0], 1) < 0);
	CHECK_EQ(bare_manage(AERO_CALL_SET_TARGET, helper, 0, NULL), 0);
	return audit();
}

/* One inactive page; ends when the VM has given it away and got it back. */
static int picture_helper(void)
{
	bool had = false;

	bare_keep_free = 0;
	CHECK(bare_balloon_start());
	CHECK(hold_all_but_four());
	bare_page_free(pages[2], 0);
	for (;;) {
		bare_balloon_poll(1);
		had |= bare_balloon.size == 1;
		if (had && !bare_balloon.size)
			break;
		bare_sleep_us(2000);
	}
	CHECK(page_is_zero(pages[2]));
	CHECK(page_verify_as(self(), pages[0], 1) < 0 && page_verify_as(self(), pages[1], 1) < 0 &&
	      page_verify_as(self(), pages[3], 1) < 0);
	return 0;
}

/* Touches all its pages, for ever: sooner or later this VM waits. */
static int taker(void)
{
	u64 p;

	while ((p = bare_page_alloc(0)))
		page_fill_as(self(), p, 1);
	while (vm_info(self()).id == self())
		bare_sleep_us(100000);
	return 0;
}

/* Touches a page in the balloon: it is popped and empty, and unlocking it later does no harm. */
static int popped(void)
{
	u64 page, large, *p;

	CHECK(bare_balloon_start());
	CHECK(settle(1024 + 3, 10));
	CHECK(bare_balloon.small.used >= 1 && bare_balloon.large.used >= 1);
	page = bare_balloon.small.top->entry[0];
	large = bare_balloon.large.top->entry[0];
	p = bare_ptr(page);
	CHECK_EQ(*p, 0);
	*p = 0x1234;
	CHECK_EQ(vm_info(self()).popped, 1);
	CHECK_EQ(vm_info(self()).balloon, 1026);
	p = bare_ptr(large + 77);
	*p = 0x5678;
	CHECK_EQ(vm_info(self()).popped, 2);
	CHECK_EQ(vm_info(self()).balloon, 1025);
	CHECK(page_is_zero(large + 78)); /* a read pops too */
	CHECK_EQ(vm_info(self()).popped, 3);
	CHECK(settle(0, 10));
	CHECK_EQ(vm_info(self()).balloon, 0);
	CHECK_EQ(*(u64 *)bare_ptr(page), 0x1234);
	CHECK_EQ(*p, 0x5678);
	return audit();
}

/* The driver restarts, again and again, with a full balloon. */
static int restart(void)
{
	for (int round = 0; round < 3; round++) {
		struct aero_balloon old;

		CHECK(bare_balloon_start());
		CHECK_EQ(vm_info(self()).balloon, 0);
		CHECK(settle(2048 + 17, 10));
		old = bare_balloon;
		CHECK_EQ(vm_info(self()).balloon, 2065);
		/* The new driver's balloon is empty; the pages are ordinary memory again. */
		CHECK(bare_balloon_start());
		CHECK_EQ(vm_info(self()).balloon, 0);
		CHECK(page_is_zero(old.small.top->entry[0]));
		while (old.small.used)
			bare_page_free(old.small.top->entry[--old.small.used], 0);
		while (old.large.used)
			bare_page_free(old.large.top->entry[--old.large.used], 9);
	}
	CHECK_EQ(vm_info(self()).popped, 0);
	return audit();
}

/* --- hostile requests ------------------------------------------------------- */

static struct aero_batch batch __attribute__((aligned(4096)));

static struct aero_result lock(u64 nr, u64 gpa, u64 count, u64 first)
{
	struct aero_result r;

	bare_hypercall(nr, gpa, count, first, &r);
	return r;
}

/* One entry; returns its status in the batch. */
static u64 lock_one(u64 nr, u64 entry)
{
	struct aero_result r;

	batch.entry[0] = entry;
	r = lock(nr, (u64)&batch, 1, 0);
	if (r.status)
		return 1000 + (u64)-r.status;
	return (batch.entry[0] & AERO_ENTRY_STATUS_MASK) >> AERO_ENTRY_STATUS_SHIFT;
}

static int hostile_calls(void)
{
	u64 top = bare_memory_pages() * PAGE, b = (u64)&batch;

	/* Before START nothing may be locked. */
	CHECK_EQ(lock(AERO_CALL_LOCK, b, 1, 0).status, AERO_ERR_STATE);
	CHECK_EQ(lock(AERO_CALL_START, 99, 0, 0).status, AERO_ERR_INVALID);
	CHECK(bare_balloon_start());
	for (u64 nr = AERO_CALL_LOCK; nr <= AERO_CALL_UNLOCK; nr++) {
		CHECK_EQ(lock(nr, b + 8, 1, 0).status, AERO_ERR_INVALID);
		CHECK_EQ(lock(nr, b, 0, 0).status, AERO_ERR_INVALID);
		CHECK_EQ(lock(nr, b, 513, 0).status, AERO_ERR_INVALID);
		CHECK_EQ(lock(nr, b, 1, 1).status, AERO_ERR_INVALID);
		CHECK_EQ(lock(nr, b, ~0ul, 0).status, AERO_ERR_INVALID);
		CHECK_EQ(lock(nr, b, 4, ~0ul).status, AERO_ERR_INVALID);
		CHECK_EQ(lock(nr, top, 512, 0).status, AERO_ERR_FAULT);
		CHECK_EQ(lock(nr, 0xa0000, 512, 0).status, AERO_ERR_FAULT);
		CHECK_EQ(lock(nr, ~0xffful, 512, 0).status, AERO_ERR_FAULT);
	}
	CHECK_EQ(lock(AERO_CALL_STATS, ~7ul, 0, 0).status, AERO_ERR_FAULT);
	CHECK_EQ(lock(AERO_CALL_STATS, 1, 0, 0).status, AERO_ERR_INVALID);
	CHECK_EQ(lock(AERO_CALL_DOORBELL, 31, 0, 0).status, AERO_ERR_INVALID);
	CHECK_EQ(lock(AERO_CALL_DOORBELL, 257, 0, 0).status, AERO_ERR_INVALID);
	CHECK_EQ(lock(AERO_CALL_DOORBELL, 64, 99, 0).status, AERO_ERR_INVALID);
	CHECK_EQ(lock(0x80000009, 0, 0, 0).status, AERO_ERR_NOSYS);
	CHECK_EQ(lock(0xffffffff, 0, 0, 0).status, AERO_ERR_NOSYS);
	for (u64 nr = 0; nr < 16; nr++)
		CHECK_EQ(lock(nr, 0, 0, 0).status, AERO_ERR_KVM_NOSYS);
	CHECK_EQ(bare_manage(AERO_CALL_VM_INFO, 1000, b, NULL), AERO_ERR_NOENT);
	CHECK_EQ(bare_manage(AERO_CALL_VM_INFO, self(), top, NULL), AERO_ERR_FAULT);
	CHECK_EQ(bare_manage(AERO_CALL_SET_TARGET, self(), top / PAGE + 1, NULL), AERO_ERR_INVALID);
	return 0;
}

static int hostile(void)
{
	u64 top = bare_memory_pages() * PAGE, good = bare_page_alloc(0) * PAGE;
	u64 large = bare_page_alloc(9) * PAGE;

	CHECK(!hostile_calls());
	/* Each refused, with its own status, and nothing changed. */
	CHECK_EQ(lock_one(AERO_CALL_LOCK, good | 2), AERO_ENTRY_MALFORMED);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, good | 1), AERO_ENTRY_MALFORMED);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, large + PAGE + 1), AERO_ENTRY_MALFORMED);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, top), AERO_ENTRY_RANGE);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, top | 1), AERO_ENTRY_RANGE);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, AERO_ENTRY_ADDR), AERO_ENTRY_RANGE);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, (AERO_ENTRY_ADDR & ~0x1ffffful) | 1), AERO_ENTRY_RANGE);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, 0xa0000), AERO_ENTRY_RANGE);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, 0xfee00000), AERO_ENTRY_RANGE);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, 0 | 1), AERO_ENTRY_BUSY); /* has the batch page in it */
	CHECK_EQ(lock_one(AERO_CALL_LOCK, (u64)&batch), AERO_ENTRY_BUSY);
	CHECK_EQ(lock_one(AERO_CALL_UNLOCK, good), AERO_ENTRY_STATE);
	CHECK_EQ(lock_one(AERO_CALL_UNLOCK, large | 1), AERO_ENTRY_STATE);
	CHECK_EQ(vm_info(self()).balloon, 0);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, good), AERO_ENTRY_OK);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, good), AERO_ENTRY_STATE);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, large | 1), AERO_ENTRY_OK);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, large + 5 * PAGE), AERO_ENTRY_STATE);
	CHECK_EQ(vm_info(self()).balloon, 513);
	/* A batch page inside the balloon cannot be read. */
	CHECK_EQ(lock(AERO_CALL_LOCK, good, 1, 0).status, AERO_ERR_FAULT);
	CHECK_EQ(lock_one(AERO_CALL_UNLOCK, large + 5 * PAGE), AERO_ENTRY_OK);
	CHECK_EQ(lock_one(AERO_CALL_LOCK, large | 1), AERO_ENTRY_STATE);
	CHECK_EQ(lock_one(AERO_CALL_UNLOCK, large | 1), AERO_ENTRY_OK);
	CHECK_EQ(lock_one(AERO_CALL_UNLOCK, good), AERO_ENTRY_OK);
	CHECK_EQ(vm_info(self()).balloon, 0);
	/* Duplicates in one batch: the second is refused, the rest goes on. */
	batch.entry[0] = good;
	batch.entry[1] = good;
	batch.entry[2] = large;
	CHECK_EQ(lock(AERO_CALL_LOCK, (u64)&batch, 3, 0).value, 3);
	CHECK_EQ(batch.entry[0], good);
	CHECK_EQ(batch.entry[1], good | (u64)AERO_ENTRY_STATE << AERO_ENTRY_STATUS_SHIFT);
	CHECK_EQ(batch.entry[2], large);
	return audit();
}

static int no_permission(void)
{
	struct aero_result r;

	for (u64 nr = AERO_CALL_HOST_INFO; nr <= AERO_CALL_RESTART; nr++) {
		bare_hypercall(nr, 0, 0, 0, &r);
		CHECK_EQ(r.status, AERO_ERR_PERM);
	}
	return 0;
}

static void vmcall(void)
{
	struct aero_result r;

	bare_hypercall(AERO_CALL_POLL, 0, 0, 0, &r);
}

static int user_call(void)
{
	bare_on_aerostat();
	CHECK_EQ(bare_catch(vmcall), (u64)-1);
	CHECK_EQ(bare_catch_user(vmcall), 6);
	return 0;
}

/* --- doorbell and grow ----------------------------------------------------- */

static volatile int rings;

static void rung(void)
{
	rings++;
}

static int doorbell(void)
{
	struct aero_result r;

	CHECK(bare_balloon_start());
	bare_on_interrupt(0x50, rung);
	bare_hypercall(AERO_CALL_DOORBELL, 0x50, 0, 0, &r);
	CHECK_EQ(r.status, 0);
	bare_manage(AERO_CALL_SET_TARGET, self(), 100, NULL);
	__asm__ volatile("sti; hlt; cli"); /* it is pending already, or wakes us */
	CHECK_EQ(rings, 1);
	bare_manage(AERO_CALL_SET_TARGET, self(), 100, NULL); /* no news */
	bare_sleep_us(1000);
	CHECK_EQ(rings, 1);
	CHECK(settle(100, 10));
	bare_hypercall(AERO_CALL_DOORBELL, 0, 0, 0, &r);
	bare_manage(AERO_CALL_SET_TARGET, self(), 0, NULL);
	bare_sleep_us(1000);
	CHECK_EQ(rings, 1);
	return 0;
}

/* --- several vCPUs: two write while a third inflates and deflates ------------------ */

static volatile u32 stop, ready;
static volatile u64 wrong;
#define WRITER_PAGES 64

static void writer(void *arg)
{
	u64 mine[WRITER_PAGES], generation = 0;

	for (int i = 0; i < WRITER_PAGES; i++) {
		mine[i] = bare_page_alloc(0);
		page_fill_as(self(), mine[i], 0);
	}
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (!stop) {
		for (int i = 0; i < WRITER_PAGES; i++)
			if (page_verify_as(self(), mine[i], generation) >= 0)
				wrong++;
		generation++;
		for (int i = 0; i < WRITER_PAGES; i++)
			page_fill_as(self(), mine[i], generation);
	}
	(void)arg;
	__atomic_sub_fetch(&ready, 1, __ATOMIC_SEQ_CST);
}

static int writers(void)
{
	CHECK(bare_nr_cpus() >= 3);
	bare_start_cpu(1, writer, NULL);
	bare_start_cpu(2, writer, NULL);
	while (ready < 2)
		__asm__ volatile("pause");
	CHECK(bare_balloon_start());
	for (int round = 0; round < 6; round++) {
		CHECK(settle(1800 + (u64)round * 7, 10));
		CHECK(settle((u64)round * 100, 10));
	}
	stop = 1;
	while (ready)
		__asm__ volatile("pause");
	CHECK_EQ(wrong, 0);
	return audit();
}

int bare_main(void)
{
	static const struct test_case cases[] = {
		{ "picture", picture },
		{ "picture-helper", picture_helper },
		{ "taker", taker },
		{ "popped", popped },
		{ "restart", restart },
		{ "hostile", hostile },
		{ "no-permission", no_permission },
		{ "user-call", user_call },
		{ "doorbell", doorbell },
		{ "writers", writers },
		{ NULL, NULL },
	};

	return run_case(cases);
}
