/* SPDX-License-Identifier: BSD-2-Clause */
/* The page of the log: its newest lines, or earlier ones after PgUp or Home. */
#ifndef HV_CONTROL_PAGE_LOG_H
#define HV_CONTROL_PAGE_LOG_H

#include <hv/control/screen.h>

bool page_log_draw(struct screen_grid *g, u32 first);
void page_log_move(const struct screen_grid *g, enum screen_move move);
const char *page_log_note(void);
bool page_log_news(void);

#endif
