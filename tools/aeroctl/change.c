/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that change something. */
#include <string.h>
#include <time.h>

#include "aeroctl.h"

#define START_TRIES 200 /* an ended VM's memory is taken back first: ten seconds */
#define START_PERIOD_NS 50000000L

#define SIZE_HINT "a size is a number with K, M, G or T and a multiple of 4K, for example 64M"

/* Why the hypervisor may have refused this limit. */
static int explain_refusal(const struct aero_vm_info *vm, uint64_t which, uint64_t value)
{
	char a[NUMBER_MAX], b[NUMBER_MAX];

	text_size(a, value);
	if (which == AERO_SET_MIN && value > vm->max)
		return wrong(FAILED, "%s: min %s would be above max %s; raise max first", vm->name,
			     a, text_size(b, vm->max));
	if (which == AERO_SET_MAX && value > vm->memory)
		return wrong(FAILED, "%s: max %s is more than the %s that it sees", vm->name, a,
			     text_size(b, vm->memory));
	if (which == AERO_SET_MAX && value < vm->min)
		return wrong(FAILED, "%s: max %s would be below min %s; lower min first", vm->name,
			     a, text_size(b, vm->min));
	if (which == AERO_SET_MAX)
		return wrong(FAILED, "%s: max %s is too little; it is 1M at least", vm->name, a);
	return wrong(FAILED, "%s: the hypervisor refuses this value", vm->name);
}

static int set_limit(const struct aero_vm_info *vm, uint64_t which, const char *name,
		     uint64_t value, uint64_t old)
{
	struct aero_manage m = { .number = AERO_CALL_SET, .arg = { vm->id, which, value } };
	char a[NUMBER_MAX], b[NUMBER_MAX];
	int64_t answer = 0;
	int err = call_raw(m, NULL, 0, &answer, NULL);

	if (err)
		return err;
	if (answer == AERO_ERR_NOMEM)
		return wrong(
			FAILED,
			"%s: min %s cannot be guaranteed beside what others are; lower theirs, "
			"or stop one",
			vm->name, text_size(a, value));
	if (answer == AERO_ERR_INVALID)
		return explain_refusal(vm, which, value);
	if (answer)
		return refused(vm->name, answer);
	if (which == AERO_SET_SHARES)
		printf("%s: %s %llu, was %llu\n", vm->name, name, (unsigned long long)value,
		       (unsigned long long)old);
	else
		printf("%s: %s %s, was %s\n", vm->name, name, text_size(a, value),
		       text_size(b, old));
	return DONE;
}

static int set_target(const struct aero_vm_info *vm, const char *text)
{
	struct aero_manage m = { .number = AERO_CALL_SET_TARGET, .arg = { vm->id, UINT64_MAX } };
	char a[NUMBER_MAX], b[NUMBER_MAX];
	bool by_policy = !strcmp(text, "policy");
	int err;

	if (!by_policy && !parse_size(text, &m.arg[1]))
		return wrong(USAGE, "\"%s\" is no target: %s, or \"policy\"", text, SIZE_HINT);
	if (!by_policy && m.arg[1] > vm->memory)
		return wrong(FAILED, "%s: a balloon of %s is more than the %s that it sees",
			     vm->name, text_size(a, m.arg[1]), text_size(b, vm->memory));
	if (vm->state == AERO_VM_OFF || vm->state == AERO_VM_ENDED)
		return wrong(FAILED,
			     "%s: it is %s, and begins without a target by hand; start it first",
			     vm->name, text_vm_state(vm->state));
	err = call(vm->name, m, NULL, 0, NULL);
	if (err)
		return err;
	if (by_policy)
		printf("%s: target is the policy's again\n", vm->name);
	else
		printf("%s: target %s, was %s; \"aeroctl set %s target policy\" undoes it\n",
		       vm->name, text_size(a, m.arg[1]), text_size(b, vm->target), vm->name);
	if (!(vm->flags & AERO_VM_FLAG_DRIVER))
		printf("%s: no balloon driver has begun there: nothing will move\n", vm->name);
	return DONE;
}

int command_set(int argc, char **argv)
{
	const char *what = argv[1], *text = argv[2];
	struct aero_vm_info vm;
	uint64_t value;
	int err;

	(void)argc;
	if (strcmp(what, "min") && strcmp(what, "max") && strcmp(what, "shares") &&
	    strcmp(what, "target"))
		return wrong(USAGE, "\"%s\" cannot be set; min, max, shares and target can", what);
	if (!strcmp(what, "shares") && !parse_number(text, 1, 1000000, &value))
		return wrong(USAGE, "shares are a number from 1 to 1000000, not \"%s\"", text);
	if ((!strcmp(what, "min") || !strcmp(what, "max")) && !parse_size(text, &value))
		return wrong(USAGE, "\"%s\" is no size: %s", text, SIZE_HINT);
	err = find_vm(argv[0], &vm);
	if (err)
		return err;
	if (!strcmp(what, "target"))
		return set_target(&vm, text);
	if (!strcmp(what, "shares"))
		return set_limit(&vm, AERO_SET_SHARES, what, value, vm.shares);
	if (!strcmp(what, "min"))
		return set_limit(&vm, AERO_SET_MIN, what, value, vm.min);
	return set_limit(&vm, AERO_SET_MAX, what, value, vm.max);
}

/* A call that names a VM and nothing else; @but: what is said if it is in another state. */
static int simple(const char *name, uint64_t number, uint64_t argument, const char *done,
		  const char *but)
{
	struct aero_manage m = { .number = number };
	struct aero_vm_info vm;
	int64_t answer = 0;
	int err = find_vm(name, &vm);

	if (err)
		return err;
	m.arg[0] = vm.id;
	m.arg[1] = argument;
	err = call_raw(m, NULL, 0, &answer, NULL);
	if (err)
		return err;
	if (answer == AERO_ERR_STATE)
		return wrong(FAILED, "%s: it is %s, %s", vm.name, text_vm_state(vm.state), but);
	if (answer)
		return refused(vm.name, answer);
	printf("%s: %s\n", vm.name, done);
	return DONE;
}

int command_pause(int argc, char **argv)
{
	struct aero_vm_info vm;
	int err = find_vm(argv[0], &vm);

	(void)argc;
	if (err)
		return err;
	if ((int)vm.id == device_own_vm())
		return wrong(FAILED,
			     "%s: that is the VM that this is typed in; nothing in it could "
			     "resume it",
			     vm.name);
	return simple(argv[0], AERO_CALL_PAUSE, 0, "paused",
		      "and only one that runs can be paused");
}

int command_resume(int argc, char **argv)
{
	(void)argc;
	return simple(argv[0], AERO_CALL_RESUME, 0, "resumed",
		      "and only one that is paused can be resumed");
}

int command_shutdown(int argc, char **argv)
{
	(void)argc;
	return simple(argv[0], AERO_CALL_SHUTDOWN, 0,
		      "its power button is pressed; \"aeroctl stop\" does not ask",
		      "there is nothing to shut down");
}

int command_stop(int argc, char **argv)
{
	uint64_t status = 0;

	if (argc > 1 && !parse_number(argv[1], 0, 255, &status))
		return wrong(USAGE, "a status is a number from 0 to 255, not \"%s\"", argv[1]);
	return simple(argv[0], AERO_CALL_STOP, status, "stopped", "there is nothing to stop");
}

/* The hypervisor takes an ended VM's memory back first; there is no event for that. */
int command_start(int argc, char **argv)
{
	const struct timespec period = { .tv_nsec = START_PERIOD_NS };
	struct aero_vm_info vm;
	int64_t answer = 0;
	int err;

	(void)argc;
	for (int i = 0; i < START_TRIES; i++) {
		err = find_vm(argv[0], &vm);
		if (err)
			return err;
		if (vm.state != AERO_VM_OFF && vm.state != AERO_VM_ENDED)
			return wrong(FAILED, "%s: it is %s already", vm.name,
				     text_vm_state(vm.state));
		err = call_raw(
			(struct aero_manage){ .number = AERO_CALL_RESTART, .arg = { vm.id } }, NULL,
			0, &answer, NULL);
		if (err)
			return err;
		if (answer != AERO_ERR_STATE)
			break;
		nanosleep(&period, NULL);
	}
	if (answer && answer != AERO_ERR_STATE)
		return refused(vm.name, answer);
	if (answer)
		return wrong(FAILED,
			     "%s: its memory is still being taken back; try again, and see the "
			     "host's log",
			     vm.name);
	printf("%s: starts\n", vm.name);
	return DONE;
}

int command_audit(int argc, char **argv)
{
	struct aero_manage m = { .number = AERO_CALL_AUDIT };
	uint64_t seen = 0;
	int64_t answer = 0;
	int err;

	(void)argc;
	(void)argv;
	do { /* a bounded piece each */
		err = call_raw(m, NULL, 0, &answer, &seen);
	} while (!err && answer == AERO_AGAIN);
	if (err)
		return err;
	if (answer)
		return refused("audit", answer);
	printf("%llu guest frames, all is well\n", (unsigned long long)seen);
	return DONE;
}
