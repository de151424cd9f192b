/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "balloon_core.h"

#define PAGES_2M 512u
#define ORDER_4K 0u
#define ORDER_2M 9u
#define NONE ((void *)0)

static unsigned int status_of(aero_u64 entry)
{
	return (unsigned int)((entry & AERO_ENTRY_STATUS_MASK) >> AERO_ENTRY_STATUS_SHIFT);
}

static aero_u64 page_of(aero_u64 entry)
{
	return (entry & AERO_ENTRY_ADDR) >> 12;
}

/* Pages of the driver's own: the batch and the chunks. */
static int own_page_alloc(struct aero_balloon *b, aero_u64 *page)
{
	return b->os->own ? b->os->own(b->os->ctx, page) : b->os->alloc(b->os->ctx, ORDER_4K, page);
}

/* Makes room for one more entry before the call: we must remember every locked page. */
static int stack_reserve(struct aero_balloon *b, struct aero_stack *s)
{
	struct aero_chunk *c = s->spare;
	aero_u64 page;

	if (s->top && s->used < AERO_CHUNK_ENTRIES)
		return 1;
	if (!c) {
		if (!own_page_alloc(b, &page))
			return 0;
		c = b->os->map(b->os->ctx, page);
		c->page = page;
	}
	s->spare = NONE;
	c->next = s->top;
	s->top = c;
	s->used = 0;
	return 1;
}

static void stack_push(struct aero_stack *s, aero_u64 page)
{
	s->top->entry[s->used++] = page;
}

/* Gives a page of the driver's own back to the kernel, without our addresses in it. */
static void own_page_free(struct aero_balloon *b, aero_u64 *memory, aero_u64 page)
{
	for (unsigned int i = 0; i < 4096 / sizeof(*memory); i++)
		memory[i] = 0;
	if (b->os->disown)
		b->os->disown(b->os->ctx, page);
	else
		b->os->release(b->os->ctx, ORDER_4K, page);
}

static void chunk_free(struct aero_balloon *b, struct aero_chunk *c)
{
	own_page_free(b, (aero_u64 *)c, c->page);
}

/* 0 if the stack is empty. */
static int stack_pop(struct aero_balloon *b, struct aero_stack *s, aero_u64 *page)
{
	if (s->top && !s->used) {
		struct aero_chunk *c = s->top;

		s->top = c->next;
		s->used = AERO_CHUNK_ENTRIES;
		if (s->spare)
			chunk_free(b, c);
		else
			s->spare = c;
	}
	if (!s->top)
		return 0;
	*page = s->top->entry[--s->used];
	return 1;
}

static struct aero_stack *stack_of(struct aero_balloon *b, unsigned int order)
{
	if (order)
		return &b->large;
	return b->os->keep ? NONE : &b->small; /* none: the kernel keeps the list of 4 KiB pages */
}

static void hold(struct aero_balloon *b, unsigned int order, aero_u64 page)
{
	struct aero_stack *s = stack_of(b, order);

	if (s)
		stack_push(s, page);
	else
		b->os->keep(b->os->ctx, page);
}

static int let_go(struct aero_balloon *b, unsigned int order, aero_u64 *page)
{
	struct aero_stack *s = stack_of(b, order);

	return s ? stack_pop(b, s, page) : b->os->take(b->os->ctx, page);
}

static aero_u64 entry_of(aero_u64 page, unsigned int order)
{
	return page << 12 | (order ? AERO_ENTRY_2M : 0);
}

static void call(struct aero_balloon *b, aero_u64 nr, aero_u64 x, aero_u64 y, aero_u64 z,
		 struct aero_result *r)
{
	b->os->call(nr, x, y, z, r);
	if (r->status >= 0) {
		b->target = r->target;
		b->hint = r->hint ? r->hint : 1;
	}
}

long aero_balloon_start(struct aero_balloon *b, const struct aero_os *os)
{
	struct aero_result r;
	aero_u64 page;

	*b = (struct aero_balloon){ .os = os, .hint = 1 };
	do {
		call(b, AERO_CALL_START, AERO_ABI_VERSION, ~0ull, 0, &r);
	} while (r.status == AERO_AGAIN);
	if (r.status)
		return r.status;
	if (!own_page_alloc(b, &page))
		return AERO_ERR_NOMEM;
	b->batch = os->map(os->ctx, page);
	b->batch_page = page;
	b->features = r.value;
	b->started = 1;
	return AERO_OK;
}

/*
 * Sends entries [0, n), and calls again until the hypervisor has looked at all. Returns the status;
 * *@looked: the number of entries that it has looked at; the others are unchanged.
 */
static long send(struct aero_balloon *b, aero_u64 number, aero_u64 n, aero_u64 *looked)
{
	struct aero_result r = { 0 };
	aero_u64 before;

	*looked = 0;
	do {
		before = *looked;
		call(b, number, b->batch_page << 12, n, before, &r);
		if (r.value > before && r.value <= n)
			*looked = r.value;
	} while (r.status == AERO_AGAIN && *looked > before);
	b->batches++;
	return r.status == AERO_AGAIN ? AERO_ERR_INVALID : r.status;
}

/* Fills the batch with at most @max pages of @order that the kernel can spare. */
static unsigned int gather(struct aero_balloon *b, unsigned int order, aero_u64 max)
{
	struct aero_stack *s = stack_of(b, order);
	unsigned int n = 0;
	aero_u64 page;

	/* The whole batch must fit into chunks that exist before the call. */
	if (!max || (s && !stack_reserve(b, s)))
		return 0;
	if (max > AERO_BATCH_MAX)
		max = AERO_BATCH_MAX;
	if (s && max > AERO_CHUNK_ENTRIES - s->used)
		max = AERO_CHUNK_ENTRIES - s->used;
	while (n < max && b->os->alloc(b->os->ctx, order, &page))
		b->batch->entry[n++] = entry_of(page, order);
	return n;
}

/* Locks one batch; returns the pages that the balloon has gained. */
static aero_u64 inflate(struct aero_balloon *b, unsigned int order, aero_u64 max)
{
	aero_u64 wanted = order && b->os->large_untouched ? AERO_BATCH_MAX : b->hint >> order;
	unsigned int n = gather(b, order, max < wanted ? max : wanted), locked = 0;
	aero_u64 looked;
	long status;

	if (!n)
		return 0;
	status = send(b, AERO_CALL_LOCK, n, &looked);
	for (unsigned int i = 0; i < n; i++) {
		aero_u64 e = b->batch->entry[i];

		if (i < looked && status_of(e) == AERO_ENTRY_OK) {
			hold(b, order, page_of(e));
			locked++;
		} else {
			b->refused++;
			b->os->release(b->os->ctx, order, page_of(e));
		}
	}
	if (status < 0)
		b->os->log(b->os->ctx, "lock refused", (aero_u64)-status);
	b->size += (aero_u64)locked << order;
	b->actual += (aero_u64)locked << order;
	return (aero_u64)locked << order;
}

/*
 * Unlocks one batch and gives the pages to the kernel; returns how many. An entry that was popped
 * meanwhile reads as "not in the balloon": it is the kernel's again, too.
 */
static aero_u64 deflate(struct aero_balloon *b, unsigned int order, aero_u64 max)
{
	struct aero_stack *s = stack_of(b, order);
	unsigned int n = 0, out = 0, popped = 0;
	aero_u64 page, looked, gone;

	/*
	 * At most one chunk becomes empty, and it stays as spare: there is room for all refused
	 * pages.
	 */
	while (n < max && n < AERO_CHUNK_ENTRIES && let_go(b, order, &page))
		b->batch->entry[n++] = entry_of(page, order);
	if (!n)
		return 0;
	if (send(b, AERO_CALL_UNLOCK, n, &looked) < 0)
		b->os->log(b->os->ctx, "unlock refused", n);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int st = status_of(b->batch->entry[i]);

		if (i < looked && (st == AERO_ENTRY_OK || st == AERO_ENTRY_STATE)) {
			b->os->release(b->os->ctx, order, page_of(b->batch->entry[i]));
			out++;
			popped += st == AERO_ENTRY_STATE;
		} else if (!s || stack_reserve(b, s)) {
			hold(b, order, page_of(b->batch->entry[i])); /* no table now: next time */
		}
	}
	b->size -= (aero_u64)out << order;
	gone = (aero_u64)(out - popped) << order;
	b->actual -= gone < b->actual ? gone : b->actual;
	return (aero_u64)out << order;
}

static int inflate_some(struct aero_balloon *b)
{
	aero_u64 want = b->target - b->actual;

	if (b->features & AERO_FEATURE_2M && want >= PAGES_2M &&
	    inflate(b, ORDER_2M, want / PAGES_2M))
		return 1;
	return inflate(b, ORDER_4K, want) != 0;
}

/* Gives back about @excess pages at most; returns how many, 0 if none can go now. */
static aero_u64 deflate_some(struct aero_balloon *b, aero_u64 excess)
{
	aero_u64 out = 0;

	/* Large pages first: they are of most use to the kernel. */
	if (excess >= PAGES_2M)
		out = deflate(b, ORDER_2M, excess / PAGES_2M);
	if (!out)
		out = deflate(b, ORDER_4K, excess);
	/* Only large pages are left, and less than one is due: give a whole one back. */
	return out ? out : deflate(b, ORDER_2M, 1);
}

static aero_u64 excess_of(const struct aero_balloon *b)
{
	/* At target 0 the popped pages go back, too. */
	return b->target ? b->actual - b->target : b->size;
}

static int settled(const struct aero_balloon *b)
{
	return b->actual == b->target && (b->target || !b->size);
}

int aero_balloon_step(struct aero_balloon *b, unsigned int batches)
{
	struct aero_result r;

	if (!b->started)
		return 0;
	call(b, AERO_CALL_POLL, 0, 0, 0, &r);
	if (r.status)
		return 0;
	b->actual = r.value; /* less than our size if pages were popped */
	for (; batches && !settled(b); batches--)
		if (b->actual < b->target ? !inflate_some(b) : !deflate_some(b, excess_of(b)))
			return 0;
	return !settled(b);
}

void aero_balloon_grow(struct aero_balloon *b, aero_u64 pages)
{
	struct aero_result r;
	aero_u64 due, out;

	if (!b->started)
		return;
	call(b, AERO_CALL_GROW, pages, 0, 0, &r);
	/* Use the target of this answer: a later call may return another one. */
	for (due = r.status ? 0 : r.value; due; due -= out < due ? out : due) {
		out = deflate_some(b, due);
		if (!out)
			break;
	}
}

aero_u64 aero_balloon_report(struct aero_balloon *b, const aero_u64 *pages, unsigned int n)
{
	aero_u64 looked, taken = 0;

	if (!b->started || !n || n > AERO_BATCH_MAX)
		return 0;
	for (unsigned int i = 0; i < n; i++)
		b->batch->entry[i] = entry_of(pages[i], ORDER_2M);
	if (send(b, AERO_CALL_REPORT, n, &looked) < 0)
		b->os->log(b->os->ctx, "report refused", n);
	for (unsigned int i = 0; i < looked; i++)
		if (status_of(b->batch->entry[i]) == AERO_ENTRY_OK)
			taken += PAGES_2M;
	b->reported += taken;
	return taken;
}

int aero_balloon_move(struct aero_balloon *b, aero_u64 from, aero_u64 to)
{
	aero_u64 looked;

	if (!b->started)
		return 0;
	b->batch->entry[0] = entry_of(to, ORDER_4K);
	if (send(b, AERO_CALL_LOCK, 1, &looked) < 0 || !looked || status_of(b->batch->entry[0]))
		return 0;
	/* If the call is refused, the kernel pops the page when it uses it: no memory is lost. */
	b->batch->entry[0] = entry_of(from, ORDER_4K);
	if (send(b, AERO_CALL_UNLOCK, 1, &looked) < 0)
		b->os->log(b->os->ctx, "unlock refused", 1);
	return 1;
}

/* If the hypervisor does not know the call, it keeps the balloon until the next START. */
void aero_balloon_abandon(struct aero_balloon *b)
{
	struct aero_result r = { .status = b->started ? AERO_AGAIN : AERO_OK };

	while (r.status == AERO_AGAIN)
		call(b, AERO_CALL_END, 0, 0, 0, &r);
	b->started = 0;
}

aero_u64 aero_balloon_stop(struct aero_balloon *b)
{
	if (!b->started)
		return 0;
	while (deflate(b, ORDER_2M, AERO_BATCH_MAX) || deflate(b, ORDER_4K, AERO_BATCH_MAX))
		;
	if (b->size)
		return b->size;
	if (b->small.spare)
		chunk_free(b, b->small.spare);
	if (b->large.spare)
		chunk_free(b, b->large.spare);
	own_page_free(b, (aero_u64 *)b->batch, b->batch_page);
	aero_balloon_abandon(b);
	return 0;
}
