/* SPDX-License-Identifier: BSD-2-Clause */
/* From scan codes of the host's keyboard to keys of the screen. Pure. */
#ifndef HV_KEYS_H
#define HV_KEYS_H

#include <hv/base/types.h>

enum key {
	KEY_NONE,
	KEY_LOG,
	KEY_VMS,
	KEY_HOST,
	KEY_HELP,
	KEY_HOLD,
	KEY_UP,
	KEY_DOWN,
	KEY_END,
	KEY_HOME,
	KEY_OFF,
	KEY_REBOOT,
};

/* @code: of set 1, to which an i8042 translates. KEY_NONE for a release and for other keys. */
enum key key_decode(u8 code);

#endif
