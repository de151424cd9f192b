/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Start, console, traps, command line. */
#include <stdarg.h>

#include "bare.h"

#define UART 0x3f8
#define MULTIBOOT_MAGIC 0x2badb002

struct multiboot {
	u32 flags, lower, upper, boot_device, cmdline;
};

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1, ist[7], reserved2;
	u16 reserved3, iomap;
} __attribute__((packed));

static const char *cmdline = "";
static struct {
	u16 low, selector;
	u8 ist, type;
	u16 mid;
	u32 high, zero;
} idt[256] __attribute__((aligned(16)));
static struct tss tss;
static u8 trap_stack[8192] __attribute__((aligned(16)));
static void (*handlers[256])(void);
static volatile int caught = -1;
static volatile u32 *step_counter;
static volatile u64 resume_rip, resume_rsp;
u64 bare_caught_rflags;
struct bare_frame *bare_nmi_frame;

extern u8 bare_stubs[], bare_user_return[], bare_stacks[];
extern u64 bare_gdt_tss[2];
void bare_user_call(void (*fn)(void), void *stack);
void bare_boot(u32 magic, u64 info);
void bare_trap(struct bare_frame *f);

/* Freestanding C may call these. */
void *memset(void *d, int c, size_t n)
{
	void *p = d;

	__asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(c) : "memory");
	return d;
}

void *memcpy(void *d, const void *s, size_t n)
{
	void *p = d;

	__asm__ volatile("rep movsb" : "+D"(p), "+S"(s), "+c"(n)::"memory");
	return d;
}

static void put(char c)
{
	bare_outb(UART, (u8)c);
}

static void put_number(u64 v, unsigned int base, int width, char pad)
{
	char buf[24];
	int n = 0;

	do {
		buf[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	for (int i = n; i < width; i++)
		put(pad);
	while (n)
		put(buf[--n]);
}

static volatile u32 print_lock;

/* %s %c %d %u %x %lu %lx %ld with width and 0. */
void bare_printf(const char *fmt, ...)
{
	va_list ap;

	while (__atomic_exchange_n(&print_lock, 1, __ATOMIC_ACQUIRE))
		__asm__ volatile("pause");
	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		bool wide = false;
		char pad = ' ';
		int width = 0;
		long d;

		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		fmt++;
		if (*fmt == '0')
			pad = *fmt++;
		while (*fmt >= '0' && *fmt <= '9')
			width = width * 10 + *fmt++ - '0';
		if (*fmt == 'l') {
			wide = true;
			fmt++;
		}
		switch (*fmt) {
		case 'c':
			put((char)va_arg(ap, int));
			break;
		case 's':
			for (const char *s = va_arg(ap, const char *); *s; s++)
				put(*s);
			break;
		case 'd':
			d = wide ? va_arg(ap, long) : va_arg(ap, int);
			if (d < 0)
				put('-');
			put_number(d < 0 ? -(u64)d : (u64)d, 10, width, pad);
			break;
		case 'u':
		case 'x':
			put_number(wide ? va_arg(ap, unsigned long) : va_arg(ap, unsigned int),
				   *fmt == 'x' ? 16 : 10, width, pad);
			break;
		default:
			put(*fmt);
		}
	}
	va_end(ap);
	__atomic_store_n(&print_lock, 0, __ATOMIC_RELEASE);
}

void bare_exit(int status)
{
	bare_outb(0xf4, (u8)status);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void bare_power_off(void)
{
	__asm__ volatile("outw %0, %1" ::"a"((u16)0x2000), "Nd"((u16)0x604));
	for (;;)
		__asm__ volatile("cli; hlt");
}

int bare_strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

static const char *arg(const char *name)
{
	for (const char *s = cmdline; *s; s++) {
		const char *n = name, *p = s;

		if (s != cmdline && s[-1] != ' ')
			continue;
		while (*n && *n == *p) {
			n++;
			p++;
		}
		if (!*n && *p == '=')
			return p + 1;
	}
	return NULL;
}

u64 bare_arg_number(const char *name, u64 dflt)
{
	const char *s = arg(name);
	u64 v = 0;

	if (!s)
		return dflt;
	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (u64)(*s - '0');
	return v;
}

bool bare_arg_is(const char *name, const char *value)
{
	const char *s = arg(name);

	if (!s)
		return false;
	while (*value && *value == *s) {
		value++;
		s++;
	}
	return !*value && (*s == ' ' || !*s);
}

u64 bare_tsc_khz(void)
{
	u32 r[4];

	bare_cpuid(AERO_CPUID_TIMING, 0, r);
	return r[0] ? r[0] : 1000000;
}

void bare_on_step(volatile u32 *counter)
{
	step_counter = counter;
}

void bare_on_interrupt(u8 vector, void (*fn)(void))
{
	handlers[vector] = fn;
}

void bare_trap(struct bare_frame *f)
{
	if (f->vector >= 32) {
		if (handlers[f->vector])
			handlers[f->vector]();
		bare_apic_eoi();
		return;
	}
	if (f->vector == 2 && handlers[2]) {
		bare_nmi_frame = f;
		handlers[2]();
		return;
	}
	if (f->vector == 1 && step_counter) {
		*step_counter += 1;
		return;
	}
	if (resume_rip) {
		caught = (int)f->vector;
		bare_caught_rflags = f->rflags;
		f->rip = resume_rip;
		f->rsp = resume_rsp;
		f->cs = 8;
		f->ss = 0x10;
		f->rflags &= ~0x200ul;
		resume_rip = 0;
		return;
	}
	bare_printf("guest: exception %lu, error %lx, at %lx, rsp %lx\n", f->vector, f->error,
		    f->rip, f->rsp);
	bare_exit(254);
}

int bare_catch(void (*fn)(void))
{
	caught = -1;
	__asm__ volatile("push %%rbx; push %%rbp; push %%r12; push %%r13; push %%r14; push %%r15\n"
			 "sub $8, %%rsp\n"
			 "lea 1f(%%rip), %%rax\n"
			 "mov %%rax, %0\n"
			 "mov %%rsp, %1\n"
			 "call *%2\n"
			 "1: add $8, %%rsp\n"
			 "pop %%r15; pop %%r14; pop %%r13; pop %%r12; pop %%rbp; pop %%rbx\n"
			 : "=m"(resume_rip), "=m"(resume_rsp)
			 : "r"(fn)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory",
			   "cc");
	resume_rip = 0;
	return caught;
}

int bare_catch_user(void (*fn)(void))
{
	static u8 user_stack[4096] __attribute__((aligned(16)));

	caught = -1;
	resume_rsp = 0;
	resume_rip = (u64)bare_user_return;
	bare_user_call(fn, user_stack + sizeof(user_stack) - 8);
	resume_rip = 0;
	return caught;
}

void bare_init_traps(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };
	u64 base = (u64)&tss;

	for (u32 v = 0; v < 256; v++) {
		u64 entry = (u64)bare_stubs + v * 16;

		idt[v].low = (u16)entry;
		idt[v].selector = 8;
		idt[v].type = 0x8e;
		idt[v].mid = (u16)(entry >> 16);
		idt[v].high = (u32)(entry >> 32);
	}
	__asm__ volatile("lidt %0" ::"m"(idtr));
	if (bare_cpu())
		return;
	tss.rsp[0] = (u64)trap_stack + sizeof(trap_stack);
	tss.iomap = sizeof(tss);
	bare_gdt_tss[0] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ul << 40 |
			  (base >> 24 & 0xff) << 56;
	bare_gdt_tss[1] = base >> 32;
	__asm__ volatile("ltr %w0" ::"r"(0x38));
}

static void timer_fired(void)
{
}

/* Halts until the time is over; serves other interrupts meanwhile. */
void bare_sleep_us(u64 us)
{
	u64 end = bare_rdtsc() + us * bare_tsc_khz() / 1000;

	bare_on_interrupt(0x40, timer_fired);
	while (bare_rdtsc() < end) {
		bare_apic_timer(end, 0x40);
		__asm__ volatile("sti; hlt; cli");
	}
	bare_apic_timer(0, 0x40);
}

void bare_boot(u32 magic, u64 info)
{
	const struct multiboot *mb = (const void *)info;

	if (magic == MULTIBOOT_MAGIC && mb->flags & 4)
		cmdline = (const char *)(u64)mb->cmdline;
	bare_init_traps();
	bare_apic_init();
	bare_memory_init(((u64)mb->upper << 10) + 0x100000);
	bare_exit(bare_main());
}
