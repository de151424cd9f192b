/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The device, its life, and the worker that moves the balloon toward its target. The kernel finds
 * the device by its ACPI name; all else goes by hypercalls.
 */
#include <linux/acpi.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/suspend.h>

#include <asm/cpufeature.h>
#include <asm/processor.h>

#include "aerostat.h"

#define POLL_PERIOD HZ /* the hypervisor takes a driver for silent after 3 s */
#define SOON (HZ / 10) /* while hardly any page is spare */
#define STEP_BATCHES 8 /* batches of work between two looks at other tasks */
#define STOP_TRIES 500 /* the kernel moves a page in far less time */
#define STOP_PERIOD_MS 10

static u32 instruction; /* AERO_INSTRUCTION_*, from the hypervisor's CPUID leaf */

void aerostat_call(aero_u64 number, aero_u64 a, aero_u64 b, aero_u64 c, struct aero_result *r)
{
	if (instruction == AERO_INSTRUCTION_VMMCALL)
		asm volatile("vmmcall" : "+a"(number), "+b"(a), "+c"(b), "+d"(c) : : "memory");
	else
		asm volatile("vmcall" : "+a"(number), "+b"(a), "+c"(b), "+d"(c) : : "memory");
	r->status = (long)number;
	r->value = a;
	r->target = b;
	r->hint = c;
}

static bool on_aerostat(void)
{
	u32 eax, ebx, ecx, edx;

	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR))
		return false;
	cpuid(AERO_CPUID_BASE, &eax, &ebx, &ecx, &edx);
	if (ebx != AERO_SIGNATURE_EBX || ecx != AERO_SIGNATURE_ECX || edx != AERO_SIGNATURE_EDX)
		return false;
	cpuid(AERO_CPUID_ABI, &eax, &ebx, &instruction, &edx);
	return eax == AERO_ABI_VERSION;
}

static irqreturn_t ring(int irq, void *data)
{
	struct aerostat *a = data;

	a->rings++;
	if (READ_ONCE(a->asleep)) {
		pm_system_wakeup();
		return IRQ_HANDLED;
	}
	mod_delayed_work(a->queue, &a->work, 0);
	return IRQ_HANDLED;
}

/* A few batches at a time, so that other users of the balloon get the lock. */
static bool step(struct aerostat *a)
{
	u64 batches, refused, started;
	bool more;

	aerostat_oom_watch(a);
	aerostat_own_ready(a);
	mutex_lock(&a->lock);
	batches = a->balloon.batches;
	refused = a->balloon.refused;
	started = get_cycles();
	a->budget = aerostat_spare(a);
	more = aero_balloon_step(&a->balloon, STEP_BATCHES);
	if (a->balloon.batches != batches)
		a->cycles += get_cycles() - started;
	refused = a->balloon.refused - refused;
	mutex_unlock(&a->lock);
	cond_resched();
	/* The hypervisor would refuse the same pages again: try later. */
	return more || (!refused && aerostat_restock(a));
}

static void work(struct work_struct *w)
{
	struct aerostat *a = container_of(to_delayed_work(w), struct aerostat, work);

	while (step(a))
		;
	aerostat_unstock(a);
	if (time_after_eq(jiffies, a->next_stats)) {
		a->next_stats = jiffies + POLL_PERIOD;
		aerostat_count_events(a);
		mutex_lock(&a->lock);
		aerostat_send_stats(a);
		mutex_unlock(&a->lock);
	}
	queue_delayed_work(a->queue, &a->work,
			   a->was_short && a->balloon.size ? SOON : POLL_PERIOD);
}

/* Without an interrupt we poll the target, once a second. */
static void doorbell(struct aerostat *a, u32 vector)
{
	struct aero_result r;

	if (a->irq <= 0 || a->listening == (vector != 0))
		return;
	a->listening = vector != 0;
	if (a->listening)
		enable_irq(a->irq);
	aerostat_call(AERO_CALL_DOORBELL, vector, 0, 0, &r);
	/* An interrupt that came before may still be on its way to a CPU that does not run. */
	if (!a->listening)
		disable_irq(a->irq);
}

static int start(struct aerostat *a)
{
	long status = 0;

	aerostat_own_ready(a);
	mutex_lock(&a->lock);
	if (!a->balloon.started) /* the balloon goes on after a stop() that could not empty it */
		status = aero_balloon_start(&a->balloon, &a->os);
	mutex_unlock(&a->lock);
	if (status) {
		dev_err(a->dev, "the hypervisor refuses to start the balloon: %ld\n", status);
		/*
		 * Another driver has the balloon until its device is reset (after kexec, by the
		 * next probe).
		 */
		if (status == AERO_ERR_STATE)
			return -EPROBE_DEFER;
		return status == AERO_ERR_NOMEM ? -ENOMEM : -ENODEV;
	}
	a->next_stats = jiffies;
	doorbell(a, AERO_DOORBELL_ACPI);
	aerostat_report_start(a);
	queue_delayed_work(a->queue, &a->work, 0);
	return 0;
}

/* Gives everything back, and lets no interrupt queue work any more. False: some pages are left. */
static bool stop(struct aerostat *a)
{
	u64 left;

	aerostat_report_stop(a);
	doorbell(a, 0);
	cancel_delayed_work_sync(&a->work);
	for (int i = 0; i < STOP_TRIES; i++) {
		mutex_lock(&a->lock);
		left = aero_balloon_stop(&a->balloon);
		mutex_unlock(&a->lock);
		if (!left)
			return true;
		msleep(STOP_PERIOD_MS);
	}
	dev_err(a->dev, "%llu pages cannot be taken back now\n", left);
	return false;
}

/*
 * The balloon is empty while the guest sleeps, but the host may wake the guest: for a new target,
 * or because somebody has pressed the power button, whose own interrupt wakes no sleeping guest.
 */
static void doze(struct aerostat *a)
{
	WRITE_ONCE(a->asleep, true);
	doorbell(a, AERO_DOORBELL_ACPI);
	a->wakes = a->listening && !enable_irq_wake(a->irq);
}

static void rise(struct aerostat *a)
{
	if (a->wakes)
		disable_irq_wake(a->irq);
	a->wakes = false;
	doorbell(a, 0);
	WRITE_ONCE(a->asleep, false);
}

/*
 * To save an image of the memory on disk, the kernel would pop every page of the balloon. It makes
 * room for the image before devices go to sleep, so we empty the balloon here.
 */
static int sleep_or_wake(struct notifier_block *nb, unsigned long event, void *unused)
{
	struct aerostat *a = container_of(nb, struct aerostat, sleep);

	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE: /* an image takes the place of this kernel's memory */
		stop(a);
		break;
	case PM_SUSPEND_PREPARE:
		if (stop(a))
			doze(a);
		break;
	case PM_POST_SUSPEND:
		rise(a);
		start(a);
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		start(a);
		break;
	}
	return NOTIFY_DONE;
}

static void abandon(struct aerostat *a)
{
	mutex_lock(&a->lock);
	aero_balloon_abandon(&a->balloon);
	mutex_unlock(&a->lock);
}

static void discard(struct aerostat *a)
{
	if (a->sleep.notifier_call)
		unregister_pm_notifier(&a->sleep);
	if (!stop(a)) {
		dev_err(a->dev, "they are lost until the next boot\n");
		aerostat_pages_abandon(a);
		abandon(a);
	}
	if (a->irq > 0)
		free_irq(a->irq, a);
	destroy_workqueue(a->queue);
	if (a->own)
		__free_page(a->own);
	kfree(a);
}

static int probe(struct platform_device *pdev)
{
	struct aerostat *a;
	int err;

	if (!on_aerostat()) {
		dev_err(&pdev->dev, "no Aerostat of ABI version %d here\n", AERO_ABI_VERSION);
		return -ENODEV;
	}
	a = kzalloc(sizeof(*a), GFP_KERNEL);
	if (!a)
		return -ENOMEM;
	a->dev = &pdev->dev;
	mutex_init(&a->lock);
	INIT_DELAYED_WORK(&a->work, work);
	aerostat_pages_init(a);
	platform_set_drvdata(pdev, a);
	a->queue = alloc_workqueue("aerostat", WQ_FREEZABLE | WQ_UNBOUND, 1);
	if (!a->queue) {
		kfree(a);
		return -ENOMEM;
	}
	a->irq = platform_get_irq_optional(pdev, 0);
	if (a->irq > 0 && request_irq(a->irq, ring, IRQF_NO_AUTOEN, "aerostat", a))
		a->irq = -ENXIO;
	err = start(a);
	if (!err)
		err = aerostat_oom_start(a);
	if (!err) {
		a->sleep.notifier_call = sleep_or_wake;
		register_pm_notifier(&a->sleep); /* it cannot fail */
	}
	if (err)
		discard(a);
	else
		aerostat_device_start(a);
	return err;
}

static void shutdown(struct platform_device *pdev)
{
	struct aerostat *a = platform_get_drvdata(pdev);

	aerostat_oom_stop(a);
	if (!stop(a))
		abandon(a); /* the next kernel finds no balloon */
}

static int remove(struct platform_device *pdev)
{
	struct aerostat *a = platform_get_drvdata(pdev);

	aerostat_device_stop(a);
	aerostat_oom_stop(a);
	discard(a);
	return 0;
}

static const struct acpi_device_id ids[] = { { "AERO0001", 0 }, {} };
MODULE_DEVICE_TABLE(acpi, ids);

static struct platform_driver aerostat_driver = {
	.probe = probe,
	.remove = remove,
	.shutdown = shutdown, /* for reboot and kexec: the next kernel finds all its memory */
	.driver = {
		.name = "aerostat",
		.acpi_match_table = ids,
		.dev_groups = aerostat_groups,
	},
};
module_platform_driver(aerostat_driver);

MODULE_DESCRIPTION("Aerostat memory balloon");
MODULE_LICENSE("Dual BSD/GPL");
MODULE_VERSION(AEROSTAT_VERSION);
