/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/dev/virtio_balloon.h>
#include <hv/vm/vm.h>

#define F_MUST_TELL_HOST BIT(0)
#define F_STATS_VQ BIT(1)
#define F_DEFLATE_ON_OOM BIT(2)
#define F_PAGE_REPORTING BIT(5)

/* Those that a driver does not want take no number: the later ones move up. */
enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS };

static u32 queue_report(const struct virtio *d)
{
	return d->features & F_STATS_VQ ? QUEUE_STATS + 1 : QUEUE_STATS;
}

#define PAGES_MAX 256 /* of a request, at a time */
#define STATS_MS 1000

/* --- requests: pages in, pages out, pages that are free --- */

/* Page numbers of the chain, from the one that is next; returns how many. */
static int take_pages(struct virtio *d, const struct virtq_chain *c, u64 done, u64 *entries)
{
	u64 left = c->bytes_out / sizeof(u32) - done;
	u32 pages[PAGES_MAX], n = (u32)min(left, (u64)PAGES_MAX);
	int err = virtq_read(d, c, done * sizeof(u32), pages, n * sizeof(u32));

	for (u32 i = 0; !err && i < n; i++)
		entries[i] = (u64)pages[i] << PAGE_SHIFT;
	return err ? err : (int)n;
}

/* What one did is known by its statuses; for a lack of memory it is tried again. */
static u32 stopped_at(const u64 *entries, u32 done)
{
	for (u32 i = 0; i < done; i++)
		if ((entries[i] & AERO_ENTRY_STATUS_MASK) == (u64)AERO_ENTRY_NOMEM
								     << AERO_ENTRY_STATUS_SHIFT)
			return i;
	return done;
}

/* One call of work(). */
struct turn {
	u64 now;
	u64 work;  /* leaf operations for this queue, of P2M_WORK_MAX */
	u64 given; /* pages that the guest took out because it needs them */
};

/* HV_OK: all of the chain is done; HV_ESTATE: later; HV_EFAULT. */
static int move(struct virtio *d, const struct virtq_chain *c, enum balloon_op op, u64 *progress,
		struct turn *t)
{
	u64 *entries = balloon_scratch();
	u32 done, all;
	bool refused;
	int n = take_pages(d, c, *progress, entries);

	if (n < 0)
		return HV_EFAULT;
	all = done = balloon_entries(d->vm, op, entries, 0, (u32)n, UINT64_MAX, &t->work, &refused);
	if (refused)
		done = stopped_at(entries, all);
	*progress += done;
	if (done < all)
		virtio_wait_for_memory(d, HV_EAGAIN);
	else if (*progress < c->bytes_out / sizeof(u32))
		virtio_again(d, t->now);
	else
		return HV_OK;
	return HV_ESTATE;
}

/* The piece of the report at @*at: by 2 MiB where it can be; malformed ones are passed over. */
static u64 take_piece(const struct virtq_segment *s, u64 at, u64 *entry)
{
	u64 gpa = s->gpa + at, left = s->length - at;

	if (gpa & PAGE_MASK || left < PAGE_SIZE) {
		*entry = UINT64_MAX; /* refused as malformed */
		return left;
	}
	*entry = gpa;
	if (gpa & (MIB(2) - 1) || left < MIB(2))
		return PAGE_SIZE;
	*entry |= AERO_ENTRY_2M;
	return MIB(2);
}

static int report(struct virtio *d, const struct virtq_chain *c, u64 *progress, struct turn *t)
{
	u64 *entries = balloon_scratch(), ends[PAGES_MAX], start = 0, at = *progress;
	u32 n = 0, done;
	bool refused;

	for (u32 i = c->nr_out; i < (u32)c->nr_out + c->nr_in; i++) {
		const struct virtq_segment *s = &c->segment[i];

		while (n < PAGES_MAX && at < start + s->length) {
			at += take_piece(s, at - start, &entries[n]);
			ends[n++] = at;
		}
		start += s->length;
	}
	done = balloon_entries(d->vm, BALLOON_REPORT, entries, 0, n, UINT64_MAX, &t->work,
			       &refused);
	if (done)
		*progress = ends[done - 1];
	if (*progress >= c->bytes_in)
		return HV_OK;
	virtio_again(d, t->now);
	return HV_ESTATE;
}

/*
 * Linux's driver moves a page (compaction) by putting the new one in and taking the old one
 * out, a list of one each.  When it needs memory (its OOM notifier) it takes out 256 at once,
 * fewer only if it has no more: one page that is not its last is an exchange.  Sizes would not
 * tell them apart: what it needs is taken out between the lists of an inflation, too.
 */
static int deflate(struct virtio *d, const struct virtq_chain *c, u64 *progress, struct turn *t)
{
	struct vm *vm = d->vm;
	u64 before = atomic_load(&vm->balloon.unlocked);
	int err = move(d, c, BALLOON_UNLOCK, progress, t);

	if (c->bytes_out / sizeof(u32) != 1 || !atomic_load(&vm->p2m.ballooned))
		t->given += atomic_load(&vm->balloon.unlocked) - before;
	return err;
}

static int serve(struct virtio *d, u32 queue, const struct virtq_chain *c, struct turn *t)
{
	u64 *progress = &((struct virtio_balloon *)d->device)->done[queue];

	if (queue == QUEUE_INFLATE)
		return move(d, c, BALLOON_LOCK, progress, t);
	if (queue == QUEUE_DEFLATE)
		return deflate(d, c, progress, t);
	return report(d, c, progress, t);
}

/* What cannot go on stays the queue's next; the others go on, each with a bound of its own. */
static void run_queue(struct virtio *d, u32 queue, struct turn *t)
{
	struct virtio_balloon *b = d->device;
	struct virtq_chain c;
	bool any = false;
	int err;

	t->work = 0;
	for (;;) {
		err = virtq_peek(d, queue, &c);
		if (err)
			break;
		err = serve(d, queue, &c, t);
		if (err == HV_EFAULT)
			virtio_broken(d, "a list of pages is not in memory");
		if (!err)
			err = virtq_done(d, queue, &c, 0);
		if (err) {
			virtio_wait_for_memory(d, err);
			break;
		}
		b->done[queue] = 0;
		any = true;
	}
	if (any) {
		tally_add(&d->vm->balloon.calls, 1);
		virtq_interrupt(d, queue);
	}
}

/* --- statistics --- */

struct stat {
	u16 tag;
	u64 value;
} __attribute__((packed));

/* "Memory Statistics Tags"; sizes are in bytes. */
static void take_stat(struct aero_stats *s, const struct stat *t)
{
	switch (t->tag) {
	case 0:
		s->swap_in = t->value >> PAGE_SHIFT;
		break;
	case 1:
		s->swap_out = t->value >> PAGE_SHIFT;
		break;
	case 2:
		s->major_faults = t->value;
		break;
	case 4:
		s->free = t->value >> PAGE_SHIFT;
		break;
	case 5:
		s->total = t->value >> PAGE_SHIFT;
		break;
	case 6:
		s->available = t->value >> PAGE_SHIFT;
		break;
	case 7:
		s->file = t->value >> PAGE_SHIFT;
		break;
	}
}

/* The buffer stays with us until the guest must fill it again. */
static void statistics(struct virtio *d, u64 now)
{
	struct virtio_balloon *b = d->device;
	struct aero_stats s = { 0 };
	struct virtq_chain c;
	struct stat t;

	if (!(d->features & F_STATS_VQ) || virtq_peek(d, QUEUE_STATS, &c))
		return;
	if (b->stats_read == d->q[QUEUE_STATS].next) { /* new */
		for (u32 i = 0; i < 16 && !virtq_read(d, &c, i * sizeof(t), &t, sizeof(t)); i++)
			take_stat(&s, &t);
		tally_add(&d->vm->balloon.calls, 1);
		balloon_note_stats(d->vm, &s);
		b->stats_read++;
		b->next_stats = now + STATS_MS * plat_tsc_khz();
	}
	if (now < b->next_stats)
		virtio_again(d, b->next_stats);
	else if (!virtio_wait_for_memory(d, virtq_done(d, QUEUE_STATS, &c, 0)))
		virtq_interrupt(d, QUEUE_STATS);
}

/* --- the device --- */

static void tell_target(struct virtio *d)
{
	struct virtio_balloon *b = d->device;
	u32 target = (u32)min(atomic_load(&d->vm->balloon.target), (u64)UINT32_MAX);

	b->config.actual = (u32)atomic_load(&d->vm->p2m.ballooned);
	if (b->config.pages == target)
		return;
	b->config.pages = target;
	virtio_config_changed(d);
}

static void work(struct virtio *d, u64 now)
{
	struct turn t = { .now = now };
	struct vm *vm = d->vm;

	/* What a former driver left in the balloon is the guest's again, first of all. */
	if (!atomic_load(&vm->balloon.started) && balloon_reset(vm) == HV_EAGAIN) {
		virtio_again(d, now);
		return;
	}
	tell_target(d);
	run_queue(d, QUEUE_INFLATE, &t);
	run_queue(d, QUEUE_DEFLATE, &t);
	if (t.given)
		balloon_shrank(vm, t.given);
	if (d->features & F_PAGE_REPORTING)
		run_queue(d, queue_report(d), &t);
	statistics(d, now);
}

static void ring(struct vm *vm)
{
	if (vm->bus && vm->bus->slot[SLOT_BALLOON].kind)
		virtio_again(&vm->bus->slot[SLOT_BALLOON], plat_tsc());
}

const struct balloon_front virtio_balloon_front = { "virtio-balloon", BALLOON_VIRTIO, ring };

static bool claim(struct virtio *d)
{
	return balloon_claim(d->vm, &virtio_balloon_front);
}

static void started(struct virtio *d)
{
	virtio_again(d, plat_tsc());
}

static void reset(struct virtio *d)
{
	struct virtio_balloon *b = d->device;

	memset(b->done, 0, sizeof(b->done));
	b->next_stats = b->stats_read = 0;
	b->config.pages = 0;
	if (atomic_load(&d->vm->balloon.front) == &virtio_balloon_front)
		balloon_release(d->vm);
}

static const struct virtio_kind virtio_balloon = {
	.id = 5,
	.nr_queues = 4,
	.features = F_MUST_TELL_HOST | F_STATS_VQ | F_DEFLATE_ON_OOM | F_PAGE_REPORTING,
	.claim = claim,
	.started = started,
	.reset = reset,
	.work = work,
};

void virtio_balloon_plug(struct virtio *d, struct vm *vm, u32 slot, struct virtio_balloon *b)
{
	virtio_plug(d, &virtio_balloon, vm, slot, b);
	d->config = &b->config;
	d->config_size = sizeof(b->config);
}
