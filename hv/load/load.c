/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/load/load.h>
#include <hv/vm/vm.h>
#include <mm/guestmem.h>

#define COPY_AT_ONCE KIB(16)
#define STEP_US 250

int load_bad(const struct vm *vm, int err, const char *what)
{
	return log_error(err, "vm %s: %s %s", vm->cfg->name, vm->cfg->kernel, what);
}

u64 load_low_end(const struct vm *vm)
{
	return min(vm->cfg->memory, LOAD_HOLE_START);
}

int load_put(struct vm *vm, u64 to, const void *from, size_t bytes, u64 total)
{
	u64 end = to + total;

	if (total < bytes || end < to || (end - 1) >> PAGE_SHIFT >= vm_top_gfn(vm))
		return load_bad(vm, HV_ERANGE, "does not fit into the VM's memory; give it more");
	if (to < LOAD_HIGH_START && end > LOAD_LOW_END)
		return load_bad(vm, HV_ERANGE,
				"wants to be loaded between 640 KiB and 1 MiB, where no memory is");
	if (bytes > COPY_AT_ONCE && vm->loading.nr < LOAD_COPIES) {
		vm->loading.copy[vm->loading.nr++] = (struct load_copy){ to, from, bytes };
		return HV_OK;
	}
	return guest_write(&vm->p2m, GPA(to), from, bytes);
}

int loader_step(struct vm *vm)
{
	u64 until = plat_tsc() + plat_tsc_khz() * STEP_US / 1000;
	struct load_queue *q = &vm->loading;

	while (q->at < q->nr) {
		const struct load_copy *c = &q->copy[q->at];
		u64 n = min(c->bytes - q->done, COPY_AT_ONCE);
		int err = guest_write(&vm->p2m, GPA(c->to + q->done), c->from + q->done, n);

		if (err)
			return err;
		q->done += n;
		if (q->done == c->bytes) {
			q->at++;
			q->done = 0;
		}
		if (plat_tsc() >= until)
			break;
	}
	return q->at < q->nr ? HV_EBUSY : HV_OK;
}

const struct image *load_module_image(const struct vm *vm, u32 i)
{
	char name[CONFIG_TEXT_MAX];
	const struct image *img;
	size_t n = 0;

	str_copy(name, vm->cfg->module[i], sizeof(name));
	while (name[n] && name[n] != ' ')
		n++;
	name[n] = '\0';
	img = image_find(name);
	if (!img)
		log_line("vm %s: module %s was not loaded with the hypervisor", vm->cfg->name,
			 name);
	return img;
}

bool loader_is_linux(const struct vm *vm)
{
	const struct image *kernel = image_find(vm->cfg->kernel);

	return kernel && load_is_linux(kernel);
}

int loader_load(struct vm *vm, struct loaded *out)
{
	const struct image *kernel = image_find(vm->cfg->kernel);

	*out = (struct loaded){ 0 };
	vm->loading = (struct load_queue){ 0 };
	if (!kernel)
		return load_bad(
			vm, HV_ENOENT,
			"was not loaded with the hypervisor: is the path right, seen from aerostat.conf?");
	return load_is_linux(kernel) ? load_linux(vm, kernel, out) :
				       load_multiboot(vm, kernel, out);
}
