/* SPDX-License-Identifier: BSD-2-Clause */
/* What the host's keyboard says: pure. */
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
	KEY_OFF,
	KEY_REBOOT,
};

/* One code of set 1 (what an i8042 makes of any keyboard); a release is no key. */
enum key key_decode(u8 code);

#endif
