/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns the loader's memory map into memory of the frame allocator. It owns the direct map's extent
 * and the place of the frame table; nothing else reads the loader's map.
 */
#ifndef BOOT_MEMORY_H
#define BOOT_MEMORY_H

#include <hv/drv/pci.h>
#include <boot/boot_info.h>

/*
 * Builds the final page tables, switches to them, quiets the devices, and gives the allocator its
 * first memory. Uses up @bi's list of RAM. @uart: the UART that pci_quiet() found. Returns NULL, or
 * a message why it cannot go on. Boot CPU, once.
 */
const char *memory_init(struct boot_info *bi, struct pci_uart *uart);

/*
 * Adds the next piece of the RAM that memory_init() left for later, so that the first guest need
 * not wait for a large machine's frame table; false: there is no more. One CPU at a time.
 */
bool memory_more(void);

/*
 * Makes the boot room (head.S) memory like any other; nothing may use its page tables and its stack
 * any more. After memory_init(), before memory_limit(), once. The boot_info of memory_init() lies
 * on that stack: returns a copy of it; NULL: no memory.
 */
struct boot_info *memory_give_back_boot_room(void);

/* A page of RAM below 640 KiB that is free for the start of the other CPUs; 0: there is none. */
hpa_t memory_low_page(void);

/* The number of frames that memory_more() will still add. */
u64 memory_to_come(void);

/* [host] memory: leaves at most @bytes to guests (0: all), the rest is not used. Boot only. */
void memory_limit(u64 bytes);

#endif
