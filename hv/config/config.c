/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/string.h>
#include <hv/config/config.h>
#include <hv/config/text.h>

#define MIN_MEMORY MIB(1)
#define MAX_MEMORY GIB(4096)
#define MIN_DEFAULT UINT64_MAX

struct parser {
	struct config *c;
	struct vm_config *vm; /* the section we are in; NULL in [host] */
	bool in_host;
	int line;
	char *error;
};

static bool fail(struct parser *p, const char *fmt, ...) __printf(2, 3);
static bool fail(struct parser *p, const char *fmt, ...)
{
	int n = str_format(p->error, CONFIG_ERROR_MAX, "aerostat.conf: line %d: ", p->line);
	__builtin_va_list ap;

	__builtin_va_start(ap, fmt);
	str_vformat(p->error + n, CONFIG_ERROR_MAX - (size_t)n, fmt, ap);
	__builtin_va_end(ap);
	return false;
}

/* How the value of a key is written. */
enum value_kind {
	V_SIZE,
	V_NUMBER,
	V_TIME,
	V_YES_NO,
	V_TEXT,
	V_CONSOLE,
	V_INITRD,
	V_MODULE,
	V_DISK,
	V_BALLOON,
	V_AT
};

struct key {
	const char *name;
	enum value_kind kind;
	size_t offset;
	u64 min, max; /* numbers: themselves; sizes, texts: bytes; times: milliseconds */
	bool bare;    /* a time that may be written as a number of milliseconds */
};

#define HOST(field) offsetof(struct host_config, field)
#define VM(field) offsetof(struct vm_config, field)

static const struct key host_keys[] = {
	{ "memory", V_SIZE, HOST(memory), MIB(4), MAX_MEMORY },
	{ "stay", V_YES_NO, HOST(stay), 0, 0 },
	{ "status", V_TIME, HOST(status_ms), 0, 3600000, true },
	{ "console", V_CONSOLE, HOST(console), 0, CONFIG_NAME_MAX },
	{ "pages", V_TIME, HOST(pages_ms), 0, 3600000 },
	{ "at", V_AT, 0, 0, 0 },
	{ "policy", V_TIME, HOST(policy_ms), 1, 60000, true },
	{ "sample", V_TIME, HOST(sample_ms), 1, 600000, true },
	{ "sample_pages", V_NUMBER, HOST(sample_pages), 10, 256 },
	{ "tax", V_NUMBER, HOST(tax), 0, 99 },
	{ "balloon_max", V_NUMBER, HOST(balloon_max), 0, 95 },
};

static const struct key vm_keys[] = {
	{ "memory", V_SIZE, VM(memory), MIN_MEMORY, MAX_MEMORY },
	{ "min", V_SIZE, VM(min), 0, MAX_MEMORY },
	{ "max", V_SIZE, VM(max), MIN_MEMORY, MAX_MEMORY },
	{ "reserve", V_SIZE, VM(reserve), KIB(64), GIB(1) },
	{ "shares", V_NUMBER, VM(shares), 1, SHARES_MAX },
	{ "vcpus", V_NUMBER, VM(vcpus), 1, MAX_VCPUS },
	{ "balloon", V_BALLOON, VM(balloon), 0, 0 },
	{ "control", V_YES_NO, VM(control), 0, 0 },
	{ "start", V_YES_NO, VM(start), 0, 0 },
	{ "kernel", V_TEXT, VM(kernel), 0, CONFIG_TEXT_MAX },
	{ "cmdline", V_TEXT, VM(cmdline), 0, CONFIG_TEXT_MAX },
	{ "module", V_MODULE, 0, 0, 0 },
	{ "initrd", V_INITRD, 0, 0, 0 },
	{ "disk", V_DISK, 0, 0, 0 },
};

/* The key that a typo was probably meant to be: most letters in common at the start. */
static const char *nearest(const struct key *keys, size_t n, const char *name)
{
	const char *best = keys[0].name;
	int best_score = -1;

	for (size_t i = 0; i < n; i++) {
		int score = 0, len = (int)strlen(keys[i].name);

		for (int a = 0; a <= len && name[a]; a++)
			for (int b = max(0, a - 1); b <= a + 1 && keys[i].name[b]; b++)
				if (name[a] == keys[i].name[b]) {
					score += 2;
					break;
				}
		score -= (int)strlen(keys[i].name) > (int)strlen(name) ?
				 (int)strlen(keys[i].name) - (int)strlen(name) :
				 (int)strlen(name) - (int)strlen(keys[i].name);
		if (score > best_score) {
			best_score = score;
			best = keys[i].name;
		}
	}
	return best;
}

static bool set_module(struct parser *p, const char *value)
{
	if (p->vm->nr_modules == MAX_VM_MODULES)
		return fail(p, "too many modules; a VM takes at most %d", MAX_VM_MODULES);
	if (!str_copy(p->vm->module[p->vm->nr_modules++], value, CONFIG_TEXT_MAX))
		return fail(p, "the value is too long; at most %d characters are allowed",
			    CONFIG_TEXT_MAX - 1);
	return true;
}

static bool set_balloon(struct parser *p, u32 *at, const char *value)
{
	static const char *const names[] = { "auto", "aerostat", "virtio", "none" };

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], value)) {
			*at = i;
			return true;
		}
	return fail(p, "balloon takes auto, aerostat, virtio or none, not \"%s\"", value);
}

static bool add_disk(struct parser *p, const char *value)
{
	char error[CONFIG_ERROR_MAX];

	if (p->vm->nr_disks == MAX_VM_DISKS)
		return fail(p, "too many disks; a VM takes at most %d", MAX_VM_DISKS);
	return disk_parse(value, &p->vm->disk[p->vm->nr_disks++], error) || fail(p, "%s", error);
}

static bool add_timed(struct parser *p, const char *value)
{
	struct config *c = p->c;
	char error[CONFIG_ERROR_MAX];

	if (c->nr_timed == MAX_TIMED)
		return fail(p, "too many lines \"at\"; at most %d are allowed", MAX_TIMED);
	if (!timed_parse(value, &c->timed[c->nr_timed], error))
		return fail(p, "%s", error);
	c->timed[c->nr_timed++].line = p->line;
	return true;
}

static bool set_size(struct parser *p, const struct key *k, u64 *at, const char *value)
{
	u64 n;

	if (!config_parse_size(value, &n))
		return fail(p, "\"%s\" is not a size; write for example %s = 64M", value, k->name);
	if (n & PAGE_MASK)
		return fail(p, "%s must be a multiple of 4K", k->name);
	if (n < k->min || n > k->max)
		return fail(p, "%s = %s is out of range; from %luK to %luG is possible", k->name,
			    value, k->min >> 10, k->max >> 30);
	*at = n;
	return true;
}

static bool set_number(struct parser *p, const struct key *k, u32 *at, const char *value)
{
	const char *end;
	u64 n;

	if (!config_parse_number(value, &n, &end) || *end)
		return fail(p, "\"%s\" is not a number; write for example %s = %lu", value, k->name,
			    max(k->min, 1UL));
	if (n < k->min || n > k->max)
		return fail(p, "%s = %s is out of range; from %lu to %lu is possible", k->name,
			    value, k->min, k->max);
	*at = (u32)n;
	return true;
}

/* Bare numbers were milliseconds once: accepted, and the log says how to write them. */
static bool bare_time(struct parser *p, const struct key *k, const char *value, u64 *ms)
{
	const char *end;

	if (!config_parse_number(value, ms, &end) || *end)
		return false;
	if (!p->c->note[0])
		str_format(p->c->note, CONFIG_ERROR_MAX,
			   "aerostat.conf: line %d: %s = %s means %s ms; write %s = %sms", p->line,
			   k->name, value, value, k->name, value);
	return true;
}

static bool set_time(struct parser *p, const struct key *k, u32 *at, const char *value)
{
	u64 n;

	if (!config_parse_time(value, &n) && !(k->bare && bare_time(p, k, value, &n)))
		return fail(p, "\"%s\" is not a time; write for example %s = 10s", value, k->name);
	if (n < k->min || n > k->max)
		return fail(p, "%s = %s is out of range; from %lums to %lus is possible", k->name,
			    value, k->min, k->max / 1000);
	*at = (u32)n;
	return true;
}

static bool set_text(struct parser *p, const struct key *k, char *at, const char *value)
{
	return str_copy(at, value, k->max) ||
	       fail(p, "the value is too long; at most %lu characters are allowed", k->max - 1);
}

static bool set_initrd(struct parser *p, const char *value)
{
	for (const char *c = value; *c; c++)
		if (config_is_space(*c))
			return fail(
				p,
				"initrd is one file; for a file with arguments write module = %s",
				value);
	return set_module(p, value);
}

static bool set_value(struct parser *p, const struct key *k, void *base, const char *value)
{
	void *at = (char *)base + k->offset;

	switch (k->kind) {
	case V_SIZE:
		return set_size(p, k, at, value);
	case V_NUMBER:
		return set_number(p, k, at, value);
	case V_TIME:
		return set_time(p, k, at, value);
	case V_YES_NO:
		if (strcmp(value, "yes") && strcmp(value, "no"))
			return fail(p, "%s takes yes or no, not \"%s\"", k->name, value);
		*(bool *)at = value[0] == 'y';
		return true;
	case V_CONSOLE: /* a VM whose section may come later */
		p->c->host.console_line = p->line;
		return set_text(p, k, at, value);
	case V_TEXT:
		return set_text(p, k, at, value);
	case V_INITRD:
		return set_initrd(p, value);
	case V_MODULE:
		return set_module(p, value);
	case V_BALLOON:
		return set_balloon(p, at, value);
	case V_DISK:
		return add_disk(p, value);
	case V_AT:
		return add_timed(p, value);
	}
	return false;
}

static bool valid_name(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		      (s[i] >= '0' && s[i] <= '9') || s[i] == '-' || s[i] == '_'))
			return false;
	return n && n < CONFIG_NAME_MAX;
}

static bool open_vm(struct parser *p, char *name)
{
	struct config *c = p->c;

	while (config_is_space(*name))
		name++;
	if (!valid_name(name))
		return fail(p, "a VM's name is 1 to 31 letters, digits, - or _, as in [vm web1]");
	for (u32 i = 0; i < c->nr_vms; i++)
		if (!strcmp(c->vm[i].name, name))
			return fail(p,
				    "there is a VM \"%s\" already, at line %d; choose another name",
				    name, c->vm[i].line);
	if (c->nr_vms == MAX_VMS)
		return fail(p, "too many VMs; at most %d are allowed", MAX_VMS);
	p->vm = &c->vm[c->nr_vms++];
	*p->vm = (struct vm_config){
		.shares = 1000, .vcpus = 1, .start = true, .min = MIN_DEFAULT, .line = p->line
	};
	str_copy(p->vm->name, name, CONFIG_NAME_MAX);
	p->in_host = false;
	return true;
}

static bool parse_section(struct parser *p, char *s)
{
	char *end = s + strlen(s) - 1;

	if (*end != ']')
		return fail(p, "a section starts with [ and ends with ]");
	*end = '\0';
	s++;
	if (!strcmp(s, "host")) {
		p->in_host = true;
		p->vm = NULL;
		return true;
	}
	if (!strncmp(s, "vm", 2) && config_is_space(s[2]))
		return open_vm(p, s + 2);
	return fail(p, "unknown section [%s]; write [host] or [vm NAME]", s);
}

static const struct key *find_key(const struct key *keys, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static bool unknown_key(struct parser *p, const char *name)
{
	if (p->in_host && find_key(vm_keys, ARRAY_SIZE(vm_keys), name))
		return fail(p, "\"%s\" belongs to a VM; put it under [vm NAME]", name);
	if (!p->in_host && find_key(host_keys, ARRAY_SIZE(host_keys), name))
		return fail(p, "\"%s\" belongs to the host; put it under [host]", name);
	return fail(p, "unknown key \"%s\"; did you mean \"%s\"?", name,
		    p->in_host ? nearest(host_keys, ARRAY_SIZE(host_keys), name) :
				 nearest(vm_keys, ARRAY_SIZE(vm_keys), name));
}

static bool parse_key(struct parser *p, char *s)
{
	const struct key *keys = p->in_host ? host_keys : vm_keys;
	size_t n = p->in_host ? ARRAY_SIZE(host_keys) : ARRAY_SIZE(vm_keys);
	char *eq = s, *value, *end;
	const struct key *key;

	while (*eq && *eq != '=')
		eq++;
	if (!*eq)
		return fail(p, "\"%s\" is neither a [section] nor key = value", s);
	if (!p->in_host && !p->vm)
		return fail(p, "a key before any section; start with [host] or [vm NAME]");
	value = eq + 1;
	while (config_is_space(*value))
		value++;
	for (end = eq; end > s && config_is_space(end[-1]);)
		end--;
	*end = '\0';
	key = find_key(keys, n, s);
	if (!key)
		return unknown_key(p, s);
	if (!*value && key->kind != V_TEXT)
		return fail(p, "%s has no value", s);
	return set_value(p, key, p->in_host ? (void *)&p->c->host : (void *)p->vm, value);
}

/* One line without its comment and outer blanks. */
static char *trim(char *s)
{
	char *end;

	for (char *c = s; *c; c++)
		if ((*c == '#' || *c == ';') && (c == s || config_is_space(c[-1]))) {
			*c = '\0';
			break;
		}
	while (config_is_space(*s))
		s++;
	end = s + strlen(s);
	while (end > s && config_is_space(end[-1]))
		*--end = '\0';
	return s;
}

static bool finish_vm(struct parser *p, struct vm_config *vm)
{
	p->line = vm->line;
	if (!vm->memory)
		return fail(p, "VM %s has no memory; add for example memory = 64M", vm->name);
	if (!vm->kernel[0])
		return fail(p, "VM %s has no kernel; add kernel = FILE", vm->name);
	if (!vm->max)
		vm->max = vm->memory;
	if (vm->max > vm->memory)
		return fail(p, "VM %s: max is more than its memory; write max = %luK or less",
			    vm->name, vm->memory >> 10);
	if (vm->min == MIN_DEFAULT)
		vm->min = min(vm->max, ALIGN_UP(vm->memory / 8, PAGE_SIZE));
	if (vm->min > vm->max)
		return fail(p, "VM %s: min is more than max; write min = %luK or less", vm->name,
			    vm->max >> 10);
	if (!vm->reserve)
		vm->reserve = min(MIB(4), ALIGN_UP(vm->memory / 16, PAGE_SIZE));
	return true;
}

/* VMs may be named before their sections come. */
static bool finish_console(struct parser *p, struct config *c)
{
	u32 *id = &c->host.console_vm;

	while (*id < c->nr_vms && strcmp(c->vm[*id].name, c->host.console))
		++*id;
	p->line = c->host.console_line;
	return !c->host.console[0] || *id < c->nr_vms ||
	       fail(p, "there is no VM \"%s\"; a section [vm %s] is missing", c->host.console,
		    c->host.console);
}

static bool finish_timed(struct parser *p, struct timed_action *a)
{
	char error[CONFIG_ERROR_MAX];

	p->line = a->line;
	return timed_resolve(a, p->c, error) || fail(p, "%s", error);
}

bool config_parse(const char *text, size_t len, struct config *c, char error[CONFIG_ERROR_MAX])
{
	struct parser p = { .c = c, .error = error };
	char line[512];

	memset(c, 0, sizeof(*c)); /* too large for a literal on the stack */
	c->host = (struct host_config){ .pages_ms = 10000,
					.status_ms = 1000,
					.policy_ms = 100,
					.sample_ms = 30000,
					.sample_pages = SAMPLE_PAGES,
					.tax = 75,
					.balloon_max = 65 };
	/* A byte order mark, as some editors put it before UTF-8. */
	for (size_t i = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0; i < len;) {
		size_t n = 0;
		char *s;

		p.line++;
		for (; i < len && text[i] != '\n'; i++) {
			if (n == sizeof(line) - 1)
				return fail(&p, "the line is longer than %zu characters",
					    sizeof(line) - 1);
			if (!text[i])
				return fail(&p, "a NUL byte; is this a text file?");
			line[n++] = text[i];
		}
		i++;
		line[n] = '\0';
		s = trim(line);
		if (*s && !(*s == '[' ? parse_section(&p, s) : parse_key(&p, s)))
			return false;
	}
	p.line = max(p.line, 1); /* of an empty file, too */
	if (!c->nr_vms)
		return fail(&p, "no [vm NAME] section: there is nothing to run");
	for (u32 i = 0; i < c->nr_vms; i++)
		if (!finish_vm(&p, &c->vm[i]))
			return false;
	if (!finish_console(&p, c))
		return false;
	for (u32 i = 0; i < c->nr_timed; i++)
		if (!finish_timed(&p, &c->timed[i]))
			return false;
	return true;
}
