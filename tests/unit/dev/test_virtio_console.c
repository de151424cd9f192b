/* SPDX-License-Identifier: BSD-2-Clause */
/* hvc0: the guest's output, input, and the console that listens. */
#include <tests/fake/virtio.h>

#include <hv/vm/sched.h>

#define RINGS MIB(2)
#define BUFFER MIB(3)
enum { RX, TX };

static struct vm_config cfg;
static struct vm *vm;
static struct vio hvc;
static struct virtio_console *con;

static void say(const char *text, u32 pieces)
{
	u32 n = (u32)strlen(text), part = n / pieces;
	struct vio_piece p[4];

	vio_put(&hvc, BUFFER, text, n);
	for (u32 i = 0; i < pieces; i++)
		p[i] = (struct vio_piece){ BUFFER + i * part, i < pieces - 1 ? part : n - i * part,
					   false };
	vio_add(&hvc, TX, 0, p, pieces);
	vio_notify(&hvc, TX);
}

static int setup(void **state)
{
	u32 head, written;

	(void)state;
	guest_machine(MIB(64), 2);
	cfg = guest_config("c");
	cfg.nr_disks = 1; /* or there would be no bus */
	cfg.disk[0] = (struct disk_config){ .blank = true, .writable = MIB(1) };
	vm = guest_start(&cfg);
	con = &vm->bus->console;
	virtio_plug(&vm->bus->slot[SLOT_CONSOLE], &virtio_console, vm, SLOT_CONSOLE, con);
	hvc = (struct vio){ .v = vm->vcpus[0], .slot = SLOT_CONSOLE, .rings = RINGS };
	vio_start(&hvc, 2);
	say("\r", 1); /* or nobody listens */
	assert_true(vio_used(&hvc, TX, &head, &written));
	vio_interrupted(&hvc);
	fake_log_clear();
	return 0;
}

static bool done(u32 queue, u32 *written)
{
	u32 head;

	return vio_used(&hvc, queue, &head, written);
}

static void lines(void **state)
{
	u32 written;

	(void)state;
	say("one\ntwo\npro", 3);
	assert_true(done(TX, &written));
	assert_int_equal(written, 0);
	assert_true(vio_interrupted(&hvc));
	assert_true(fake_log_has("c| one"));
	assert_true(fake_log_has("c| two"));
	assert_false(fake_log_has("c| pro"));
	say("mpt\n", 1);
	assert_true(fake_log_has("c| prompt"));
}

/*
 * For any speed of the host's serial port: one call ends soon, background work does the rest;
 * nothing twice.
 */
static void much(void **state)
{
	static char text[7001];
	u32 written, lines = 0;
	u64 begin;

	(void)state;
	for (u32 i = 0; i < 7000; i++)
		text[i] = i % 100 == 99 ? '\n' : (char)('a' + i / 100 % 26);
	fake.log_ticks = 87 * FAKE_KHZ / 1000; /* of a byte, at 115200 baud */
	begin = fake.tsc;
	say(text, 4);
	assert_false(done(TX, &written));
	for (u32 i = 0; i < 70 && !done(TX, &written); i++) {
		assert_true(fake.tsc - begin < 20 * FAKE_KHZ);
		assert_true(sched_next_event() <= fake.tsc);
		begin = fake.tsc;
		bus_work(true);
	}
	fake.log_ticks = 0;
	assert_int_equal(vm->bus->slot[SLOT_CONSOLE].q[TX].used,
			 vm->bus->slot[SLOT_CONSOLE].q[TX].next);
	for (const char *s = fake.log; (s = strstr(s, "c| ")); s += 3)
		lines++;
	assert_int_equal(lines, 70);
}

static void not_in_memory(void **state)
{
	struct vio_piece p = { cfg.memory - 2, 4, false };

	(void)state;
	vio_add(&hvc, TX, 0, &p, 1);
	vio_notify(&hvc, TX);
	assert_true(vio_read(&hvc, VIO_STATUS) & 0x40);
}

static void typing(void **state)
{
	struct vio_piece p[2] = { { BUFFER, 3, true }, { BUFFER + 0x100, 64, true } };
	char got[64] = { 0 };
	u32 written;

	(void)state;
	assert_non_null(vm->console.input);
	assert_int_equal(vm->console.input(vm, "hello, ", 7), VIRTIO_CONSOLE_INPUT - 7);
	assert_false(done(RX, &written));
	vio_add(&hvc, RX, 0, &p[0], 1);
	vio_add(&hvc, RX, 1, &p[1], 1);
	vio_notify(&hvc, RX);
	assert_true(done(RX, &written));
	assert_int_equal(written, 3);
	assert_true(done(RX, &written));
	assert_int_equal(written, 4);
	assert_true(vio_interrupted(&hvc));
	vio_get(&hvc, BUFFER, got, 3);
	assert_string_equal(got, "hel");
	vio_get(&hvc, BUFFER + 0x100, got, 4);
	assert_string_equal(got, "lo, ");
	/* A buffer waits: input comes at once. */
	vio_add(&hvc, RX, 2, &p[1], 1);
	vio_notify(&hvc, RX);
	assert_false(vio_interrupted(&hvc));
	assert_int_equal(vm->console.input(vm, "x", 1), VIRTIO_CONSOLE_INPUT);
	assert_true(done(RX, &written));
	assert_int_equal(written, 1);
	assert_true(vio_interrupted(&hvc));
}

/* Input without room is lost, earlier input is not; a reset drops all. */
static void too_much_is_typed(void **state)
{
	static char text[VIRTIO_CONSOLE_INPUT + 1];
	struct vio_piece p = { BUFFER, 8, true };
	char got[8];
	u32 written;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = 'f';
	assert_int_equal(vm->console.input(vm, text, sizeof(text)), 0);
	assert_int_equal(vm->console.input(vm, "z", 1), 0);
	vio_add(&hvc, RX, 0, &p, 1);
	vio_notify(&hvc, RX);
	assert_true(done(RX, &written));
	vio_get(&hvc, BUFFER, got, 8);
	assert_memory_equal(got, "faaaaaaa", 8);
	assert_int_equal(vm->console.input(vm, "", 0), 8);
	vio_start(&hvc, 2);
	assert_int_equal(vm->console.input(vm, "", 0), VIRTIO_CONSOLE_INPUT);
}

/* A buffer without room, or of which nothing may be written. */
static void useless_buffers(void **state)
{
	struct vio_piece empty = { BUFFER, 0, true }, readable = { BUFFER, 8, false };
	u32 written;

	(void)state;
	vio_add(&hvc, RX, 0, &empty, 1);
	vio_add(&hvc, RX, 1, &readable, 1);
	vm->console.input(vm, "abc", 3);
	assert_true(done(RX, &written));
	assert_int_equal(written, 0);
	assert_true(done(RX, &written));
	assert_int_equal(written, 0);
	assert_int_equal(vm->console.input(vm, "", 0), VIRTIO_CONSOLE_INPUT - 3);
}

/* Another vCPU gives useless buffers without end: input waits, and no other VM does. */
static void useless_buffers_without_end(void **state)
{
	struct vio_piece empty = { BUFFER, 0, true };
	u64 begun = fake.tsc;

	(void)state;
	vio_refill(&hvc, RX, 100000);
	vio_add(&hvc, RX, 0, &empty, 1);
	vm->console.input(vm, "abc", 3);
	assert_int_equal(vio_refills_left(), 100000 - 512);
	assert_in_range(vm->bus->slot[SLOT_CONSOLE].due, begun, fake.tsc);
	bus_work(true);
	assert_int_equal(vio_refills_left(), 100000 - 1024);
	vio_refill(&hvc, RX, 0);
	assert_int_equal(vm->console.input(vm, "", 0), VIRTIO_CONSOLE_INPUT - 3);
}

/* The last one that the guest listens on. */
static void who_listens(void **state)
{
	(void)state;
	guest_port(vm->vcpus[0], UART_PORT + 1, 1, false, 1);
	assert_true(vm->console.input == uart_input);
	vio_start(&hvc, 2); /* a loaded driver does not mean a reader */
	assert_true(vm->console.input == uart_input);
	say("login: ", 1);
	assert_true(vm->console.input != uart_input);
}

/* Input causes no work for a VM that has ended. */
static void ended(void **state)
{
	struct vio_piece p = { BUFFER, 8, true };
	u32 written;

	(void)state;
	vio_add(&hvc, RX, 0, &p, 1);
	vm_end(vm, 0, "test");
	vm->console.input(vm, "abc", 3);
	assert_false(done(RX, &written));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(lines),
		T(much),
		T(not_in_memory),
		T(typing),
		T(too_much_is_typed),
		T(useless_buffers),
		T(useless_buffers_without_end),
		T(who_listens),
		T(ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
