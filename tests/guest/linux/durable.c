/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * durable check|write DIRECTORY: four kinds of programs, and their promises to users about a crash.
 *
 *   log      appends records to a file, fdatasync() after each
 *   state    writes a new file, fsync(), rename() over the old one, fsync() of the directory
 *   wal      SQLite with a write-ahead log, one transaction a record
 *   journal  SQLite with a rollback journal, the same
 *
 * Records are numbered.  `write` says "durable: KIND N" only when record N must be found after any
 * crash; `check` says "durable: found KIND N", the last one, and reads every byte of all of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAGIC 0x64726f636572ull
#define DATA_MAX 9000u
#define LOG_MAX (1 << 20) /* bytes, then the other of two files */
#define KEPT 100	  /* rows of a database */

struct record {
	uint64_t magic, number;
	uint32_t length, sum;
	unsigned char data[DATA_MAX];
};
#define HEADER offsetof(struct record, data)

/* One write(), so that no two programs' lines mix. */
static void say(const char *fmt, ...)
{
	char line[200];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(1, line, (size_t)n) != n)
		exit(3);
}

static void fail(const char *what, const char *why)
{
	say("durable: WRONG: %s: %s", what, why);
	exit(1);
}

static void must(bool good, const char *what)
{
	if (!good)
		fail(what, strerror(errno));
}

/* --- records --------------------------------------------------------------------------------- */

/* The contents of record @number; its length is a function of the number, too. */
static uint32_t fill(uint64_t number, unsigned char *data)
{
	uint64_t x = number * 0x9e3779b97f4a7c15ull + 1;
	uint32_t length = 40 + (uint32_t)(x >> 40) % (DATA_MAX - 40);

	for (uint32_t i = 0; i < length; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		data[i] = (unsigned char)(x >> 56);
	}
	return length;
}

static uint32_t sum(const unsigned char *data, uint32_t length)
{
	uint32_t s = 1;

	for (uint32_t i = 0; i < length; i++)
		s = s * 31 + data[i];
	return s;
}

static void make(struct record *r, uint64_t number)
{
	r->magic = MAGIC;
	r->number = number;
	r->length = fill(number, r->data);
	r->sum = sum(r->data, r->length) ^ (uint32_t)number;
}

/*
 * Returns the size of the record at @r, where @left bytes are left; 0: no record, or only a part of
 * one.
 */
static size_t sound(const struct record *r, size_t left)
{
	if (left < HEADER || r->magic != MAGIC || r->length > DATA_MAX || left < HEADER + r->length)
		return 0;
	return r->sum == (sum(r->data, r->length) ^ (uint32_t)r->number) ? HEADER + r->length : 0;
}

/* --- files ----------------------------------------------------------------------------------- */

static int directory;

static size_t read_whole(const char *name, unsigned char **data)
{
	int fd = openat(directory, name, O_RDONLY);
	struct stat st;
	size_t got = 0;

	*data = NULL;
	if (fd < 0)
		return 0;
	must(!fstat(fd, &st), name);
	*data = malloc((size_t)st.st_size + sizeof(struct record));
	while (got < (size_t)st.st_size) {
		ssize_t n = read(fd, *data + got, (size_t)st.st_size - got);

		must(n > 0, name);
		got += (size_t)n;
	}
	close(fd);
	return got;
}

static void sync_directory(void)
{
	must(!fsync(directory), "fsync of the directory");
}

/* The number of the last whole record of a log, and its end; bytes after it were never promised. */
static uint64_t read_log(const char *name, size_t *end)
{
	unsigned char *data;
	size_t bytes = read_whole(name, &data), size;
	uint64_t last = 0;

	for (*end = 0; *end < bytes; *end += size) {
		struct record r;

		memset(&r, 0, sizeof(r));
		memcpy(&r, data + *end, bytes - *end < sizeof(r) ? bytes - *end : sizeof(r));
		size = sound(&r, bytes - *end);
		if (!size)
			break;
		if (last && r.number != last + 1)
			fail(name, "a record is missing");
		last = r.number;
	}
	free(data);
	return last;
}

static const char *const logs[] = { "log.0", "log.1" };

/* Tells which of the two is the present one. */
static int present_log(uint64_t *last, size_t *end)
{
	size_t ends[2];
	uint64_t lasts[2] = { read_log(logs[0], &ends[0]), read_log(logs[1], &ends[1]) };
	int i = lasts[1] > lasts[0];

	*last = lasts[i];
	*end = ends[i];
	return i;
}

static uint64_t check_log(void)
{
	uint64_t last;
	size_t end;

	present_log(&last, &end);
	return last;
}

static void write_log(void)
{
	static struct record r;
	uint64_t number;
	size_t end;
	int i = present_log(&number, &end), fd = -1;

	for (;;) {
		if (fd < 0) {
			fd = openat(directory, logs[i], O_RDWR | O_CREAT, 0600);
			must(fd >= 0 && !ftruncate(fd, (off_t)end) && !fsync(fd), logs[i]);
			sync_directory();
		}
		make(&r, ++number);
		must(pwrite(fd, &r, HEADER + r.length, (off_t)end) ==
				     (ssize_t)(HEADER + r.length) &&
			     !fdatasync(fd),
		     "log");
		say("durable: log %llu", (unsigned long long)number);
		end += HEADER + r.length;
		if (end > LOG_MAX) {
			close(fd);
			fd = -1;
			i = !i;
			end = 0;
		}
	}
}

static uint64_t check_state(void)
{
	unsigned char *data;
	size_t bytes = read_whole("state", &data);
	uint64_t number;

	if (!data)
		return 0;
	if (sound((struct record *)data, bytes) != bytes)
		fail("state", "the file is not what was renamed");
	number = ((struct record *)data)->number;
	free(data);
	return number;
}

static void write_state(void)
{
	static struct record r;
	uint64_t number = check_state();

	for (;;) {
		int fd = openat(directory, "state.new", O_WRONLY | O_CREAT | O_TRUNC, 0600);

		make(&r, ++number);
		must(fd >= 0 && write(fd, &r, HEADER + r.length) == (ssize_t)(HEADER + r.length) &&
			     !fsync(fd) && !close(fd) &&
			     !renameat(directory, "state.new", directory, "state"),
		     "state");
		sync_directory();
		say("durable: state %llu", (unsigned long long)number);
	}
}

/* --- databases ------------------------------------------------------------------------------- */

static void sql_must(sqlite3 *db, int result, int wanted, const char *what)
{
	if (result != wanted)
		fail(what, sqlite3_errmsg(db));
}

static void run(sqlite3 *db, const char *sql)
{
	sql_must(db, sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, sql);
}

static sqlite3 *open_database(const char *name, const char *mode)
{
	char sql[100];
	sqlite3 *db;

	if (sqlite3_open(name, &db) != SQLITE_OK)
		fail(name, "cannot be opened");
	run(db, "PRAGMA locking_mode = EXCLUSIVE");
	snprintf(sql, sizeof(sql), "PRAGMA journal_mode = %s", mode);
	run(db, sql);
	run(db, "PRAGMA synchronous = FULL"); /* what durability takes, in both modes */
	run(db, "CREATE TABLE IF NOT EXISTS r (n INTEGER PRIMARY KEY, data BLOB)");
	return db;
}

static uint64_t check_rows(sqlite3 *db, const char *name)
{
	static unsigned char want[DATA_MAX];
	sqlite3_stmt *s;
	uint64_t last = 0;
	int more;

	sql_must(db, sqlite3_prepare_v2(db, "SELECT n, data FROM r ORDER BY n", -1, &s, NULL),
		 SQLITE_OK, name);
	while ((more = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t n = (uint64_t)sqlite3_column_int64(s, 0);
		uint32_t length = fill(n, want);

		if (last && n != last + 1)
			fail(name, "a row is missing");
		if ((uint32_t)sqlite3_column_bytes(s, 1) != length ||
		    memcmp(sqlite3_column_blob(s, 1), want, length))
			fail(name, "a row has other bytes");
		last = n;
	}
	sql_must(db, more, SQLITE_DONE, name);
	sqlite3_finalize(s);
	return last;
}

static int integrity(void *name, int n, char **values, char **names)
{
	(void)n, (void)names;
	if (strcmp(values[0], "ok"))
		fail(name, values[0]);
	return 0;
}

static uint64_t check_database(const char *name, const char *mode)
{
	sqlite3 *db = open_database(name, mode);
	uint64_t last;

	sql_must(db, sqlite3_exec(db, "PRAGMA integrity_check", integrity, (void *)name, NULL),
		 SQLITE_OK, "integrity_check");
	last = check_rows(db, name);
	sqlite3_close(db);
	return last;
}

static void write_database(const char *kind, const char *name, const char *mode)
{
	static unsigned char data[DATA_MAX];
	sqlite3 *db = open_database(name, mode);
	uint64_t number = check_rows(db, name);
	sqlite3_stmt *s;
	char sql[100];

	sql_must(db, sqlite3_prepare_v2(db, "INSERT INTO r VALUES (?, ?)", -1, &s, NULL), SQLITE_OK,
		 kind);
	for (;;) {
		uint32_t length = fill(++number, data);

		run(db, "BEGIN IMMEDIATE");
		sqlite3_bind_int64(s, 1, (sqlite3_int64)number);
		sqlite3_bind_blob(s, 2, data, (int)length, SQLITE_STATIC);
		sql_must(db, sqlite3_step(s), SQLITE_DONE, kind);
		sqlite3_reset(s);
		snprintf(sql, sizeof(sql), "DELETE FROM r WHERE n <= %lld",
			 (long long)number - KEPT);
		run(db, sql);
		run(db, "COMMIT");
		say("durable: %s %llu", kind, (unsigned long long)number);
	}
}

/* --- all of them ------------------------------------------------------------------------------ */

static void check(void)
{
	say("durable: found log %llu", (unsigned long long)check_log());
	say("durable: found state %llu", (unsigned long long)check_state());
	say("durable: found wal %llu", (unsigned long long)check_database("wal.db", "WAL"));
	say("durable: found journal %llu",
	    (unsigned long long)check_database("journal.db", "DELETE"));
}

static void write_all(void)
{
	for (int kind = 0; kind < 4; kind++)
		if (!fork()) {
			if (kind == 0)
				write_log();
			else if (kind == 1)
				write_state();
			else if (kind == 2)
				write_database("wal", "wal.db", "WAL");
			else
				write_database("journal", "journal.db", "DELETE");
		}
	/* A program that ends has failed, and said so. */
	wait(NULL);
	exit(1);
}

int main(int argc, char **argv)
{
	if (argc != 3 || chdir(argv[2]))
		return 2;
	directory = open(".", O_RDONLY | O_DIRECTORY);
	must(directory >= 0, argv[2]);
	if (!strcmp(argv[1], "check"))
		check();
	else
		write_all();
	return 0;
}
