/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's own page tables. */
#ifndef ARCH_CPU_PAGING_H
#define ARCH_CPU_PAGING_H

#include <hv/base/types.h>

enum paging_flags {
	PAGING_W = BIT(0),
	PAGING_X = BIT(1),
	PAGING_UC = BIT(2),
	PAGING_WC = BIT(3),
};

/* Pages for tables before the frame table exists; must be zeroed. */
void paging_early_alloc(hpa_t (*alloc)(void));

/* Starts the final tables: the image, by section. Direct map regions are added next. */
int paging_init(void);

/* Adds [start, end) of RAM to the direct map, with the largest pages possible. */
int paging_map_direct(hpa_t start, hpa_t end);

/* Maps @bytes of data at @va, 2 MiB or 1 GiB at a time where both addresses allow it. HV_ENOMEM. */
int paging_map_range(u64 va, hpa_t pa, u64 bytes);

/*
 * All addresses in [va, end) that are not mapped read as zero from now on; that takes three pages
 * in all. @va begins a top-level entry. HV_ENOMEM.
 */
int paging_fill_holes(u64 va, u64 end);

/* Maps @pages 4 KiB pages at @va. HV_ENOMEM. */
int paging_map(u64 va, hpa_t pa, u64 pages, unsigned int flags);

/* Switches this CPU to the final tables; every AP calls it, too. */
void paging_activate(void);

/* Maps device memory, for good. NULL: no memory. */
void *paging_map_mmio(hpa_t pa, size_t bytes, unsigned int flags);

/* The physical address of the root table, for the AP trampoline. */
hpa_t paging_root(void);

/* Maps the AP trampoline's page 1:1, and takes that mapping away. */
int paging_map_trampoline(hpa_t pa);
void paging_unmap_low(void);

#endif
