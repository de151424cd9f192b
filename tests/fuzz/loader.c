/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernels and modules: files of any bytes, for a VM of 4 MiB and one of 4.5 GiB. */
#include <tests/fake/guest.h>
#include <tests/fuzz/fuzz.h>

#include <hv/load/images.h>

#define PIECES_MAX 10000 /* the largest file here takes about ten */

static struct vm_config cfg;

void fuzz_setup(void)
{
}

/*
 * The first byte chooses the VM; then a module, its length first; the rest is the kernel. For any
 * bytes the VM must run or say why not, and its accounts must agree with its tables.
 */
void fuzz_one(struct input *in)
{
	u8 form = in_8(in);
	size_t module = form & 4 ? in_16(in) : 0, kernel;
	const void *bytes = in_copy(in, module);

	guest_machine(MIB(16), 1);
	cfg = guest_config("vm");
	cfg.memory = cfg.max = form & 1 ? GIB(4) + MIB(512) : MIB(4);
	if (form & 4) {
		cfg.nr_modules = form & 8 ? 2 : 1;
		snprintf(cfg.module[0], sizeof(cfg.module[0]), "module with arguments");
		snprintf(cfg.module[1], sizeof(cfg.module[1]), "module");
		image_add("module", bytes, module);
	}
	memset(cfg.cmdline, 'x', form & 2 ? sizeof(cfg.cmdline) - 1 : 10);
	snprintf(cfg.kernel, sizeof(cfg.kernel), "file");
	kernel = in_left(in);
	image_add("file", in_copy(in, kernel), kernel);
	fuzz_assert(!vm_create(0, &cfg) && !vm_queue_start(vms[0]), "there is memory for that");
	for (u32 pieces = 0; vm_background() && vms[0]->state == VM_STARTING; pieces++)
		fuzz_assert(pieces < PIECES_MAX, "it is never loaded");
	fuzz_assert(vms[0]->state == VM_RUNNING || vms[0]->state == VM_ENDING, "%u", vms[0]->state);
	fuzz_assert(vms[0]->state != VM_ENDING || vms[0]->again || vms[0]->exit_reason[0],
		    "it did not start, and nobody says why");
	tables_check(&vms[0]->p2m);
}
