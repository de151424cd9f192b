/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/err.h>
#include <hv/base/types.h>

const char *hv_strerror(int err)
{
	static const char *const names[] = {
		"ok",
		"malformed argument",
		"out of range",
		"no memory",
		"try again",
		"busy or pinned",
		"wrong state",
		"not permitted",
		"no such thing",
		"no such device",
		"bad guest address",
		"no such call",
		"invariant broken",
		"input or output error",
	};

	if (err > 0 || (size_t)-err >= ARRAY_SIZE(names))
		return "unknown error";
	return names[-err];
}
