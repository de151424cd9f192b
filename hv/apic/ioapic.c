/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/nospec.h>
#include <hv/base/platform.h>
#include <hv/apic/lapic_regs.h>
#include <hv/vm/vm.h>

/* Registers in memory, and those behind IOREGSEL. */
enum { IOREGSEL = 0x00, IOWIN = 0x10, IOEOI = 0x40 };
enum { IOAPIC_ID = 0, IOAPIC_VERSION = 1, IOAPIC_ARB = 2, IOAPIC_TABLE = 0x10 };
#define VERSION_VALUE ((IOAPIC_PINS - 1) << 16 | 0x20)

/* Redirection entries; mode, logical and level are where the ICR has them. */
#define ENTRY_REMOTE_IRR BIT(14)
#define ENTRY_MASKED BIT(16)
#define ENTRY_DEST_SHIFT 56
/* Vector, mode, destination mode, polarity, trigger, mask; not delivery status and remote IRR. */
#define ENTRY_WRITABLE 0x1afff

void ioapic_reset(struct vm *vm)
{
	struct ioapic *io = &vm->ioapic;

	io->select = io->id = io->lines = 0;
	for (u32 i = 0; i < IOAPIC_PINS; i++)
		io->entry[i] = ENTRY_MASKED;
}

/* Only interrupts have a level; NMI, INIT and the like are edges, whatever the entry says. */
static bool is_level(u64 entry)
{
	return entry & ICR_LEVEL && ICR_MODE(entry) <= DM_LOWEST;
}

/* Polarity is kept and means nothing: sources say "asserted", not "high". With the lock held. */
static void deliver(struct vm *vm, u32 pin)
{
	u64 *entry = &vm->ioapic.entry[pin];
	struct lapic_message m = { .dest = (u32)(*entry >> ENTRY_DEST_SHIFT),
				   .mode = ICR_MODE(*entry),
				   .vector = (u8)*entry,
				   .logical = *entry & ICR_LOGICAL,
				   .level = is_level(*entry) };

	if (*entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR) || m.mode == DM_SIPI)
		return;
	/* Delivery is immediate, so the delivery status is always idle. */
	if (lapic_send(vm, &m) && m.level)
		*entry |= ENTRY_REMOTE_IRR;
}

/* Something changed: a level that is not yet on its way goes. With the lock held. */
static void evaluate(struct vm *vm, u32 pin)
{
	if (vm->ioapic.lines & BIT(pin) && is_level(vm->ioapic.entry[pin]))
		deliver(vm, pin);
}

void ioapic_set_line(struct vm *vm, u32 pin, bool asserted)
{
	struct ioapic *io = &vm->ioapic;
	u32 bit, old;

	hv_assert(pin < IOAPIC_PINS);
	bit = 1u << pin;
	spin_lock(&io->lock);
	old = io->lines;
	io->lines = asserted ? old | bit : old & ~bit;
	/* 82093AA: an edge at a masked pin is neither delivered nor held. */
	if (asserted && !(old & bit))
		deliver(vm, pin);
	spin_unlock(&io->lock);
}

/* With the lock held. Once for each EOI of the guest's: a line that stays up is its to see to. */
static void end_of_interrupt(struct vm *vm, u8 vector)
{
	for (u32 pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 *entry = &vm->ioapic.entry[pin];

		if (!(*entry & ENTRY_REMOTE_IRR) || (u8)*entry != vector)
			continue;
		*entry &= ~ENTRY_REMOTE_IRR;
		evaluate(vm, pin);
	}
}

void ioapic_eoi(struct vm *vm, u8 vector)
{
	spin_lock(&vm->ioapic.lock);
	end_of_interrupt(vm, vector);
	spin_unlock(&vm->ioapic.lock);
}

static void entry_write(struct vm *vm, u32 index, u32 value)
{
	u32 pin = (u32)index_nospec(index / 2, IOAPIC_PINS);
	u64 *entry = &vm->ioapic.entry[pin];

	if (index & 1)
		*entry = (u32)*entry | (u64)(value & 0xff000000) << 32;
	else
		*entry = (*entry & ~(u64)ENTRY_WRITABLE) | (value & ENTRY_WRITABLE);
	if (!is_level(*entry))
		*entry &= ~ENTRY_REMOTE_IRR; /* how guests without an EOI register clear it */
	evaluate(vm, pin);
}

static u32 window_read(const struct ioapic *io)
{
	u32 index = io->select - IOAPIC_TABLE;

	switch (io->select) {
	case IOAPIC_ID:
	case IOAPIC_ARB: /* follows the ID; there is no arbitration bus */
		return io->id;
	case IOAPIC_VERSION:
		return VERSION_VALUE;
	default:
		if (index >= 2 * IOAPIC_PINS)
			return 0;
		return (u32)(io->entry[index_nospec(index / 2, IOAPIC_PINS)] >> (index & 1) * 32);
	}
}

static void window_write(struct vm *vm, u32 value)
{
	struct ioapic *io = &vm->ioapic;
	u32 index = io->select - IOAPIC_TABLE;

	if (io->select == IOAPIC_ID)
		io->id = value & 0x0f000000;
	else if (index < 2 * IOAPIC_PINS)
		entry_write(vm, index, value);
}

u64 ioapic_mmio_read(struct vcpu *v, u64 offset, u32 size)
{
	struct ioapic *io = &v->vm->ioapic;
	u32 value = 0;

	spin_lock(&io->lock);
	if (offset == IOREGSEL)
		value = io->select;
	else if (offset == IOWIN)
		value = window_read(io);
	spin_unlock(&io->lock);
	return size < 4 ? value & (BIT(size * 8) - 1) : value;
}

/* Writes are of 32 bits, as the datasheet demands; IOREGSEL has only eight. */
void ioapic_mmio_write(struct vcpu *v, u64 offset, u32 size, u64 value)
{
	struct ioapic *io = &v->vm->ioapic;

	spin_lock(&io->lock);
	if (offset == IOREGSEL)
		io->select = (u8)value;
	else if (offset == IOWIN && size >= 4)
		window_write(v->vm, (u32)value);
	else if (offset == IOEOI)
		end_of_interrupt(v->vm, (u8)value);
	spin_unlock(&io->lock);
}
