/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/atomic.h>
#include <hv/base/log.h>
#include <hv/base/string.h>
#include <hv/control/scrollback.h>

static struct {
	char *memory; /* the pinned bytes, then the ring */
	u64 ring;     /* its size */
	u64 pinned;   /* (a) bytes that are pinned: the ring has the positions from there on */
	u64 oldest;   /* (a) start of the oldest line in the ring */
	u64 end;      /* (a) */
	u64 lost;     /* (a) lines that have left the ring */
	u32 length;   /* of the line that is not complete yet */
	char line[LOG_LINE_MAX];
} back;

void scrollback_init(char *memory, u64 bytes)
{
	u64 end = log_written(), at = log_oldest();

	memset(&back, 0, sizeof(back));
	back.memory = memory;
	back.ring = bytes - min(bytes, (u64)SCROLLBACK_PINNED);
	while (at && at < end && log_byte(at++) != '\n')
		; /* the beginning of this line is gone */
	for (; at < end; at++)
		scrollback_add(&(char){ log_byte(at) }, 1);
}

static char *byte_at(u64 at)
{
	if (at < back.pinned)
		return back.memory + at;
	return back.memory + SCROLLBACK_PINNED + (at - back.pinned) % back.ring;
}

char scrollback_byte(u64 at)
{
	return atomic_load(byte_at(at));
}

u64 scrollback_end(void)
{
	return atomic_load_acquire(&back.end);
}

/* Where the line that starts at @at ends: its newline.  Readers may see a torn one. */
static u64 newline_from(u64 at)
{
	u64 end = scrollback_end();

	while (at + 1 < end && scrollback_byte(at) != '\n')
		at++;
	return at;
}

/* Drops the oldest lines until @n bytes fit. */
static void make_room(u32 n)
{
	u64 oldest = back.oldest;

	for (; back.end + n - oldest > back.ring; back.lost++)
		oldest = newline_from(oldest) + 1;
	atomic_store(&back.oldest, oldest);
}

static void add_line(void)
{
	u32 n = back.length;

	/* Once a line has not fitted, no other one is pinned: the end is too far. */
	if (back.end + n <= SCROLLBACK_PINNED) {
		back.pinned = back.oldest = back.end + n;
		memcpy(back.memory + back.end, back.line, n);
	} else {
		make_room(n);
		for (u32 i = 0; i < n; i++)
			atomic_store(byte_at(back.end + i), back.line[i]);
	}
	atomic_store_release(&back.end, back.end + n);
}

void scrollback_add(const char *s, size_t n)
{
	for (size_t i = 0; i < n && back.ring; i++) {
		back.line[back.length++] = s[i];
		if (s[i] != '\n' && back.length < sizeof(back.line) - 1)
			continue;
		back.line[back.length - 1] = '\n';
		if (back.line[0] != '@')
			add_line();
		back.length = 0;
	}
}

static bool line_at(u64 at, struct scrollback_line *l)
{
	bool gap = at == atomic_load(&back.oldest) && at > back.pinned;

	*l = (struct scrollback_line){ at, newline_from(at), gap ? atomic_load(&back.lost) : 0 };
	return true;
}

bool scrollback_from(u64 at, struct scrollback_line *l)
{
	if (at >= back.pinned)
		at = max(at, atomic_load(&back.oldest));
	return at < scrollback_end() && line_at(at, l);
}

bool scrollback_before(u64 at, struct scrollback_line *l)
{
	u64 low = atomic_load(&back.oldest);

	if (at <= low) {
		at = min(at, back.pinned);
		low = 0;
	}
	if (at <= low)
		return false;
	for (at--; at > low && scrollback_byte(at - 1) != '\n'; at--)
		;
	return line_at(at, l);
}
