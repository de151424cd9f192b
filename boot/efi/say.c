/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of the loader, and the way back to the firmware. */
#include <boot/efi/loader.h>
#include <hv/base/string.h>

#define LINE_MAX 600
#define WAIT_S 60
#define SECOND 10000000 /* in units of 100 ns */

static void put(const char *s)
{
	CHAR16 wide[LINE_MAX + 3];
	u32 n = 0;

	for (; *s && n < LINE_MAX; s++)
		wide[n++] = (u8)*s < 0x80 ? (CHAR16)*s : '?';
	wide[n++] = '\r';
	wide[n++] = '\n';
	wide[n] = 0;
	if (firmware->ConOut) /* headless machines may have none */
		firmware->ConOut->OutputString(firmware->ConOut, wide);
}

void say(const char *fmt, ...)
{
	char line[LINE_MAX];
	__builtin_va_list ap;

	__builtin_va_start(ap, fmt);
	str_vformat(line, sizeof(line), fmt, ap);
	__builtin_va_end(ap);
	put(line);
}

/* A key pressed, or the time up. */
static void wait_for_key(void)
{
	EFI_BOOT_SERVICES *bs = firmware->BootServices;
	EFI_EVENT events[2] = { NULL, firmware->ConIn ? firmware->ConIn->WaitForKey : NULL };
	UINTN which;

	if (EFI_ERROR(bs->CreateEvent(EVT_TIMER, TPL_APPLICATION, NULL, NULL, &events[0])))
		return;
	if (events[1])
		firmware->ConIn->Reset(firmware->ConIn, FALSE);
	bs->SetTimer(events[0], TimerRelative, (UINT64)WAIT_S * SECOND);
	bs->WaitForEvent(events[1] ? 2 : 1, events, &which);
	bs->CloseEvent(events[0]);
}

void give_up(const char *fmt, ...)
{
	char line[LINE_MAX];
	__builtin_va_list ap;

	__builtin_va_start(ap, fmt);
	str_vformat(line, sizeof(line), fmt, ap);
	__builtin_va_end(ap);
	put("");
	put(line);
	say("Aerostat was not started. Press a key to go back to the firmware (or wait %d seconds).",
	    WAIT_S);
	wait_for_key();
	memory_free_all();
	firmware->BootServices->Exit(firmware_image, EFI_LOAD_ERROR, 0, NULL);
	for (;;) /* Exit does not return */
		;
}

const char *status_text(EFI_STATUS status)
{
	switch (status) {
	case EFI_NOT_FOUND:
		return "not found";
	case EFI_NO_MEDIA:
		return "no medium";
	case EFI_MEDIA_CHANGED:
		return "the medium was changed";
	case EFI_DEVICE_ERROR:
		return "device error";
	case EFI_VOLUME_CORRUPTED:
		return "the file system is damaged";
	case EFI_ACCESS_DENIED:
		return "access denied";
	case EFI_OUT_OF_RESOURCES:
		return "out of memory";
	}
	return "the firmware reports an error";
}
