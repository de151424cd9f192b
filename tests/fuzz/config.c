/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: the parser must take any text, or refuse it with the number of a line and a
 * message that ends.
 */
#include <tests/fuzz/fuzz.h>

#include <hv/config/config.h>
#include <hv/control/timed.h>

#define MIN_MEMORY MIB(1)

static struct config *c;

void fuzz_setup(void)
{
	c = malloc(sizeof(*c));
}

static bool ends(const char *s, size_t size)
{
	return strnlen(s, size) < size;
}

/* "aerostat.conf: line N: ...", and the text must have N lines. */
static void check_error(const char *error, const char *text, size_t n)
{
	unsigned long line = 0, lines = 1;

	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	fuzz_assert(ends(error, CONFIG_ERROR_MAX), "the message has no end");
	fuzz_assert(sscanf(error, "aerostat.conf: line %lu: ", &line) == 1, "\"%s\"", error);
	fuzz_assert(line >= 1 && line <= lines, "\"%s\", of %lu lines", error, lines);
	for (const char *p = error; *p; p++)
		fuzz_assert(*p != '\n', "\"%s\"", error);
}

static void check_vm(const struct vm_config *vm)
{
	fuzz_assert(vm->name[0] && ends(vm->name, sizeof(vm->name)), "a name without an end");
	fuzz_assert(ends(vm->kernel, sizeof(vm->kernel)) && vm->kernel[0],
		    "a kernel without a name");
	fuzz_assert(ends(vm->cmdline, sizeof(vm->cmdline)), "a command line without an end");
	fuzz_assert(vm->memory >= MIN_MEMORY && !(vm->memory & PAGE_MASK), "%lx", vm->memory);
	fuzz_assert(vm->min <= vm->max && vm->max <= vm->memory, "%lx %lx", vm->min, vm->max);
	fuzz_assert(!((vm->min | vm->max | vm->reserve) & PAGE_MASK), "%lx", vm->reserve);
	fuzz_assert(vm->vcpus >= 1 && vm->vcpus <= MAX_VCPUS, "%u", vm->vcpus);
	fuzz_assert(vm->shares >= 1 && vm->shares <= SHARES_MAX, "%u", vm->shares);
	fuzz_assert(vm->nr_modules <= MAX_VM_MODULES && vm->nr_disks <= MAX_VM_DISKS, "too many");
	fuzz_assert(vm->balloon <= BALLOON_NONE, "%u", vm->balloon);
	for (u32 i = 0; i < vm->nr_modules; i++)
		fuzz_assert(ends(vm->module[i], sizeof(vm->module[i])), "module %u", i);
	for (u32 i = 0; i < vm->nr_disks; i++)
		fuzz_assert(ends(vm->disk[i].file, sizeof(vm->disk[i].file)) &&
				    (vm->disk[i].blank || vm->disk[i].file[0]),
			    "disk %u", i);
}

static void check_config(void)
{
	fuzz_assert(c->nr_vms >= 1 && c->nr_vms <= MAX_VMS && c->nr_timed <= MAX_TIMED, "%u, %u",
		    c->nr_vms, c->nr_timed);
	fuzz_assert(!c->host.console[0] || c->host.console_vm < c->nr_vms, "%u",
		    c->host.console_vm);
	for (u32 i = 0; i < c->nr_vms; i++)
		check_vm(&c->vm[i]);
	for (u32 i = 0; i < c->nr_timed; i++)
		fuzz_assert(!c->timed[i].vm[0] || c->timed[i].vm_id < c->nr_vms, "action %u", i);
}

void fuzz_one(struct input *in)
{
	char error[CONFIG_ERROR_MAX];
	size_t n = in_left(in);
	const char *text = (const char *)in_copy(in, n);

	memset(error, 'x', sizeof(error));
	if (config_parse(text, n, c, error))
		check_config();
	else
		check_error(error, text, n);
}
