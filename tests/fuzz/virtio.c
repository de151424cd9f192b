/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All virtio devices of one VM: the input reads and writes registers, fills rings and buffers, and
 * changes memory between two accesses of a device, as another vCPU might. The number of accesses in
 * a call into a device is limited.
 */
#include <tests/fake/guest.h>
#include <tests/fuzz/fuzz.h>

#include <hv/apic/lapic_regs.h>
#include <hv/dev/console.h>
#include <hv/control/operator.h>
#include <hv/dev/bus.h>
#include <hv/emulate/mmio.h>
#include <hv/load/images.h>
#include <mm/epoch.h>
#include <mm/guestmem.h>

#define WINDOW 0x40000UL /* guest memory that the test uses: 64 KiB */
#define WINDOW_SIZE 0x10000UL
#define TOP MIB(4)
/*
 * The most accesses to guest memory in one call into a device. Four queues of 512 descriptors, and
 * 5 MiB of a disk in sectors, need fewer.
 */
#define ACCESSES_MAX 40000
#define SETUP 1024

static struct vm_config cfg;
static struct vm *vm;
static u8 linux_file[2 * SETUP], disk_file[5 * 4096 + 512];
static struct input *in;
static u32 accesses;

/* Changes that other vCPUs make meanwhile: one from the input every @period accesses. */
static u32 period;

static void put(size_t at, u64 value, size_t bytes)
{
	memcpy(linux_file + at, &value, bytes);
}

static void make_images(void)
{
	linux_file[0x1f1] = SETUP / 512 - 1;
	put(0x1f4, SETUP / 16, 4);
	put(0x1fe, 0xaa55, 2);
	put(0x200, 0x6aeb, 2);
	put(0x202, 0x53726448, 4);
	put(0x206, 0x020f, 2);
	put(0x22c, 0x7fffffff, 4);
	put(0x230, PAGE_SIZE, 4);
	put(0x236, 1, 2);
	put(0x238, 2047, 4);
	put(0x258, MIB(1), 8);
	put(0x260, 4096, 4);
	image_add("linux", linux_file, sizeof(linux_file));
	for (size_t i = 0; i < sizeof(disk_file); i++)
		disk_file[i] = (u8)(i >> 9);
	image_add("disk", disk_file, sizeof(disk_file));
}

/* --- memory that changes -------------------------------------------------------------- */

int __real_guest_read(struct p2m *p, gpa_t gpa, void *buf, size_t len);
int __real_guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len);
int __wrap_guest_read(struct p2m *p, gpa_t gpa, void *buf, size_t len);
int __wrap_guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len);

/* Mostly places near each other, so that they hit memory in use; sometimes any place. */
static u64 place(void)
{
	u16 at = in_16(in);

	return at == 0xffff ? in_64(in) : WINDOW + (at & ~1u);
}

static void poke(void)
{
	u8 form = in_8(in);
	u64 gpa = place(), value = form & 8 ? in_number(in) : in_bytes(in, 2);

	__real_guest_write(&vm->p2m, GPA(gpa), &value, 1u << (form & 3));
}

static void access_memory(void)
{
	fuzz_assert(++accesses < ACCESSES_MAX, "a call into a device has no end");
	fake.tsc += 10;
	if (period && accesses % period == 0 && in_left(in))
		poke();
}

int __wrap_guest_read(struct p2m *p, gpa_t gpa, void *buf, size_t len)
{
	access_memory();
	return __real_guest_read(p, gpa, buf, len);
}

int __wrap_guest_write(struct p2m *p, gpa_t gpa, const void *buf, size_t len)
{
	access_memory();
	return __real_guest_write(p, gpa, buf, len);
}

/* --- operations ------------------------------------------------------------------------- */

static gpa_t at(u32 slot, u32 reg)
{
	return GPA(VIRTIO_BASE + slot % VIRTIO_SLOTS * VIRTIO_STRIDE + reg);
}

static void write(u32 slot, u32 reg, u64 value)
{
	mmio_write(vm->vcpus[0], at(slot, reg), 4, value);
}

static void op_write(void)
{
	u8 slot = in_8(in), reg = in_8(in);

	mmio_write(vm->vcpus[0], at(slot, slot & 0x80 ? reg * 2u : reg * 4u), slot & 0x40 ? 8 : 4,
		   in_number(in));
}

static void op_read(void)
{
	u8 slot = in_8(in), reg = in_8(in);

	mmio_read(vm->vcpus[0], at(slot, reg * 2u), 1 + (slot >> 4 & 7));
}

/* Reset, features, queues of @size at WINDOW + queue * 4 KiB, DRIVER_OK: what a driver does. */
static void op_start(void)
{
	u8 slot = in_8(in), features = in_8(in), size = in_8(in);
	u32 queues = 1 + (slot >> 4 & 3);

	write(slot, 0x070, 0);
	write(slot, 0x070, 3);
	write(slot, 0x024, 1);
	write(slot, 0x020, 1);
	write(slot, 0x024, 0);
	write(slot, 0x020, features);
	write(slot, 0x070, 11);
	for (u32 q = 0; q < queues; q++) {
		u64 rings = WINDOW + q * PAGE_SIZE;

		write(slot, 0x030, q);
		write(slot, 0x038, 1u << (size & 7));
		write(slot, 0x080, rings);
		write(slot, 0x090, rings + 0x800);
		write(slot, 0x0a0, rings + 0xa00);
		write(slot, 0x044, 1);
	}
	write(slot, 0x070, 15);
}

/* Descriptors from number @first on, chained, and made available. */
static void op_chain(void)
{
	u8 form = in_8(in), first = in_8(in), n = 1 + (form >> 4), flags = in_8(in);
	u64 rings = WINDOW + (form & 3) * PAGE_SIZE;
	u16 index = 0, head = first % 8;

	for (u32 i = 0; i < n; i++) {
		u8 f = i % 8 == 7 ? in_8(in) : (u8)(flags >> i % 4 * 2);
		struct {
			u64 gpa;
			u32 length;
			u16 flags, next;
		} d = { place(), in_16(in), (u16)((i + 1u < n) | (f & 1) << 1),
			(u16)((first + i + 1) % 8) };

		if (f & 2)
			d.length <<= 8;
		__real_guest_write(&vm->p2m, GPA(rings + (first + i) % 8 * sizeof(d)), &d,
				   sizeof(d));
	}
	__real_guest_read(&vm->p2m, GPA(rings + 0x802), &index, sizeof(index));
	__real_guest_write(&vm->p2m, GPA(rings + 0x804 + index % 8 * 2), &head, sizeof(head));
	index++;
	__real_guest_write(&vm->p2m, GPA(rings + 0x802), &index, sizeof(index));
}

/* Requests to disks and to the balloon. */
static void op_request(void)
{
	u64 gpa = place();
	struct {
		u32 type, reserved;
		u64 sector;
	} r = { in_8(in), 0, in_number(in) };

	__real_guest_write(&vm->p2m, GPA(gpa), &r, sizeof(r));
}

static void op_pages(void)
{
	u64 gpa = place();
	u32 n = in_8(in), page = in_16(in);

	for (u32 i = 0; i < n; i++, page++)
		__real_guest_write(&vm->p2m, GPA(gpa + 4UL * i), &page, sizeof(page));
}

static void op_poke(void)
{
	poke();
}

static void op_period(void)
{
	period = in_8(in);
}

static void op_notify(void)
{
	u8 slot = in_8(in);

	write(slot, 0x050, slot >> 3 & 3);
	fuzz_assert(mmio_read(vm->vcpus[0], at(slot, 0x070), 4) < 256, "a status is a byte");
}

/* The scheduler's tick, with work for every device. */
static void op_tick(void)
{
	fake.tsc += 1UL << in_8(in) % 34;
	for (u32 i = 0; i < VIRTIO_SLOTS; i++) {
		virtio_work_due(&vm->bus->slot[i], fake.tsc);
		accesses = 0;
	}
	operator_tick(fake.tsc);
	console_tick(fake.tsc);
}

static void op_type(void)
{
	char bytes[OPERATOR_TYPED_MAX];
	u32 n = in_8(in) % OPERATOR_TYPED_MAX;

	memset(bytes, 'x', sizeof(bytes));
	bytes[0] = (char)in_8(in);
	operator_typed(bytes, n);
}

/* Moves the balloon's target; takes frames away from the host, and gives them back. */
static void op_memory(void)
{
	static u32 hoard[4096], have;
	u32 n = in_16(in) % 4096;

	switch (in_8(in) % 4) {
	case 0:
		balloon_set_target(vm, n);
		break;
	case 1:
		while (n-- && have < ARRAY_SIZE(hoard) && !frame_alloc_hv(0, &hoard[have]))
			have++;
		break;
	case 2:
		while (n-- && have)
			frame_free_hv(hoard[--have]);
		break;
	case 3:
		fake_settle();
		break;
	}
}

static void (*const ops[])(void) = {
	op_write,  op_read,   op_start, op_chain, op_request, op_pages,	 op_poke,
	op_period, op_notify, op_tick,	op_type,  op_memory,  op_notify, op_chain,
};

/* --- the VM ----------------------------------------------------------------------------- */

void fuzz_setup(void)
{
}

static void make_vm(u8 form)
{
	guest_machine(MIB(8), 1);
	fuzz_watch_log();
	make_images();
	cfg = guest_config("vm");
	cfg.memory = cfg.max = TOP;
	cfg.reserve = KIB(64);
	snprintf(cfg.kernel, sizeof(cfg.kernel), "linux");
	cfg.nr_disks = 3;
	cfg.disk[0] = (struct disk_config){ .file = "disk" };
	cfg.disk[1] = (struct disk_config){ .file = "disk",
					    .writable = KIB(8),
					    .latency_us = form & 1 ? 20 : 0 };
	cfg.disk[2] = (struct disk_config){ .blank = true, .writable = KIB(64) };
	fake.no_random = form & 2;
	vm = guest_start(&cfg);
	if (form & 4)
		operator_begin(vm);
	lapic_mmio_write(vm->vcpus[0], R_SVR, SVR_ENABLE | 0xff);
}

void fuzz_one(struct input *input)
{
	in = input;
	make_vm(in_8(in));
	while (in_left(in)) {
		ops[in_8(in) % ARRAY_SIZE(ops)]();
		accesses = 0;
		/* The vCPU enters its guest between two accesses of its own. */
		epoch_quiescent(0, epoch_now());
	}
	tables_check(&vm->p2m);
}
