/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the loader's memory map to the frame allocator.  It owns the direct
 * map's extent and where the frame table lies; nothing else looks at the map.
 */
#ifndef BOOT_MEMORY_H
#define BOOT_MEMORY_H

#include <hv/drv/pci.h>
#include <boot/boot_info.h>

/*
 * Builds the final page tables, switches to them, quiets the devices, and
 * gives the allocator its first memory.  Uses up @bi's list of RAM.  @uart is
 * what pci_quiet() found.  NULL, or why it cannot go on.  Boot CPU, once.
 */
const char *memory_init(struct boot_info *bi, struct pci_uart *uart);

/*
 * The next piece of what memory_init() left for later, so that the first
 * guest need not wait for a large machine's frame table; false if there is no
 * more.  One CPU at a time.
 */
bool memory_more(void);

/*
 * The boot room (head.S) is memory like any other from now on: off its page
 * tables and its stack.  After memory_init(), before memory_limit(), once.
 * What memory_init() was given lies on that stack: returns a copy; NULL: no memory.
 */
struct boot_info *memory_give_back_boot_room(void);

/* A page of RAM below 640 KiB that nobody uses, for the other CPUs' start; 0: there is none. */
hpa_t memory_low_page(void);

/* What memory_more() will still add, in frames. */
u64 memory_to_come(void);

/* [host] memory: no more than @bytes for guests (0: all), the rest out of reach. Boot only. */
void memory_limit(u64 bytes);

#endif
