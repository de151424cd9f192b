/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AddressSanitizer forbids access to free frames: it reports code that reads or writes one, through
 * a stale pointer or a wrong table, at the access. Frames that nobody has had are zero, and are not
 * scrubbed, which would take most of the time. Linked with --wrap for the functions that free
 * frames pass.
 */
#include <tests/fuzz/fuzz.h>

#include <sanitizer/asan_interface.h>

#include <mm/buddy.h>

static u8 had[65536]; /* by frame: 1: somebody has had it since it was zero */
static bool first;    /* no owner gives these frames back */

static void mark(u32 frame, unsigned int order, bool free)
{
	void *p = frame == FRAME_NONE ? NULL : fake_frame(frame);

	if (p && free)
		__asan_poison_memory_region(p, PAGE_SIZE << order);
	else if (p)
		__asan_unpoison_memory_region(p, PAGE_SIZE << order);
}

void fuzz_frames_off(void)
{
	if (fake.ram)
		__asan_unpoison_memory_region(fake.ram, (size_t)fake.nr_frames << PAGE_SHIFT);
}

void __real_buddy_free(struct buddy *b, u32 frame, unsigned int order, enum frame_state state);
void __wrap_buddy_free(struct buddy *b, u32 frame, unsigned int order, enum frame_state state);
void __wrap_buddy_free(struct buddy *b, u32 frame, unsigned int order, enum frame_state state)
{
	mark(frame, order, true);
	if (!first && state == FRAME_FREE_DIRTY)
		memset(had + frame, 1, 1u << order);
	__real_buddy_free(b, frame, order, state);
}

void __real_buddy_remove(struct buddy *b, u32 frame);
void __wrap_buddy_remove(struct buddy *b, u32 frame);
void __wrap_buddy_remove(struct buddy *b, u32 frame)
{
	mark(frame, b->table[frame].order, false);
	__real_buddy_remove(b, frame);
}

u32 __real_buddy_take(struct buddy *b, unsigned int order, enum frame_state state);
u32 __wrap_buddy_take(struct buddy *b, unsigned int order, enum frame_state state);
u32 __wrap_buddy_take(struct buddy *b, unsigned int order, enum frame_state state)
{
	u32 frame = __real_buddy_take(b, order, state);

	mark(frame, order, false);
	return frame;
}

u32 __real_buddy_take_largest(struct buddy *b, unsigned int max_order, enum frame_state state,
			      unsigned int *order);
u32 __wrap_buddy_take_largest(struct buddy *b, unsigned int max_order, enum frame_state state,
			      unsigned int *order);
u32 __wrap_buddy_take_largest(struct buddy *b, unsigned int max_order, enum frame_state state,
			      unsigned int *order)
{
	u32 frame = __real_buddy_take_largest(b, max_order, state, order);

	if (frame != FRAME_NONE)
		mark(frame, *order, false);
	return frame;
}

void __real_frames_add(u32 from, u32 count);
void __wrap_frames_add(u32 from, u32 count);
void __wrap_frames_add(u32 from, u32 count)
{
	fuzz_assert(from + count <= sizeof(had), "a machine of at most 256 MiB");
	first = true;
	__real_frames_add(from, count);
	first = false;
}

void __real_plat_scrub(void *p, size_t bytes);
void __wrap_plat_scrub(void *p, size_t bytes);
void __wrap_plat_scrub(void *p, size_t bytes)
{
	u32 frame = (u32)(plat_pa(p).v >> PAGE_SHIFT);

	for (u8 *at = p; bytes; at += PAGE_SIZE, bytes -= PAGE_SIZE, frame++)
		if (had[frame]) {
			memset(at, 0, PAGE_SIZE);
			had[frame] = 0;
		}
}
