/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scan codes name places, not letters: only keys that are at the same place on
 * every usual layout are used, but for ? (also h and F1).  Releases and the prefix
 * 0xe0 have bit 7 and are no keys: with the prefix come twins of other keys.
 */
#include <hv/control/keys.h>

enum key key_decode(u8 code)
{
	static const struct {
		u8 code, key;
	} keys[] = {
		{ 0x02, KEY_LOG },    { 0x03, KEY_VMS },  { 0x04, KEY_HOST }, { 0x35, KEY_HELP },
		{ 0x23, KEY_HELP },   { 0x3b, KEY_HELP }, { 0x39, KEY_HOLD }, { 0x49, KEY_UP },
		{ 0x51, KEY_DOWN },   { 0x4f, KEY_END },  { 0x01, KEY_END },  { 0x19, KEY_OFF },
		{ 0x13, KEY_REBOOT },
	};

	for (u32 i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].code == code)
			return (enum key)keys[i].key;
	return KEY_NONE;
}
