/* SPDX-License-Identifier: BSD-2-Clause */
/* The version of this build. */
#ifndef HV_BASE_VERSION_H
#define HV_BASE_VERSION_H

#include <hv/base/types.h>

/* "0.2.0" of a release, "0.2.0+COMMIT" of another build. */
extern const char version_text[];

/*
 * "MAJOR.MINOR.PATCH", whatever follows, as MAJOR << 32 | MINOR << 16 | PATCH; 0 if @text does
 * not begin so, or if a part is above 65535.
 */
u64 version_number(const char *text);

#endif
