/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of the partition that the loader was started from.  "UEFI Specification
 * 2.10", sections "Simple File System Protocol" and "EFI_FILE_PROTOCOL".
 */
#include <boot/boot_info.h>
#include <boot/efi/loader.h>
#include <hv/base/string.h>

#define CHUNK KIB(128) /* some firmware fails to read a large file at once */

static EFI_FILE_HANDLE root;

void files_open_volume(void)
{
	EFI_GUID image_guid = LOADED_IMAGE_PROTOCOL, fs_guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
	EFI_BOOT_SERVICES *bs = firmware->BootServices;
	EFI_LOADED_IMAGE *image;
	EFI_FILE_IO_INTERFACE *fs;
	EFI_STATUS status;

	status = bs->HandleProtocol(firmware_image, &image_guid, (void **)&image);
	if (!EFI_ERROR(status))
		status = bs->HandleProtocol(image->DeviceHandle, &fs_guid, (void **)&fs);
	if (!EFI_ERROR(status))
		status = fs->OpenVolume(fs, &root);
	if (EFI_ERROR(status))
		give_up("The partition that this loader was started from cannot be read (%s). It must be FAT.",
			status_text(status));
}

/* Converts a name for the firmware; false: it has characters that we cannot pass on. */
static bool widen(const char *path, CHAR16 *wide)
{
	u32 i = 0;

	for (; path[i]; i++) {
		if ((u8)path[i] >= 0x80 || i == BOOT_NAME_MAX - 1)
			return false;
		wide[i] = path[i] == '/' ? '\\' : (CHAR16)path[i];
	}
	wide[i] = 0;
	return i;
}

/* Its size, 0 < size <= @limit. */
static u64 size_of(EFI_FILE_HANDLE f, const char *path, const char *who, u64 limit)
{
	struct {
		EFI_FILE_INFO info;
		CHAR16 name[BOOT_NAME_MAX + 256];
	} buffer;
	EFI_GUID guid = EFI_FILE_INFO_ID;
	UINTN bytes = sizeof(buffer);
	EFI_STATUS status = f->GetInfo(f, &guid, &bytes, &buffer);

	if (EFI_ERROR(status))
		give_up("%s%s: cannot be read (%s).", who, path, status_text(status));
	if (buffer.info.Attribute & EFI_FILE_DIRECTORY)
		give_up("%s%s: is a directory, not a file.", who, path);
	if (!buffer.info.FileSize)
		give_up("%s%s: is empty. Copy it again, and eject the stick before you pull it.",
			who, path);
	if (buffer.info.FileSize > limit)
		give_up("%s%s: has %lu KiB, and the limit is %lu KiB. Is it the right file?", who,
			path, buffer.info.FileSize >> 10, limit >> 10);
	return buffer.info.FileSize;
}

static void read_all(EFI_FILE_HANDLE f, struct file file, const char *path, const char *who)
{
	for (u64 done = 0; done < file.size;) {
		UINTN bytes = min(file.size - done, (u64)CHUNK);
		EFI_STATUS status = f->Read(f, &bytes, (void *)(file.at + done));

		if (EFI_ERROR(status) || !bytes)
			give_up("%s%s: reading stops after %lu KiB (%s). Copy it again, or try another stick.",
				who, path, done >> 10,
				EFI_ERROR(status) ? status_text(status) : "the file is shorter");
		done += bytes;
	}
}

struct file file_load(const char *path, const char *who, u64 limit)
{
	CHAR16 wide[BOOT_NAME_MAX];
	EFI_FILE_HANDLE f;
	EFI_STATUS status;
	struct file file;

	if (!widen(path, wide))
		give_up("%s%s: give the file a name of plain ASCII, at most %d characters with its folders.",
			who, path, BOOT_NAME_MAX - 1);
	status = root->Open(root, &f, wide, EFI_FILE_MODE_READ, 0);
	if (status == EFI_NOT_FOUND)
		give_up("%s%s: no such file on this partition. Copy it there%s.", who, path,
			*who ? ", or correct aerostat.conf" : "");
	if (EFI_ERROR(status))
		give_up("%s%s: cannot be opened (%s).", who, path, status_text(status));
	file.size = size_of(f, path, who, limit);
	file.at = memory_take(file.size, EfiLoaderData);
	if (!file.at)
		give_up("%s%s: has %lu MiB, and there is no room of that size in one piece below 4 GiB.",
			who, path, file.size >> 20);
	read_all(f, file, path, who);
	f->Close(f);
	return file;
}
