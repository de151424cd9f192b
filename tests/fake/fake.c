/* SPDX-License-Identifier: BSD-2-Clause */
/* hv/base/platform.h for the host. */
#include <tests/fake/fake.h>

#include <sys/mman.h>

#include <hv/base/log.h>
#include <hv/base/string.h>
#include <mm/epoch.h>

#define BIG_SCRUB MIB(1)

struct fake fake;
uintptr_t plat_direct_base;

static void capture(const char *s, size_t len)
{
	if (getenv("V"))
		fwrite(s, 1, len, stderr);
	if (fake.log_len + len >= sizeof(fake.log))
		fake.log_len = 0;
	memcpy(fake.log + fake.log_len, s, len);
	fake.log_len += len;
	fake.tsc += len * fake.log_ticks;
	fake.log[fake.log_len] = '\0';
}

static struct log_sink sink = { .write = capture };

void fake_log_clear(void)
{
	fake.log_len = 0;
	fake.log[0] = '\0';
}

bool fake_log_has(const char *text)
{
	return strstr(fake.log, text);
}

void fake_machine_at(u32 first, u32 count, u32 nr_cpus)
{
	static bool once;
	u32 nr = first + count;

	if (!once)
		log_add_sink(&sink);
	once = true;
	fake_machine_off();
	fake = (struct fake){
		.first = first, .nr_frames = nr, .nr_cpus = nr_cpus, .tsc = 100 * 1000 * FAKE_KHZ
	};
	/* An access below the first frame, or to the page after the last, faults. */
	fake.ram = mmap(NULL, ((size_t)nr + 1) << PAGE_SHIFT, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(fake.ram != MAP_FAILED);
	assert_int_equal(mprotect(fake.ram + ((size_t)first << PAGE_SHIFT),
				  (size_t)count << PAGE_SHIFT, PROT_READ | PROT_WRITE),
			 0);
	plat_direct_base = (uintptr_t)fake.ram;
	fake.table = calloc(nr, sizeof(*fake.table));
	lock_order_forget();
	frames_init(fake.table, nr);
	frames_add(first, count);
	epoch_init();
	for (u32 i = 0; i < nr_cpus; i++)
		epoch_cpu_online(i);
}

void fake_machine(u32 count, u32 nr_cpus)
{
	fake_machine_at(512, count, nr_cpus);
}

void fake_machine_off(void)
{
	if (!fake.ram)
		return;
	munmap(fake.ram, ((size_t)fake.nr_frames + 1) << PAGE_SHIFT);
	free(fake.table);
	fake.ram = NULL;
	fake.table = NULL;
}

int fake_teardown(void **state)
{
	(void)state;
	fake_machine_off();
	return 0;
}

u8 *fake_frame(u32 frame)
{
	return plat_ptr(HPA((u64)frame << PAGE_SHIFT));
}

bool fake_is_zero(const void *p, size_t n)
{
	const u8 *b = p;

	return !n || (!b[0] && !memcmp(b, b + 1, n - 1));
}

void fake_settle(void)
{
	for (u32 i = 0; i < fake.nr_cpus; i++)
		epoch_quiescent(i, epoch_now());
	while (quarantine_drain(64))
		;
}

u32 plat_cpu(void)
{
	return fake.cpu;
}

u32 plat_nr_cpus(void)
{
	return fake.nr_cpus;
}

u64 plat_tsc(void)
{
	return fake.on_tsc ? fake.on_tsc() : fake.tsc;
}

u64 plat_tsc_khz(void)
{
	return FAKE_KHZ;
}

u64 plat_time_us(void)
{
	return fake.tsc * 1000 / FAKE_KHZ;
}

u64 plat_wall_time_us(void)
{
	return fake.wall_us ? fake.wall_us + plat_time_us() : 0;
}

void plat_kick(u32 cpu)
{
	assert_true(cpu < fake.nr_cpus);
	fake.kicked |= BIT(cpu);
	fake.kicks++;
}

bool plat_has_random(void)
{
	return !fake.no_random;
}

bool plat_random(u64 *bits)
{
	static u64 seed = 0x9e3779b97f4a7c15;

	*bits = fake_random(&seed);
	return !fake.no_random;
}

void plat_scrub(void *p, size_t bytes)
{
	assert_int_equal(bytes & PAGE_MASK, 0);
	fake.scrubs++;
	fake.scrub_bytes += bytes;
	if (bytes >= BIG_SCRUB)
		madvise(p, bytes, MADV_DONTNEED);
	else
		memset(p, 0, bytes);
}

void plat_idle(u64 deadline, const u32 *wake)
{
	fake.idles++;
	if (fake.on_idle)
		fake.on_idle(deadline, wake);
	else if (deadline != UINT64_MAX)
		fake.tsc = max(fake.tsc, deadline);
}

void plat_power_off(void)
{
	if (fake.power_off_armed)
		longjmp(fake.power_off, 1);
	fail_msg("powered off");
	abort();
}

void plat_reboot(void)
{
	fake.rebooted = true;
	plat_power_off();
}

void plat_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fake.panic_text, sizeof(fake.panic_text), fmt, ap);
	va_end(ap);
	lock_order_free(); /* nobody goes on after a panic, and the next test needs the locks */
	if (fake.panic_armed)
		longjmp(fake.panic, 1);
	fail_msg("panic: %s", fake.panic_text);
	abort();
}
