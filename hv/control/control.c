/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/control/control.h>
#include <hv/control/manage.h>
#include <hv/control/operator.h>
#include <hv/control/screen.h>
#include <hv/control/status.h>
#include <hv/control/timed.h>
#include <hv/dev/console.h>
#include <hv/vm/vm.h>

static bool stay; /* the host stays up without a VM, until it is told to end */

void control_start(struct config *c, bool keyboard)
{
	stay = c->host.stay;
	timed_init(c);
	status_start(c->host.status_ms);
	if (c->host.console[0])
		operator_begin(vms[c->host.console_vm]);
	screen_start(c->host.pages_ms, keyboard);
}

void control_tick(u64 now)
{
	console_tick(now);
	operator_tick(now);
	status_tick(now);
	manage_tick();
	timed_tick(now);
	screen_tick(now);
}

bool control_is_over(void)
{
	if (!vm_all_ended())
		return false;
	return manage_host_end() != HOST_STAYS || (!stay && !timed_start_pending());
}

void control_stop(void)
{
	operator_stop();
	screen_stop();
}
