/* SPDX-License-Identifier: BSD-2-Clause */
/* Intrusive doubly linked list. */
#ifndef HV_BASE_LIST_H
#define HV_BASE_LIST_H

#include <hv/base/types.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	__atomic_store_n(&l->next, l, __ATOMIC_RELAXED);
	l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return __atomic_load_n(&l->next, __ATOMIC_RELAXED) ==
	       l; /* also by who has no lock: a hint */
}

static inline void list_add_tail(struct list *head, struct list *n)
{
	n->prev = head->prev;
	n->next = head;
	__atomic_store_n(&head->prev->next, n, __ATOMIC_RELAXED);
	head->prev = n;
}

static inline void list_del(struct list *n)
{
	__atomic_store_n(&n->prev->next, n->next, __ATOMIC_RELAXED);
	n->next->prev = n->prev;
	list_init(n);
}

#define list_for_each(pos, head, member)                                                         \
	for (pos = container_of((head)->next, __typeof__(*pos), member); &pos->member != (head); \
	     pos = container_of(pos->member.next, __typeof__(*pos), member))

#endif
