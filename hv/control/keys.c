/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scan codes name places on the keyboard, not letters.  All keys here are at the same
 * place on every usual layout, except ?, for which h and F1 do the same.  Codes with bit
 * 7 set are releases or the prefix 0xe0 and are left out: a prefixed code means the same
 * as the plain one.
 */
#include <hv/control/keys.h>

enum key key_decode(u8 code)
{
	static const struct {
		u8 code, key;
	} keys[] = {
		{ 0x02, KEY_LOG },  { 0x03, KEY_VMS },	  { 0x04, KEY_HOST }, { 0x35, KEY_HELP },
		{ 0x23, KEY_HELP }, { 0x3b, KEY_HELP },	  { 0x39, KEY_HOLD }, { 0x49, KEY_UP },
		{ 0x51, KEY_DOWN }, { 0x4f, KEY_END },	  { 0x01, KEY_END },  { 0x47, KEY_HOME },
		{ 0x19, KEY_OFF },  { 0x13, KEY_REBOOT },
	};

	for (u32 i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].code == code)
			return (enum key)keys[i].key;
	return KEY_NONE;
}
