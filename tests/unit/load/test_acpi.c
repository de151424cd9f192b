/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's ACPI tables, read as an operating system does it, by the offsets of
 * ACPI 6.3, and by iasl's disassembler.
 */
#define _GNU_SOURCE /* memmem */
#include <tests/fake/guest.h>

#include <unistd.h>

#include <hv/exit/io.h>
#include <hv/load/acpi.h>
#include <hv/load/load.h>
#include <mm/guestmem.h>

static struct vm_config cfg;
static struct vm *vm;
static u8 area[LOAD_LOW_END - ACPI_TABLES]; /* the memory map's range for ACPI */

static void start(u32 vcpus)
{
	guest_machine(MIB(16), 1);
	cfg = guest_config("vm");
	cfg.vcpus = vcpus;
	vm = guest_start(&cfg);
	assert_int_equal(acpi_load(vm), HV_OK);
	assert_int_equal(guest_read(&vm->p2m, GPA(ACPI_TABLES), area, sizeof(area)), HV_OK);
}

static int setup(void **state)
{
	(void)state;
	start(1);
	return 0;
}

static u64 get(const u8 *p, size_t bytes)
{
	u64 v = 0;

	memcpy(&v, p, bytes);
	return v;
}

static u8 sum(const u8 *p, size_t n)
{
	u8 s = 0;

	while (n--)
		s = (u8)(s + *p++);
	return s;
}

/* The table at @gpa: of that name, whole, and right by its checksum. */
static const u8 *table(u64 gpa, const char *signature, u64 *length)
{
	const u8 *t = area + (gpa - ACPI_TABLES);

	assert_in_range(gpa, ACPI_TABLES, LOAD_LOW_END - 36);
	assert_memory_equal(t, signature, 4);
	*length = get(t + 4, 4);
	assert_in_range(*length, 36, ACPI_MACHINE - gpa); /* inside ACPI's part of the area */
	assert_int_equal(sum(t, *length), 0);
	assert_memory_equal(t + 10, "AEROSTAEROSTAT", 14);
	return t;
}

static u64 xsdt_entry(u32 i)
{
	u64 length;
	const u8 *x = table(get(area + 24, 8), "XSDT", &length);

	assert_int_equal(length, 36 + 2 * 8);
	return get(x + 36 + i * 8UL, 8);
}

/* "Root System Description Pointer (RSDP)" */
static void root(void **state)
{
	(void)state;
	assert_memory_equal(area, "RSD PTR ", 8);
	assert_int_equal(sum(area, 20), 0);
	assert_int_equal(area[15], 2);
	assert_int_equal(get(area + 16, 4), 0); /* no RSDT beside the XSDT */
	assert_int_equal(get(area + 20, 4), 36);
	assert_int_equal(sum(area, 36), 0);
	xsdt_entry(0);
}

static void io_port(const u8 *gas, u16 port)
{
	assert_int_equal(gas[0], 1); /* system I/O */
	assert_int_equal(gas[1], 8);
	assert_int_equal(gas[2], 0);
	assert_int_equal(gas[3], 1); /* a byte at a time */
	assert_int_equal(get(gas + 4, 8), port);
}

/* "Fixed ACPI Description Table (FADT)" */
static void fixed(void **state)
{
	u64 length, dsdt;
	const u8 *f = table(xsdt_entry(0), "FACP", &length);

	(void)state;
	assert_int_equal(length, 276);
	assert_int_equal(f[8], 6);
	assert_int_equal(f[131], 3);
	assert_int_equal(get(f + 109, 2), 1 << 2); /* no VGA */
	/* WBINVD, no fixed power and sleep button, RTC wake, 32-bit timer, reset register, hardware-reduced */
	assert_int_equal(get(f + 112, 4),
			 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 20);
	assert_int_equal(f[108], RTC_CENTURY);
	io_port(f + 116, PORT_RESET);
	assert_int_equal(f[128], RESET_VALUE);
	io_port(f + 244, PORT_SLEEP_CONTROL);
	io_port(f + 256, PORT_SLEEP_STATUS);
	/* Of ACPI hardware there is the timer alone: no FACS, no PM registers, no SMI command. */
	assert_int_equal(get(f + 76, 4), PORT_PM_TIMER);
	assert_int_equal(f[91], 4);
	assert_int_equal(f[208] | f[209] << 8 | f[210] << 16 | f[211] << 24, 0x03002001);
	assert_int_equal(get(f + 212, 8), PORT_PM_TIMER);
	assert_true(fake_is_zero(f + 36, 76 - 36));
	assert_true(fake_is_zero(f + 80, 91 - 80));
	assert_true(fake_is_zero(f + 92, 108 - 92));
	assert_int_equal(get(f + 132, 8), 0);
	assert_true(fake_is_zero(f + 148, 208 - 148));
	assert_true(fake_is_zero(f + 220, 244 - 220));
	dsdt = get(f + 140, 8);
	table(dsdt, "DSDT", &length);
	assert_int_equal(area[dsdt - ACPI_TABLES + 8], 2); /* 64-bit integers */
}

/* "Multiple APIC Description Table (MADT)" */
static void processors(void **state)
{
	(void)state;
	for (u32 n = 1; n <= MAX_VCPUS; n++) {
		u64 length, cpus = 0, io = 0;
		const u8 *m;

		start(n);
		m = table(xsdt_entry(1), "APIC", &length);
		assert_int_equal(m[8], 5);
		assert_int_equal(get(m + 36, 4), 0xfee00000);
		assert_int_equal(get(m + 40, 4), 0); /* no 8259s */
		for (u64 at = 44; at < length; at += m[at + 1]) {
			assert_true(m[at + 1] >= 2 && at + m[at + 1] <= length);
			if (m[at] == 0) {
				assert_int_equal(m[at + 1], 8);
				assert_int_equal(m[at + 2], cpus);
				assert_int_equal(m[at + 3], cpus); /* as its local APIC says */
				assert_int_equal(get(m + at + 4, 4), 1);
				cpus++;
			} else {
				assert_int_equal(m[at], 1);
				assert_int_equal(m[at + 1], 12);
				assert_int_equal(get(m + at + 4, 4), 0xfec00000);
				assert_int_equal(get(m + at + 8, 4), 0);
				io++;
			}
		}
		assert_int_equal(cpus, n);
		assert_int_equal(io, 1);
	}
}

/* No tables overlap, and all are in the memory map's range. */
static void apart(void **state)
{
	u64 start_of[5], end[5], length;

	(void)state;
	start(MAX_VCPUS);
	start_of[0] = ACPI_TABLES;
	end[0] = ACPI_TABLES + 36;
	start_of[1] = get(area + 24, 8);
	table(start_of[1], "XSDT", &length);
	end[1] = start_of[1] + length;
	start_of[2] = xsdt_entry(0);
	start_of[4] = get(table(start_of[2], "FACP", &length) + 140, 8);
	end[2] = start_of[2] + length;
	start_of[3] = xsdt_entry(1);
	table(start_of[3], "APIC", &length);
	end[3] = start_of[3] + length;
	table(start_of[4], "DSDT", &length);
	end[4] = start_of[4] + length;
	for (int i = 1; i < 5; i++)
		assert_true(start_of[i] >= end[i - 1]);
	assert_true(end[4] <= ACPI_MACHINE);
	assert_int_equal(*(u32 *)(area + (ACPI_MACHINE - ACPI_TABLES)), ACPI_HAS_BALLOON);
	tables_check(&vm->p2m);
}

/* The sleep type of \_S5 in the DSDT ends the VM at the port that the FADT names. */
static void power_off_and_reset(void **state)
{
	u16 port;
	u64 length;
	const u8 *f = table(xsdt_entry(0), "FACP", &length);
	const u8 *d = table(get(f + 140, 8), "DSDT", &length);
	const u8 *s5 = memmem(d, length, "_S5_", 4);

	(void)state;
	assert_non_null(s5);
	/* PackageOp, length, count, BytePrefix, value */
	assert_int_equal(s5[4], 0x12);
	assert_int_equal(s5[7], 0x0a);
	port = (u16)get(f + 244 + 4, 8);
	for (u32 type = 0; type < 8; type++) {
		guest_port(vm->vcpus[0], port, 1, false, type << 2); /* not enabled */
		if (type != s5[8])
			guest_port(vm->vcpus[0], port, 1, false, 1 << 5 | type << 2);
	}
	assert_int_equal(vm->state, VM_RUNNING);
	guest_port(vm->vcpus[0], port, 1, false, 1u << 5 | s5[8] << 2u);
	assert_int_equal(vm->state, VM_ENDING);
	assert_int_equal(vm->exit_status, 0);
	start(1);
	port = (u16)get(f + 116 + 4, 8);
	guest_port(vm->vcpus[0], port, 1, false, f[128] ^ 0x80u);
	assert_int_equal(vm->state, VM_RUNNING);
	guest_port(vm->vcpus[0], port, 1, false, f[128]);
	assert_int_equal(vm->state, VM_ENDING);
	assert_true(vm->again);
}

/* iasl knows each field, and its listing reports errors. */
static void disassembled(const char *dir, const char *name, u64 gpa)
{
	char command[300], text[256];
	u64 length;
	const u8 *t = table(gpa, name, &length);
	FILE *f;

	snprintf(command, sizeof(command), "%s/%s.dat", dir, name);
	f = fopen(command, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(t, 1, length, f), length);
	fclose(f);
	snprintf(command, sizeof(command), "cd %s && iasl -d %s.dat 2>&1 && cat %s.dsl 2>&1", dir,
		 name, name);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(text, sizeof(text), f))
		if (strstr(text, "Error") || strstr(text, "Warning") || strstr(text, "Invalid") ||
		    strstr(text, "Incorrect") || strstr(text, "****") || strstr(text, "Unknown"))
			fail_msg("%s: %s", name, text);
	assert_int_equal(pclose(f), 0);
}

static void as_iasl_reads_them(void **state)
{
	char dir[] = "/tmp/test_acpi.XXXXXX", command[100];
	u64 length;

	(void)state;
	start(3);
	assert_non_null(mkdtemp(dir));
	disassembled(dir, "XSDT", get(area + 24, 8));
	disassembled(dir, "FACP", xsdt_entry(0));
	disassembled(dir, "APIC", xsdt_entry(1));
	disassembled(dir, "DSDT", get(table(xsdt_entry(0), "FACP", &length) + 140, 8));
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

/* The pin that the DSDT names for the button's event gets one edge a press. */
static void power_button(void **state)
{
	u64 length;
	const u8 *d = table(get(table(xsdt_entry(0), "FACP", &length) + 140, 8), "DSDT", &length);
	const u8 *hid = memmem(d, length, "ACPI0013", 8), *irq;
	struct vcpu *v = vm->vcpus[0];

	(void)state;
	assert_non_null(hid);
	/* "Extended Interrupt Descriptor": edge, active high, exclusive consumer; one interrupt */
	irq = memmem(hid, 40, "\x89\x06\x00\x03\x01", 5);
	assert_non_null(irq);
	assert_int_equal(get(irq + 5, 4), VM_POWER_PIN);
	lapic_mmio_write(v, 0xf0, 0x1ff);
	assert_int_equal(vm_press_power(vm), HV_OK); /* nobody listens yet */
	assert_int_equal(lapic_pending(v), -1);
	vm->ioapic.entry[irq[5]] = 0x51;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vm_press_power(vm), HV_OK);
		assert_int_equal(lapic_pending(v), 0x51);
		lapic_accept(v, 0x51);
		lapic_mmio_write(v, 0xb0, 0);
		assert_int_equal(lapic_pending(v), -1);
	}
	assert_int_equal(vm->state, VM_RUNNING); /* the guest decides */
	vm_end(vm, 0, "off");
	assert_int_equal(vm_press_power(vm), HV_ESTATE);
}

/* Ports by which kernels reset a PC that has no ACPI. */
static void resets(void **state)
{
	static const struct {
		u16 port;
		u8 nothing, reset;
	} ways[] = { { PORT_KEYBOARD, 0xd1, 0xfe },
		     { PORT_CONTROL_A, 2, 3 },
		     { PORT_CHIPSET, 2, 6 },
		     { PORT_RESET, 0, RESET_VALUE } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		start(1);
		guest_port(vm->vcpus[0], ways[i].port, 1, false, ways[i].nothing);
		assert_int_equal(vm->state, VM_RUNNING);
		guest_port(vm->vcpus[0], ways[i].port, 1, false, ways[i].reset);
		assert_int_equal(vm->state, VM_ENDING);
		assert_true(vm->again);
	}
	start(1);
	/* The controller is never busy, and line A20 is open. */
	assert_int_equal(guest_port(vm->vcpus[0], PORT_KEYBOARD, 1, true, 0) & 2, 0);
	assert_int_equal(guest_port(vm->vcpus[0], PORT_CONTROL_A, 1, true, 0), 2);
	assert_int_equal(vm->state, VM_RUNNING);
}

static void no_memory(void **state)
{
	struct frame_batch b = FRAME_BATCH_INIT;
	u64 work = 0;
	u32 f;

	(void)state;
	guest_machine(MIB(16), 1);
	cfg = guest_config("vm");
	vm = guest_start(&cfg);
	for (u64 gfn = ACPI_TABLES >> PAGE_SHIFT; gfn < LOAD_LOW_END >> PAGE_SHIFT; gfn++)
		p2m_report(&vm->p2m, gfn, ORDER_4K, &b,
			   &work); /* those that its start has put there */
	p2m_commit(&vm->p2m, &b);
	while (!frame_alloc_hv(0, &f))
		;
	assert_true(acpi_load(vm) < 0);
	tables_check(&vm->p2m);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(root),
		T(fixed),
		T(processors),
		T(apart),
		T(power_off_and_reset),
		T(power_button),
		T(as_iasl_reads_them),
		T(resets),
		T(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
