/* SPDX-License-Identifier: BSD-2-Clause */
/* hv/base/platform.h on hardware. */
#include <arch/x86_64/cpu/apic.h>
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/pc/console.h>
#include <arch/x86_64/quirks/mitigate.h>
#include <arch/x86_64/cpu/percpu.h>
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/cpu/trap.h>
#include <hv/base/atomic.h>
#include <hv/base/platform_io.h>

uintptr_t plat_direct_base = VA_DIRECT;
u32 stray_count, stray_vector;

u32 plat_cpu(void)
{
	u32 id;

	asm("mov %%gs:8, %0" : "=r"(id));
	return id;
}

void plat_kick(u32 cpu)
{
	apic_send_ipi(cpus[cpu]->apic_id, VECTOR_KICK);
}

#define RDRAND_TRIES 10 /* SDM: "Random Number Generator Instructions" */

bool plat_has_random(void)
{
	return cpuid(1, 0).c & BIT(30);
}

bool plat_random(u64 *bits)
{
	for (int i = 0; i < RDRAND_TRIES; i++) {
		bool valid;

		asm volatile("rdrand %0" : "=r"(*bits), "=@ccc"(valid));
		if (valid)
			return true;
	}
	return false;
}

void plat_scrub(void *p, size_t bytes)
{
	zero_qwords(p, bytes);
}

/* Handlers of devices' interrupts, by vector; none is ever taken away. */
#define MESSAGES 16
#define MESSAGE_ADDRESS 0xfee00000UL /* SDM: "Message Address Register Format" */

static struct {
	void (*fn)(void *arg);
	void *arg;
} message[MESSAGES];
static u32 nr_messages;

bool plat_message(void (*fn)(void *arg), void *arg, struct plat_message *m)
{
	u32 id = this_cpu()->apic_id;

	/* Without a remapping IOMMU the message has room for 8 bits of an APIC id. */
	if (nr_messages == MESSAGES || id > 254)
		return false;
	message[nr_messages].fn = fn;
	message[nr_messages].arg = arg;
	*m = (struct plat_message){ MESSAGE_ADDRESS | id << 12, VECTOR_MESSAGE + nr_messages };
	nr_messages++;
	return true;
}

void host_interrupt(u32 vector)
{
	struct cpu *c = this_cpu();

	switch (vector) {
	case VECTOR_KICK:
		c->kicks++;
		apic_eoi();
		break;
	case VECTOR_TIMER:
		c->timer_armed = 0;
		apic_eoi();
		break;
	case VECTOR_SPURIOUS:
		break; /* SDM: no EOI for a spurious interrupt */
	default:
		if (vector - VECTOR_MESSAGE < nr_messages) {
			apic_eoi();
			message[vector - VECTOR_MESSAGE].fn(message[vector - VECTOR_MESSAGE].arg);
			break;
		}
		if (vector - VECTOR_PIC < 16) {
			serial_interrupt(vector - VECTOR_PIC);
			break; /* or from a masked 8259 */
		}
		stray_vector = vector;
		atomic_add(&stray_count, 1);
		apic_eoi();
	}
}

void plat_idle(u64 deadline, const u32 *wake)
{
	apic_timer_set(deadline);
	mitigate_idle();
	/* The CPU takes a kick that comes after this check right behind STI. */
	if (!atomic_load_seq(wake))
		asm volatile("sti; hlt; cli" ::: "memory");
}
