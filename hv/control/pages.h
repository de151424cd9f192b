/* SPDX-License-Identifier: BSD-2-Clause */
/* The pages of the host's screen, and those of them that are figures: VMs, host, help. */
#ifndef HV_CONTROL_PAGES_H
#define HV_CONTROL_PAGES_H

#include <hv/control/screen.h>

#define NR_PAGES 4

/* In the order of KEY_LOG to KEY_HELP.  @version: of Aerostat. */
const struct screen_page *screen_pages(const char *version);

#endif
