/* SPDX-License-Identifier: BSD-2-Clause */
#include <mm/buddy.h>

static unsigned int is_clean(enum frame_state state)
{
	return state == FRAME_FREE_CLEAN;
}

void buddy_init(struct buddy *b, struct frame *table, u32 nr)
{
	*b = (struct buddy){ .table = table, .nr = nr };
	for (int c = 0; c < 2; c++)
		for (int o = 0; o <= FRAME_MAX_ORDER; o++)
			b->heads[c][o] = FRAME_NONE;
}

static void push(struct buddy *b, u32 frame, unsigned int order, enum frame_state state)
{
	struct frame *f = &b->table[frame];
	u32 *head = &b->heads[is_clean(state)][order];

	f->state = (u8)state;
	f->order = (u8)order;
	f->owner = 0;
	f->aux = 0;
	f->link.next = *head;
	f->link.prev = FRAME_NONE;
	if (*head != FRAME_NONE)
		b->table[*head].link.prev = frame;
	*head = frame;
	atomic_store(&b->nonempty[is_clean(state)], b->nonempty[is_clean(state)] | 1u << order);
	b->count[is_clean(state)] += 1UL << order;
}

void buddy_remove(struct buddy *b, u32 frame)
{
	struct frame *f = &b->table[frame];
	unsigned int c = is_clean(f->state), order = f->order;

	if (f->link.prev == FRAME_NONE)
		b->heads[c][order] = f->link.next;
	else
		b->table[f->link.prev].link.next = f->link.next;
	if (f->link.next != FRAME_NONE)
		b->table[f->link.next].link.prev = f->link.prev;
	if (b->heads[c][order] == FRAME_NONE)
		atomic_store(&b->nonempty[c], b->nonempty[c] & ~(1u << order));
	b->count[c] -= 1UL << order;
	f->state = FRAME_TAIL;
}

void buddy_free(struct buddy *b, u32 frame, unsigned int order, enum frame_state state)
{
	b->table[frame].state = FRAME_TAIL;
	for (; order < FRAME_MAX_ORDER; order++) {
		u32 other = frame ^ (1u << order);

		/* Its owner may be retiring it, without our lock. */
		if (other >= b->nr || atomic_load(&b->table[other].state) != state ||
		    b->table[other].order != order)
			break;
		buddy_remove(b, other);
		frame = min(frame, other);
	}
	push(b, frame, order, state);
}

/* Cuts the block at @frame, already off its list, down to @want. */
static u32 cut(struct buddy *b, u32 frame, unsigned int have, unsigned int want,
	       enum frame_state state)
{
	while (have > want) {
		have--;
		push(b, frame + (1u << have), have, state);
	}
	b->table[frame].order = (u8)want;
	return frame;
}

u32 buddy_take(struct buddy *b, unsigned int order, enum frame_state state)
{
	u32 fits = b->nonempty[is_clean(state)] >> order << order;
	unsigned int have;
	u32 frame;

	if (!fits)
		return FRAME_NONE;
	have = (unsigned int)__builtin_ctz(fits);
	frame = b->heads[is_clean(state)][have];
	buddy_remove(b, frame);
	return cut(b, frame, have, order, state);
}

u32 buddy_take_largest(struct buddy *b, unsigned int max_order, enum frame_state state,
		       unsigned int *order)
{
	u32 any = b->nonempty[is_clean(state)];

	if (!any)
		return FRAME_NONE;
	*order = min(31u - (unsigned int)__builtin_clz(any), max_order);
	return buddy_take(b, *order, state);
}
