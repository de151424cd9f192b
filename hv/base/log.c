/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>

#include <hv/base/lock.h>
#include <hv/base/err.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>

static struct {
	SPINLOCK(LOCK_LOG) lock;
	struct log_sink *sinks;
	bool busted;
	u64 written; /* bytes ever; the ring holds the newest */
	u64 lines;
	char ring[LOG_RING_SIZE];
} log_state;

void log_add_sink(struct log_sink *sink)
{
	u64 end = log_written();

	for (struct log_sink *k = log_state.sinks; k; k = k->next)
		if (k == sink)
			return;
	for (u64 at = log_oldest(); at < end; at++)
		sink->write(&log_state.ring[at % LOG_RING_SIZE], 1);
	sink->next = log_state.sinks;
	log_state.sinks = sink;
}

void log_lock(void)
{
	if (!log_state.busted)
		spin_lock(&log_state.lock);
}

void log_unlock(void)
{
	if (!log_state.busted)
		spin_unlock(&log_state.lock);
}

void log_bust_lock(void)
{
	log_state.busted = true;
	for (struct log_sink *k = log_state.sinks; k; k = k->next)
		if (k->quiet) {
			k->quiet = false;
			k->write(LOG_TAKE_BACK, sizeof(LOG_TAKE_BACK) - 1);
		}
}

u64 log_lines(void)
{
	return log_state.lines;
}

bool log_is_busted(void)
{
	return log_state.busted;
}

u64 log_written(void)
{
	return atomic_load(&log_state.written);
}

u64 log_oldest(void)
{
	u64 end = log_written();

	return end > LOG_RING_SIZE ? end - LOG_RING_SIZE : 0;
}

char log_byte(u64 at)
{
	return atomic_load(&log_state.ring[at % LOG_RING_SIZE]);
}

static void emit(const char *s, size_t len)
{
	log_lock();
	for (size_t i = 0; i < len; i++) {
		log_state.ring[log_state.written++ % LOG_RING_SIZE] = s[i];
		log_state.lines += s[i] == '\n';
	}
	for (struct log_sink *k = log_state.sinks; k; k = k->next)
		if (!k->quiet)
			k->write(s, len);
	log_unlock();
}

static void emit_line(char *line, int len)
{
	if (len > LOG_LINE_MAX - 2)
		len = LOG_LINE_MAX - 2;
	line[len++] = '\n';
	emit(line, (size_t)len);
}

static int stamp(char *line)
{
	u64 us = plat_time_us();

	return str_format(line, LOG_LINE_MAX, "[%5lu.%06lu] ", us / 1000000, us % 1000000);
}

void log_line(const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	int len = stamp(line);
	va_list ap;

	va_start(ap, fmt);
	len += str_vformat(line + len, (size_t)(LOG_LINE_MAX - len), fmt, ap);
	va_end(ap);
	emit_line(line, len);
}

void log_raw(const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = str_vformat(line, LOG_LINE_MAX, fmt, ap);
	va_end(ap);
	emit_line(line, len);
}

int log_error_at(const char *where, int err, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	int len = stamp(line);
	va_list ap;

	va_start(ap, fmt);
	len += str_vformat(line + len, (size_t)(LOG_LINE_MAX - len), fmt, ap);
	va_end(ap);
	if (len < LOG_LINE_MAX)
		len += str_format(line + len, (size_t)(LOG_LINE_MAX - len), ": %s (%s)",
				  hv_strerror(err), where);
	emit_line(line, len);
	return err;
}
