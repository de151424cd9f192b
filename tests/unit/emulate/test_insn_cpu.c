/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole path - fetch, decode, address, compute, write back - against the
 * CPU that runs this test.  Each instruction is executed twice from the same
 * random registers, flags and memory: by the CPU, on ordinary memory, and by
 * emulate_access(), as if that memory were a device.  FUZZ=n: n million.
 */
#define _GNU_SOURCE
#include <tests/fake/guest.h>

#include <hv/emulate/insn.h>
#include <hv/emulate/mmio.h>
#include <mm/guestmem.h>
#include <sys/mman.h>

#define CF BIT(0)
#define PF BIT(2)
#define AF BIT(4)
#define ZF BIT(6)
#define SF BIT(7)
#define DF BIT(10)
#define OF BIT(11)
#define STATUS (CF | PF | AF | ZF | SF | OF)

/* The CPU's code and data, at addresses below 2 GiB. */
#define CODE 0x10000000UL
#define DATA 0x10010000UL /* the operands; MEMORY is the middle of it */
#define DATA_SIZE 0x1000UL
#define CODE_GPA 0x200000UL

struct context {
	u64 gpr[16], rflags, host_rsp;
};
#define CONTEXT ((struct context *)(CODE + 0x1000))

static struct vm_config cfg;
static struct vcpu *v;
static u8 *memory; /* at DATA: the CPU's */
static u8 device[DATA_SIZE];
static u64 seed = 2463534242;
static u64 device_accesses;

/* --- the device, in place of mmio.c, which is not linked --- */

const struct mmio_range *mmio_find(const struct vcpu *vcpu, gpa_t gpa)
{
	static const struct mmio_range range;

	(void)vcpu;
	return gpa.v - DATA < DATA_SIZE ? &range : NULL;
}

u64 mmio_read(struct vcpu *vcpu, gpa_t gpa, u32 size)
{
	u64 value = 0;

	(void)vcpu;
	assert_true(gpa.v >= DATA && gpa.v + size <= DATA + DATA_SIZE);
	memcpy(&value, device + (gpa.v - DATA), size);
	device_accesses++;
	return value;
}

void mmio_write(struct vcpu *vcpu, gpa_t gpa, u32 size, u64 value)
{
	(void)vcpu;
	assert_true(gpa.v >= DATA && gpa.v + size <= DATA + DATA_SIZE);
	memcpy(device + (gpa.v - DATA), &value, size);
	device_accesses++;
}

void mmio_exit(struct vcpu *vcpu, const struct vmexit *e)
{
	(void)vcpu;
	fail_msg("exit at %lx", e->fault.gpa.v);
}

/* --- the CPU --- */

static u8 *emit(u8 *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

/* An instruction whose operand is a field of the context, RIP-relative. */
static u8 *emit_context(u8 *p, const char *opcode, size_t n, const void *field)
{
	s32 disp;

	p = emit(p, opcode, n);
	disp = (s32)((const u8 *)field - (p + 4));
	return emit(p, &disp, 4);
}

static u8 *emit_all_gpr(u8 *p, u8 opcode)
{
	for (u8 r = 0; r < 16; r++) {
		char mov[3] = { (char)(0x48 | (r & 8) >> 1), (char)opcode,
				(char)((r & 7) << 3 | 5) };

		p = emit_context(p, mov, 3, &CONTEXT->gpr[r]);
	}
	return p;
}

/*
 * Loads registers and flags from the context, runs @insn, and saves them. RSP is one of them: no
 * signal may interrupt in between, and none does.
 */
static void run_on_cpu(const u8 *insn, size_t length)
{
	u8 *p = (u8 *)CODE;

	p = emit(p, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); /* push rbx, rbp, r12-r15 */
	p = emit_context(p, "\xff\x35", 2, &CONTEXT->rflags);	     /* push; popfq */
	p = emit(p, "\x9d", 1);
	p = emit_context(p, "\x48\x89\x25", 3, &CONTEXT->host_rsp);
	p = emit_all_gpr(p, 0x8b);
	p = emit(p, insn, length);
	p = emit_all_gpr(p, 0x89);
	p = emit_context(p, "\x48\x8b\x25", 3, &CONTEXT->host_rsp);
	p = emit(p, "\x9c", 1); /* pushfq; pop */
	p = emit_context(p, "\x8f\x05", 2, &CONTEXT->rflags);
	p = emit(p, "\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 12); /* cld; pop ... ret */
	assert_true(p < (u8 *)CODE + 0x1000);
	((void (*)(void))CODE)();
}

/* Where the instruction will be in run_on_cpu()'s code: RIP-relative operands depend on it. */
static u64 insn_rip(void)
{
	return CODE + 10 + 6 + 1 + 7 + 16 * 7;
}

/* --- ours --- */

/* Enters the emulation until RIP has moved, as the vCPU would. */
static void run_by_us(const struct insn *i, const u8 *insn, u64 linear)
{
	struct fake_vcpu *f = fake_of(v);
	u64 tries = 0;

	f->state.rip = insn_rip();
	assert_int_equal(
		guest_write(&v->vm->p2m, GPA(CODE_GPA + (insn_rip() & PAGE_MASK)), insn, i->length),
		HV_OK);
	v->advance = 0;
	do {
		emulate_access(v, GPA(linear), insn_writes(i));
		assert_int_equal(v->vm->state, VM_RUNNING);
		assert_int_equal(f->exception, -1);
		linear = insn_writes(i) ? v->gpr[GPR_RDI] : v->gpr[GPR_RSI];
	} while (!v->advance && i->repeat && tries++ < 100);
	assert_int_equal(v->advance, i->length);
}

static int setup(void **state)
{
	u64 *table;

	(void)state;
	guest_machine(MIB(64), 1);
	cfg = guest_config("cpu");
	v = guest_start(&cfg)->vcpus[0];
	fake_of(v)->state = (struct guest_state){
		.cr0 = BIT(31) | BIT(16) | 1, .cr4 = 0x20, .cr3 = 0x300000, .efer = 0xd00
	};
	fake_of(v)->state.seg[SEG_CS].attr = 0xa09b;
	/* Maps the code elsewhere in guest-physical memory, and the device at its own address. */
	table = calloc(3, PAGE_SIZE);
	table[0] = 0x301003;
	table[512] = 0x302003;
	table[1024 + (CODE >> 21 & 511)] = 0x303003;
	assert_int_equal(guest_write(&v->vm->p2m, GPA(0x300000), table, 3 * PAGE_SIZE), HV_OK);
	memset(table, 0, PAGE_SIZE);
	table[CODE >> 12 & 511] = CODE_GPA | 1;
	table[DATA >> 12 & 511] = DATA | 3 | BIT(63);
	assert_int_equal(guest_write(&v->vm->p2m, GPA(0x303000), table, PAGE_SIZE), HV_OK);
	free(table);
	assert_ptr_equal(mmap((void *)CODE, 0x2000, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
			 (void *)CODE);
	memory = mmap((void *)DATA, DATA_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(memory, (void *)DATA);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap((void *)CODE, 0x2000);
	munmap((void *)DATA, DATA_SIZE);
	fake_machine_off();
	return 0;
}

/* --- random instructions with an operand at a chosen address --- */

static u64 interesting(void)
{
	static const u64 few[] = { 0,	      1,	 0x7f,	     0x80,	 0xff,
				   0x7fff,    0x8000,	 0x7fffffff, 0x80000000, UINT32_MAX,
				   INT64_MAX, 1UL << 63, UINT64_MAX };
	u64 r = fake_random(&seed);

	return r & 3 ? fake_random(&seed) : few[(r >> 2) % ARRAY_SIZE(few)];
}

static size_t random_bytes(u8 *bytes)
{
	static const u8 prefixes[] = { 0x66, 0x67, 0x2e, 0x36, 0xf0, 0xf2, 0xf3 };
	static const u8 opcodes[] = { 0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88,
				      0x89, 0x8a, 0x8b, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5,
				      0xaa, 0xab, 0xac, 0xad, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe };
	static const u8 second[] = { 0xb6, 0xb7, 0xbe, 0xbf, 0xba };
	u64 r = fake_random(&seed);
	size_t at = 0;

	for (int i = 0; i < INSN_MAX; i++)
		bytes[i] = (u8)(fake_random(&seed) >> 8);
	for (u64 n = r & 3; n > 1; n--)
		bytes[at++] = prefixes[fake_random(&seed) % sizeof(prefixes)];
	if (r & 4)
		bytes[at++] = 0x40 | (r >> 3 & 15);
	if (r >> 8 & 1) {
		bytes[at++] = opcodes[fake_random(&seed) % sizeof(opcodes)];
	} else if (r >> 9 & 1) {
		bytes[at++] = fake_random(&seed) & 0x3b;
	} else {
		bytes[at++] = 0x0f;
		bytes[at++] = second[fake_random(&seed) % sizeof(second)];
	}
	return at; /* of ModRM */
}

/* Registers such that the operand is at @target; false: this form cannot reach it. */
static bool aim(const struct insn *i, u8 *bytes, u64 *gpr, u64 target)
{
	u64 index = i->index == INSN_NO_REG ? 0 : gpr[i->index] << i->shift;
	s32 disp = 0;

	if (i->base < GPR_NR && i->base != i->index) {
		gpr[i->base] = target - index - (u64)i->displacement;
		return true;
	}
	/* By the displacement, the last four bytes before an immediate. */
	if (i->base == INSN_NO_REG && i->index != INSN_NO_REG) {
		target &= ~((1UL << i->shift) - 1);
		gpr[i->index] = (target - (u64)i->displacement) >> i->shift;
		return ((gpr[i->index] << i->shift) + (u64)i->displacement) == target;
	}
	if (i->base == i->index && i->base < GPR_NR)
		return false;
	for (int at = i->length - 4; at > 0; at--) {
		memcpy(&disp, bytes + at, 4);
		if (disp == (s32)i->displacement) {
			disp = (s32)(target - (i->base == INSN_RIP ? insn_rip() + i->length : 0));
			memcpy(bytes + at, &disp, 4);
			if (i->address_size == 8 && i->length - at >= 8 && i->base != INSN_RIP &&
			    i->displacement != (s32)i->displacement)
				memset(bytes + at + 4, 0, 4);
			return true;
		}
	}
	return false;
}

static u64 undefined_flags(const struct insn *i)
{
	switch (i->op) {
	case INSN_AND:
	case INSN_OR:
	case INSN_XOR:
	case INSN_TEST:
		return AF;
	case INSN_BT ... INSN_BTC:
		return OF | SF | AF | PF;
	default:
		return 0;
	}
}

static void dump(const u8 *bytes, const struct insn *i, const u64 *before, u64 flags)
{
	for (u8 k = 0; k < i->length; k++)
		print_message("%02x ", bytes[k]);
	print_message("op %u size %u reg %u; rflags before %lx, by the CPU %lx, by us %lx\n", i->op,
		      i->size, i->reg, flags, CONTEXT->rflags, fake_of(v)->state.rflags);
	for (int r = 0; r < 16; r++)
		print_message("r%-2d %016lx cpu %016lx us %016lx\n", r, before[r], CONTEXT->gpr[r],
			      r == GPR_RSP ? fake_of(v)->state.rsp : v->gpr[r]);
}

/* Runs both from the same start; afterwards everything must be the same. */
static void compare(const u8 *bytes, const struct insn *i, const u64 *gpr, u64 target)
{
	u64 flags = (fake_random(&seed) & (STATUS | DF)) | 0x202, care = ~undefined_flags(i);
	bool same;

	for (size_t k = 0; k < DATA_SIZE; k += 8) {
		u64 r = fake_random(&seed);

		memcpy(memory + k, &r, 8);
	}
	if (fake_random(&seed) & 1) {
		u64 value = interesting();

		memcpy(memory + (target - DATA), &value, 8);
	}
	memcpy(device, memory, DATA_SIZE);
	memcpy(CONTEXT->gpr, gpr, sizeof(CONTEXT->gpr));
	CONTEXT->rflags = flags;
	memcpy(v->gpr, gpr, sizeof(v->gpr));
	v->gpr[GPR_RSP] = 0x5b5b5b5b; /* it is in the back end */
	fake_of(v)->state.rsp = gpr[GPR_RSP];
	fake_of(v)->state.rflags = flags;
	run_on_cpu(bytes, i->length);
	run_by_us(i, bytes, target);
	same = !memcmp(memory, device, DATA_SIZE) &&
	       !((CONTEXT->rflags ^ fake_of(v)->state.rflags) & care & (STATUS | DF));
	for (int r = 0; r < 16; r++)
		same &= CONTEXT->gpr[r] == (r == GPR_RSP ? fake_of(v)->state.rsp : v->gpr[r]);
	if (!same || v->gpr[GPR_RSP] != 0x5b5b5b5b) {
		dump(bytes, i, gpr, flags);
		fail_msg("not what the CPU does (memory %s)",
			 memcmp(memory, device, DATA_SIZE) ? "differs" : "is the same");
	}
}

static void random_registers(u64 *gpr)
{
	for (int r = 0; r < 16; r++)
		gpr[r] = interesting();
}

static bool try_one(u64 *met)
{
	u64 gpr[16], target = DATA + DATA_SIZE / 2 + fake_random(&seed) % 64;
	struct insn i, again;
	u8 bytes[INSN_MAX];

	random_bytes(bytes);
	if (insn_decode(bytes, INSN_MAX, INSN_64, &i) || insn_is_port(&i))
		return false; /* nor may a program on this CPU use ports */
	random_registers(gpr);
	if (insn_is_string(&i)) {
		/* Neither side leaves the page; more than one exit's worth of iterations. */
		gpr[GPR_RSI] = DATA + DATA_SIZE / 2 + fake_random(&seed) % 64;
		gpr[GPR_RDI] = DATA + DATA_SIZE / 2 + fake_random(&seed) % 64;
		gpr[GPR_RCX] = fake_random(&seed) % 150;
		target = insn_writes(&i) ? gpr[GPR_RDI] : gpr[GPR_RSI];
	} else {
		if (!aim(&i, bytes, gpr, target))
			return false;
		if (insn_decode(bytes, INSN_MAX, INSN_64, &again) || again.op != i.op ||
		    again.length != i.length)
			return false; /* aim() took the wrong bytes for the displacement */
		i = again;
		if (i.base == INSN_NO_REG && i.index != INSN_NO_REG)
			target &= ~((1UL << i.shift) - 1);
	}
	/* With a 32-bit address the upper halves of its registers do not matter. */
	if (i.address_size == 4 && i.base < GPR_NR && !insn_is_string(&i))
		gpr[i.base] ^= fake_random(&seed) << 32;
	compare(bytes, &i, gpr, target);
	met[i.op]++;
	return true;
}

static void random_instructions(void **state)
{
	const char *fuzz = getenv("FUZZ");
	u64 n = fuzz ? strtoul(fuzz, NULL, 10) * 1000000 : 60000, met[INSN_LODS + 1] = { 0 };

	(void)state;
	for (u64 done = 0; done < n;)
		done += try_one(met);
	for (int op = INSN_ADD; op <= INSN_LODS; op++)
		if (met[op] < n / 1000)
			fail_msg("op %d met only %lu times", op, met[op]);
	assert_true(device_accesses > n);
}

/*
 * A form in which disassemblers err: REX.B beside a SIB byte without a base, with 0x67 and without.
 */
static void sib_without_base(void **state)
{
	u8 with67[] = { 0x67, 0x41, 0x8a, 0x0c, 0x25, 0, 0, 0, 0 };
	u32 target = DATA + 0x800;
	struct insn i;
	u64 gpr[16];

	(void)state;
	memcpy(with67 + 5, &target, 4);
	for (int k = 0; k < 2; k++) {
		random_registers(gpr);
		assert_int_equal(insn_decode(with67 + k, sizeof(with67) - (size_t)k, INSN_64, &i),
				 HV_OK);
		compare(with67 + k, &i, gpr, target);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sib_without_base),
		T(random_instructions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
