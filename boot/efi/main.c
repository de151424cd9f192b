/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BOOTX64.EFI: reads aerostat.conf and the files that it names from the
 * partition it was started from, and enters the hypervisor with the information
 * that GRUB would give it.  Every mistake ends in a message that says what to do.
 */
#include <boot/boot_info.h>
#include <boot/efi/elf.h>
#include <boot/efi/loader.h>
#include <hv/base/string.h>
#include <hv/config/config.h>

#ifndef VERSION
#define VERSION "development"
#endif

#define CONFIG "aerostat.conf"
#define IMAGE "aerostat.elf"
#define CONFIG_LIMIT MIB(1)
#define FILE_LIMIT GIB(4)
#define MAP_BYTES KIB(64)
/* Each descriptor of 40 bytes or more becomes an entry of 24 bytes; names need room, too. */
#define INFO_BYTES KIB(64)

EFI_HANDLE firmware_image;
EFI_SYSTEM_TABLE *firmware;

extern const u8 enter_start[], enter_end[];

_Static_assert(sizeof(struct efi_memory) == sizeof(EFI_MEMORY_DESCRIPTOR), "memory descriptor");
_Static_assert(offsetof(struct efi_memory, pages) == offsetof(EFI_MEMORY_DESCRIPTOR, NumberOfPages),
	       "memory descriptor");

/* --- the files --------------------------------------------------------------- */

static struct {
	struct file file;
	char name[BOOT_NAME_MAX];
} modules[BOOT_MAX_MODULES];
static u32 nr_modules;

static void *take(u64 bytes)
{
	u64 at = memory_take(bytes, EfiLoaderData);

	if (!at)
		give_up("The firmware has no %lu KiB of memory left below 4 GiB.", bytes >> 10);
	return (void *)at;
}

/* Loads each file once, even if several VMs name it. */
static void load_module(const char *name, const char *who)
{
	for (u32 i = 0; i < nr_modules; i++)
		if (!strcmp(modules[i].name, name))
			return;
	if (nr_modules == BOOT_MAX_MODULES)
		give_up("%s%s: too many files; at most %d are allowed, with " CONFIG ".", who, name,
			BOOT_MAX_MODULES);
	modules[nr_modules].file =
		file_load(name, who, nr_modules ? FILE_LIMIT : (u64)CONFIG_LIMIT);
	str_copy(modules[nr_modules].name, name, BOOT_NAME_MAX);
	say("  %s, %lu KiB", name, (modules[nr_modules].file.size + 1023) >> 10);
	nr_modules++;
}

/* "path arguments": the path. */
static void load_vm_module(const char *text, const char *who)
{
	char path[CONFIG_TEXT_MAX];
	u32 n = 0;

	while (text[n] && text[n] != ' ')
		n++;
	str_copy(path, text, n + 1);
	load_module(path, who);
}

static void load_vm(const struct vm_config *vm)
{
	char who[96];

	str_format(who, sizeof(who), CONFIG ": VM %s (line %d): kernel ", vm->name, vm->line);
	load_module(vm->kernel, who);
	str_format(who, sizeof(who), CONFIG ": VM %s (line %d): module ", vm->name, vm->line);
	for (u32 i = 0; i < vm->nr_modules; i++)
		load_vm_module(vm->module[i], who);
	str_format(who, sizeof(who), CONFIG ": VM %s (line %d): disk ", vm->name, vm->line);
	for (u32 i = 0; i < vm->nr_disks; i++)
		if (!vm->disk[i].blank && !vm->disk[i].host)
			load_module(vm->disk[i].file, who);
}

static void load_all(void)
{
	static char error[CONFIG_ERROR_MAX];
	struct config *config = take(sizeof(*config));

	load_module(CONFIG, "");
	if (!config_parse((const char *)modules[0].file.at, modules[0].file.size, config, error))
		give_up("%s", error);
	for (u32 i = 0; i < config->nr_vms; i++)
		load_vm(&config->vm[i]);
}

/* --- what the firmware tells ---------------------------------------------------- */

static bool same_guid(const EFI_GUID *a, const EFI_GUID *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static void add_rsdp(struct info *info)
{
	EFI_GUID new_guid = ACPI_20_TABLE_GUID, old_guid = ACPI_TABLE_GUID;
	const void *old = NULL;

	for (UINTN i = 0; i < firmware->NumberOfTableEntries; i++) {
		EFI_CONFIGURATION_TABLE *t = &firmware->ConfigurationTable[i];

		if (same_guid(&t->VendorGuid, &new_guid)) {
			info_rsdp(info, MB2_RSDP_NEW, t->VendorTable, 36);
			return;
		}
		if (same_guid(&t->VendorGuid, &old_guid))
			old = t->VendorTable;
	}
	if (old)
		info_rsdp(info, MB2_RSDP_OLD, old, 20);
	else
		say("The firmware has no ACPI tables: one CPU will be used.");
}

/* The lowest bit and the number of bits of @mask. */
static void colour(u32 mask, u8 *at, u8 *bits)
{
	*at = mask ? (u8)__builtin_ctz(mask) : 0;
	*bits = mask ? (u8)(32 - __builtin_clz(mask) - *at) : 0;
}

static void describe(const EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE *mode, struct mb2_framebuffer *fb)
{
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *m = mode->Info;
	EFI_PIXEL_BITMASK mask = m->PixelInformation;
	u32 used;

	if (m->PixelFormat == PixelRedGreenBlueReserved8BitPerColor)
		mask = (EFI_PIXEL_BITMASK){ 0xff, 0xff00, 0xff0000, 0xff000000 };
	else if (m->PixelFormat == PixelBlueGreenRedReserved8BitPerColor)
		mask = (EFI_PIXEL_BITMASK){ 0xff0000, 0xff00, 0xff, 0xff000000 };
	else if (m->PixelFormat != PixelBitMask)
		return; /* no memory to draw into */
	used = mask.RedMask | mask.GreenMask | mask.BlueMask | mask.ReservedMask;
	if (!used)
		return;
	fb->address = mode->FrameBufferBase;
	fb->width = m->HorizontalResolution;
	fb->height = m->VerticalResolution;
	fb->bpp = (u8)(32 - __builtin_clz(used));
	fb->pitch = m->PixelsPerScanLine * ((fb->bpp + 7u) / 8);
	colour(mask.RedMask, &fb->red_at, &fb->red_bits);
	colour(mask.GreenMask, &fb->green_at, &fb->green_bits);
	colour(mask.BlueMask, &fb->blue_at, &fb->blue_bits);
	say("  screen %ux%u, %u bits, at 0x%lx", fb->width, fb->height, fb->bpp, fb->address);
}

/* Without a screen we add an empty tag: it says that there is no text screen. */
static void add_framebuffer(struct info *info)
{
	EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	struct mb2_framebuffer fb = { .type = FRAMEBUFFER_RGB };
	EFI_GRAPHICS_OUTPUT_PROTOCOL *gop;

	if (!EFI_ERROR(firmware->BootServices->LocateProtocol(&guid, NULL, (void **)&gop)) &&
	    gop->Mode && gop->Mode->Info)
		describe(gop->Mode, &fb);
	else
		say("  no screen that can be drawn on");
	info_framebuffer(info, &fb);
}

static void describe_machine(struct info *info)
{
	info_begin(info, take(INFO_BYTES), INFO_BYTES);
	info_string(info, MB2_CMDLINE, "");
	info_string(info, MB2_LOADER, "Aerostat UEFI loader " VERSION);
	info_system_table(info, (u64)firmware);
	add_framebuffer(info);
	add_rsdp(info);
	for (u32 i = 0; i < nr_modules; i++)
		info_module(info, (u32)modules[i].file.at,
			    (u32)(modules[i].file.at + modules[i].file.size), modules[i].name);
}

/* --- the way there -------------------------------------------------------------- */

typedef void __attribute__((sysv_abi, noreturn)) (*enter_fn)(u32 info, u32 copies, u64 page);

static void enter(const struct elf_plan *plan, struct info *info)
{
	u64 code_bytes = (u64)enter_end - (u64)enter_start;
	u64 page = memory_take(PAGE_SIZE, EfiLoaderCode);
	struct copy *copies = (void *)(page + ALIGN_UP(code_bytes, 16UL));
	struct efi_map map = { .at = take(MAP_BYTES) };
	const char *why;

	_Static_assert(sizeof(plan->copies) <= PAGE_SIZE / 2, "the page holds code and list");
	if (!page)
		give_up("The firmware has no page of memory left below 4 GiB.");
	memcpy((void *)page, enter_start, code_bytes);
	memcpy(copies, plan->copies, sizeof(plan->copies));
	say("Entering Aerostat.");
	why = leave_boot_services(firmware->BootServices, firmware_image, &map, MAP_BYTES,
				  plan->start, plan->end);
	if (why)
		give_up("This machine cannot run Aerostat from UEFI: %s.", why);
	info_memory(info, &map);
	info_end(info);
	((enter_fn)page)((u32)(u64)info->at, (u32)(u64)copies, page);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	struct elf_plan plan;
	struct info info;
	struct file hv;
	const char *why;

	firmware_image = image;
	firmware = table;
	say("Aerostat %s, UEFI loader", VERSION);
	if (!stop_watchdog(table->BootServices))
		say("  the firmware's watchdog stays on: it resets the machine if loading takes 5 minutes");
	files_open_volume();
	memory_set_hole(MIB(1), MIB(2)); /* the most that link.lds allows the image */
	load_all();
	hv = file_load(IMAGE, "", FILE_LIMIT);
	why = elf_plan((const void *)hv.at, hv.size, (u32)hv.at, &plan);
	if (why)
		give_up(IMAGE ": %s. Copy it again from the build.", why);
	if (plan.end > MIB(2))
		give_up(IMAGE
			": is larger than this loader expects; both must come from the same build.");
	describe_machine(&info);
	enter(&plan, &info);
	return EFI_LOAD_ERROR; /* not reached */
}
