/* SPDX-License-Identifier: BSD-2-Clause */
#include "aeroctl.h"

const char *text_mib(char text[NUMBER_MAX], uint64_t pages)
{
	uint64_t tenths = pages * 10 / 256;

	if (tenths < 10000)
		snprintf(text, NUMBER_MAX, "%u.%u", (unsigned int)tenths / 10,
			 (unsigned int)tenths % 10);
	else if (pages >> 8 < 100000)
		snprintf(text, NUMBER_MAX, "%u", (unsigned int)(pages >> 8));
	else
		snprintf(text, NUMBER_MAX, "%llu.%uG", (unsigned long long)pages >> 18,
			 (unsigned int)((pages >> 8) % 1024 * 10 / 1024));
	return text;
}

const char *text_size(char text[NUMBER_MAX], uint64_t pages)
{
	char number[NUMBER_MAX];

	if (pages < 256)
		snprintf(text, NUMBER_MAX, "%u KiB", (unsigned int)pages * 4);
	else if (pages >> 8 < 100000)
		snprintf(text, NUMBER_MAX, "%.15s MiB", text_mib(number, pages));
	else
		snprintf(text, NUMBER_MAX, "%.15siB", text_mib(number, pages));
	return text;
}

bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	*value = n;
	return n >= low && n <= high;
}

bool parse_size(const char *text, uint64_t *pages)
{
	unsigned int shift = 0;
	uint64_t n = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (n >> 52)
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	switch (*text) {
	case 0:
		break;
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	case 'T':
	case 't':
		shift = 40;
		break;
	default:
		return false;
	}
	if (*text && text[1])
		return false;
	if (n > UINT64_MAX >> shift || (n << shift) & 4095)
		return false;
	*pages = (n << shift) >> 12;
	return true;
}

const char *text_version(char text[NUMBER_MAX], uint64_t version)
{
	if (version)
		snprintf(text, NUMBER_MAX, "%u.%u.%u", (unsigned int)(version >> 32) & 0xffff,
			 (unsigned int)(version >> 16) & 0xffff, (unsigned int)version & 0xffff);
	else
		snprintf(text, NUMBER_MAX, "?");
	return text;
}

#define WORD(table, i) ((i) < ARRAY_SIZE(table) ? (table)[i] : "?")

const char *text_memory_state(unsigned int state)
{
	static const char *const words[] = { "high", "soft", "hard", "low" };

	return WORD(words, state);
}

const char *text_vm_state(unsigned int state)
{
	static const char *const words[] = AERO_VM_STATE_WORDS;

	return WORD(words, state);
}

const char *text_reason(unsigned int reason)
{
	static const char *const words[] = {
		[AERO_REASON_NONE] = "nothing asked",
		[AERO_REASON_VICTIM] = "above its entitlement",
		[AERO_REASON_GIVEN_BACK] = "memory is there again",
		[AERO_REASON_GROW] = "it asked to grow",
		[AERO_REASON_HOLD] = "spared: it has just asked to grow",
		[AERO_REASON_MAX] = "kept below its max",
		[AERO_REASON_MANUAL] = "set by hand",
		[AERO_REASON_SILENT] = "no driver of it answers",
		[AERO_REASON_STUCK] = "its balloon does not grow",
		[AERO_REASON_BEYOND] = "beyond its cap: nothing else takes memory",
	};

	return WORD(words, reason);
}

const char *text_rule(unsigned int rule)
{
	static const char *const words[] = { "by shares", "its min", "all it needs", "held" };

	return WORD(words, rule);
}
