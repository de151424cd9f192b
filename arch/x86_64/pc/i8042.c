/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keyboard through an i8042, polled. Its interrupts stay off, so that a stuck key costs only
 * the poll of each tick. Every wait has an end: on many machines firmware imitates the controller,
 * and badly.
 */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/pc/console.h>
#include <hv/base/log.h>

#define DATA 0x60
#define STATUS 0x64	     /* reading */
#define COMMAND 0x64	     /* writing */
#define STATUS_OUTPUT BIT(0) /* a byte for us */
#define STATUS_INPUT BIT(1)  /* the controller has not taken our last byte yet */
#define STATUS_MOUSE BIT(5)  /* the byte is the mouse's */
#define READ_CONFIG 0x20
#define WRITE_CONFIG 0x60
#define CONFIG_INTERRUPTS 0x03
#define CONFIG_KEYBOARD_OFF BIT(4)
#define CONFIG_TRANSLATE BIT(6) /* the controller translates every keyboard's codes to set 1 */
#define KEYBOARD_SCAN 0xf4
#define TRIES 20000 /* polls; each takes about 1 us */
#define LEFTOVERS 32

static bool present;

static bool wait_taken(void)
{
	for (int i = 0; i < TRIES; i++)
		if (!(inb(STATUS) & STATUS_INPUT))
			return true;
	return false;
}

/* A byte that came within the time, or -1. */
static int wait_byte(void)
{
	for (int i = 0; i < TRIES; i++)
		if (inb(STATUS) & STATUS_OUTPUT)
			return inb(DATA);
	return -1;
}

static bool send(u16 port, u8 value)
{
	if (!wait_taken())
		return false;
	outb(port, value);
	return true;
}

/* False: the controller does not answer. */
static bool set_up(void)
{
	int config;

	for (int i = 0; i < LEFTOVERS && inb(STATUS) & STATUS_OUTPUT; i++)
		inb(DATA);
	if (!send(COMMAND, READ_CONFIG))
		return false;
	config = wait_byte();
	if (config < 0)
		return false;
	config = (config & ~(CONFIG_INTERRUPTS | (int)CONFIG_KEYBOARD_OFF)) | (int)CONFIG_TRANSLATE;
	if (!send(COMMAND, WRITE_CONFIG) || !send(DATA, (u8)config))
		return false;
	/* A keyboard may be plugged in later, so a missing answer (0xfa) is no failure. */
	if (send(DATA, KEYBOARD_SCAN))
		wait_byte();
	return true;
}

void i8042_init(bool absent)
{
	if (absent)
		log_line("keyboard: none, says the firmware");
	else if (inb(STATUS) == 0xff)
		log_line("keyboard: no controller");
	else if (!set_up())
		log_line("keyboard: the controller does not answer");
	else
		present = true;
}

bool i8042_present(void)
{
	return present;
}

int i8042_read(void)
{
	u8 status = present ? inb(STATUS) : 0;

	if (status == 0xff) { /* there is no controller, or it has gone away */
		present = false;
		return -1;
	}
	if (!(status & STATUS_OUTPUT))
		return -1;
	return status & STATUS_MOUSE ? (inb(DATA), 0x80) : inb(DATA);
}
