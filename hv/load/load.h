/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts a VM's kernel and what comes with it into its memory, by the format of
 * the file: a Linux bzImage (linux.c) or a multiboot-1 kernel (multiboot.c).
 */
#ifndef HV_LOAD_LOAD_H
#define HV_LOAD_LOAD_H

#include <hv/vm/backend.h>
#include <hv/load/images.h>

struct vm;

/* Where and with what the boot vCPU starts. */
struct loaded {
	struct guest_state state;
	u64 rax, rbx, rsi;
};

/*
 * Copies of a start that are still to be done: parts of files that are in memory for good.
 * A VM's images may be hundreds of MiB, and others go on meanwhile.
 */
#define LOAD_COPIES 8
struct load_queue {
	struct load_copy {
		u64 to; /* guest-physical */
		const u8 *from;
		u64 bytes;
	} copy[LOAD_COPIES];
	u32 nr, at;
	u64 done; /* bytes of copy[at] */
};

/*
 * Some of the queued copies of @vm, for some hundred microseconds.  HV_OK: all are done;
 * HV_EBUSY: call again; HV_ENOMEM, HV_EAGAIN: there is no frame now.
 */
int loader_step(struct vm *vm);

/*
 * Logs what is wrong with an image in words.  HV_EINVAL, HV_ENOENT, HV_ENOMEM, HV_ERANGE.
 * HV_OK: loader_step() does the rest.
 */
int loader_load(struct vm *vm, struct loaded *out);

/* --- between the loaders ------------------------------------------------------------- */

/* The memory map of every VM: RAM up to 640 KiB, from 1 MiB to 3 GiB, and the rest from 4 GiB. */
#define LOAD_LOW_END 0xa0000UL
#define LOAD_HIGH_START 0x100000UL
#define LOAD_HOLE_START 0xc0000000UL
#define LOAD_ABOVE_HOLE GIB(4)

/* End of the RAM below the hole. */
u64 load_low_end(const struct vm *vm);

int load_multiboot(struct vm *vm, const struct image *kernel, struct loaded *out);

/* Is the VM's kernel there, and a Linux bzImage? */
bool loader_is_linux(const struct vm *vm);

bool load_is_linux(const struct image *kernel);
int load_linux(struct vm *vm, const struct image *kernel, struct loaded *out);

/* Logs "vm NAME: KERNEL @what" and returns @err. */
int load_bad(const struct vm *vm, int err, const char *what);

/*
 * Copies @bytes to guest-physical @to; what is left up to @total is zero already.
 * HV_ERANGE (logged) where there is no memory.  Large copies are queued: @from must stay.
 */
int load_put(struct vm *vm, u64 to, const void *from, size_t bytes, u64 total);

/* The file of the VM's module number @i, without its arguments; NULL (logged) if not loaded. */
const struct image *load_module_image(const struct vm *vm, u32 i);

#endif
